//! The demo's directory: its configuration, its endpoint with a secret of its own, its plugins.
//!
//! What an earlier demo left is kept, so that the commands the reader was shown go on working.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use uuid::Uuid;

/// The examples that are shown: those that send nothing. The others (`dunning`, `slack-notifier`)
/// need grants for services on the net, and a demo sends nobody anything.
pub(super) const EXAMPLES: [&str; 3] =
    ["charge-succeeded", "payment-method-attached", "fails-on-purpose"];

/// Where everything of a demo is.
pub(super) struct Place {
    pub(super) config: PathBuf,
    pub(super) plugins: PathBuf,
}

/// Make `dir` a demo's directory, unless it is one.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<Place> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the demo's directory {}", dir.display()))?;
    let config = dir.join("signalbox.toml");
    if !config.exists() {
        std::fs::write(&config, text())
            .with_context(|| format!("cannot write {}", config.display()))?;
    }
    let plugins = dir.join("plugins");
    std::fs::create_dir_all(&plugins)?;
    Ok(Place { config, plugins })
}

fn text() -> String {
    let (endpoint, secret) = (Uuid::new_v4(), Uuid::new_v4().simple());
    format!(
        r#"# Made by `signalbox demo`; yours to change. Delete the directory to begin anew.

[store]
path = "data"

[plugins]
dir = "plugins"

[[endpoint]]
id = "{endpoint}"
provider = "stripe"
secrets = ["whsec_demo_{secret}"]

[dispatch]
first_wait = "1s"     # so that a retry can be watched; the default is 5s

[plugin.fails-on-purpose]
limits = {{ cpu = "200ms" }}
"#
    )
}
