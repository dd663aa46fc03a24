//! The effects of a history: claimed, performed in a world outside, settled, changed; and what must
//! hold of all there is.

use std::collections::BTreeMap;
use std::time::Duration;

use signalbox::domain::delivery::{DeliveryId, Status};
use signalbox::domain::effect::{Action, EffectAttempt, EffectStatus};
use signalbox::domain::endpoint::EndpointId;
use signalbox::domain::event::{Made, Source, VerifiedEvent};
use signalbox::domain::notice::Notice;
use signalbox::store::{
    ClaimedEffect, EffectChange, EffectChanged, EffectClaimRequest, EffectSettlement,
    EffectVerdict, NewEvent, Settled,
};

use super::guest::MAX_DEPTH;
use super::model::{Delivery, Plugin};
use super::settle::told;
use super::world::{World, listeners, number};

/// Tries of an effect.
const TRIES: u32 = 3;
/// Effects of one plugin at a time.
const PER_PLUGIN: usize = 3;

impl World {
    pub(super) async fn take(&mut self) -> String {
        let now = self.now();
        let limit = 1 + usize::try_from(self.dice.below(6)).unwrap();
        let request = EffectClaimRequest { limit, per_plugin: PER_PLUGIN, now };
        let claim = self.store().claim_effects(request).await.unwrap();
        assert!(claim.effects.len() <= limit);
        let mut said = Vec::new();
        for claimed in claim.effects {
            let known = self.model.effects.get_mut(&claimed.id);
            let effect = known.unwrap_or_else(|| panic!("{} was never committed", claimed.id));
            assert!(effect.waits() && effect.due <= now, "{}: {effect:?}", claimed.id);
            assert_eq!(claimed.attempt, effect.attempts + 1, "{}", claimed.id);
            assert_eq!(claimed.action, effect.action, "{}", claimed.id);
            effect.lease = Some(claimed.lease);
            effect.claimed += 1;
            said.push(claimed.id.to_string());
            let plugin = &claimed.id.delivery.plugin;
            assert!(self.model.performing(plugin) <= PER_PLUGIN, "too many of {plugin}");
            self.taken.push(claimed);
        }
        if said.len() < limit {
            let left = self.model.effects.iter().find(|(id, effect)| {
                let room = self.model.performing(&id.delivery.plugin) < PER_PLUGIN;
                effect.waits() && effect.due <= now && room
            });
            assert!(left.is_none(), "due and not claimed: {left:?}");
        }
        format!("take effects: {}", said.join(", "))
    }

    /// The world outside sees it, whatever becomes of the host afterwards: a request that was on its
    /// way when the process ended arrives too.
    pub(super) fn perform(&mut self) -> String {
        let Some(at) = self.choose(self.taken.len()) else { return "perform nothing".to_owned() };
        let effect = self.taken.swap_remove(at);
        let delivery = &self.model.deliveries[&effect.id.delivery];
        assert!(delivery.commits > 0, "{} before its commit", effect.id);
        let wish = &self.model.effects[&effect.id];
        let arrives_late = wish.lease != Some(effect.lease);
        let wished = wish.action == effect.action
            // Other code took its place since it was claimed.
            || (arrives_late && wish.replaced.contains(&effect.action));
        assert!(wished, "nobody wished for this: {effect:?}, {wish:?}");
        *self.model.sink.entry(effect.id.clone()).or_default() += 1;
        let said = format!("perform {}", effect.id);
        self.performed.push(effect);
        said
    }

    /// What an effect makes, once it is performed.
    fn made(&self, effect: &ClaimedEffect) -> Vec<NewEvent> {
        let Action::Emit { kind, content_type, body } = &effect.action else { return Vec::new() };
        let key = effect.id.event_key();
        let body = body.clone().into();
        let event = VerifiedEvent::vouched(key, kind.clone(), content_type.clone(), body);
        let made =
            Made { effect: Some(effect.id.clone()), depth: effect.depth + 1, ..Made::default() };
        let (source, received_at) = (Source::Emitted(made), self.now());
        let endpoint = EndpointId::NONE;
        vec![NewEvent { event, endpoint, received_at, source, plugins: listeners() }]
    }

    pub(super) async fn settle_effects(&mut self) -> String {
        let Some(at) = self.choose(self.performed.len()) else {
            return "settle no effect".to_owned();
        };
        let effect = self.performed.swap_remove(at);
        let now = self.now();
        let later = now.plus(Duration::from_secs(5));
        let verdict = match self.dice.below(8) {
            0 | 1 if effect.attempt >= TRIES => EffectVerdict::Dead,
            0 | 1 => EffectVerdict::RetryAt(later),
            2 => EffectVerdict::Release(later),
            _ => EffectVerdict::Done,
        };
        let attempt = EffectAttempt {
            number: effect.attempt,
            started_at: now,
            took: Duration::from_millis(3),
            status: Some(200),
            reason: String::new(),
        };
        let notice = || Notice::EffectDead { effect: effect.id.clone(), attempt: attempt.clone() };
        let then = match verdict {
            EffectVerdict::Done => self.made(&effect),
            EffectVerdict::Dead if effect.depth < MAX_DEPTH => {
                vec![told(notice(), now, effect.depth + 1)]
            }
            _ => Vec::new(),
        };
        let settlement = EffectSettlement {
            id: effect.id.clone(),
            lease: effect.lease,
            verdict,
            attempt,
            then: then.clone(),
        };
        let answer = self.store().settle_effects(vec![settlement]).await.unwrap()[0];
        let known = self.model.effects.get_mut(&effect.id).unwrap();
        let held = known.lease == Some(effect.lease);
        assert_eq!(answer == Settled::Committed, held, "{}: {answer:?}", effect.id);
        if held {
            known.lease = None;
            match verdict {
                EffectVerdict::Release(due) => known.due = due,
                EffectVerdict::RetryAt(due) => {
                    (known.due, known.kept_due) = (due, due);
                    known.status = EffectStatus::Retry;
                }
                EffectVerdict::Done => known.status = EffectStatus::Done,
                EffectVerdict::Dead => known.status = EffectStatus::Dead,
            }
            if !matches!(verdict, EffectVerdict::Release(_)) {
                known.attempts += 1;
                self.came(then, now).await;
            }
        }
        format!("settle effect {}: {verdict:?} {answer:?}", effect.id)
    }

    /// An operator changes an effect.
    pub(super) async fn change(&mut self) -> String {
        let Some(at) = self.choose(self.model.effects.len()) else {
            return "change no effect".to_owned();
        };
        let id = self.model.effects.keys().nth(at).unwrap().clone();
        let cancels = self.dice.below(2) == 0;
        let change = if cancels { EffectChange::Cancel } else { EffectChange::Perform };
        let now = self.now();
        let answer = self.store().change_effect(&id, change, now).await.unwrap();
        let effect = self.model.effects.get_mut(&id).unwrap();
        let fits = if cancels { effect.waits() } else { effect.lease.is_none() };
        let unfit = EffectChanged::Unfit(effect.shown());
        assert_eq!(answer, if fits { EffectChanged::Changed } else { unfit }, "{id} {change:?}");
        match change {
            EffectChange::Cancel if fits => effect.status = EffectStatus::Cancelled,
            EffectChange::Perform if fits => {
                if !effect.status.waits() {
                    (effect.status, effect.attempts) = (EffectStatus::Pending, 0);
                }
                (effect.due, effect.kept_due) = (now, now);
            }
            _ => {}
        }
        format!("{change:?} {id}: {answer:?}")
    }

    /// The store shows what the model says.
    pub(super) async fn check(&self) {
        let (store, model) = (self.store(), &self.model);
        for (key, (seq, event)) in &model.events {
            let stored = store.event(key).await.unwrap();
            let stored = stored.unwrap_or_else(|| panic!("{key} was acknowledged and is lost"));
            assert_eq!((stored.seq, &stored.event), (*seq, event));
        }
        for (id, expected) in &model.deliveries {
            let found = store.delivery(id).await.unwrap().unwrap();
            assert_eq!(
                (found.status, found.attempts),
                (expected.shown(), expected.attempts),
                "{id}"
            );
            assert_eq!(found.history.last().map(|attempt| attempt.digest), expected.digest, "{id}");
        }
        for (id, expected) in &model.effects {
            let found = store.effect(id).await.unwrap().unwrap_or_else(|| panic!("{id} is lost"));
            assert_eq!(
                (found.status, found.attempts),
                (expected.shown(), expected.attempts),
                "{id}"
            );
            assert_eq!(found.action, expected.action, "{id}");
        }
        for ((plugin, key), (value, _)) in &model.kv {
            let found = store.kv_get(plugin, key).await.unwrap().map(|entry| entry.value);
            assert_eq!(found.as_ref(), Some(value), "{plugin} {key}");
        }
        let pauses: BTreeMap<_, _> = store.pauses().await.unwrap().into_iter().collect();
        let paused = |(name, plugin): (_, &Plugin)| Some((name, plugin.pause.clone()?));
        let expected = model.plugins.iter().map(|(name, plugin)| (name.clone(), plugin));
        assert_eq!(pauses, expected.filter_map(paused).collect::<BTreeMap<_, _>>());
        let stats = store.stats().await.unwrap();
        let waiting = model.deliveries.values().filter(|delivery| !delivery.ended()).count();
        let dead = model.deliveries.values().filter(|d| d.status == Status::Dead).count();
        let effects = model.effects.values().filter(|effect| effect.status.waits()).count();
        assert_eq!((stats.events, stats.waiting), (model.events.len() as u64, waiting as u64));
        assert_eq!((stats.dead, stats.effects_waiting), (dead as u64, effects as u64));
        let groups = store.dead_groups(None).await.unwrap();
        assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), dead as u64);
        let backlog = store.backlog(self.now()).await.unwrap();
        let backlog: BTreeMap<_, _> =
            backlog.into_iter().map(|one| (one.plugin, one.waiting)).collect();
        let mut expected = BTreeMap::new();
        for (id, _) in model.deliveries.iter().filter(|(_, delivery)| !delivery.ended()) {
            *expected.entry(id.plugin.clone()).or_insert(0) += 1;
        }
        assert_eq!(backlog, expected);
    }

    /// Everything has ended: what was promised of the whole.
    pub(super) async fn promises(&self) {
        self.check().await;
        let store = self.store();
        for (id, delivery) in &self.model.deliveries {
            let key = format!("e.{}", id.event);
            let books = store.kv_get(&id.plugin, &key).await.unwrap();
            let books = books.map_or(0, |entry| number(&entry.value));
            assert_eq!(books, delivery.commits, "{id}: verdict and state are not one");
            assert!(delivery.ended());
        }
        for name in self.model.plugins.keys() {
            let own = |(id, _): &(&DeliveryId, &Delivery)| id.plugin == *name;
            let own = self.model.deliveries.iter().filter(own);
            let commits: u64 = own.map(|(_, delivery)| delivery.commits).sum();
            let total = store.kv_get(name, "total").await.unwrap();
            assert_eq!(total.map_or(0, |entry| number(&entry.value)), commits, "{name}");
        }
        for (id, effect) in &self.model.effects {
            let seen = self.model.sink.get(id).copied().unwrap_or_default();
            assert!(self.model.deliveries[&id.delivery].commits > 0, "{id} without a commit");
            match effect.status {
                EffectStatus::Done | EffectStatus::Dead => assert!(seen > 0, "{id} never left"),
                _ => assert!(effect.claimed > 0 || seen == 0, "{id} left though withdrawn"),
            }
        }
        for id in self.model.sink.keys() {
            let body = match &self.model.effects[id].action {
                Action::Http { request, .. } => &request.body,
                Action::Emit { body, .. } => body,
            };
            assert_eq!(*body, format!("{}#{}", id.delivery, id.ordinal).into_bytes(), "a stranger");
        }
    }
}
