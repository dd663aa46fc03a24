//! A small host to run commands against: an admin API in memory and a listener that verifies.
//!
//! Not signalbox's own: what a client must cope with can be made here at will.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser as _;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::config::Environment;
use crate::domain::clock::{ManualClock, Timestamp};

use super::super::exit::{self, Exit};
use super::super::{Cli, Context};

pub(super) const TOKEN: &str = "sbx_test_token";
pub(super) const SECRET: &str = "whsec_test";
pub(super) const ENDPOINT: &str = "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11";
/// No JSON and no UTF-8: what is raw stays raw.
pub(super) const RAW: &[u8] = b"{\"a\":1}\r\n\x00\xff";
/// 2027-01-15T08:00:00Z
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Most entries of a page; 0 for no such limit.
    pub(super) page: AtomicUsize,
    pub(super) posted: Mutex<Vec<Value>>,
    pub(super) body: Mutex<Value>,
    last: Mutex<String>,
    address: Mutex<String>,
}

pub(super) struct Host {
    address: SocketAddr,
    pub(super) state: Arc<Shared>,
}

/// How a command ended.
pub(super) struct Ran {
    pub(super) exit: Exit,
    pub(super) stdout: String,
    pub(super) bytes: Vec<u8>,
    pub(super) error: String,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Host {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Shared::default());
        *state.address.lock().unwrap() = address.to_string();
        let api = Router::new()
            .route("/events", get(events))
            .route("/events/{id}", get(event))
            .route("/events/{id}/raw", get(raw))
            .route("/deliveries", get(|| async { list(Vec::new(), false) }))
            .route("/deliveries/{id}", get(|| async { Json(retrying()) }))
            .merge(super::objects::routes())
            .route("/plugins", get(|| async { list(plugins(), false) }))
            .route("/endpoints", get(endpoints).post(create))
            .route("/endpoints/{id}", axum::routing::delete(delete))
            .layer(middleware::from_fn_with_state(Arc::clone(&state), guard));
        let app = Router::new()
            .nest("/api/v1", api)
            .route("/foreign/{*rest}", get(|| async { "<html>hello</html>" }))
            .route("/webhooks/{id}", post(webhook))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Path and query of the latest call of the API.
    pub(super) fn last(&self) -> String {
        self.state.last.lock().unwrap().clone()
    }

    pub(super) fn context(&self, terminal: bool) -> Context {
        let env = Environment::from([
            ("SIGNALBOX_URL", self.url().as_str()),
            ("SIGNALBOX_ADMIN_TOKEN", TOKEN),
            ("HUSH", "hush"),
        ]);
        context(env, terminal)
    }

    /// Run with address and token in the environment.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_in(arguments, self.context(false)).await
    }

    pub(super) async fn on_terminal(&self, arguments: &[&str]) -> Ran {
        self.run_in(arguments, self.context(true)).await
    }

    /// Run with this environment alone.
    pub(super) async fn bare<const N: usize>(
        &self,
        arguments: &[&str],
        env: [(&str, &str); N],
    ) -> Ran {
        self.run_in(arguments, context(Environment::from(env), false)).await
    }

    pub(super) async fn run_in(&self, arguments: &[&str], cx: Context) -> Ran {
        run(arguments, cx).await
    }
}

/// Run a command in this context.
pub(super) async fn run(arguments: &[&str], mut cx: Context) -> Ran {
    let buffer = Buffer::default();
    cx.out = Box::new(buffer.clone());
    let cli = Cli::try_parse_from(["signalbox"].iter().chain(arguments)).unwrap();
    let result = cli.command.run(&mut cx).await;
    let bytes = buffer.0.lock().unwrap().clone();
    Ran {
        exit: result.as_ref().map_or_else(exit::code, |()| Exit::Done),
        stdout: String::from_utf8_lossy(&bytes).into_owned(),
        bytes,
        error: result.map_or_else(|error| format!("{error:#}"), |()| String::new()),
    }
}

pub(super) fn context(env: Environment, terminal: bool) -> Context {
    Context {
        env,
        clock: Arc::new(ManualClock::at(NOW)),
        out: Box::new(std::io::sink()),
        input: Box::new(std::io::empty()),
        interactive: false,
        terminal,
        colour: false,
    }
}

type App = State<Arc<Shared>>;

async fn guard(State(state): App, request: Request, next: Next) -> Response {
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if given != Some(&format!("Bearer {TOKEN}")) {
        return refuse(StatusCode::UNAUTHORIZED, "Invalid token", None);
    }
    // The router takes the prefix away before it comes here.
    *state.last.lock().unwrap() = format!("/api/v1{}", request.uri());
    next.run(request).await
}

pub(super) fn refuse(status: StatusCode, message: &str, param: Option<&str>) -> Response {
    let error = json!({"type": "invalid_request_error", "message": message, "param": param});
    (status, Json(json!({"error": error}))).into_response()
}

pub(super) fn list(data: Vec<Value>, has_more: bool) -> Json<Value> {
    Json(json!({"object": "list", "data": data, "has_more": has_more, "url": "/"}))
}

fn retrying() -> Value {
    json!({
        "object": "delivery", "id": "stripe.evt_2.ledger", "event": "evt_2", "plugin": "ledger",
        "status": "retry", "attempts": 2, "next_attempt_at": 1_800_000_060,
        "next_attempt_at_ms": 1_800_000_060_000_u64, "outcome": null, "reason": "no money",
        "logs_dropped": 3,
        "logs": [
            {"level": "info", "message": "counted", "attributes": {"customer": "cus_1"}},
            {"level": "warn", "message": "odd", "attributes": {}},
        ],
        "history": [{
            "number": 2, "started_at": 1_799_999_940, "started_at_ms": 1_799_999_940_250_u64,
            "outcome": "retry", "reason": "no money", "cpu_us": 900, "wall_us": 12_345,
            "memory_bytes": 1_572_864,
        }],
    })
}

fn all() -> Vec<Value> {
    let dead = json!({"object": "delivery", "id": "stripe.evt_2.charge-counter",
        "plugin": "charge-counter", "status": "dead", "attempts": 15, "outcome": "crashed"});
    vec![
        json!({"object": "event", "id": "evt_3", "type": "charge.succeeded", "livemode": false,
            "received_at": "2027-01-15T07:58:00Z",
            "deliveries": [{"plugin": "charge-counter", "status": "done"}]}),
        json!({"object": "event", "id": "evt_2", "type": "charge.succeeded", "livemode": true,
            "received_at": 1_799_992_800, "received_at_ms": 1_799_992_799_993_u64,
            "deliveries": {"object": "list", "data": [dead, retrying()], "has_more": false}}),
        json!({"object": "event", "id": "evt_1", "type": "customer.created", "livemode": false,
            "received_at": "2027-01-15T07:59:59Z", "deliveries": []}),
    ]
}

async fn events(
    State(state): App,
    Query(query): Query<std::collections::HashMap<String, String>>,
) -> Response {
    if query.get("status").is_some_and(|status| status == "odd") {
        return refuse(StatusCode::BAD_REQUEST, "unknown status", Some("status"));
    }
    let all = all();
    let after = query.get("starting_after");
    let start = after.map_or(0, |id| 1 + all.iter().position(|e| e["id"] == **id).unwrap());
    let mut limit: usize = query["limit"].parse().unwrap();
    assert!(limit <= 100);
    let page = state.page.load(Ordering::SeqCst);
    if page > 0 {
        limit = limit.min(page);
    }
    let data: Vec<Value> = all[start..].iter().take(limit).cloned().collect();
    let more = start + data.len() < all.len();
    list(data, more).into_response()
}

async fn event(Path(id): Path<String>) -> Response {
    match all().into_iter().find(|event| event["id"] == *id) {
        Some(event) => Json(event).into_response(),
        None => refuse(StatusCode::NOT_FOUND, &format!("No such event: {id}"), None),
    }
}

async fn raw(Path(id): Path<String>) -> Response {
    match all().iter().any(|event| event["id"] == *id) {
        true => RAW.into_response(),
        false => refuse(StatusCode::NOT_FOUND, &format!("No such event: {id}"), None),
    }
}

fn plugins() -> Vec<Value> {
    vec![
        json!({"object": "plugin", "name": "charge-counter", "version": "0.1.0", "status": "loaded",
            "backlog": {"waiting": 2, "oldest_at": 1_799_999_880, "ready_since": null},
            "subscriptions": [{"provider": "stripe", "type": "charge.succeeded", "filter": null},
                {"provider": "stripe", "type": "charge.*", "filter": "event.livemode"}]}),
        json!({"object": "plugin", "name": null, "file": "broken.wasm", "status": "refused",
            "reason": "it is a core module", "subscriptions": []}),
    ]
}

async fn endpoints(State(state): App, RawQuery(_): RawQuery) -> Json<Value> {
    let url = format!("http://{}/webhooks/{ENDPOINT}", state.address.lock().unwrap());
    let endpoint = json!({"object": "endpoint", "id": ENDPOINT, "provider": "stripe", "url": url});
    list(vec![json!({"id": "other", "provider": "github"}), endpoint], false)
}

async fn create(State(state): App, Json(body): Json<Value>) -> Response {
    *state.body.lock().unwrap() = body;
    Json(json!({"object": "endpoint", "id": ENDPOINT, "provider": "stripe"})).into_response()
}

async fn delete(Path(id): Path<String>) -> Response {
    if id == "busy" {
        return refuse(StatusCode::CONFLICT, "it is declared in the configuration", None);
    }
    StatusCode::NO_CONTENT.into_response()
}

/// Whether any `v1` is right, computed apart from the code under test.
pub(super) fn verifies(header: &str, body: &[u8]) -> bool {
    let field = |name: &'static str| {
        header.split(',').filter_map(move |item| item.strip_prefix(name)?.strip_prefix('='))
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.", field("t").next().unwrap()).as_bytes());
    mac.update(body);
    let right = hex::encode(mac.finalize().into_bytes());
    field("v1").any(|given| given == right)
}

async fn webhook(State(state): App, headers: HeaderMap, body: Bytes) -> Response {
    let header = headers.get("stripe-signature").unwrap().to_str().unwrap();
    if !verifies(header, &body) {
        return refuse(StatusCode::BAD_REQUEST, "no signature matches", None);
    }
    let event: Value = serde_json::from_slice(&body).unwrap();
    let id = event["id"].clone();
    state.posted.lock().unwrap().push(event);
    Json(json!({"id": id, "status": "accepted"})).into_response()
}
