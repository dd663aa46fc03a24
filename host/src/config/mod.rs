//! One configuration: `signalbox.toml`, the environment and the command line, read into plain
//! structs.
//!
//! Not the parts' own configuration types: `app` maps these onto them.
//!
//! # Where a value comes from
//!
//! A flag wins over the environment, the environment over the file, the file over the default.
//! `server.admin_listen` is `SIGNALBOX_SERVER__ADMIN_LISTEN` in the environment: two underscores
//! stand for a dot, so names with single underscores (`SIGNALBOX_ADMIN_TOKEN`) remain the
//! operator's own. Entries of a list are numbered from zero
//! (`SIGNALBOX_ENDPOINT__0__TOLERANCE`), and a plugin's hyphens are written as underscores
//! (`SIGNALBOX_PLUGIN__CHARGE_COUNTER__LIMITS__CPU`). A list is written with commas or as TOML.
//!
//! # Paths
//!
//! A relative path in the file, and a default, is relative to the file's directory; one in the
//! environment or on the command line is relative to the working directory.
//!
//! # Mistakes
//!
//! An unknown key is an error, never ignored. All problems are reported at once, each with the
//! key, the value, what was expected and where it was written.

mod environment;
mod file;
mod load;
mod origin;
mod problem;
mod reader;
mod secret;
mod sections;
mod settings;
mod tree;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use environment::Environment;
pub use load::{DEFAULT_FILE, Flags, Reading};
pub use origin::{Entry, Origin};
pub use problem::{ConfigError, Problem};
pub(crate) use reader::nearest;
pub use secret::{SecretRef, SecretRefError};
pub use settings::{
    Config, Dispatch, EndpointSettings, Log, LogFormat, Mirror, Outbox, PluginSettings, Plugins,
    Reconcile, Retention, Server, ServerLimits, StoreSettings,
};
