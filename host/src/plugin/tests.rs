//! The sandbox through its public surface, with components made from text.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Call, Engine, EngineConfig, Execution, LoadError, Loaded, Policy};
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::delivery::DeliveryId;
use crate::domain::endpoint::{EndpointId, SecretId};
use crate::domain::event::{EventKey, EventSeq, Source, StoredEvent, VerifiedEvent};
use crate::domain::plugin::Limits;

#[path = "../../../tests/src/components/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the black-box tests")]
pub(crate) mod components;
pub(crate) mod memory;

mod check;
mod frozen;
mod kv;
mod limits_page;
mod load;
mod objects;
mod outbox;
mod pace;
mod pool;
mod routing;
mod run;

/// When every test takes place.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(crate) fn engine() -> Engine {
    engine_of(EngineConfig { pool: 8, ..EngineConfig::default() })
}

pub(crate) fn engine_of(config: EngineConfig) -> Engine {
    Engine::new(&config, Arc::new(ManualClock::at(NOW))).unwrap()
}

pub(crate) fn event(kind: &str, body: &str) -> VerifiedEvent {
    VerifiedEvent {
        key: EventKey { provider: "stripe".to_owned(), id: "evt_1".to_owned() },
        kind: kind.to_owned(),
        account: None,
        livemode: false,
        api_version: None,
        request_id: None,
        occurred_at: NOW.minus(Duration::from_secs(1)),
        object: None,
        content_type: "application/json".to_owned(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        proof: Vec::new(),
        secret: SecretId("00000000".to_owned()),
    }
}

pub(crate) fn call_of(plugin: &Loaded) -> Call {
    call_from(plugin, Source::Webhook)
}

fn call_from(plugin: &Loaded, source: Source) -> Call {
    let event = event("charge.succeeded", r#"{"data":{"object":{"amount":1}}}"#);
    let delivery = DeliveryId { event: event.key.clone(), plugin: plugin.manifest().name.clone() };
    let event = StoredEvent {
        seq: EventSeq(1),
        endpoint: EndpointId(uuid::Uuid::nil()),
        received_at: NOW,
        source,
        event,
    };
    Call { event: Arc::new(event), delivery, attempt: 1, replay: false }
}

pub(crate) async fn load(engine: &Engine, bytes: Vec<u8>) -> Result<Loaded, LoadError> {
    engine.load(Bytes::from(bytes), &Policy::default()).await
}

pub(crate) async fn load_with(engine: &Engine, bytes: Vec<u8>, limits: Limits) -> Loaded {
    let policy = Policy { limits, ..Policy::default() };
    engine.load(Bytes::from(bytes), &policy).await.unwrap()
}

/// One run on a guest thread, over a state of its own.
async fn once(engine: &Engine, plugin: Loaded) -> Execution {
    let store = memory::MemoryStore::shared();
    run_on(engine, &Arc::new(plugin), store).await
}

async fn run_on(
    engine: &Engine,
    plugin: &Arc<Loaded>,
    store: Arc<memory::MemoryStore>,
) -> Execution {
    let call = call_of(plugin);
    let plugin = Arc::clone(plugin);
    engine.guests().spawn(async move { plugin.call(call, store).await }).await.unwrap()
}
