//! Run receivers natively: `cargo test` needs no WebAssembly toolchain and no host.
//!
//! A [`Host`] keeps a plugin's state in memory and treats it as the real one does: a failed run
//! leaves no writes, the contract's limits hold. What it does not do: evaluate filters (it
//! delivers as if they were true), limit time and memory, grant (see [`Host::granting_nothing`]),
//! and start from a fresh instance (a `static` keeps its value). Its functions are those of the
//! thread that runs the receiver.
//!
//! What a run asks the [`outbox`](crate::outbox) for is kept and performed when the test says so:
//! [`Host::fire`] delivers a timer or another event of the plugin's own, [`Host::reply`] the answer
//! to a request. What a run reads of the mirror is what the test put there: [`Host::with_object`].
//!
//! ```
//! use serde_json::json;
//! use signalbox_sdk::prelude::*;
//! use signalbox_sdk::testing::{Host, stripe};
//!
//! plugin! { name: "refund-counter", receivers: [count] }
//!
//! #[receiver("charge.refunded")]
//! fn count(event: &Event) -> Result<(), Failure> {
//!     kv::counter("refunds").add(1)?;
//!     Ok(())
//! }
//!
//! let mut host = Host::new();
//! host.deliver(&PLUGIN, &stripe("charge.refunded", json!({"id": "ch_1"}))).expect_ok();
//! assert_eq!(host.get::<i64>("refunds"), Some(1));
//! ```

mod event;
pub(crate) mod host;
mod objects;
mod outbox;
mod state;

pub use event::{delivery, event, raw, signalbox, stripe, stripe_as};
pub use host::Host;
pub use outbox::{Action, Effect, EffectStatus};
pub use state::Limits;

use crate::Failure;
use crate::log::Level;

/// How one run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The end.
    pub verdict: Verdict,
    /// What was logged, in order.
    pub logs: Vec<Record>,
    /// How many records were over the limit.
    pub logs_dropped: usize,
    /// What it asked the outbox for, in order; empty unless it succeeded.
    pub effects: Vec<Effect>,
}

/// How a run may end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every receiver succeeded; what they wrote is kept.
    Ok,
    /// A receiver failed.
    Failed(Failure),
    /// A receiver panicked, with this message.
    Crashed(String),
    /// The plugin does not subscribe to such events: the host would not have started it.
    NotSubscribed,
}

/// One log record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub message: String,
    /// Names and values.
    pub attributes: Vec<(String, String)>,
}

impl Run {
    /// Go on only after success.
    ///
    /// # Panics
    /// When the run ended otherwise, saying how.
    #[track_caller]
    pub fn expect_ok(self) -> Self {
        assert!(self.verdict == Verdict::Ok, "the run ended in {:?}", self.verdict);
        self
    }

    /// The reason given with [`Failure::Retry`].
    ///
    /// # Panics
    /// When the run ended otherwise, saying how.
    #[track_caller]
    #[must_use]
    pub fn expect_retry(&self) -> &str {
        let Verdict::Failed(Failure::Retry { reason, .. }) = &self.verdict else {
            wrong("retry", &self.verdict)
        };
        reason
    }

    /// The reason given with [`Failure::Reject`].
    ///
    /// # Panics
    /// When the run ended otherwise, saying how.
    #[track_caller]
    #[must_use]
    pub fn expect_reject(&self) -> &str {
        let Verdict::Failed(Failure::Reject { reason }) = &self.verdict else {
            wrong("reject", &self.verdict)
        };
        reason
    }

    /// Whether some record's text holds `text`.
    #[must_use]
    pub fn logged(&self, text: &str) -> bool {
        self.logs.iter().any(|record| record.message.contains(text))
    }
}

impl Record {
    /// The value of one attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "a failed expectation of a test")]
fn wrong(wanted: &str, verdict: &Verdict) -> ! {
    panic!("the run ended in {verdict:?}, not in {wanted}")
}
