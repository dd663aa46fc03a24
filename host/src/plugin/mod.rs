//! Layer 2: the sandbox. Alone knows wasmtime.
//!
//! ```text
//! bytes -> sniff -> digest -> compile or cache -> link -> describe -> manifest -> grants -> Loaded
//!          load, cache, imports, manifest, error                                           call
//! Loaded + event -> fresh store and instance -> limits -> call -> classify -> Execution
//!                   run, guest, imports, limits                  outcome
//! ```
//!
//! What bounds a guest, and how, is told in [`limits`].

mod advice;
mod bindings;
mod cache;
pub mod call;
mod compare;
pub mod compile;
pub mod contract;
pub mod engine;
pub mod error;
pub mod explain;
pub mod filter;
mod guest;
mod imports;
pub mod inspect;
pub mod limits;
mod lines;
pub mod load;
mod logbook;
mod manifest;
mod meter;
mod outcome;
pub mod routes;
mod run;
mod shown;
mod sniff;
pub mod threads;
mod wishes;

pub use call::{Call, Execution, Loaded};
pub use engine::{Engine, EngineConfig, EngineError};
pub use error::LoadError;
pub use inspect::Inspection;
pub use load::{PluginSettings, Policy, Trial};
pub use routes::{PluginReport, PluginStatus, Routes, RoutingTable};
pub use threads::GuestThreads;

#[cfg(test)]
pub(crate) mod tests;
