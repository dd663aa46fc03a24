//! Layer 4: handlers on the bench: tried out on events, one after another, with nothing around them.
//!
//! The engine, the filters, the limits and the rules of the outbox are the host's own. What is not real
//! is what lies about them: state and objects live in memory ([`Scratch`]), the clock stands still, and
//! nothing is sent. An attempt that ends well is committed, so the next event finds what it wrote; one that
//! fails is not tried again.
//!
//! ```text
//! event -> objects folded -> who wants it -> Loaded::call -> written -> what it emitted, as the next events
//! ```

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::clock::{Clock as _, ManualClock, Timestamp};
use crate::domain::delivery::{DeliveryId, Outcome};
use crate::domain::effect::{Action, EffectId, EffectRequest};
use crate::domain::endpoint::EndpointId;
use crate::domain::event::{EventKey, EventSeq, Source, StoredEvent, VerifiedEvent};
use crate::domain::plugin::PluginName;
use crate::outbox::emission;
use crate::plugin::explain::Explanation;
use crate::plugin::limits::BEGINS_ANEW;
use crate::plugin::{Call, Engine, Loaded, RoutingTable};
use crate::provider::Providers;
use crate::replay::{Change, DryRun};
use crate::store::{NewEvent, Scratch, StoreError};

/// Events that may follow from one, and timers that may fire in one run. Default 100: enough for any
/// chain that has an end; one that has none is cut and said to be.
pub const MAX_FOLLOWING: usize = 100;

/// How events are delivered.
#[derive(Debug, Clone, Copy)]
pub struct BenchConfig {
    /// Number of the attempt; 1 for the first.
    pub attempt: u32,
    /// Whether it counts as one that an operator asked for again.
    pub replay: bool,
    /// Whether emitted events are delivered.
    pub follow: bool,
}

impl Default for BenchConfig {
    fn default() -> Self {
        Self { attempt: 1, replay: false, follow: true }
    }
}

/// One event and what became of it.
#[derive(Debug)]
pub struct Step {
    /// The event.
    pub event: Arc<StoredEvent>,
    /// The effect that made it; `None` for one that was given.
    pub cause: Option<EffectId>,
    /// Whether an event of its identifier came before: a host would not deliver it.
    pub duplicate: bool,
    /// What each plugin's subscriptions say to it, by name.
    pub said: Vec<Explanation>,
    /// What those that want it did, by name.
    pub runs: Vec<DryRun>,
    /// How many events that followed from it were not delivered, because there were too many.
    pub cut: usize,
}

/// Why a step came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// What lives in memory could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host failed while the guest ran.
    #[error("the host failed while a handler ran: {0}")]
    Host(String),
}

/// An effect whose moment has not come.
#[derive(Debug)]
struct Timer {
    due: Timestamp,
    depth: u8,
    id: EffectId,
    action: Action,
}

/// Plugins and what they work on.
#[derive(Debug)]
pub struct Bench {
    engine: Engine,
    table: RoutingTable,
    scratch: Arc<Scratch>,
    clock: Arc<ManualClock>,
    providers: Providers,
    config: BenchConfig,
    seen: BTreeSet<EventKey>,
    accepted: u64,
    timers: Vec<Timer>,
}

impl Bench {
    /// A bench for `plugins`, which `engine` loaded with `clock`.
    #[must_use]
    pub fn new(
        engine: Engine,
        plugins: Vec<Arc<Loaded>>,
        clock: Arc<ManualClock>,
        providers: Providers,
        config: BenchConfig,
    ) -> Self {
        Self {
            engine,
            table: RoutingTable::new(plugins, Vec::new()),
            scratch: Arc::default(),
            clock,
            providers,
            config,
            seen: BTreeSet::new(),
            accepted: 0,
            timers: Vec::new(),
        }
    }

    /// The plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        self.table.plugins()
    }

    /// What they work on.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Deliver an event, and what follows from it.
    ///
    /// # Errors
    /// When the host fails; whatever the guests do is in the answer.
    pub async fn deliver(
        &mut self,
        event: VerifiedEvent,
        source: Source,
    ) -> Result<Vec<Step>, BenchError> {
        let mut steps = Vec::new();
        let mut queue = VecDeque::from([(self.new_event(event, source), None)]);
        while let Some((new, cause)) = queue.pop_front() {
            let (mut step, following) = self.step(new, cause).await?;
            let room = MAX_FOLLOWING.saturating_sub(steps.len() + queue.len());
            step.cut = following.len().saturating_sub(room);
            queue.extend(following.into_iter().take(room));
            steps.push(step);
        }
        Ok(steps)
    }

    /// Let what was delayed happen, the clock moving on from moment to moment, until nothing waits any
    /// more. Answers whether it came to an end.
    ///
    /// # Errors
    /// As [`Bench::deliver`].
    pub async fn run_timers(&mut self) -> Result<(Vec<Step>, bool), BenchError> {
        let mut steps = Vec::new();
        for _ in 0..MAX_FOLLOWING {
            let next = self.timers.iter().enumerate().min_by_key(|(_, timer)| timer.due);
            let Some(next) = next.map(|(place, _)| place) else { return Ok((steps, true)) };
            let Timer { due, depth, id, action } = self.timers.remove(next);
            if !self.scratch.end(&id) {
                continue;
            }
            self.clock.set(due.max(self.clock.now()));
            if let Action::Emit { kind, content_type, body } = action {
                let (event, source) =
                    emission(&id, depth, due, (&kind, &content_type, body.into()));
                let mut made = self.deliver(event, source).await?;
                if let Some(first) = made.first_mut() {
                    first.cause = Some(id);
                }
                steps.append(&mut made);
            }
        }
        Ok((steps, self.timers.is_empty()))
    }

    fn new_event(&self, event: VerifiedEvent, source: Source) -> NewEvent {
        let (endpoint, received_at) = (EndpointId::NONE, self.clock.now());
        NewEvent { event, endpoint, received_at, source, plugins: Vec::new() }
    }

    async fn step(
        &mut self,
        new: NewEvent,
        cause: Option<EffectId>,
    ) -> Result<(Step, Vec<(NewEvent, Option<EffectId>)>), BenchError> {
        if let Some(provider) = self.providers.get(&new.event.key.provider)
            && new.source.made().is_none()
        {
            self.scratch.see(&new, provider.objects(&new.event));
        }
        self.accepted += 1;
        let duplicate = !self.seen.insert(new.event.key.clone());
        let event = Arc::new(StoredEvent {
            seq: EventSeq(self.accepted),
            endpoint: new.endpoint,
            received_at: new.received_at,
            source: new.source,
            event: new.event,
        });
        let (mut runs, mut following) = (Vec::new(), Vec::new());
        for name in self.receivers(&event) {
            let Some(plugin) = self.table.get(&name).cloned() else { continue };
            let run = self.run(&event, plugin).await?;
            following.extend(self.commit(&event, &run));
            runs.push(run);
        }
        let said = self.table.explain(&event.event);
        Ok((Step { event, cause, duplicate, said, runs, cut: 0 }, following))
    }

    /// An answer goes to the plugin that asked, whatever it subscribes to.
    fn receivers(&self, event: &StoredEvent) -> Vec<PluginName> {
        if matches!(event.source, Source::Reply(_)) {
            return event.event.key.provider.parse().into_iter().collect();
        }
        self.table.matching(&event.event)
    }

    async fn run(
        &self,
        event: &Arc<StoredEvent>,
        plugin: Arc<Loaded>,
    ) -> Result<DryRun, BenchError> {
        let name = plugin.manifest().name.clone();
        let delivery = DeliveryId { event: event.event.key.clone(), plugin: name.clone() };
        let call = Call {
            event: Arc::clone(event),
            delivery: delivery.clone(),
            attempt: self.config.attempt,
            replay: self.config.replay,
        };
        let scratch = Arc::clone(&self.scratch);
        let ran = self.engine.guests().spawn(async move { plugin.call(call, scratch).await });
        let execution = ran.await.map_err(|panic| BenchError::Host(panic.to_string()))?;
        let changes = Change::of(&*self.scratch, &name, &execution.writes).await?;
        Ok(DryRun { delivery, execution, changes, steady: true })
    }

    /// Do what the commit of this run would. Answers the events that it makes at once.
    fn commit(&mut self, event: &StoredEvent, run: &DryRun) -> Vec<(NewEvent, Option<EffectId>)> {
        let execution = &run.execution;
        if execution.outcome != Outcome::Ok {
            return Vec::new();
        }
        self.scratch.write(&run.delivery.plugin, &execution.writes);
        for cancel in &execution.cancels {
            self.scratch.end(&cancel.id);
        }
        let mut following = Vec::new();
        for effect in &execution.effects {
            following.extend(self.effect(event, effect));
        }
        following
    }

    fn effect(
        &mut self,
        event: &StoredEvent,
        effect: &EffectRequest,
    ) -> Option<(NewEvent, Option<EffectId>)> {
        let EffectRequest { id, action, delay } = effect;
        let depth = event.source.depth();
        if *delay > Duration::ZERO {
            let depth = if *delay >= BEGINS_ANEW { 0 } else { depth };
            let due = self.clock.now().plus(*delay);
            self.scratch.wait(id.clone());
            // One of a delivery that ran again takes the place of the one before.
            self.timers.retain(|timer| timer.id != *id);
            self.timers.push(Timer { due, depth, id: id.clone(), action: action.clone() });
            return None;
        }
        let Action::Emit { kind, content_type, body } = action else { return None };
        if !self.config.follow {
            return None;
        }
        let body = Bytes::copy_from_slice(body);
        let (made, source) = emission(id, depth, self.clock.now(), (kind, content_type, body));
        Some((self.new_event(made, source), Some(id.clone())))
    }
}
