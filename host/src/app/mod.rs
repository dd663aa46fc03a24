//! All wiring: which parts there are, in which order they start and stop.
//!
//! Not what any part does, and not the command line. A reader who wants to know what a running
//! host consists of reads [`Host::start`].
//!
//! # Order
//!
//! Start: store, engine, plugins, pauses, endpoints, admin listener, dispatch, retention, and the
//! public listener last: what is accepted can be handled at once. Stop: the public listener first,
//! which finishes the requests it has begun; then what it refused is told, and when secrets matched
//! is kept; then dispatch, which finishes the deliveries it has begun; then the rest; the store last.

mod host;
mod offline;
mod reconcile;
mod refresh;
mod token;
mod wiring;

pub(crate) use host::stop_signal;
pub use host::{Host, serve};
pub(crate) use offline::compact;
pub(crate) use wiring::{engine, policy, providers};
