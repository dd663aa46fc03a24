//! What the demo has of its own in its directory, and the examples it shows.

use std::path::Path;

use super::super::place::{self, Place};

/// The examples that are shown: those that send nothing. The others (`dunning`, `slack-notifier`)
/// need grants for services on the net, and a demo sends nobody anything.
pub(super) const EXAMPLES: [&str; 3] =
    ["charge-succeeded", "payment-method-attached", "fails-on-purpose"];

const MORE: &str = r#"[plugin.fails-on-purpose]
limits = { cpu = "200ms" }
"#;

/// Make `dir` a demo's directory, unless it is one.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<Place> {
    place::prepare(dir, "demo", MORE)
}
