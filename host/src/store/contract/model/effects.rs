//! What the model knows of effects.

use std::time::Duration;

use crate::domain::delivery::DeliveryId;
use crate::domain::effect::{Action, EffectId, EffectStatus};

use super::super::super::{
    ClaimedEffect, EffectChange, EffectChanged, EffectClaimRequest, EffectVerdict, Lease,
};
use super::super::effects::tried;
use super::super::*;
use super::state::{Model, Name, name};

/// An effect.
#[derive(Debug, Clone)]
pub(super) struct EffectState {
    status: EffectStatus,
    attempts: u32,
    due: Timestamp,
    action: Action,
    pub(super) lease: Option<Lease>,
}

impl EffectState {
    pub(super) fn unfinished(&self) -> bool {
        self.status.waits()
    }

    fn waits(&self) -> bool {
        self.status.waits() && self.lease.is_none()
    }
}

impl Model {
    fn effect_id(&self, (place, name, ordinal): (usize, Name, u32)) -> EffectId {
        let event = key(&self.events[place].to_string());
        EffectId { delivery: DeliveryId { event, plugin: plugin(name) }, ordinal }
    }

    fn effect(&mut self, id: &EffectId) -> &mut EffectState {
        let key = (self.place(&id.delivery), name(&id.delivery.plugin), id.ordinal);
        self.effects.get_mut(&key).unwrap()
    }

    /// One of all effects, and whether it waits, as a guest of `plugin` is told.
    pub(super) fn told(&self, which: usize, plugin: &PluginName) -> Option<(EffectId, bool)> {
        let (key, effect) = self.effects.iter().nth(which.checked_rem(self.effects.len())?)?;
        Some((self.effect_id(*key), key.1 == name(plugin) && effect.waits()))
    }

    /// A delivery that is done has its effects and withdraws others.
    pub(super) fn ask(&mut self, key: (usize, Name), done: &Settlement) {
        for cancel in done.cancels.iter().filter(|cancel| cancel.waiting) {
            self.effect(&cancel.id).status = EffectStatus::Cancelled;
        }
        for new in &done.effects {
            let key = (key.0, key.1, new.id.ordinal);
            let old = self.effects.get(&key);
            if old.is_some_and(|old| old.status == EffectStatus::Done || old.lease.is_some()) {
                continue;
            }
            let (status, action) = (EffectStatus::Pending, new.action.clone());
            let effect = EffectState { status, attempts: 0, due: new.due, action, lease: None };
            self.effects.insert(key, effect);
        }
    }

    pub(super) async fn claim_effects(
        &mut self,
        store: &dyn Store,
        limit: usize,
        per_plugin: usize,
    ) -> Vec<ClaimedEffect> {
        let now = self.now();
        let request = EffectClaimRequest { limit, per_plugin, now };
        let claimed = store.claim_effects(request).await.unwrap().effects;
        let room = |of: Name| {
            let all = self.effects.iter().filter(|(key, _)| key.1 == of).map(|(_, effect)| effect);
            let running = all.clone().filter(|effect| effect.lease.is_some()).count();
            let due = all.filter(|effect| effect.waits() && effect.due <= now).count();
            due.min(per_plugin.saturating_sub(running))
        };
        assert_eq!(claimed.len(), limit.min(room("a") + room("b")));
        for effect in &claimed {
            let expected = self.effect(&effect.id);
            assert!(expected.waits() && expected.due <= now);
            assert_eq!((effect.attempt, &effect.action), (expected.attempts + 1, &expected.action));
            expected.lease = Some(effect.lease);
        }
        claimed
    }

    pub(super) async fn settle_effect(
        &mut self,
        store: &dyn Store,
        claimed: &ClaimedEffect,
        verdict: u8,
    ) {
        let due = self.now().plus(Duration::from_secs(5));
        let verdict = match verdict {
            0 => EffectVerdict::RetryAt(due),
            1 => EffectVerdict::Dead,
            2 => EffectVerdict::Release(due),
            _ => EffectVerdict::Done,
        };
        let told = store.settle_effects(vec![tried(claimed, verdict)]).await.unwrap()[0];
        let expected = self.effect(&claimed.id);
        if expected.lease != Some(claimed.lease) {
            assert_eq!(told, Settled::Fenced);
            return;
        }
        assert_eq!(told, Settled::Committed);
        expected.lease = None;
        expected.due = due;
        match verdict {
            EffectVerdict::Release(_) => return,
            EffectVerdict::RetryAt(_) => expected.status = EffectStatus::Retry,
            EffectVerdict::Dead => expected.status = EffectStatus::Dead,
            EffectVerdict::Done => expected.status = EffectStatus::Done,
        }
        expected.attempts += 1;
    }

    pub(super) async fn change_effect(&mut self, store: &dyn Store, which: usize, perform: bool) {
        let Some((id, _)) = self.told(which, &plugin("a")) else { return };
        let now = self.now();
        let change = if perform { EffectChange::Perform } else { EffectChange::Cancel };
        let told = store.change_effect(&id, change, now).await.unwrap();
        let expected = self.effect(&id);
        if expected.lease.is_some() {
            assert_eq!(told, EffectChanged::Unfit(EffectStatus::Running));
            return;
        }
        if !perform && !expected.waits() {
            assert_eq!(told, EffectChanged::Unfit(expected.status));
            return;
        }
        assert_eq!(told, EffectChanged::Changed);
        if !perform {
            expected.status = EffectStatus::Cancelled;
        } else if expected.waits() {
            expected.due = now;
        } else {
            expected.status = EffectStatus::Pending;
            expected.attempts = 0;
            expected.due = now;
        }
    }

    pub(super) async fn check_effects(&self, store: &dyn Store) {
        for (key, expected) in &self.effects {
            let found = store.effect(&self.effect_id(*key)).await.unwrap().unwrap();
            let running = expected.lease.is_some();
            let status = if running { EffectStatus::Running } else { expected.status };
            assert_eq!((found.status, found.attempts), (status, expected.attempts), "{}", found.id);
            assert!(found.action == expected.action, "{}", found.id);
        }
    }
}
