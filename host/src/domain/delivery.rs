//! A delivery: one event for one plugin, through all its attempts.
//!
//! Not the running of the guest (`plugin`) and not the choosing of the next one (`dispatch`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::event::EventKey;
use super::plugin::{CodeDigest, PluginName};

/// One event for one plugin. Written `stripe.evt_1Nx.charge-counter`: neither a provider's nor
/// a plugin's name holds a dot, so the text is unambiguous.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct DeliveryId {
    /// The event.
    pub event: EventKey,
    /// The plugin.
    pub plugin: PluginName,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.plugin)
    }
}

impl DeliveryId {
    /// A number that is the same for this delivery on every host and in every run: FNV-1a
    /// (Fowler, Noll, Vo) of its text. Seeds jitter and the guest's randomness; not a secret.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// The text is not a delivery's identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a delivery id; one looks like `stripe.evt_1Nx.charge-counter`")]
pub struct DeliveryIdError(pub String);

impl FromStr for DeliveryId {
    type Err = DeliveryIdError;

    fn from_str(text: &str) -> Result<Self, DeliveryIdError> {
        let parse = || {
            let (provider, rest) = text.split_once('.')?;
            let (id, plugin) = rest.rsplit_once('.')?;
            if provider.is_empty() || id.is_empty() {
                return None;
            }
            let event = EventKey { provider: provider.to_owned(), id: id.to_owned() };
            Some(Self { event, plugin: plugin.parse().ok()? })
        };
        parse().ok_or_else(|| DeliveryIdError(text.to_owned()))
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting for its first attempt.
    Pending,
    /// Being attempted.
    Running,
    /// Committed.
    Done,
    /// Waiting for another attempt.
    Retry,
    /// Given up: rejected, or its attempts are spent. Replayable.
    Dead,
    /// Its plugin is absent or paused; it waits.
    Parked,
}

/// In which order the deliveries of one plugin run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// As they come, side by side.
    None,
    /// Those that concern the same object of a provider one after another, in order of acceptance;
    /// others side by side.
    Object {
        /// A delivery that failed this often no longer holds up those behind it: they overtake it.
        /// `None`: it holds them up until it is done or dead.
        skip_after: Option<u32>,
    },
}

impl Default for Order {
    fn default() -> Self {
        Self::Object { skip_after: None }
    }
}

/// How one attempt ended. Closed: every attempt ends as exactly one of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The handler returned `ok`.
    Ok,
    /// The handler asked for another attempt.
    Retry,
    /// The handler said it will never succeed.
    Reject,
    /// It trapped, or could not be instantiated.
    Crashed,
    /// It used up its processor time or its time by the clock.
    OutOfTime,
    /// It asked for more memory than it may have, and failed.
    OutOfMemory,
    /// The host could not do its part. Not the plugin's fault.
    HostFault,
    /// No room to run it now. Not the plugin's fault.
    Saturated,
}

impl Outcome {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Crashed => "crashed",
            Self::OutOfTime => "out_of_time",
            Self::OutOfMemory => "out_of_memory",
            Self::HostFault => "host_fault",
            Self::Saturated => "saturated",
        }
    }

    /// Whether it counts against the plugin.
    #[must_use]
    pub const fn blames_plugin(self) -> bool {
        matches!(self, Self::Crashed | Self::OutOfTime | Self::OutOfMemory)
    }

    /// Whether it spends one of the delivery's attempts.
    #[must_use]
    pub const fn spends_attempt(self) -> bool {
        !matches!(self, Self::HostFault | Self::Saturated)
    }
}

/// What the handler said when it did not say `ok`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It may succeed later, no earlier than `after`.
    Retry {
        /// For the operator.
        reason: String,
        /// The handler's wish; the host clamps it.
        after: Option<Duration>,
    },
    /// It never will.
    Reject {
        /// For the operator.
        reason: String,
    },
}

/// How much a log record matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Finest.
    Trace,
    /// For authors.
    Debug,
    /// Normal.
    Info,
    /// Look at it some day.
    Warn,
    /// Look at it.
    Error,
}

/// One record a guest wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogRecord {
    /// How much it matters.
    pub level: LogLevel,
    /// The text.
    pub message: String,
    /// Names and values.
    pub attributes: Vec<(String, String)>,
}

/// The records of one attempt, and how many were over the limit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Logs {
    /// What was kept, in order.
    pub records: Vec<LogRecord>,
    /// How many were dropped.
    pub dropped: u64,
}

/// What an attempt used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time, by the kernel's clock of the guest's thread.
    pub cpu: Duration,
    /// Time by the clock, instantiation included, waits for a processor not.
    pub wall: Duration,
    /// Most bytes held at once over all memories and tables.
    pub memory: u64,
    /// Calls to `kv`.
    pub kv_operations: u32,
}

/// One attempt, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// The code that ran.
    pub digest: CodeDigest,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in words; empty after `ok`.
    pub reason: String,
    /// What it used.
    pub usage: Usage,
    /// What the guest said.
    pub logs: Logs,
}

/// A delivery as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Which one.
    pub id: DeliveryId,
    /// Where it stands; never `Parked`, which depends on the plugins loaded now.
    pub status: Status,
    /// Attempts that counted, since it was last replayed.
    pub attempts: u32,
    /// Not before this moment, while it waits.
    pub next_attempt_at: Option<Timestamp>,
    /// When an operator last had it replayed.
    pub replayed_at: Option<Timestamp>,
    /// The earlier delivery about the same object that it waits for, if it waits for one.
    pub behind: Option<DeliveryId>,
    /// The last attempts, oldest first, those before a replay included; at most
    /// [`Delivery::KEPT_ATTEMPTS`].
    pub history: Vec<Attempt>,
}

impl Delivery {
    /// Attempts whose whole story is kept. A delivery that fails more often shows the latest.
    pub const KEPT_ATTEMPTS: usize = 20;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_one_name() {
        for name in [
            "ok",
            "retry",
            "reject",
            "crashed",
            "out_of_time",
            "out_of_memory",
            "host_fault",
            "saturated",
        ] {
            let outcome: Outcome = serde_json::from_str(&format!("{name:?}")).unwrap();
            assert_eq!(outcome.as_str(), name);
        }
    }

    #[test]
    fn an_id_reads_back_even_with_dots_inside() {
        for text in ["stripe.evt_1.a", "github.a.b.c.charge-counter"] {
            assert_eq!(text.parse::<DeliveryId>().unwrap().to_string(), text);
        }
        for bad in ["", "a", "a.b", "a..b", ".a.b", "a.b.C"] {
            assert!(bad.parse::<DeliveryId>().is_err(), "{bad:?}");
        }
    }
}
