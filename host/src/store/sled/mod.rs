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
mod effect_queue;
mod lane;
mod line;
mod names;
mod queue;

mod directory;
mod mark;

mod open;
mod shared;
mod twins;
mod unfinished;

mod mirror;

mod accept;
mod draft;

mod attempts;
mod effects;
mod ending;
mod kv;
mod replay;
mod settle;

mod retain;

mod committer;
mod jobs;

mod claim;
mod cursors;
mod effect_read;
mod endpoints;
mod figures;
mod list;
mod requests;

mod store;

mod object_store;

mod compact;

pub use compact::{Compacted, compact};
pub use config::SledConfig;
pub use error::OpenError;
pub use store::SledStore;

#[cfg(test)]
mod tests;
