//! The border of the sandbox: the contract's two exports, and its imports, in this crate's types.
//!
//! Not the bindings themselves (`bindings`).

use std::cell::OnceCell;
use std::time::Duration;

use super::KeyPage;
use crate::kv::Limit;
use crate::log::Level;
use crate::objects::{Object, Unread};
use crate::outbox::{EffectId, Refused};
use crate::{Delivery, Event, Failure, Plugin};

use super::bindings::exports::signalbox::plugin::handler as contract;
use super::bindings::signalbox::plugin::{config, kv, log, objects, outbox, types};

pub use contract::Guest;

/// The manifest, from what the attributes say.
pub fn describe(plugin: &Plugin) -> contract::Manifest {
    let subscriptions = plugin.receivers().iter().flat_map(|receiver| {
        receiver.kinds().iter().map(|kind| contract::Subscription {
            provider: receiver.provider().to_owned(),
            kind: (*kind).to_owned(),
            filter: receiver.filter().map(str::to_owned),
        })
    });
    contract::Manifest {
        name: plugin.name().to_owned(),
        version: plugin.version().to_owned(),
        subscriptions: subscriptions.collect(),
        requests: plugin
            .requests()
            .iter()
            .map(|(capability, scope)| contract::Request {
                capability: (*capability).to_owned(),
                scope: (*scope).to_owned(),
            })
            .collect(),
        attributes: plugin
            .attributes()
            .iter()
            // A package without a description has an empty one.
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

/// One event through the plugin.
///
/// # Errors
/// The receivers' own.
pub fn handle(
    plugin: &Plugin,
    event: contract::Event,
    delivery: contract::Delivery,
) -> Result<(), contract::Failure> {
    // A panic ends in a trap, which carries no text: say it before. `describe` has no log.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| ("location".to_owned(), place.to_string()));
        let message = crate::log::panic_message(panic.payload());
        log::write(log::Level::Error, &message, place.as_slice());
    }));
    let event = Event {
        id: event.id,
        provider: event.provider,
        kind: event.kind,
        occurred_at: event.occurred_at,
        received_at: event.received_at,
        content_type: event.content_type,
        body: event.body,
        attributes: event.attributes,
        json: OnceCell::new(),
    };
    let delivery = Delivery { id: delivery.id, attempt: delivery.attempt, replay: delivery.replay };
    plugin.handle(&event, &delivery).map_err(|failure| match failure {
        Failure::Retry { reason, after } => {
            contract::Failure::Retry(types::Retry { reason, after: after.map(milliseconds) })
        }
        Failure::Reject { reason } => contract::Failure::Reject(reason),
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn log_write(level: Level, message: &str, attributes: &[(String, String)]) {
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, message, attributes);
}

pub(crate) fn config_get(key: &str) -> Option<String> {
    config::get(key)
}

pub(crate) fn config_all() -> Vec<(String, String)> {
    config::get_all()
}

pub(crate) fn kv_get(key: &str) -> Result<Option<Vec<u8>>, Limit> {
    kv::get(key).map_err(limit)
}

pub(crate) fn kv_set(key: &str, value: &[u8]) -> Result<(), Limit> {
    kv::set(key, value).map_err(limit)
}

pub(crate) fn kv_delete(key: &str) -> Result<(), Limit> {
    kv::delete(key).map_err(limit)
}

pub(crate) fn kv_keys(prefix: &str, after: Option<&str>) -> Result<KeyPage, Limit> {
    let page = kv::keys(prefix, after).map_err(limit)?;
    Ok(KeyPage { keys: page.keys, next: page.next })
}

pub(crate) fn objects_get(
    provider: &str,
    kind: &str,
    id: &str,
) -> Result<Option<Object<Vec<u8>>>, Unread> {
    match objects::get(provider, kind, id) {
        Ok(object) => Ok(object.map(|object| Object {
            id: object.id,
            kind: object.kind,
            as_of: object.as_of,
            event_id: object.event_id,
            deleted: object.deleted,
            body: object.body,
        })),
        Err(objects::Refusal::NotGranted) => {
            Err(Unread::NotGranted { grant: format!("objects `{provider} {kind}`") })
        }
        Err(objects::Refusal::Operations) => Err(Unread::Operations),
    }
}

pub(crate) fn outbox_http(
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    reply: Option<String>,
    delay: Duration,
) -> Result<EffectId, Refused> {
    let request = outbox::HttpRequest { method, url, headers, body };
    let answer = match reply {
        None => outbox::http(&request, after(delay)),
        Some(kind) => outbox::http_with_reply(&request, &kind, after(delay)),
    };
    answer.map(EffectId).map_err(refused)
}

pub(crate) fn outbox_emit(
    kind: &str,
    content_type: &str,
    body: Vec<u8>,
    delay: Duration,
) -> Result<EffectId, Refused> {
    outbox::emit(kind, content_type, &body, after(delay)).map(EffectId).map_err(refused)
}

pub(crate) fn outbox_cancel(effect: &str) -> Result<bool, Refused> {
    outbox::cancel(effect).map_err(refused)
}

fn after(delay: Duration) -> Option<u64> {
    Some(milliseconds(delay)).filter(|delay| *delay > 0)
}

fn refused(refusal: outbox::Refusal) -> Refused {
    match refusal {
        outbox::Refusal::NotGranted(grant) => Refused::NotGranted { grant },
        outbox::Refusal::Invalid(reason) => Refused::Invalid { reason },
        outbox::Refusal::Quota => Refused::Quota,
    }
}

fn limit(limit: kv::Limit) -> Limit {
    match limit {
        kv::Limit::KeySize => Limit::KeySize,
        kv::Limit::ValueSize => Limit::ValueSize,
        kv::Limit::Quota => Limit::Quota,
        kv::Limit::Operations => Limit::Operations,
    }
}
