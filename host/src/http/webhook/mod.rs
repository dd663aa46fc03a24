//! The public listener: `POST /webhooks/{endpoint}` and `/livez`, nothing else.
//!
//! Not the admin API. Raw hyper, because each step of a request's way has a limit of its own here and
//! none may be passed by accident.

mod answer;
mod body;
mod client;
mod receive;
mod route;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::listener::{ConnectionLimits, Listener};
use super::metrics::Metrics;
use crate::ingest::Ingest;
use crate::ingest::endpoints::Endpoints;
use crate::ingest::validate::Validator;
use crate::provider::Providers;
use receive::Receiver;
pub use route::{Alias, AliasError};

/// What the listener works with.
#[derive(Debug, Clone)]
pub struct WebhookDeps {
    /// The live endpoints.
    pub endpoints: Endpoints,
    /// The rules that prove requests.
    pub providers: Providers,
    /// Believes requests, or does not.
    pub validator: Validator,
    /// Where proved events go.
    pub ingest: Ingest,
    /// Where requests are counted.
    pub metrics: Metrics,
}

/// How the listener behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What a connection may be.
    pub connections: ConnectionLimits,
    /// Bytes of a body. Default 1 MiB: Stripe's events have a few KB and rarely hundreds.
    pub body_bytes: usize,
    /// How long a whole body may take to come. Default 15 s: within the time that providers wait
    /// for an answer.
    pub body: Duration,
    /// Requests to known endpoints whose body is here and is worked on, and as many whose body is
    /// large (over 64 KiB) and still comes. Default 256: many group commits' worth, and at most
    /// 256 MiB of large bodies.
    pub in_flight: usize,
    /// Bytes of a refused request's body that are kept. Default 4 KiB: most events whole, and of
    /// what nobody vouches for no more.
    pub refused_body: usize,
    /// Other paths that lead to endpoints. Default none.
    pub aliases: Vec<Alias>,
    /// Proxies whose word about the client's address is taken. Default none.
    pub trusted_proxies: Vec<IpNet>,
}

impl WebhookConfig {
    /// All limits at their defaults.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            connections: ConnectionLimits::default(),
            body_bytes: 1 << 20,
            body: Duration::from_secs(15),
            in_flight: 256,
            refused_body: 4 << 10,
            aliases: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// The public listener, bound and not yet serving.
#[derive(Debug)]
pub struct WebhookServer {
    listener: Listener,
    receiver: Arc<Receiver>,
}

/// What others may know of the listener.
#[derive(Debug, Clone, Copy)]
pub struct WebhookHandle {
    /// Where it listens, with the port that was really taken.
    pub local_addr: SocketAddr,
}

impl WebhookServer {
    /// Bind the socket. Peers may connect from now on; they are served by [`Self::run`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn new(
        deps: WebhookDeps,
        config: WebhookConfig,
    ) -> io::Result<(Self, WebhookHandle)> {
        let listener = Listener::bind(config.listen, config.connections.clone()).await?;
        let local_addr = listener.local_addr()?;
        let in_flight = Semaphore::new(config.in_flight);
        let large = Semaphore::new(config.in_flight);
        let receiver = Arc::new(Receiver { deps, config, in_flight, large });
        Ok((Self { listener, receiver }, WebhookHandle { local_addr }))
    }

    /// Serve until `shutdown`, then finish the requests under way within
    /// [`ConnectionLimits::drain`].
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, receiver } = self;
        let service = |linger, peer: SocketAddr| {
            let receiver = receiver.clone();
            service_fn(move |request| {
                let (receiver, linger) = (receiver.clone(), Clone::clone(&linger));
                async move { Ok::<_, Infallible>(receiver.handle(request, peer.ip(), &linger).await) }
            })
        };
        listener.run(shutdown, service).await;
    }
}
