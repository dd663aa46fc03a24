//! The admin listener over real sockets.

mod access;
mod again;
mod at_stripe;
mod effects;
mod endpoints;
mod lists;
mod objects;
mod reconcile;
mod requests;
mod stream;
mod things;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{AdminConfig, AdminDeps, AdminServer, App};
use crate::dispatch::pauses::{PauseDeps, Pauses};
use crate::dispatch::{DispatchConfig, DispatchDeps, Dispatcher};
use crate::domain::backoff::Backoff;
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::endpoint::Secret;
use crate::domain::event::Source;
use crate::domain::plugin::{CapabilityRequest, CodeDigest, Limits, Subscription};
use crate::http::Metrics;
use crate::http::testing::{Client, Reply};
use crate::ingest::Ingest;
use crate::ingest::at_stripe::AtStripe;
use crate::ingest::endpoints::Endpoints;
use crate::plugin::routes::{PluginReport, PluginStatus, Routes, RoutingTable};
use crate::plugin::tests::{engine_of, load};
use crate::plugin::{Engine, EngineConfig, Policy};
use crate::provider::Providers;
use crate::provider::stripe::StripeProvider;
use crate::provider::testing::{NOW, endpoint};
use crate::store::memory::{MemoryStore, event};
use crate::store::requests::memory::MemoryRequests;
use crate::store::{NewEvent, Store};
use crate::stripe::{Accounts, ApiLimits, StripeApi};

pub(crate) const TOKEN: &str = "sbx_0123456789abcdef";

/// A running admin listener over a store in memory.
pub(crate) struct Host {
    pub(crate) addr: SocketAddr,
    pub(crate) store: Arc<MemoryStore>,
    requests: Arc<MemoryRequests>,
    endpoints: Endpoints,
    routes: Routes,
    engine: Engine,
    pub(super) app: App,
    _stop: DropGuard,
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::with(Accounts::default()).await
    }

    /// With the keys of these accounts at Stripe.
    async fn with(accounts: Accounts) -> Self {
        let store = Arc::new(MemoryStore::default());
        Self::showing(store.clone(), store, accounts).await
    }

    /// Over another store than the one in memory.
    async fn over(store: Arc<dyn Store>) -> Self {
        Self::showing(Arc::default(), store, Accounts::default()).await
    }

    async fn showing(memory: Arc<MemoryStore>, store: Arc<dyn Store>, accounts: Accounts) -> Self {
        let requests = Arc::new(MemoryRequests::default());
        let providers = Providers::new(vec![Arc::new(StripeProvider::default())]);
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW * 1_000 + 500)));
        let declared = vec![endpoint(1)];
        let endpoints =
            Endpoints::load(store.clone(), providers.clone(), clock.clone(), declared).await;
        let endpoints = endpoints.unwrap();
        let routes = Routes::default();
        routes.swap(RoutingTable::new([], vec![charge_counter(), refused()]));
        let engine = engine_of(EngineConfig { pool: 0, ..EngineConfig::default() });
        let deps = PauseDeps { store: store.clone(), routes: routes.clone(), clock: clock.clone() };
        let (_, pauses) = Pauses::new(deps);
        let deps = DispatchDeps {
            store: store.clone(),
            routes: routes.clone(),
            engine: engine.clone(),
            clock: clock.clone(),
            pauses: pauses.clone(),
        };
        let (_, dispatch) = Dispatcher::new(deps, DispatchConfig::default());
        let public_url = Some("https://hooks.example.com/".to_owned());
        let api = StripeApi::new(quick(), clock.clone()).unwrap();
        let at_stripe =
            AtStripe::new(endpoints.clone(), accounts, api, clock.clone(), public_url.clone());
        let deps = AdminDeps {
            store: store.clone(),
            endpoints: endpoints.clone(),
            at_stripe,
            routes: routes.clone(),
            providers,
            engine: engine.clone(),
            policy: Policy::default(),
            pauses,
            dispatch,
            reconcile: None,
            refresh: None,
            backfill: None,
            requests: requests.clone(),
            ingest: Ingest::new(store.clone(), routes.clone(), clock.clone()),
            clock,
            metrics: Metrics::new(),
        };
        let mut config =
            AdminConfig::new((Ipv4Addr::LOCALHOST, 0).into(), Secret::new(TOKEN).unwrap());
        config.public_url = public_url;
        let (server, handle) = AdminServer::new(deps, config).await.unwrap();
        let shutdown = CancellationToken::new();
        let app = Arc::clone(&server.app);
        tokio::spawn(server.run(shutdown.clone()));
        let stop = shutdown.drop_guard();
        let addr = handle.local_addr;
        Self { addr, store: memory, requests, endpoints, routes, engine, app, _stop: stop }
    }

    /// Let these components receive events, and no others.
    pub(crate) async fn load(&self, components: Vec<Vec<u8>>) {
        let (mut plugins, mut reports) = (Vec::new(), Vec::new());
        for bytes in components {
            let plugin = Arc::new(load(&self.engine, bytes).await.unwrap());
            let file = format!("plugins/{}.wasm", plugin.manifest().name).into();
            reports.push(PluginReport::loaded(file, &plugin, None));
            plugins.push(plugin);
        }
        self.routes.swap(RoutingTable::new(plugins, reports));
    }

    /// The answer to a POST.
    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", &format!("/api/v1{path}"), "", &body.to_string()).await
    }

    /// The JSON of an answer of this status to a POST.
    async fn posted(&self, path: &str, body: Value, status: u16) -> Value {
        let reply = self.post(path, &body).await;
        assert_eq!(reply.status, status, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    /// An operation at its end.
    async fn ended(&self, operation: &Value) -> Value {
        let path = format!("/operations/{}", operation["id"].as_str().unwrap());
        loop {
            let operation = self.json(&path).await;
            if operation["status"] != "running" {
                return operation;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A request with the token.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n{headers}\
             content-length: {length}\r\n\r\n{body}"
        );
        Client::connect(self.addr).await.ask(request).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", &format!("/api/v1{path}"), "", "").await
    }

    /// The JSON of a 200.
    async fn json(&self, path: &str) -> Value {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    /// The ids of a list and whether it has more.
    async fn ids(&self, path: &str) -> (Vec<String>, bool) {
        let list = self.json(path).await;
        assert_eq!(list["object"], "list");
        let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
        let ids = list["data"].as_array().unwrap().iter().map(id).collect();
        (ids, list["has_more"].as_bool().unwrap())
    }

    /// Status, code and parameter of an error.
    async fn error(&self, path: &str) -> (u16, String, Value) {
        let reply = self.get(path).await;
        let error = &reply.json()["error"];
        assert!(error["message"].is_string(), "{path}");
        (reply.status, reply.code(), error["param"].clone())
    }

    /// Store an event with a delivery for each of `plugins`.
    pub(crate) async fn accept(&self, id: &str, kind: &str, plugins: &[&str]) {
        let new = NewEvent {
            event: event(id, kind),
            endpoint: endpoint(1).id,
            received_at: Timestamp::from_millis(NOW * 1_000 + 250),
            source: Source::Webhook,
            plugins: plugins.iter().map(|name| name.parse().unwrap()).collect(),
        };
        self.store.accept(vec![new]).await.unwrap();
    }
}

/// One try, at once.
fn quick() -> ApiLimits {
    let backoff = Backoff { attempts: 1, ..ApiLimits::default().backoff };
    ApiLimits { backoff, ..ApiLimits::default() }
}

fn charge_counter() -> PluginReport {
    PluginReport {
        file: "plugins/charge_counter.wasm".into(),
        name: Some("charge-counter".parse().unwrap()),
        version: Some(semver::Version::new(1, 2, 3)),
        digest: Some(CodeDigest([7; 32])),
        status: PluginStatus::Loaded,
        reason: None,
        warnings: vec!["odd".into()],
        subscriptions: vec![Subscription {
            provider: "stripe".into(),
            kind: "charge.*".parse().unwrap(),
            filter: Some("event.livemode".into()),
        }],
        grants: vec![CapabilityRequest {
            capability: "outbox.http".into(),
            scope: "POST https://x/*".into(),
        }],
        limits: Some(Limits::default()),
        settings: vec!["channel".into()],
        size: Some(42),
    }
}

fn refused() -> PluginReport {
    PluginReport {
        file: "plugins/broken.wasm".into(),
        name: None,
        version: None,
        digest: None,
        status: PluginStatus::Refused,
        reason: Some("not a component".into()),
        warnings: vec![],
        subscriptions: vec![],
        grants: vec![],
        limits: None,
        settings: vec![],
        size: None,
    }
}

/// Whether `value` has every field of `expected`, with its value.
fn assert_has(value: &Value, expected: Value) {
    for (name, field) in expected.as_object().unwrap() {
        assert_eq!(&value[name], field, "{name} of {value:#}");
    }
}

fn missing(param: &str) -> (u16, String, Value) {
    (404, "resource_missing".into(), json!(param))
}

fn invalid(param: &str) -> (u16, String, Value) {
    (400, "parameter_invalid".into(), json!(param))
}
