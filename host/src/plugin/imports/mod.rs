//! What a guest can call: the package's own interfaces and a WASI with nothing behind it.
//!
//! One file per interface. Which of them exist is decided here alone; what a grant covers is judged
//! by the interface that needs it.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::bindings;
use super::guest::Guest;
use super::load::split;

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

/// Whether an import of this name is provided. A release of WASI 0.2 serves those built for any
/// other; a draft of it, and any later WASI, is something else.
pub(super) fn provides(import: &str) -> bool {
    let (interface, version) = split(import);
    if interface.starts_with("wasi:") {
        return wasi::INTERFACES.contains(&interface) && is_wasi_0_2(version);
    }
    PACKAGE.contains(&interface)
}

/// Whether this is a release of WASI 0.2.
pub(super) fn is_wasi_0_2(version: Option<&str>) -> bool {
    let patch = version.and_then(|version| version.strip_prefix("0.2."));
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

impl bindings::signalbox::plugin::types::Host for Guest {}
