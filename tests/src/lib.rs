//! What signalbox's black-box tests and benches share: a running host to talk to, Stripe's
//! fixtures and signatures, and components made from text.
//!
//! Not tests themselves (`suite/`), and nothing here reaches into the host: everything goes
//! through the real binary, its sockets and its command line.

pub mod host;
pub mod stripe;
