//! Durable timers: events that the plugin emits to itself, later. They outlive restarts.
//!
//! ```
//! use std::time::Duration;
//! use serde::{Deserialize, Serialize};
//! use signalbox_sdk::prelude::*;
//!
//! plugin! {
//!     name: "trial-watch",
//!     receivers: [started, ended, due],
//!     requests: [emit("trial.due")],
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Trial {
//!     id: String,
//! }
//!
//! #[receiver("customer.subscription.created")]
//! fn started(event: &Event) -> Result<(), Failure> {
//!     let trial: Trial = event.object()?;
//!     let id = timer::set("trial.due", &trial, Duration::from_secs(11 * 86_400))?;
//!     kv::set(format!("timer/{}", trial.id), &id)?;
//!     Ok(())
//! }
//!
//! #[receiver("customer.subscription.deleted")]
//! fn ended(event: &Event) -> Result<(), Failure> {
//!     let key = format!("timer/{}", event.object::<Trial>()?.id);
//!     if let Some(id) = kv::get(&key)? {
//!         timer::cancel(&id)?;
//!     }
//!     kv::delete(key)?;
//!     Ok(())
//! }
//!
//! #[receiver("trial.due", provider = "trial-watch")]
//! fn due(event: &Event) -> Result<(), Failure> {
//!     info!("the trial {} ends in three days", event.parse::<Trial>()?.id);
//!     Ok(())
//! }
//! # use serde_json::json;
//! # use signalbox_sdk::testing::{Host, stripe};
//! # let mut host = Host::new();
//! # let run = host.deliver(&PLUGIN, &stripe("customer.subscription.created", json!({"id": "sub_1"})));
//! # let id = run.expect_ok().effects[0].id.clone();
//! # assert!(host.fire(&PLUGIN, &id).expect_ok().logged("sub_1"));
//! ```

use std::time::Duration;

use serde::Serialize;

use crate::outbox::{self, EffectId, Refused};

/// Deliver an event of this type to the plugin, no earlier than `delay` after this delivery commits.
/// Its body is `data` as JSON: [`Event::parse`](crate::Event::parse) reads it. The plugin takes it
/// with `#[receiver("KIND", provider = "PLUGIN-NAME")]` and needs a grant to emit it.
///
/// # Errors
/// What the host refuses, and why.
pub fn set<T: Serialize + ?Sized>(
    kind: &str,
    data: &T,
    delay: Duration,
) -> Result<EffectId, Refused> {
    outbox::emit_after(kind, data, delay)
}

/// Withdraw a timer that an earlier delivery set. `false` when it has fired or was withdrawn.
///
/// # Errors
/// A timer of another plugin, or of this very delivery; a limit.
pub fn cancel(timer: &EffectId) -> Result<bool, Refused> {
    outbox::cancel(timer)
}
