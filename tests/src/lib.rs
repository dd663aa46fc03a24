//! What signalbox's black-box tests and benches share: a running host to talk to, Stripe's
//! fixtures and signatures, a stand-in for its API, components made from text, and a server where
//! effects arrive.
//!
//! Not tests themselves (`suite/`), and nothing here reaches into the host: everything goes
//! through the real binary, its sockets and its command line.

pub mod components;
pub mod dice;
pub mod fake_stripe;
pub mod guests;
pub mod host;
pub mod poison;
pub mod sink;
pub mod stripe;
