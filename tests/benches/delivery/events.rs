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

/// Different customers: so many that two deliveries that run together seldom share one.
const CUSTOMERS: u64 = 100_003;

/// What events are made of.
pub(crate) struct Events {
    kind: String,
    charge: Value,
    next: AtomicU64,
}

impl Events {
    /// The same bodies under another type.
    pub(crate) fn of(self, kind: String) -> Self {
        Self { kind, ..self }
    }

    /// Charges of 3.5 KiB.
    pub(crate) fn load() -> Self {
        let mut charge = stripe::fixture("charge.succeeded");
        charge["data"]["object"]["description"] = "Subscription, month by month. ".repeat(6).into();
        Self { kind: "charge.succeeded".to_owned(), charge, next: AtomicU64::new(0) }
    }

    pub(crate) fn size(&self) -> usize {
        self.charge.to_string().len()
    }

    /// `count` events with a delivery to `plugin` each.
    pub(crate) fn fresh(&self, count: usize, plugin: &PluginName) -> Vec<NewEvent> {
        (0..count).map(|_| self.one(plugin)).collect()
    }

    fn one(&self, plugin: &PluginName) -> NewEvent {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut body = self.charge.clone();
        let id = format!("evt_{number:024}");
        body["id"] = Value::String(id.clone());
        let customer = number.wrapping_mul(0x9e37_79b9) % CUSTOMERS;
        body["data"]["object"]["customer"] = format!("cus_{customer:014}").into();
        let mut event = VerifiedEvent::vouched(
            EventKey { provider: "stripe".to_owned(), id },
            self.kind.clone(),
            "application/json; charset=utf-8".to_owned(),
            body.to_string().into_bytes().into(),
        );
        event.api_version = Some("2026-10-28.endive".to_owned());
        let signature = format!("t=1790000000,v1={:064x}", number.wrapping_mul(0x9e37_79b9));
        event.proof =
            vec![Header { name: "stripe-signature".to_owned(), value: signature.into_bytes() }];
        NewEvent {
            event,
            endpoint: EndpointId(Uuid::from_u128(7)),
            received_at: SystemClock::new().now(),
            source: Source::Webhook,
            plugins: vec![plugin.clone()],
        }
    }
}

/// The number in the identifier of an event made here.
pub(crate) fn number(key: &EventKey) -> usize {
    key.id.trim_start_matches("evt_").parse().unwrap_or(0)
}
