//! The outbox at work: real requests to a real server on this machine, a store made for the test.
//!
//! Nothing sleeps: tests wait for settlements, and time passes when they say so.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Outbox, OutboxConfig, OutboxDeps, OutboxHandle, Resolver};
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::effect::{Action, EffectId, HttpRequest};
use crate::domain::endpoint::Secret;
use crate::domain::grant::{self, Grant};
use crate::domain::plugin::PluginName;
use crate::plugin::Routes;
use crate::store::{EffectSettlement, EffectVerdict};

mod certificates;
mod double;
mod events;
mod guarded;
mod life;
mod names;
mod secret;
mod server;
mod wire;

use double::Double;
use names::Names;
use server::{Server, Step, answer};

/// When every test begins.
const START: Timestamp = Timestamp::from_secs(1_790_000_000);

/// What does not come soon does not come.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it should have come")
}

/// Who asks for the effects here.
fn plugin() -> PluginName {
    "notifier".parse().unwrap()
}

fn id(ordinal: u32) -> EffectId {
    format!("stripe.evt_1.notifier.{ordinal}").parse().unwrap()
}

/// What a test can change.
struct Setup {
    config: OutboxConfig,
    grants: Vec<Grant>,
    secrets: BTreeMap<String, Secret>,
    resolver: Arc<dyn Resolver>,
    store: Arc<Double>,
    routes: Routes,
}

impl Default for Setup {
    /// Loopback may be reached, and everything asked for.
    fn default() -> Self {
        let secrets = vec!["token".to_owned(), "absent".to_owned(), "broken".to_owned()];
        let any = |scheme: &str| {
            Grant::parse(grant::HTTP, &format!("* {scheme}://*/*"), secrets.clone()).unwrap()
        };
        Self {
            config: OutboxConfig {
                allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
                fault_wait: Duration::from_millis(5),
                ..OutboxConfig::default()
            },
            grants: vec![
                any("https"),
                any("http"),
                Grant::parse(grant::EMIT, "*", vec![]).unwrap(),
            ],
            secrets: BTreeMap::new(),
            resolver: Names::of(&[]),
            store: Arc::default(),
            routes: Routes::default(),
        }
    }
}

impl Setup {
    /// With a grant for everything at this server: a scope names the port.
    fn at(server: &Server) -> Self {
        let mut setup = Self::default();
        let secrets = vec!["token".to_owned(), "absent".to_owned(), "broken".to_owned()];
        for scheme in ["https", "http"] {
            let scope = format!("* {scheme}://*:{}/*", server.addr.port());
            setup.grants.push(Grant::parse(grant::HTTP, &scope, secrets.clone()).unwrap());
        }
        setup
    }

    fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), Secret::new(value).unwrap());
        self
    }

    fn start(self) -> Bench {
        let clock = Arc::new(ManualClock::at(START));
        let deps = OutboxDeps {
            store: self.store.clone(),
            routes: self.routes,
            clock: clock.clone(),
            secrets: self.secrets,
            grants: BTreeMap::from([(plugin(), self.grants)]),
            resolver: self.resolver,
        };
        let (outbox, handle) = Outbox::new(deps, self.config).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(outbox.run(shutdown.clone()));
        Bench { store: self.store, clock, handle, shutdown, running, seen: 0 }
    }
}

/// An outbox at work.
struct Bench {
    store: Arc<Double>,
    clock: Arc<ManualClock>,
    handle: OutboxHandle,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
    seen: usize,
}

impl Bench {
    /// The next end of a try that is committed.
    async fn next(&mut self) -> EffectSettlement {
        self.seen += 1;
        soon(self.store.settlement(self.seen - 1)).await
    }

    /// The end of a try at `action`, which is asked for as number `ordinal`.
    async fn perform(&mut self, ordinal: u32, action: Action) -> EffectSettlement {
        self.store.ask(id(ordinal), action);
        let settlement = self.next().await;
        assert_eq!(settlement.id, id(ordinal));
        settlement
    }

    /// Let time pass.
    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.store.wake();
    }

    async fn stop(self) {
        self.shutdown.cancel();
        soon(self.running).await.unwrap();
    }
}

/// A request that nobody waits for.
fn post(url: &str, headers: &[(&str, &str)]) -> Action {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Action::Http {
        request: HttpRequest {
            method: "POST".into(),
            url: url.into(),
            headers,
            body: b"{\"text\":\"hi\"}".to_vec(),
        },
        reply: None,
    }
}

/// The same, its answer awaited.
fn ask(url: &str, headers: &[(&str, &str)]) -> Action {
    match post(url, headers) {
        Action::Http { request, .. } => {
            Action::Http { request, reply: Some("notifier.answered".into()) }
        }
        emit @ Action::Emit { .. } => emit,
    }
}

fn emit(kind: &str) -> Action {
    Action::Emit {
        kind: kind.into(),
        content_type: "application/json".into(),
        body: b"{}".to_vec(),
    }
}

/// When it is tried again.
fn retry_at(settlement: &EffectSettlement) -> Timestamp {
    match settlement.verdict {
        EffectVerdict::RetryAt(at) => at,
        other => panic!("{other:?}: {}", settlement.attempt.reason),
    }
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}
