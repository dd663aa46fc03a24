//! The public listener over real sockets.

mod connections;
mod handshake;
mod kept;
mod requests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use handshake::slack;

use super::{WebhookConfig, WebhookDeps, WebhookServer};
use crate::domain::clock::{ManualClock, Timestamp};
use crate::http::metrics::Metrics;
use crate::http::testing::Client;
use crate::ingest::Ingest;
use crate::ingest::endpoints::Endpoints;
use crate::ingest::validate::Validator;
use crate::plugin::routes::Routes;
use crate::provider::testing::{NOW, SECRET, endpoint, sign};
use crate::provider::{self, Providers};
use crate::store::memory::MemoryStore;

/// The path of the one endpoint there is.
const PATH: &str = "/webhooks/00000000-0000-0000-0000-000000000001";

const BODY: &[u8] = br#"{"id":"evt_1","object":"event","type":"charge.succeeded"}"#;

/// A running listener over a store in memory.
struct Host {
    addr: SocketAddr,
    store: Arc<MemoryStore>,
    metrics: Metrics,
    ingest: Ingest,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Host {
    async fn start() -> Self {
        Self::with(MemoryStore::default(), |_| ()).await
    }

    async fn with(store: MemoryStore, change: impl FnOnce(&mut WebhookConfig)) -> Self {
        let store = Arc::new(store);
        let providers = Providers::new(provider::built_in());
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
        let endpoints = Endpoints::load(
            store.clone(),
            providers.clone(),
            clock.clone(),
            vec![endpoint(1), slack()],
        );
        let deps = WebhookDeps {
            endpoints: endpoints.await.unwrap(),
            providers,
            ingest: Ingest::new(store.clone(), Routes::default(), clock.clone()),
            validator: Validator::offline(clock),
            metrics: Metrics::new(),
        };
        let (metrics, ingest) = (deps.metrics.clone(), deps.ingest.clone());
        let mut config = WebhookConfig::new((Ipv4Addr::LOCALHOST, 0).into());
        change(&mut config);
        let (server, handle) = WebhookServer::new(deps, config).await.unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(server.run(shutdown.clone()));
        Self { addr: handle.local_addr, store, metrics, ingest, shutdown, running }
    }

    async fn client(&self) -> Client {
        Client::connect(self.addr).await
    }

    /// How many events of this id are kept.
    fn kept(&self) -> usize {
        self.store.kept().len()
    }
}

fn event(id: &str) -> Vec<u8> {
    format!(r#"{{"id":"{id}","object":"event","type":"charge.succeeded"}}"#).into_bytes()
}

fn signature(body: &[u8]) -> String {
    format!("t={NOW},v1={}", sign(SECRET, &NOW.to_string(), body))
}

/// The head of a signed request, without what tells the length of its body.
fn head(signed: &[u8]) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=utf-8\r\n\
         Stripe-Signature: {}\r\n",
        signature(signed)
    )
}

/// A whole signed request.
fn post(body: &[u8]) -> Vec<u8> {
    let head = format!("{}Content-Length: {}\r\n\r\n", head(body), body.len());
    [head.as_bytes(), body].concat()
}

/// The same in chunks of `size`.
fn post_chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = format!("{}Transfer-Encoding: chunked\r\n\r\n", head(body)).into_bytes();
    for chunk in body.chunks(size) {
        out.extend(format!("{:x}\r\n", chunk.len()).bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// A genuine event of exactly `size` bytes.
fn sized(size: usize) -> Vec<u8> {
    let mut body = BODY.to_vec();
    body.resize(size, b' ');
    body
}

const SHORT: Duration = Duration::from_millis(60);
