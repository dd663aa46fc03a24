//! The embedded store: sled 0.34.7, hardened.
//!
//! One committer writes, everybody reads; nothing above this module knows that sled exists.
#![doc = include_str!("LAYOUT.md")]

// In reading order.
mod config;
mod error;

mod layout;
mod rows;

mod record;

mod table;
mod write_set;

mod cache;
mod lane;
mod line;
mod names;
mod queue;

mod directory;
mod mark;

mod open;
mod shared;

mod accept;

mod attempts;
mod kv;
mod settle;

mod retain;

mod committer;

mod claim;
mod endpoints;
mod list;

mod store;

mod compact;

pub use compact::{Compacted, compact};
pub use config::SledConfig;
pub use error::OpenError;
pub use store::SledStore;

#[cfg(test)]
mod tests;
