//! What there is at Stripe.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;

use super::answer::Answer;
use super::events::FakeEvent;
use super::faults::Fault;
use super::params::Params;

/// The account that any key belongs to, unless [`World::keys`] says otherwise.
pub const FAKE_ACCOUNT: &str = "acct_fake";
/// An account that is connected to it.
pub const CONNECTED: &str = "acct_connected";
/// A test key that is taken.
pub const FAKE_KEY: &str = "sk_test_fake";
/// A live key that is taken.
pub const FAKE_LIVE_KEY: &str = "sk_live_fake";

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Upper-case method.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As it came.
    pub query: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The form or JSON that was sent.
    pub body: String,
}

impl Asked {
    pub(super) fn read(head: &Parts, body: &Bytes) -> Self {
        let value = |value: &hyper::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers = head.headers.iter().map(|(name, text)| (name.to_string(), value(text)));
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: headers.collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The key it came with.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    pub(super) fn params(&self) -> Params {
        match self.method.as_str() {
            "POST" => Params::read(&self.body),
            _ => Params::read(&self.query),
        }
    }
}

/// Whose objects a request is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Caller {
    pub(super) account: String,
    pub(super) livemode: bool,
}

/// An answer given to an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub(super) struct Once {
    /// Method, path and parameters.
    pub(super) asked: String,
    pub(super) answer: Answer,
}

/// All there is.
#[derive(Debug, Clone)]
pub struct World {
    /// Every request, in order.
    pub asked: Vec<Asked>,
    /// Keys that belong to another account than [`FAKE_ACCOUNT`].
    pub keys: BTreeMap<String, String>,
    /// Keys that are no longer taken.
    pub revoked: BTreeSet<String>,
    /// Restricted keys and the beginnings of paths they may not use.
    pub forbidden: Vec<(String, String)>,
    /// Accounts connected to [`FAKE_ACCOUNT`].
    pub connected: Vec<String>,
    /// All events, in order of their making.
    pub events: Vec<FakeEvent>,
    /// Objects by account and collection (`customers`), in order of their making. Each has an `id`,
    /// and is in both modes unless it has a `livemode`.
    pub objects: BTreeMap<(String, String), Vec<Value>>,
    /// Webhook endpoints by account and mode, with their secrets.
    pub(super) webhook_endpoints: Vec<(Caller, Value)>,
    /// Whether endpoints may have URLs that the world cannot reach.
    pub any_url: bool,
    /// Answers to any other `GET`, by path: e.g. what a thin event's `related_object.url` leads to.
    pub paths: BTreeMap<String, Value>,
    /// What goes wrong, the first that fits first.
    pub faults: Vec<Fault>,
    /// The present moment, if a test says so.
    pub now: Option<u64>,
    pub(super) once: BTreeMap<String, Once>,
    pub(super) made: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            asked: Vec::new(),
            keys: BTreeMap::new(),
            revoked: BTreeSet::new(),
            forbidden: Vec::new(),
            connected: vec![CONNECTED.to_owned()],
            events: Vec::new(),
            objects: BTreeMap::new(),
            webhook_endpoints: Vec::new(),
            any_url: false,
            paths: BTreeMap::new(),
            faults: Vec::new(),
            now: None,
            once: BTreeMap::new(),
            made: 0,
        }
    }
}

impl World {
    /// The present moment in seconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.unwrap_or_else(crate::stripe::now)
    }

    /// Every `Idempotency-Key` that came, once each.
    #[must_use]
    pub fn idempotency_keys(&self) -> Vec<&str> {
        self.once.keys().map(String::as_str).collect()
    }

    /// The webhook endpoints of an account, with their secrets.
    #[must_use]
    pub fn endpoints(&self, account: &str, livemode: bool) -> Vec<&Value> {
        let of = |caller: &Caller| caller.account == account && caller.livemode == livemode;
        let all = self.webhook_endpoints.iter();
        all.filter(|(caller, _)| of(caller)).map(|(_, endpoint)| endpoint).collect()
    }

    /// Requests of this method whose path begins so.
    #[must_use]
    pub fn asked_for(&self, method: &str, path: &str) -> Vec<&Asked> {
        let all = self.asked.iter();
        all.filter(|asked| asked.method == method && asked.path.starts_with(path)).collect()
    }

    /// A number that no other thing here has.
    pub(super) fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}
