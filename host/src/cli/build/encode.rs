//! From the module that rustc makes to a component.
//!
//! Not the loading of one: the host's `plugin` checks every component again, whoever made it.

use wit_component::{ComponentEncoder, metadata};

/// The interface that makes a component a plugin, of any version in the track this host knows.
const HANDLER: &str = "signalbox:plugin/handler@0.1.";

/// Why a module cannot become a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// It was compiled without the contract.
    #[error(
        "it does not export `{HANDLER}x`: declare the plugin with `plugin! {{ ... }}` at the root \
         of the crate"
    )]
    NoHandler,
    /// The bytes are not a module, or its contract cannot be read.
    #[error("the module cannot be read: {0:#}; build it anew, with the SDK of this release")]
    Unreadable(anyhow::Error),
    /// It imports what no plugin has, or does not keep to its contract.
    #[error(
        "the module cannot become a component: {0:#}; a dependency that needs a browser, a C \
         library or an operating system does not work in a plugin: `cargo tree` shows which one \
         brought it"
    )]
    Refused(anyhow::Error),
    /// The same, of a module that does not come from Rust.
    #[error(
        "the module cannot become a component: {0:#}; it has to be written with the SDK of this \
         release, and can import the contract and WASI alone"
    )]
    Foreign(anyhow::Error),
}

/// Make a component of a module that holds the contract it was compiled with.
///
/// # Errors
/// [`EncodeError`].
pub fn encode(module: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let (_, contract) = metadata::decode(module).map_err(EncodeError::Unreadable)?;
    let exports = &contract.resolve.worlds[contract.world].exports;
    if !exports.keys().any(|key| contract.resolve.name_world_key(key).starts_with(HANDLER)) {
        return Err(EncodeError::NoHandler);
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(ComponentEncoder::encode)
        .map_err(EncodeError::Refused)
}
