//! The test host, and the host's functions as a native build calls them.
//!
//! The functions find the host through the thread that runs the receiver: a component imports
//! functions, not a value, and a receiver is written for that. Nothing outlives a run there.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::{Limits, State};
use super::{Record, Run, Verdict};
use crate::host::KeyPage;
use crate::kv::Limit;
use crate::log::{Level, panic_message};
use crate::{Delivery, Event, IntoVerdict, Plugin};

thread_local! {
    /// The host whose receiver this thread runs.
    static RUNNING: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// A host in memory for one plugin. See [`testing`](crate::testing).
#[derive(Clone, Debug, Default)]
pub struct Host {
    state: State,
}

impl Host {
    /// An empty host with the real one's default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.state.limits);
        self
    }

    /// With one of the operator's settings.
    #[must_use]
    pub fn with_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.state.settings.insert(key.into(), value.into());
        self
    }

    /// Deliver an event to the whole plugin, for the first time.
    #[must_use = "a run that failed is no panic by itself: see `Run::expect_ok`"]
    pub fn deliver(&mut self, plugin: &Plugin, event: &Event) -> Run {
        let id = format!("{}.{}.{}", event.provider(), event.id(), plugin.name());
        self.deliver_as(plugin, event, &Delivery { id, attempt: 1, replay: false })
    }

    /// Deliver an event to the whole plugin, as this attempt.
    #[must_use = "a run that failed is no panic by itself: see `Run::expect_ok`"]
    pub fn deliver_as(&mut self, plugin: &Plugin, event: &Event, delivery: &Delivery) -> Run {
        if !plugin.receivers().iter().any(|receiver| receiver.takes(event)) {
            return Run { verdict: Verdict::NotSubscribed, logs: Vec::new(), logs_dropped: 0 };
        }
        self.run(|| plugin.handle(event, delivery))
    }

    /// Run one receiver, or any code that calls the host, as a delivery of its own:
    /// `host.run(|| count_charge(&event))`.
    #[must_use = "a run that failed is no panic by itself: see `Run::expect_ok`"]
    pub fn run<V: IntoVerdict>(&mut self, receiver: impl FnOnce() -> V) -> Run {
        let outer =
            RUNNING.with_borrow_mut(|running| running.replace(std::mem::take(&mut self.state)));
        let end = catch_unwind(AssertUnwindSafe(|| receiver().into_verdict()));
        let state = RUNNING.with_borrow_mut(|running| std::mem::replace(running, outer));
        self.state = state.unwrap_or_default();
        let verdict = match end {
            Ok(Ok(())) => Verdict::Ok,
            Ok(Err(failure)) => Verdict::Failed(failure),
            Err(panic) => {
                let message = panic_message(&*panic);
                self.state.log(Record {
                    level: Level::Error,
                    message: message.clone(),
                    attributes: Vec::new(),
                });
                Verdict::Crashed(message)
            }
        };
        self.state.end(verdict == Verdict::Ok);
        Run {
            verdict,
            logs: std::mem::take(&mut self.state.logs),
            logs_dropped: std::mem::take(&mut self.state.logs_dropped),
        }
    }

    /// What is kept under a key.
    ///
    /// # Panics
    /// When it is no `T`.
    #[track_caller]
    #[must_use]
    #[expect(clippy::panic, reason = "a failed expectation of a test")]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let bytes = self.state.committed.get(key)?;
        match serde_json::from_slice(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                panic!("`{key}` holds {:?}: {error}", String::from_utf8_lossy(bytes))
            }
        }
    }

    /// Keep a value under a key, as if an earlier run had.
    ///
    /// # Panics
    /// When JSON cannot express it.
    #[track_caller]
    #[expect(clippy::expect_used, reason = "a test's own data is wrong")]
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        let bytes = serde_json::to_vec(value).expect("the value can be written as JSON");
        self.state.committed.insert(key.to_owned(), bytes);
    }

    /// Every key that is kept, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.state.committed.keys().map(String::as_str)
    }
}

/// Call the host that runs this thread's receiver.
#[expect(clippy::panic, reason = "there is no host to answer, and no right answer")]
fn running<T>(call: &str, answer: impl FnOnce(&mut State) -> T) -> T {
    RUNNING.with_borrow_mut(|running| match running {
        Some(state) => answer(state),
        None => panic!(
            "`{call}` was called outside a host. In a native test wrap the call: \
             `signalbox_sdk::testing::Host::new().run(|| ...)`; a host belongs to the thread \
             it runs on"
        ),
    })
}

pub(crate) fn log_write(level: Level, message: &str, attributes: &[(String, String)]) {
    let record = Record { level, message: message.to_owned(), attributes: attributes.to_vec() };
    running("log", |state| state.log(record));
}

pub(crate) fn config_get(key: &str) -> Option<String> {
    running("config", |state| state.settings.get(key).cloned())
}

pub(crate) fn config_all() -> Vec<(String, String)> {
    running("config", |state| state.settings.clone().into_iter().collect())
}

pub(crate) fn kv_get(key: &str) -> Result<Option<Vec<u8>>, Limit> {
    running("kv", |state| state.get(key))
}

pub(crate) fn kv_set(key: &str, value: &[u8]) -> Result<(), Limit> {
    running("kv", |state| state.set(key, value))
}

pub(crate) fn kv_delete(key: &str) -> Result<(), Limit> {
    running("kv", |state| state.delete(key))
}

pub(crate) fn kv_keys(prefix: &str, after: Option<&str>) -> Result<KeyPage, Limit> {
    running("kv", |state| state.keys(prefix, after))
}
