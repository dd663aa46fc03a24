//! What a guest can call: the package's own interfaces and a WASI with nothing behind it.
//!
//! One file per interface. Which of them exist is decided here alone; what a grant covers is judged
//! by the interface that needs it.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::bindings;
use super::guest::Guest;

mod config;
pub(super) mod kv;
mod log;
pub(super) mod objects;
pub(super) mod outbox;
pub(super) mod wasi;

pub(super) use outbox::secret_name;

/// Interfaces of the package that this host provides, in version 0.1.
pub(super) const PACKAGE: [&str; 6] = [
    "signalbox:plugin/types",
    "signalbox:plugin/log",
    "signalbox:plugin/config",
    "signalbox:plugin/kv",
    "signalbox:plugin/objects",
    "signalbox:plugin/outbox",
];

/// Everything a guest may import.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    bindings::Plugin::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    wasi::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Whether an import of this name (without its version) is provided.
pub(super) fn provides(interface: &str) -> bool {
    PACKAGE.contains(&interface) || wasi::INTERFACES.contains(&interface)
}

impl bindings::signalbox::plugin::types::Host for Guest {}
