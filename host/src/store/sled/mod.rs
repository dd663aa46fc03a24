//! The embedded store: sled 0.34.7, hardened.
//!
//! One committer writes, everybody reads; nothing above this module knows that sled exists.
#![doc = include_str!("LAYOUT.md")]

mod accept;
mod attempts;
mod cache;
mod claim;
mod committer;
mod compact;
mod config;
mod directory;
mod endpoints;
mod error;
mod kv;
mod layout;
mod list;
mod mark;
mod names;
mod open;
mod queue;
mod record;
mod retain;
mod rows;
mod settle;
mod shared;
mod store;
mod table;
mod write_set;

pub use compact::{Compacted, compact};
pub use config::SledConfig;
pub use error::OpenError;
pub use store::SledStore;

#[cfg(test)]
mod tests;
