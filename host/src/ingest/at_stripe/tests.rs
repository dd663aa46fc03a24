//! Endpoints at a stand-in for Stripe that keeps what it makes, and fails as a test says.

mod life;
mod lost;
mod rolled;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::domain::backoff::Backoff;
use crate::domain::clock::{ManualClock, Timestamp};
use crate::provider::Providers;
use crate::provider::stripe::StripeProvider;
use crate::store::Store as _;
use crate::store::memory::MemoryStore;
use crate::stripe::ApiLimits;
use crate::stripe::testing::{Asked, CUT, Double, answer, ok};

const BASE: &str = "https://hooks.example.com";

/// How the stand-in fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Makings and changes are refused.
    Refuse,
    /// Makings are done, and the answer is lost.
    LoseAnswer,
    /// Makings are done, the answer is lost, and so is every answer after it.
    LoseAllAfter,
    /// Nothing is done or answered but by a 500.
    Down,
}

#[derive(Debug)]
struct Fake {
    there: Mutex<BTreeMap<String, Value>>,
    /// Answers by idempotency key.
    answers: Mutex<HashMap<String, Value>>,
    fault: Mutex<Fault>,
}

impl Fake {
    fn answer(&self, asked: &Asked) -> Vec<u8> {
        let mut fault = self.fault.lock().unwrap();
        let line = asked.line().to_owned();
        let (method, target) = line.split_once(' ').unwrap();
        let id = target.strip_prefix("/v1/webhook_endpoints").unwrap();
        let id = id.split('?').next().unwrap().trim_start_matches('/');
        let refused = r#"{"error":{"message":"no","code":"url_invalid","param":"url"}}"#;
        match (*fault, method) {
            (Fault::Down, _) => return answer("500 Oh", &[], "{}"),
            (Fault::Refuse, "POST") => return answer("400 Bad", &[], refused),
            _ => {}
        }
        let mut there = self.there.lock().unwrap();
        match (method, id) {
            ("GET", "") => {
                let list = json!({"data": there.values().collect::<Vec<_>>(), "has_more": false});
                ok(&list.to_string())
            }
            ("POST", "") => {
                let key = asked.header("idempotency-key").unwrap().to_owned();
                let mut answers = self.answers.lock().unwrap();
                let made = answers.entry(key).or_insert_with(|| {
                    let mut made = form(&asked.body, json!({"metadata": {}, "status": "enabled"}));
                    let id = format!("we_{}", there.len() + 1);
                    made["id"] = id.clone().into();
                    there.insert(id.clone(), made.clone());
                    made["secret"] = format!("whsec_of_{id}").into();
                    made
                });
                match *fault {
                    Fault::LoseAnswer => [&b"HTTP/1.1 200 OK\r\n"[..], CUT].concat(),
                    Fault::LoseAllAfter => {
                        *fault = Fault::Down;
                        [&b"HTTP/1.1 200 OK\r\n"[..], CUT].concat()
                    }
                    _ => ok(&made.to_string()),
                }
            }
            ("POST", id) => {
                let Some(known) = there.get_mut(id) else { return answer("404 No", &[], "{}") };
                *known = form(&asked.body, known.clone());
                ok(&known.to_string())
            }
            ("DELETE", id) => match there.remove(id) {
                Some(_) => ok(r#"{"deleted":true}"#),
                None => answer("404 No", &[], "{}"),
            },
            _ => answer("404 No", &[], "{}"),
        }
    }

    fn put(&self, id: &str, value: Value) {
        let mut whole = json!({
            "id": id, "enabled_events": ["*"], "metadata": {}, "status": "enabled",
            "description": null, "api_version": null, "application": null,
        });
        for (name, field) in value.as_object().unwrap() {
            whole[name] = field.clone();
        }
        self.there.lock().unwrap().insert(id.to_owned(), whole);
    }

    fn ids(&self) -> Vec<String> {
        self.there.lock().unwrap().keys().cloned().collect()
    }

    fn one(&self, id: &str) -> Value {
        self.there.lock().unwrap()[id].clone()
    }
}

/// `object` as the form in `body` changes it, as Stripe reads it.
fn form(body: &str, mut object: Value) -> Value {
    let mut events = Vec::new();
    for (name, value) in url::form_urlencoded::parse(body.as_bytes()) {
        let value = value.into_owned();
        match name.as_ref() {
            "enabled_events[]" => events.push(value),
            "disabled" => {
                object["status"] = if value == "true" { "disabled" } else { "enabled" }.into();
            }
            name => match name.strip_prefix("metadata[") {
                Some(key) => {
                    let metadata = object["metadata"].as_object_mut().unwrap();
                    let key = key.trim_end_matches(']').to_owned();
                    match value.is_empty() {
                        true => drop(metadata.remove(&key)),
                        false => drop(metadata.insert(key, value.into())),
                    }
                }
                None => object[name] = value.into(),
            },
        }
    }
    if !events.is_empty() {
        object["enabled_events"] = events.into();
    }
    object
}

struct World {
    fake: Arc<Fake>,
    double: Double,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    endpoints: Endpoints,
    at: AtStripe,
}

impl World {
    async fn new() -> Self {
        let fake = Arc::new(Fake {
            there: Mutex::default(),
            answers: Mutex::default(),
            fault: Mutex::new(Fault::None),
        });
        let serving = Arc::clone(&fake);
        let double = Double::start(move |_, asked| serving.answer(asked)).await;
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_000_000)));
        let (endpoints, at) = host(&store, &clock, &double).await;
        Self { fake, double, store, clock, endpoints, at }
    }

    /// The host starts again over the same store.
    async fn restart(&mut self) {
        (self.endpoints, self.at) = host(&self.store, &self.clock, &self.double).await;
    }

    fn fail(&self, fault: Fault) {
        *self.fake.fault.lock().unwrap() = fault;
    }

    /// Requests that changed something, or tried to.
    fn writes(&self) -> Vec<Asked> {
        let asked = self.double.asked();
        asked.into_iter().filter(|asked| !asked.line().starts_with("GET")).collect()
    }

    async fn made(&self) -> Arc<Endpoint> {
        self.at.create(&wanted()).await.unwrap()
    }

    fn get(&self, id: EndpointId) -> Arc<Endpoint> {
        self.endpoints.get(id).unwrap()
    }

    async fn sync(&self, adopt: Adopt) -> SyncReport {
        let wish = SyncWish { adopt, ..SyncWish::default() };
        self.at.sync(&wish).await.unwrap()
    }
}

async fn host(
    store: &Arc<MemoryStore>,
    clock: &Arc<ManualClock>,
    double: &Double,
) -> (Endpoints, AtStripe) {
    let providers = Providers::new(vec![Arc::new(StripeProvider::default())]);
    let endpoints = Endpoints::load(store.clone(), providers, clock.clone(), vec![]).await.unwrap();
    let accounts = Accounts::new(vec![double.account("default")]).unwrap();
    let backoff = Backoff { attempts: 1, ..ApiLimits::default().backoff };
    let limits = ApiLimits { backoff, test_per_second: 1_000, ..ApiLimits::default() };
    let api = StripeApi::new(limits, clock.clone()).unwrap();
    let url = Some(BASE.to_owned());
    let at = AtStripe::new(endpoints.clone(), accounts, api, clock.clone(), url);
    (endpoints, at)
}

fn wanted() -> Wanted {
    Wanted {
        account: None,
        livemode: None,
        connect: false,
        fields: Fields {
            enabled_events: Some(vec!["charge.succeeded".into(), "charge.failed".into()]),
            api_version: Some("2025-03-31.basil".into()),
            description: Some("shop".into()),
            metadata: Some([("team".to_owned(), "billing".to_owned())].into()),
            ..Fields::default()
        },
        validation: Validation::default(),
        force_unverified: false,
        tolerance: Endpoint::DEFAULT_TOLERANCE,
    }
}

fn there(endpoint: &Endpoint) -> &crate::domain::endpoint::AtProvider {
    endpoint.at_provider.as_ref().unwrap()
}
