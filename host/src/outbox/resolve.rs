//! From a host's name to addresses that may be connected to.
//!
//! Not the rules (`guard`). The HTTP client asks once for each connection and connects to what it
//! is answered: a name that resolves to something else a moment later changes nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::Guard;

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync + fmt::Debug {
    /// All addresses of `host`, whatever they are.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = tokio::net::lookup_host((host, 0)).await?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}

/// No address was found for the name.
#[derive(Debug, thiserror::Error)]
#[error("no address was found for `{host}`{}", .cause.as_ref().map(|c| format!(": {c}")).unwrap_or_default())]
pub(super) struct Unresolved {
    host: String,
    cause: Option<io::Error>,
}

/// A resolver whose answers the guard has passed.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) guard: Arc<Guard>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { resolver, guard } = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let unresolved = |cause| Unresolved { host: host.to_owned(), cause };
            let found = resolver.lookup(host).await.map_err(|cause| unresolved(Some(cause)))?;
            if found.is_empty() {
                return Err(unresolved(None).into());
            }
            let checked = guard.check(host, &found)?;
            // The client puts the URL's port in the place of 0.
            let addresses: Addrs =
                Box::new(checked.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
