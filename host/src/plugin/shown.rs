//! An event as `handle` is called with it: lowered into the guest's memory from where it lies.
//!
//! The bindings' own type owns its parts, so that each call would copy the body twice.

use wasmtime::component::{ComponentType, Lower};

use crate::domain::event::StoredEvent;

/// `types.event` of the contract.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Event<'a> {
    id: &'a str,
    provider: &'a str,
    kind: &'a str,
    #[component(name = "occurred-at")]
    occurred_at: u64,
    #[component(name = "received-at")]
    received_at: u64,
    #[component(name = "content-type")]
    content_type: &'a str,
    body: &'a [u8],
    attributes: &'a [(&'a str, &'a str)],
}

impl<'a> Event<'a> {
    /// `attributes` are those of `stored`.
    pub(super) fn new(stored: &'a StoredEvent, attributes: &'a [(&'a str, &'a str)]) -> Self {
        let event = &stored.event;
        Self {
            id: &event.key.id,
            provider: &event.key.provider,
            kind: &event.kind,
            occurred_at: event.occurred_at.as_millis(),
            received_at: stored.received_at.as_millis(),
            content_type: &event.content_type,
            body: &event.body,
            attributes,
        }
    }
}
