//! Events of a usual size, each with an identifier of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use signalbox::domain::clock::{Clock as _, SystemClock};
use signalbox::domain::endpoint::EndpointId;
use signalbox::domain::event::{EventKey, Header, Source, VerifiedEvent};
use signalbox::domain::plugin::PluginName;
use signalbox::store::NewEvent;
use signalbox_tests::stripe;
use uuid::Uuid;

/// Bytes of a body: what Stripe's charges and invoices have.
const SIZES: std::ops::Range<usize> = 3_400..4_200;

/// The bodies events are made of.
pub(crate) struct Events {
    bodies: Vec<Value>,
    next: AtomicU64,
}

impl Events {
    /// Those of Stripe's fixtures that are of the size.
    pub(crate) fn load() -> Self {
        let fits = |line: &&str| SIZES.contains(&line.len());
        let parse = |line| serde_json::from_str(line).unwrap_or_default();
        let bodies = stripe::EVENTS.lines().filter(fits).map(parse).collect();
        Self { bodies, next: AtomicU64::new(0) }
    }

    pub(crate) fn mean(&self) -> usize {
        let sizes = self.bodies.iter().map(|body| body.to_string().len());
        sizes.sum::<usize>() / self.bodies.len().max(1)
    }

    /// `count` events with a delivery to `plugin` each.
    pub(crate) fn fresh(&self, count: usize, plugin: &PluginName) -> Vec<NewEvent> {
        (0..count).map(|_| self.one(plugin)).collect()
    }

    fn one(&self, plugin: &PluginName) -> NewEvent {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number).unwrap_or(0) % self.bodies.len().max(1);
        let mut body = self.bodies.get(place).cloned().unwrap_or_default();
        let id = format!("evt_{number:024}");
        body["id"] = Value::String(id.clone());
        let mut event = VerifiedEvent::vouched(
            EventKey { provider: "stripe".to_owned(), id },
            "charge.succeeded".to_owned(),
            "application/json; charset=utf-8".to_owned(),
            body.to_string().into_bytes().into(),
        );
        event.api_version = Some("2026-10-28.endive".to_owned());
        let signature = format!("t=1790000000,v1={:064x}", number.wrapping_mul(0x9e37_79b9));
        event.proof = vec![Header {
            name: "stripe-signature".to_owned(),
            value: signature.into_bytes(),
        }];
        NewEvent {
            event,
            endpoint: EndpointId(Uuid::from_u128(7)),
            received_at: SystemClock.now(),
            source: Source::Webhook,
            plugins: vec![plugin.clone()],
        }
    }
}

/// The number in the identifier of an event made here.
pub(crate) fn number(key: &EventKey) -> usize {
    key.id.trim_start_matches("evt_").parse().unwrap_or(0)
}
