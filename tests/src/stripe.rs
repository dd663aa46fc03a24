//! Stripe as a sender: its fixtures, fresh events made of them, and its signatures.
//!
//! Written from Stripe's documentation of the `Stripe-Signature` header, apart from the host's own
//! code, so that a mistake in one is not repeated in the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

/// One realistic event of each of Stripe's types, one JSON text a line.
pub const EVENTS: &str = include_str!("../fixtures/stripe/events.jsonl");

/// All snapshot event types, one a line.
pub const TYPES: &str = include_str!("../fixtures/stripe/event_types.txt");

/// Seconds since the epoch.
///
/// # Panics
/// When the clock stands before 1970.
#[must_use]
#[expect(clippy::disallowed_methods, clippy::expect_used, reason = "a sender has its own clock")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// The header Stripe sends with `body`.
#[must_use]
pub fn sign(secret: &str, time: u64, body: &[u8]) -> String {
    format!("t={time},v1={}", signature(secret, time, body))
}

/// The hexadecimal HMAC-SHA256 of `time.body`.
///
/// # Panics
/// Never: an HMAC takes a key of any length.
#[must_use]
#[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
pub fn signature(secret: &str, time: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(time.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// The fixture of one event type.
///
/// # Panics
/// When there is none.
#[must_use]
#[expect(clippy::panic, reason = "a test that names no fixture cannot go on")]
pub fn fixture(kind: &str) -> Value {
    let of_kind = |line: &str| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event.get("type")?.as_str()? == kind).then_some(event)
    };
    EVENTS.lines().find_map(of_kind).unwrap_or_else(|| panic!("no fixture of type {kind}"))
}

/// A fixture with an event id of its own, about an object of its own: deliveries about one object
/// wait for one another.
#[must_use]
pub fn fresh(kind: &str) -> Value {
    let mut event = fixture(kind);
    let fresh = fresh_id();
    if let Some(id) = event.pointer_mut("/data/object/id") {
        let own =
            format!("{}_{}", id.as_str().unwrap_or_default(), fresh.trim_start_matches("evt_"));
        *id = Value::String(own);
    }
    if let Some(id) = event.get_mut("id") {
        *id = Value::String(fresh);
    }
    event
}

/// An event id that this process has not used before.
#[must_use]
pub fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("evt_test{:x}x{:08x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
