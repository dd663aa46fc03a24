//! Layer 0: the values and rules of signalbox.
//!
//! Nothing here does I/O, waits, or reads a clock; nothing here knows how a value is stored,
//! sent or run.

pub mod address;
pub mod backoff;
pub mod clock;
pub mod dead;
pub mod delivery;
pub mod effect;
pub mod endpoint;
pub mod event;
pub mod grant;
pub mod json;
pub mod kv;
pub mod mirror;
pub mod notice;
pub mod object;
pub mod pattern;
pub mod plugin;
pub mod proof;
pub mod request;
