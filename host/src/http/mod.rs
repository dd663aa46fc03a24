//! Layer 4: what the world sees. Alone knows hyper and axum.
//!
//! Two listeners: `webhook` takes in providers' requests and nothing else; `admin` shows and
//! changes what the host holds. Neither decides what an event means.

pub mod admin;
pub mod webhook;

mod guard;
mod linger;
mod listener;
mod metrics;
mod problem;

pub use listener::ConnectionLimits;
pub use metrics::Metrics;

#[cfg(test)]
mod testing;
