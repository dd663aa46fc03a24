//! What every HTTP client of the host's shares: whom it trusts, and how long it is asked to wait.
//!
//! Not a client: the outbox speaks for plugins, `stripe` to Stripe's API.

pub(crate) mod retry_after;
pub(crate) mod tls;

pub use tls::{ExtraRoots, RootsError};

/// Why TLS cannot be set up.
pub use rustls::Error as TlsError;
