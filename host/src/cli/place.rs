//! A directory that a command sets up for its user: configuration, an endpoint with a secret of its own,
//! plugins.
//!
//! What is there is kept, so that the commands the user was shown go on working. Not what the command
//! adds to the configuration.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use uuid::Uuid;

/// Where everything of it is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) config: PathBuf,
    pub(super) plugins: PathBuf,
}

/// Make `dir` the directory of `command`, unless it is one; its configuration ends with `more`.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn prepare(dir: &Path, command: &str, more: &str) -> anyhow::Result<Place> {
    let place = Place { config: dir.join("signalbox.toml"), plugins: dir.join("plugins") };
    let told = || format!("cannot make the directory of `{command}`, {}", dir.display());
    fs::create_dir_all(&place.plugins).with_context(told)?;
    if !place.config.exists() {
        fs::write(&place.config, text(command, more)).with_context(told)?;
    }
    Ok(place)
}

fn text(command: &str, more: &str) -> String {
    let (endpoint, secret) = (Uuid::new_v4(), Uuid::new_v4().simple());
    format!(
        r#"# Made by `signalbox {command}`; yours to change. Delete the directory to begin anew.

[store]
path = "data"

[plugins]
dir = "plugins"

[[endpoint]]
id = "{endpoint}"
provider = "stripe"
secrets = ["whsec_{command}_{secret}"]

[dispatch]
first_wait = "1s"     # so that a retry can be watched; the default is 5s

{more}"#
    )
}
