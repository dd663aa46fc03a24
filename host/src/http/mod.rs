//! Layer 4: what the world sees. Alone knows hyper and axum.
//!
//! Two listeners: `webhook` takes in providers' requests and nothing else; `admin` shows and
//! changes what the host holds. Neither decides what an event means.

pub mod listener;
pub mod metrics;
pub mod webhook;

mod guard;
mod linger;
mod problem;

#[cfg(test)]
mod testing;
