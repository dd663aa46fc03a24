//! The test host, and the host's functions as a native build calls them.
//!
//! The functions find the host through the thread that runs the receiver: a component imports
//! functions, not a value, and a receiver is written for that. Nothing outlives a run there.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::raw;
use super::outbox::{Action, Effect, EffectStatus};
use super::state::{Limits, State};
use super::{Record, Run, Verdict};
use crate::host::KeyPage;
use crate::kv::Limit;
use crate::log::{Level, panic_message};
use crate::objects::{Object, Unread};
use crate::outbox::{EffectId, Refused};
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

    /// With an operator who granted nothing: whatever is asked of the outbox or the mirror is refused.
    #[must_use]
    pub fn granting_nothing(mut self) -> Self {
        self.state.outbox.barren = true;
        self
    }

    /// With an object in the mirror, as JSON; as of the epoch.
    ///
    /// # Panics
    /// When JSON cannot express it.
    #[track_caller]
    #[must_use]
    pub fn with_object<T: Serialize + ?Sized>(
        self,
        provider: &str,
        kind: &str,
        id: &str,
        body: &T,
    ) -> Self {
        self.holding(provider, kind, id, body, false)
    }

    /// With an object in the mirror that is gone; `body` is its last state.
    ///
    /// # Panics
    /// When JSON cannot express it.
    #[track_caller]
    #[must_use]
    pub fn with_deleted_object<T: Serialize + ?Sized>(
        self,
        provider: &str,
        kind: &str,
        id: &str,
        body: &T,
    ) -> Self {
        self.holding(provider, kind, id, body, true)
    }

    #[track_caller]
    #[expect(clippy::expect_used, reason = "a test's own data is wrong")]
    fn holding<T: Serialize + ?Sized>(
        mut self,
        provider: &str,
        kind: &str,
        id: &str,
        body: &T,
        deleted: bool,
    ) -> Self {
        let body = serde_json::to_vec(body).expect("the object can be written as JSON");
        let (id, kind) = (id.to_owned(), kind.to_owned());
        let event_id = "evt_test".to_owned();
        let object = Object { id, kind, as_of: 0, event_id, deleted, body };
        self.state.objects.put(provider, object);
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
            return Run {
                verdict: Verdict::NotSubscribed,
                logs: Vec::new(),
                logs_dropped: 0,
                effects: Vec::new(),
            };
        }
        self.run_as(&delivery.id, || plugin.handle(event, delivery))
    }

    /// Run one receiver, or any code that calls the host, as a delivery of its own:
    /// `host.run(|| count_charge(&event))`.
    #[must_use = "a run that failed is no panic by itself: see `Run::expect_ok`"]
    pub fn run<V: IntoVerdict>(&mut self, receiver: impl FnOnce() -> V) -> Run {
        self.run_as("stripe.evt_test.plugin", receiver)
    }

    fn run_as<V: IntoVerdict>(&mut self, delivery: &str, receiver: impl FnOnce() -> V) -> Run {
        self.state.outbox.begin(delivery);
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
        let effects = self.state.end(verdict == Verdict::Ok);
        Run {
            verdict,
            effects,
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

    /// Everything that committed runs asked for, in order.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.state.outbox.committed
    }

    /// Of those, what waits: neither performed nor withdrawn.
    pub fn waiting(&self) -> impl Iterator<Item = &Effect> {
        self.effects().iter().filter(|effect| effect.status == EffectStatus::Waiting)
    }

    /// Have a timer, or another event that a run emitted, delivered to the plugin: its delay is over.
    ///
    /// # Panics
    /// When no such event waits.
    #[track_caller]
    #[must_use = "a run that failed is no panic by itself: see `Run::expect_ok`"]
    #[expect(clippy::panic, reason = "a test's own mistake")]
    pub fn fire(&mut self, plugin: &Plugin, id: &EffectId) -> Run {
        let effect = self.perform(id);
        let Action::Emit { kind, content_type, body } = effect.action else {
            panic!("{id} is a request; `reply` delivers its answer")
        };
        let mut event = raw(plugin.name(), &event_id(id), &kind, body);
        event.content_type = content_type;
        self.deliver(plugin, &event)
    }

    /// Have a request answered, and the answer delivered to the plugin if it asked for it. Status 0
    /// stands for a request that the host gave up; the body then says why.
    ///
    /// # Panics
    /// When no such request waits, or it asked for no answer.
    #[track_caller]
    #[must_use = "a run that failed is no panic by itself: see `Run::expect_ok`"]
    #[expect(clippy::panic, reason = "a test's own mistake")]
    pub fn reply(
        &mut self,
        plugin: &Plugin,
        id: &EffectId,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Run {
        let effect = self.perform(id);
        let Action::Http { reply: Some(kind), .. } = effect.action else {
            panic!("{id} asked for no answer; a request does with `reply_as`")
        };
        let mut event = raw(plugin.name(), &event_id(id), &kind, body);
        let own = [("status", status.to_string()), ("effect-id", id.to_string())];
        event.attributes = own.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let header = |(name, value): &(&str, &str)| (format!("header-{name}"), (*value).to_owned());
        event.attributes.extend(headers.iter().map(header));
        self.deliver(plugin, &event)
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a test's own mistake")]
    fn perform(&mut self, id: &EffectId) -> Effect {
        match self.state.outbox.find(id) {
            Some(effect) if effect.status == EffectStatus::Waiting => {
                effect.status = EffectStatus::Performed;
                effect.clone()
            }
            Some(effect) => panic!("{id} does not wait: it is {:?}", effect.status),
            None => panic!("no run that succeeded asked for {id}"),
        }
    }

    /// Every key that is kept, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.state.committed.keys().map(String::as_str)
    }
}

/// The identifier of the event that an effect makes: always the same, as on the real host.
fn event_id(effect: &EffectId) -> String {
    format!("evt_{}", effect.as_str().replace('.', "_"))
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

pub(crate) fn objects_get(
    provider: &str,
    kind: &str,
    id: &str,
) -> Result<Option<Object<Vec<u8>>>, Unread> {
    running("objects", |state| state.object([provider, kind, id]))
}

pub(crate) fn outbox_http(
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    reply: Option<String>,
    delay: Duration,
) -> Result<EffectId, Refused> {
    let action = Action::Http { method, url, headers, body, reply };
    running("outbox", |state| state.ask(action, delay))
}

pub(crate) fn outbox_emit(
    kind: &str,
    content_type: &str,
    body: Vec<u8>,
    delay: Duration,
) -> Result<EffectId, Refused> {
    let (kind, content_type) = (kind.to_owned(), content_type.to_owned());
    let action = Action::Emit { kind, content_type, body };
    running("outbox", |state| state.ask(action, delay))
}

pub(crate) fn outbox_cancel(effect: &str) -> Result<bool, Refused> {
    running("outbox", |state| state.cancel(effect))
}
