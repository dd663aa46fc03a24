//! A world that goes its random way: the real store, the clock, what is claimed and what has run.
//!
//! Not the ends of runs (`settle`) and not the effects (`effects`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use signalbox::domain::clock::{Clock as _, ManualClock, Timestamp};
use signalbox::domain::delivery::{DeliveryId, Order, Status};
use signalbox::domain::endpoint::EndpointId;
use signalbox::domain::event::{EventKey, ObjectRef, Source, VerifiedEvent};
use signalbox::domain::notice::Notice;
use signalbox::domain::plugin::{Pause, PausedBy, PluginName};
use signalbox::store::sled::{SledConfig, SledStore};
use signalbox::store::{
    Admission, ClaimRequest, ClaimedDelivery, ClaimedEffect, Demand, NewEvent, Replayed, Store,
};
use signalbox_tests::dice::Dice;
use tempfile::TempDir;

use super::guest::{self, Run};
use super::model::{Model, Plugin};
use super::settle::told;

/// Where a history begins.
const START: Timestamp = Timestamp::from_secs(1_790_000_000);
/// Days after which everything has ended.
const DAYS: usize = 400;
/// Rounds after which whatever was claimed has been run and settled. Only a store that answers "run
/// it again" for ever meets them.
const ROUNDS: usize = 10_000;
/// Objects that events are about.
const OBJECTS: u64 = 3;

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) model: Model,
    clock: ManualClock,
    place: TempDir,
    /// Crashes so far: each leaves a directory behind.
    lives: u32,
    store: Option<Arc<SledStore>>,
    /// Claimed and not run.
    pub(super) claimed: Vec<ClaimedDelivery>,
    /// Run and not settled.
    pub(super) runs: Vec<Run>,
    /// Claimed and not performed.
    pub(super) taken: Vec<ClaimedEffect>,
    /// Performed, well or not, and not settled.
    pub(super) performed: Vec<ClaimedEffect>,
    events: u64,
}

pub(super) fn name(name: &str) -> PluginName {
    name.parse().unwrap()
}

/// Who receives what happens here.
pub(super) fn listeners() -> Vec<PluginName> {
    vec![name("free")]
}

pub(super) fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value.try_into().unwrap())
}

/// What a process that is killed leaves behind.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl World {
    pub(super) fn new(dice: Dice) -> Self {
        // In memory where there is a place: no history looks at what a disk keeps.
        let memory = Path::new("/dev/shm");
        let place =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let mut model = Model::default();
        let orders = [
            ("block", Order::Object { skip_after: None }),
            ("skip", Order::Object { skip_after: Some(2) }),
            ("free", Order::None),
        ];
        for (plugin, order) in orders {
            let new = Plugin { order, loaded: true, version: 1, pause: None };
            model.plugins.insert(name(plugin), new);
        }
        let mut world = Self {
            dice,
            model,
            clock: ManualClock::at(START),
            place: place.unwrap(),
            lives: 0,
            store: None,
            claimed: Vec::new(),
            runs: Vec::new(),
            taken: Vec::new(),
            performed: Vec::new(),
            events: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let path = self.place.path().join(self.lives.to_string());
        let config = SledConfig { cache_bytes: 4 << 20, ..SledConfig::new(path) };
        self.store = Some(SledStore::open(&config).unwrap());
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().unwrap()) as Arc<dyn Store>
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn choose(&mut self, of: usize) -> Option<usize> {
        (of > 0).then(|| usize::try_from(self.dice.below(of as u64)).unwrap())
    }

    /// The commit that last wrote a key.
    pub(super) fn stamp(&self, plugin: &PluginName, key: &str) -> Option<u64> {
        self.model.kv.get(&(plugin.clone(), key.to_owned())).map(|(_, stamp)| *stamp)
    }

    fn plugin(&mut self) -> PluginName {
        let at = self.choose(self.model.plugins.len()).unwrap();
        self.model.plugins.keys().nth(at).unwrap().clone()
    }

    /// Do something. Says what.
    pub(super) async fn step(&mut self) -> String {
        match self.dice.below(100) {
            0..18 => self.accept().await,
            18..36 => self.claim(None).await,
            36..52 => self.run().await,
            52..66 => self.settle().await,
            66..73 => self.take().await,
            73..79 => self.perform(),
            79..85 => self.settle_effects().await,
            85..88 => self.time(),
            88..90 => self.reload(),
            90..92 => self.pause().await,
            92..95 => self.replay().await,
            95..97 => self.change().await,
            _ => self.restart().await,
        }
    }

    fn event(&mut self, id: u64) -> VerifiedEvent {
        let key = EventKey { provider: "stripe".to_owned(), id: format!("evt_{id}") };
        let body = format!("{{\"id\":\"evt_{id}\"}}").into_bytes().into();
        let kind = "charge.succeeded".to_owned();
        let mut event = VerifiedEvent::vouched(key, kind, "application/json".to_owned(), body);
        let object = Dice::new(id).below(OBJECTS + 1);
        event.object = (object < OBJECTS)
            .then(|| ObjectRef { kind: "charge".to_owned(), id: format!("ch_{object}") });
        event
    }

    async fn accept(&mut self) -> String {
        let now = self.now();
        let loaded = self.model.plugins.iter().filter(|(_, plugin)| plugin.loaded);
        let plugins: Vec<_> = loaded.map(|(name, _)| name.clone()).collect();
        let mut list = Vec::new();
        for _ in 0..=self.dice.below(3) {
            // Some are sent again, as providers do.
            let known = self.events > 0 && self.dice.below(5) == 0;
            let id = if known { self.dice.below(self.events) } else { self.events };
            self.events = self.events.max(id + 1);
            let (event, plugins) = (self.event(id), plugins.clone());
            let endpoint = EndpointId(uuid::Uuid::from_u128(7));
            let source = Source::Webhook;
            list.push(NewEvent { event, endpoint, received_at: now, source, plugins });
        }
        let answers = self.store().accept(list.clone()).await.unwrap();
        let mut said = Vec::new();
        for (new, answer) in list.into_iter().zip(answers) {
            said.push(format!("{} {answer:?}", new.event.key));
            match (answer, self.model.events.get(&new.event.key)) {
                (Admission::Duplicate(seq), Some((known, _))) => assert_eq!(seq, *known),
                (Admission::Accepted(seq), None) => {
                    self.model.accept(seq, new.event, &new.plugins, now);
                }
                (answer, known) => panic!("{}: {answer:?}, {known:?}", new.event.key),
            }
        }
        format!("accept {}", said.join(", "))
    }

    /// Take up to `limit` deliveries; as chance has it without one.
    pub(super) async fn claim(&mut self, limit: Option<usize>) -> String {
        let now = self.now();
        let limit = limit.unwrap_or_else(|| 1 + usize::try_from(self.dice.below(6)).unwrap());
        let ready = self.model.plugins.iter().filter(|(_, p)| p.loaded && p.pause.is_none());
        let demand = |(name, plugin): (&PluginName, &Plugin)| Demand {
            plugin: name.clone(),
            room: usize::MAX,
            order: plugin.order,
        };
        let plugins = ready.map(demand).collect();
        let claim = self.store().claim(ClaimRequest { plugins, limit, now }).await.unwrap();
        assert!(claim.deliveries.len() <= limit);
        let mut said = Vec::new();
        for claimed in claim.deliveries {
            assert!(self.model.runnable(&claimed.id, now), "{} must not run now", claimed.id);
            let delivery = self.model.deliveries.get_mut(&claimed.id).unwrap();
            assert_eq!(claimed.attempt, delivery.attempts + 1, "{}", claimed.id);
            assert_eq!(claimed.event.seq, delivery.seq);
            assert_eq!(claimed.replay, delivery.replayed, "{}", claimed.id);
            assert_eq!(claimed.since, delivery.since, "{}", claimed.id);
            delivery.lease = Some(claimed.lease);
            said.push(claimed.id.to_string());
            self.claimed.push(claimed);
        }
        if said.len() < limit {
            let left = self.model.deliveries.keys().find(|id| self.model.runnable(id, now));
            assert!(left.is_none(), "{} could run and was not claimed", left.unwrap());
        }
        format!("claim up to {limit}: {}", said.join(", "))
    }

    pub(super) async fn run(&mut self) -> String {
        let Some(at) = self.choose(self.claimed.len()) else { return "run nothing".to_owned() };
        let claimed = self.claimed.swap_remove(at);
        let version = self.model.plugins[&claimed.id.plugin].version;
        let faulty = self.dice.below(12) == 0;
        let plugin = claimed.id.plugin.clone();
        let stamp = |key: &str| self.stamp(&plugin, key);
        let run = guest::run(&*self.store(), claimed, version, faulty, stamp).await;
        let said =
            format!("run {} (attempt {}): {:?}", run.claimed.id, run.claimed.attempt, run.outcome);
        self.runs.push(run);
        said
    }

    fn time(&mut self) -> String {
        let steps = [1, 10, 600, 2 * 86_400];
        let step = Duration::from_secs(steps[usize::try_from(self.dice.below(4)).unwrap()]);
        let back = self.dice.below(5) == 0;
        let now = self.now();
        self.clock.set(if back { now.minus(step / 2) } else { now.plus(step) });
        format!("{} -> {}", now, self.now())
    }

    fn reload(&mut self) -> String {
        let name = self.plugin();
        let goes = self.dice.below(3) == 0;
        let plugin = self.model.plugins.get_mut(&name).unwrap();
        plugin.loaded = !goes;
        plugin.version += 1;
        format!("{name} {}", if goes { "goes" } else { "is loaded" })
    }

    async fn pause(&mut self) -> String {
        let name = self.plugin();
        let now = self.now();
        let ends = self.model.plugins[&name].pause.is_some();
        let reason = "because".to_owned();
        let by = PausedBy::Failures(guest::digest(self.model.plugins[&name].version));
        let pause = (!ends).then(|| Pause { at: now, reason: reason.clone(), by });
        let notice = match ends {
            true => Notice::PluginResumed { plugin: name.clone(), reason },
            false => Notice::PluginPaused { plugin: name.clone(), reason },
        };
        let then = vec![told(notice, now, 1)];
        self.store().set_pause(&name, pause.clone(), then.clone()).await.unwrap();
        self.came(then, now).await;
        let said = format!("{name} paused: {}", pause.is_some());
        self.model.plugins.get_mut(&name).unwrap().pause = pause;
        said
    }

    async fn replay(&mut self) -> String {
        let Some(at) = self.choose(self.model.deliveries.len()) else {
            return "replay nothing".to_owned();
        };
        let id: DeliveryId = self.model.deliveries.keys().nth(at).unwrap().clone();
        let now = self.now();
        let answer = self.store().replay(vec![id.clone()], now).await.unwrap()[0];
        let delivery = self.model.deliveries.get_mut(&id).unwrap();
        let expected = match delivery.shown() {
            Status::Retry => Replayed::Hastened,
            Status::Done | Status::Dead => Replayed::Queued,
            _ => Replayed::Waiting,
        };
        assert_eq!(answer, expected, "{id}");
        if answer == Replayed::Queued {
            delivery.status = Status::Pending;
            delivery.attempts = 0;
            (delivery.replayed, delivery.since) = (true, now);
            (delivery.due, delivery.kept_due) = (None, None);
        } else if answer == Replayed::Hastened {
            (delivery.due, delivery.kept_due) = (Some(now), Some(now));
        }
        format!("replay {id}: {answer:?}")
    }

    /// The process ends, well or not, and another begins.
    pub(super) async fn restart(&mut self) -> String {
        let old = self.store.take().unwrap();
        let killed = self.dice.below(3) > 0;
        if killed {
            let from = self.place.path().join(self.lives.to_string());
            self.lives += 1;
            copy(&from, &self.place.path().join(self.lives.to_string()));
        }
        old.close().await.unwrap();
        self.open();
        self.model.restart();
        self.check().await;
        format!("restart after a {}", if killed { "kill" } else { "stop" })
    }

    /// Let everything end, and see that it did.
    pub(super) async fn end(&mut self) {
        self.check().await;
        for name in self.model.plugins.keys().cloned().collect::<Vec<_>>() {
            self.store().set_pause(&name, None, Vec::new()).await.unwrap();
            let plugin = self.model.plugins.get_mut(&name).unwrap();
            (plugin.pause, plugin.loaded) = (None, true);
        }
        for _ in 0..DAYS {
            self.clock.advance(Duration::from_secs(86_400));
            self.claim(Some(1_000)).await;
            for _ in 0..ROUNDS {
                if self.claimed.is_empty() && self.runs.is_empty() {
                    break;
                }
                self.run().await;
                self.settle().await;
            }
            self.take().await;
            for _ in 0..ROUNDS {
                if self.taken.is_empty() && self.performed.is_empty() {
                    break;
                }
                self.perform();
                self.settle_effects().await;
            }
            let ended = self.model.deliveries.values().all(super::model::Delivery::ended)
                && self.model.effects.values().all(|effect| !effect.status.waits());
            if ended {
                self.restart().await;
                return self.promises().await;
            }
        }
        panic!("it does not end: {:#?}", self.model.deliveries);
    }
}
