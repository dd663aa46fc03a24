//! From pending to settled: claims due deliveries, runs their guests, commits what they did.
//!
//! Not the guest (`plugin`) and not the queue (`store`): this part decides only when something
//! runs and, in [`settle`], what an attempt's end means for its delivery.

mod attempt;
mod faults;
mod flow;
pub mod pauses;
mod settle;
pub mod tally;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, broadcast};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::delivery::{Attempt, DeliveryId, Status};
use crate::domain::effect::EffectRequest;
use crate::domain::event::StoredEvent;
use crate::domain::kv::KvWrite;
use crate::domain::plugin::{CodeDigest, PluginName};
use crate::plugin::{Engine, GuestThreads, Loaded, Routes, RoutingTable};
use crate::store::{ClaimRequest, ClaimedDelivery, Demand, Store};

use attempt::{Lane, Runner, Width};
use faults::Faults;
use flow::Ends;
use pauses::PauseHandle;
use settle::Rules;
use tally::{Attempts, Tally};

/// What the dispatcher works with.
#[derive(Clone, Debug)]
pub struct DispatchDeps {
    /// Where deliveries wait.
    pub store: Arc<dyn Store>,
    /// Which code handles them.
    pub routes: Routes,
    /// Where guests run.
    pub engine: Engine,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// Pauses a plugin that fails on everything.
    pub pauses: PauseHandle,
}

/// How the dispatcher behaves. What is one plugin's own (when its failed deliveries are attempted
/// again, how many run at once and in which order) is its [`Loaded::delivery`].
#[derive(Clone, Debug)]
pub struct DispatchConfig {
    /// Most guests that run at once. Default 64: guests that compute share their threads by
    /// yielding, so more only adds memory (each may hold its whole memory limit). Up to 448
    /// deliveries more may be claimed: those whose end is being committed and those that run next.
    pub concurrency: usize,
    /// Wait after a fault of the host's own before the same delivery is tried again; doubled with
    /// each in a row, up to a minute. Default 1 s.
    pub fault_wait: Duration,
    /// How long a stop waits for running deliveries. Default 10 s: twice the default wall limit.
    /// What has not ended by then is attempted again at the next start.
    pub drain: Duration,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        Self { concurrency: 64, fault_wait: Duration::from_secs(1), drain: Duration::from_secs(10) }
    }
}

/// An attempt that was committed.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// Its event.
    pub event: Arc<StoredEvent>,
    /// Where it left the delivery.
    pub status: Status,
    /// Its story.
    pub attempt: Attempt,
    /// What it did; nothing unless it is done.
    pub did: Did,
}

/// What a committed attempt wrote and asked for.
#[derive(Clone, Debug, Default)]
pub struct Did {
    /// Its plugin's state.
    pub writes: Vec<KvWrite>,
    /// What it asked the world for, and how long after the commit.
    pub effects: Vec<EffectRequest>,
}

/// Attempts a slow listener may fall behind before it misses some. They are for watching: the
/// store has them all.
const ENDED_BACKLOG: usize = 1_024;

/// Deliveries claimed beyond those that run: those whose end is being committed and those whose
/// turn comes next. A commit's price is mostly its sync, so the more ends share one the better;
/// with few ahead, guests stand still while the disk works. Each holds its event in memory, and
/// what it wrote until that is committed: hence not more.
const AHEAD: usize = 448;

/// Deliveries of one plugin that make a claim of their own worth its cost.
const WORTH_A_CLAIM: usize = AHEAD / 16;

/// Claims of a plugin for each of its deliveries that may run at once: as many as the default
/// leaves to all together.
const CLAIMS_PER_RUN: usize = 8;

/// Shows from outside what the dispatcher does.
#[derive(Clone, Debug)]
pub struct DispatchHandle {
    concurrency: usize,
    runner: Arc<Runner>,
    guests: GuestThreads,
}

/// What the dispatcher did since the start, and does now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Committed attempts, by plugin.
    pub attempts: BTreeMap<PluginName, Attempts>,
    /// Attempts that the host itself failed.
    pub faults: u64,
    /// Guests that run now.
    pub running: u64,
    /// Those of them that computed for so long that they go on on the slow threads.
    pub slow: u64,
}

impl DispatchHandle {
    /// The figures of this moment.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let running = self.concurrency.saturating_sub(self.runner.slots.available_permits());
        Figures {
            attempts: self.runner.tally.all(),
            faults: self.runner.rules.faults.total(),
            running: running as u64,
            slow: self.guests.slow_runs() as u64,
        }
    }

    /// Every attempt from now on, as it is committed. A listener that falls behind misses some.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Ended>> {
        self.runner.ended.subscribe()
    }
}

/// The part that claims, runs and settles.
pub struct Dispatcher {
    deps: DispatchDeps,
    config: DispatchConfig,
    tasks: JoinSet<()>,
    claims: HashMap<Id, (ClaimedDelivery, CodeDigest)>,
    runner: Arc<Runner>,
    lanes: HashMap<PluginName, Arc<Lane>>,
    ends: Arc<Ends>,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("running", &self.claims.len()).finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// A dispatcher that does nothing yet.
    #[must_use]
    pub fn new(deps: DispatchDeps, config: DispatchConfig) -> (Self, DispatchHandle) {
        let concurrency = config.concurrency.min(Semaphore::MAX_PERMITS);
        let runner = Arc::new(Runner {
            store: Arc::clone(&deps.store),
            routes: deps.routes.clone(),
            clock: Arc::clone(&deps.clock),
            rules: Rules { routes: deps.routes.clone(), faults: Faults::new(config.fault_wait) },
            pauses: deps.pauses.clone(),
            ended: broadcast::Sender::new(ENDED_BACKLOG),
            slots: Arc::new(Semaphore::new(concurrency)),
            tally: Tally::default(),
            stopping: CancellationToken::new(),
        });
        let guests = deps.engine.guests().clone();
        let handle = DispatchHandle { concurrency, runner: Arc::clone(&runner), guests };
        let dispatcher = Self {
            deps,
            config,
            tasks: JoinSet::new(),
            claims: HashMap::new(),
            runner,
            lanes: HashMap::new(),
            ends: Arc::default(),
        };
        (dispatcher, handle)
    }

    /// Work until `shutdown`, then wait for what runs, at most `drain` long.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut generation = self.deps.routes.subscribe();
        let (store, ends) = (Arc::clone(&self.deps.store), Arc::clone(&self.ends));
        while !shutdown.is_cancelled() {
            let room = self.room();
            let mut next_due = None;
            // The store tells what came since the last claim: without one, it tells it at once.
            let mut asked = false;
            if room > 0 {
                generation.mark_unchanged();
                match self.claim(room).await {
                    Ok(None) => {}
                    // A full claim may have left more behind.
                    Ok(Some((claimed, _))) if claimed == room => {
                        self.reap();
                        continue;
                    }
                    Ok(Some((_, due))) => {
                        asked = true;
                        next_due = due;
                    }
                    Err(wait) => next_due = Some(wait),
                }
            }
            // While many are on their way, their lanes tell when it is worth a look.
            let each = self.claims.len() <= WORTH_A_CLAIM || ends.broke();
            let timer = async {
                match next_due {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = self.tasks.join_next_with_id(), if each => self.ended(ended),
                () = ends.enough() => {}
                () = store.work(), if asked => {}
                _ = generation.changed(), if room > 0 => {}
                () = timer => {}
            }
            self.reap();
        }
        self.drain().await;
    }

    /// How many more may be claimed.
    fn room(&self) -> usize {
        let most = self.config.concurrency.saturating_add(AHEAD);
        most.saturating_sub(self.ends.on_their_way())
    }

    /// How many of a plugin may run at once: half of all, so that a plugin whose guests all run to
    /// their limits leaves the other half to those that do not, and no more than its policy lets.
    fn width(&self, plugin: &Loaded) -> Width {
        let share = (self.config.concurrency / 2).max(1);
        let policy = plugin.delivery().concurrency;
        policy.map_or(Width::Share(share), |most| Width::Policy(most.clamp(1, share)))
    }

    /// How many of each plugin to claim: as many more as leave at least as much room to all others
    /// as the plugin then takes (a dynamic threshold, Choudhury and Hahne 1998). One plugin gets
    /// half of the room, two a third each; whoever has nothing running finds a place. Few at a
    /// time are not worth a claim while the plugin has more than that to run.
    fn demands(&self, table: &RoutingTable, room: usize) -> Vec<Demand> {
        let demand = |name: &PluginName| {
            let plugin = table.get(name)?;
            let running = self.lanes.get(name).map_or(0, |lane| lane.flow.left());
            let most = self.width(plugin).get().saturating_mul(CLAIMS_PER_RUN);
            let fair = room.saturating_sub(running).div_ceil(2);
            let own = fair.min(most.saturating_sub(running));
            let order = plugin.delivery().order;
            let worth = own > 0 && own >= running.min(WORTH_A_CLAIM);
            worth.then(|| Demand { plugin: name.clone(), room: own, order })
        };
        table.runnable().iter().filter_map(demand).collect()
    }

    /// Claim up to `room` deliveries and start them. Answers how many, and how long until the next
    /// falls due; nothing when no plugin can take any; after a store error, how long to wait before
    /// asking again.
    async fn claim(&mut self, room: usize) -> Result<Option<(usize, Option<Duration>)>, Duration> {
        let table = self.deps.routes.current();
        let plugins = self.demands(&table, room);
        if plugins.is_empty() {
            return Ok(None);
        }
        let now = self.deps.clock.steady();
        let request = ClaimRequest { plugins, limit: room, now };
        let claim = match self.deps.store.claim(request).await {
            Ok(claim) => claim,
            Err(error) => {
                tracing::error!(%error, "cannot claim deliveries");
                return Err(self.config.fault_wait);
            }
        };
        let count = claim.deliveries.len();
        for claimed in claim.deliveries {
            let Some(loaded) = table.get(&claimed.id.plugin) else {
                // `runnable` and `get` are of one table: only a broken store answers otherwise.
                tracing::error!(delivery = %claimed.id, "claimed a delivery nobody asked for");
                continue;
            };
            let (digest, width) = (loaded.digest(), self.width(loaded));
            let new = || Arc::new(Lane::new(width));
            let lane = self.lanes.entry(claimed.id.plugin.clone()).or_insert_with(new);
            if lane.width != width && lane.flow.left() == 0 {
                *lane = new();
            }
            let on_its_way = lane.flow.begin(&self.ends);
            let lane = Arc::clone(lane);
            let runner = Arc::clone(&self.runner);
            let task = claimed.clone();
            let run = async move {
                let _until_its_end = on_its_way;
                runner.run(task, digest, &lane).await;
            };
            let started = self.tasks.spawn_on(run, self.deps.engine.guests().handle());
            self.claims.insert(started.id(), (claimed, digest));
        }
        for lane in self.lanes.values() {
            lane.flow.watch(WORTH_A_CLAIM, &self.ends);
        }
        Ok(Some((count, claim.next_due.map(|due| due.since(now)))))
    }

    /// Take note of every task that has ended.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, panic) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let claimed = self.claims.remove(&id);
        if let (Some((claimed, digest)), Some(panic)) = (claimed, panic) {
            tracing::error!(delivery = %claimed.id, error = %panic, "the host failed in a delivery");
            self.ends.noted();
            let runner = Arc::clone(&self.runner);
            // One of `tasks`, so that a stop waits for it too.
            self.tasks.spawn(async move { runner.broken_off(claimed, digest).await });
        }
    }

    async fn drain(mut self) {
        self.runner.stopping.cancel();
        let bound = self.config.drain;
        let ended = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(bound, ended).await.is_err() {
            let left = self.claims.len();
            tracing::warn!(left, "stopped with deliveries running; the next start runs them again");
        }
    }
}

#[cfg(test)]
mod tests;
