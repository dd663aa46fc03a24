//! The ends of runs in a history: what is settled, and what must have become of it.

use std::time::Duration;

use signalbox::domain::backoff::{Backoff, Next};
use signalbox::domain::clock::Timestamp;
use signalbox::domain::delivery::{Attempt, Logs, Outcome, Status, Usage};
use signalbox::domain::effect::EffectStatus;
use signalbox::domain::endpoint::EndpointId;
use signalbox::domain::event::EventSeq;
use signalbox::domain::kv::KvWrite;
use signalbox::domain::notice::Notice;
use signalbox::store::{NewEffect, NewEvent, Settled, Settlement, Verdict};

use super::guest::{self, Run};
use super::model::Effect;
use super::world::{World, listeners};

pub(super) fn backoff() -> Backoff {
    let second = Duration::from_secs(1);
    Backoff { first: second, longest: second * 60, attempts: 5, age: second * 86_400 }
}

/// The settlement of a run that ends at `now`.
fn settlement(run: &Run, now: Timestamp) -> Settlement {
    let Run { claimed, outcome, .. } = run;
    let verdict = match outcome {
        Outcome::Ok => Verdict::Done,
        Outcome::Reject => Verdict::Dead,
        Outcome::HostFault | Outcome::Saturated => {
            Verdict::Release(now.plus(Duration::from_secs(1)))
        }
        _ => match backoff().next(claimed.attempt, claimed.since, now, None, claimed.id.seed()) {
            Next::At(at) => Verdict::RetryAt(at),
            Next::Spent | Next::TooOld => Verdict::Dead,
        },
    };
    let attempt = Attempt {
        number: claimed.attempt,
        started_at: now,
        digest: run.digest,
        outcome: *outcome,
        reason: String::new(),
        usage: Usage::default(),
        logs: Logs::default(),
    };
    let kind = claimed.event.event.kind.clone();
    let notice =
        || Notice::DeliveryDead { delivery: claimed.id.clone(), kind, attempt: attempt.clone() };
    let depth = claimed.event.source.depth();
    let then = match verdict {
        Verdict::Dead if depth < guest::MAX_DEPTH => {
            vec![told(notice(), now, depth + 1)]
        }
        _ => Vec::new(),
    };
    let effect = |wish: &signalbox::domain::effect::EffectRequest| NewEffect {
        id: wish.id.clone(),
        action: wish.action.clone(),
        due: now.plus(wish.delay),
        depth,
    };
    Settlement {
        id: claimed.id.clone(),
        lease: claimed.lease,
        verdict,
        attempt,
        reads: run.reads.clone(),
        writes: run.writes.clone(),
        effects: run.effects.iter().map(effect).collect(),
        cancels: run.cancels.clone(),
        now,
        then,
    }
}

/// The event that tells of something.
pub(super) fn told(notice: Notice, now: Timestamp, depth: u8) -> NewEvent {
    let (event, source) = notice.event(now, depth);
    let endpoint = EndpointId::NONE;
    NewEvent { event, endpoint, received_at: now, source, plugins: listeners() }
}

impl World {
    /// Settle some of what has run, in one call.
    pub(super) async fn settle(&mut self) -> String {
        let mut runs: Vec<Run> = Vec::new();
        for _ in 0..=self.dice.below(3) {
            if let Some(at) = self.choose(self.runs.len()) {
                runs.push(self.runs.swap_remove(at));
            }
        }
        let now = self.now();
        let list: Vec<_> = runs.iter().map(|run| settlement(run, now)).collect();
        let answers = self.store().settle(list.clone()).await.unwrap();
        assert_eq!(answers.len(), list.len());
        let mut said = Vec::new();
        for ((run, settlement), answer) in runs.into_iter().zip(list).zip(answers) {
            let expected = self.expected(&run);
            let id = run.claimed.id.to_string();
            assert_eq!(answer, expected, "{id}: {:?}", settlement.verdict);
            said.push(format!("{id} {:?} {answer:?}", settlement.verdict));
            match answer {
                Settled::Committed => self.commit(settlement).await,
                Settled::Conflict => self.claimed.push(run.claimed),
                Settled::Fenced => {}
            }
        }
        format!("settle {}", said.join(", "))
    }

    /// What must become of a run's settlement.
    fn expected(&self, run: &Run) -> Settled {
        let delivery = &self.model.deliveries[&run.claimed.id];
        if delivery.lease != Some(run.claimed.lease) {
            return Settled::Fenced;
        }
        let plugin = &run.claimed.id.plugin;
        let stale = run.saw.iter().any(|(key, stamp)| self.stamp(plugin, key) != *stamp);
        let cancelled = run.cancels.iter().any(|cancel| {
            let waits = self.model.effects.get(&cancel.id).is_some_and(Effect::waits);
            waits != cancel.waiting
        });
        if stale || cancelled { Settled::Conflict } else { Settled::Committed }
    }

    /// It is durable: so must everything be that came with it, and nothing else.
    async fn commit(&mut self, settlement: Settlement) {
        let Settlement { id, verdict, attempt, now, .. } = settlement;
        let delivery = self.model.deliveries.get_mut(&id).unwrap();
        delivery.lease = None;
        if !matches!(verdict, Verdict::Release(_)) {
            delivery.attempts += 1;
            delivery.digest = Some(attempt.digest);
            assert_eq!(delivery.attempts, attempt.number);
        }
        match verdict {
            Verdict::Release(due) => delivery.due = Some(due),
            Verdict::RetryAt(due) => {
                delivery.status = Status::Retry;
                (delivery.due, delivery.kept_due) = (Some(due), Some(due));
            }
            Verdict::Dead => delivery.status = Status::Dead,
            Verdict::Done => {
                delivery.status = Status::Done;
                delivery.commits += 1;
                self.model.commits += 1;
                let stamp = self.model.commits;
                for write in settlement.writes {
                    let KvWrite::Put { key, value } = write else { continue };
                    self.model.kv.insert((id.plugin.clone(), key), (value, stamp));
                }
                for cancel in settlement.cancels.into_iter().filter(|cancel| cancel.waiting) {
                    self.model.effects.get_mut(&cancel.id).unwrap().status =
                        EffectStatus::Cancelled;
                }
                for effect in settlement.effects {
                    self.ask(effect).await;
                }
            }
        }
        if !matches!(verdict, Verdict::Release(_)) {
            self.came(settlement.then, now).await;
        }
    }

    /// An effect was committed under an identifier that may be known.
    async fn ask(&mut self, new: NewEffect) {
        let (mut claimed, mut replaced) = (0, Vec::new());
        if let Some(known) = self.model.effects.get(&new.id) {
            // What was performed stays; what somebody is at may be either.
            let shown = self.store().effect(&new.id).await.unwrap().unwrap().status;
            if known.status == EffectStatus::Done || shown == EffectStatus::Running {
                return;
            }
            // Other code may have another wish in the same place, and it takes the place of one that
            // was tried in vain.
            claimed = known.claimed;
            replaced.clone_from(&known.replaced);
            replaced.push(known.action.clone());
        }
        let effect = Effect {
            action: new.action,
            replaced,
            status: EffectStatus::Pending,
            attempts: 0,
            due: new.due,
            kept_due: new.due,
            lease: None,
            claimed,
        };
        self.model.effects.insert(new.id, effect);
    }

    /// Events that something led to: each is there now, once.
    pub(super) async fn came(&mut self, events: Vec<NewEvent>, at: Timestamp) {
        for new in events {
            if self.model.events.contains_key(&new.event.key) {
                continue;
            }
            let stored = self.store().event(&new.event.key).await.unwrap();
            let seq = stored.expect("what was committed led to this event").seq;
            let highest = self.model.events.values().map(|(seq, _)| *seq).max();
            assert!(seq > highest.unwrap_or(EventSeq(0)), "out of order");
            self.model.accept(seq, new.event, &new.plugins, at);
        }
    }
}
