//! What the end of an attempt means: the one place where an [`Execution`] becomes a
//! [`Settlement`].
//!
//! No I/O. Only what the handler decided or could not do spends an attempt; a fault of the host
//! never does.

use std::time::Duration;

use crate::domain::backoff::{Backoff, Next};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::delivery::{Attempt, Logs, Outcome, Usage};
use crate::domain::effect::EffectRequest;
use crate::domain::endpoint::EndpointId;
use crate::domain::event::Source;
use crate::domain::notice::{MAX_DEPTH, Notice};
use crate::domain::plugin::CodeDigest;
use crate::plugin::limits::BEGINS_ANEW;
use crate::plugin::{Execution, Routes};
use crate::store::{ClaimedDelivery, NewEffect, NewEvent, Settlement, StoreError, Verdict};

use super::faults::Faults;

/// One moment by both readings of the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    wall: Timestamp,
    steady: Timestamp,
}

impl Moment {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.now(), steady: clock.steady() }
    }

    /// The age at this moment of what was accepted at `since`, by the wall clock then. By the
    /// earlier reading: a wall clock that was set ahead makes nothing old, nor does one that was
    /// set back make old what came after.
    fn age(self, since: Timestamp) -> Duration {
        self.wall.min(self.steady).since(since)
    }
}

/// What ends mean.
#[derive(Debug)]
pub(super) struct Rules {
    /// Who is told of a delivery that is given up.
    pub(super) routes: Routes,
    /// When what the host failed is tried again.
    pub(super) faults: Faults,
}

impl Rules {
    /// The settlement of `execution`, which ended at `now`. What failed is attempted again as
    /// `backoff` says.
    pub(super) fn settlement(
        &self,
        claimed: &ClaimedDelivery,
        execution: Execution,
        backoff: &Backoff,
        now: Moment,
    ) -> Settlement {
        if execution.outcome.spends_attempt() {
            self.faults.over(&claimed.id);
        }
        let mut reason = execution.reason;
        let verdict = match execution.outcome {
            Outcome::Ok => Verdict::Done,
            Outcome::Reject => Verdict::Dead,
            Outcome::HostFault | Outcome::Saturated => self.fault(claimed, &reason, now),
            Outcome::Retry | Outcome::Crashed | Outcome::OutOfTime | Outcome::OutOfMemory => {
                let since = now.steady.minus(now.age(claimed.since));
                let wish = execution.retry_after;
                let seed = claimed.id.seed();
                match backoff.next(claimed.attempt, since, now.steady, wish, seed) {
                    Next::At(at) => Verdict::RetryAt(at),
                    Next::Spent => {
                        reason = format!("{reason} (attempt {} was the last)", claimed.attempt);
                        Verdict::Dead
                    }
                    Next::TooOld => {
                        reason = format!("{reason} (too old for another attempt)");
                        Verdict::Dead
                    }
                }
            }
        };
        let attempt = Attempt {
            number: claimed.attempt,
            started_at: execution.started_at,
            digest: execution.digest,
            outcome: execution.outcome,
            reason,
            usage: execution.usage,
            logs: execution.logs,
        };
        // A failed attempt did nothing: what it meant to write or to ask for ends here.
        let (writes, effects) = match verdict {
            Verdict::Done => (execution.writes, execution.effects),
            _ => (Vec::new(), Vec::new()),
        };
        let depth = claimed.event.source.depth();
        Settlement {
            id: claimed.id.clone(),
            lease: claimed.lease,
            then: self.consequences(claimed, &verdict, &attempt, now),
            verdict,
            attempt,
            reads: execution.reads,
            writes,
            effects: effects.into_iter().map(|effect| due(effect, depth, now.steady)).collect(),
            cancels: execution.cancels,
            now: now.steady,
        }
    }

    /// The settlement of an attempt whose writes or effects the store cannot take in one commit.
    /// Running it again would end the same: the delivery is dead, by the plugin's doing.
    pub(super) fn too_large(
        &self,
        claimed: &ClaimedDelivery,
        settlement: Settlement,
        error: &StoreError,
        now: Moment,
    ) -> Settlement {
        let Settlement { mut attempt, .. } = settlement;
        attempt.logs.dropped += u64::try_from(attempt.logs.records.len()).unwrap_or(u64::MAX);
        attempt.logs.records.clear();
        attempt.outcome = Outcome::Crashed;
        attempt.reason = format!("what it wrote and asked for cannot be committed: {error}");
        let verdict = Verdict::Dead;
        Settlement {
            then: self.consequences(claimed, &verdict, &attempt, now),
            verdict,
            attempt,
            writes: Vec::new(),
            effects: Vec::new(),
            ..settlement
        }
    }

    /// The settlement of a run that the host broke off: as if it had not been.
    pub(super) fn broken_off(
        &self,
        claimed: &ClaimedDelivery,
        digest: CodeDigest,
        now: Moment,
    ) -> Settlement {
        let reason = "the host broke off the run";
        released(claimed, digest, now, self.fault(claimed, reason, now), reason)
    }

    /// The settlement of a delivery that was claimed and whose turn did not come.
    pub(super) fn unbegun(
        claimed: &ClaimedDelivery,
        digest: CodeDigest,
        now: Moment,
    ) -> Settlement {
        let reason = "its turn did not come before the host or the plugin stopped";
        released(claimed, digest, now, Verdict::Release(now.steady), reason)
    }

    /// What follows when the host could not do its part: another try, later each time.
    fn fault(&self, claimed: &ClaimedDelivery, reason: &str, now: Moment) -> Verdict {
        let (faults, wait) = self.faults.another(&claimed.id, now.steady);
        let delivery = &claimed.id;
        tracing::warn!(%delivery, faults, ?wait, reason, "the host could not run it; it will try again");
        Verdict::Release(now.steady.plus(wait))
    }

    /// The events that an end leads to: the notice of a delivery that is given up. What dies of
    /// signalbox's own events, or at the end of a long chain of them, makes none (`domain::notice`).
    fn consequences(
        &self,
        claimed: &ClaimedDelivery,
        verdict: &Verdict,
        attempt: &Attempt,
        now: Moment,
    ) -> Vec<NewEvent> {
        if *verdict != Verdict::Dead {
            return Vec::new();
        }
        let (delivery, source) = (&claimed.id, &claimed.event.source);
        let depth = source.depth();
        if matches!(source, Source::Host(_)) || depth >= MAX_DEPTH {
            tracing::warn!(%delivery, source = source.name(), depth, "given up; no event tells of it, for it would lead to the next");
            return Vec::new();
        }
        let notice = Notice::DeliveryDead {
            delivery: delivery.clone(),
            kind: claimed.event.event.kind.clone(),
            attempt: attempt.clone(),
        };
        let (event, source) = notice.event(now.wall, depth.saturating_add(1));
        vec![self.routes.new_event(event, source, EndpointId::NONE, now.wall)]
    }
}

fn due(effect: EffectRequest, depth: u8, now: Timestamp) -> NewEffect {
    let EffectRequest { id, action, delay } = effect;
    let depth = if delay >= BEGINS_ANEW { 0 } else { depth };
    NewEffect { id, action, due: now.plus(delay), depth }
}

fn released(
    claimed: &ClaimedDelivery,
    digest: CodeDigest,
    now: Moment,
    verdict: Verdict,
    reason: &str,
) -> Settlement {
    Settlement {
        id: claimed.id.clone(),
        lease: claimed.lease,
        verdict,
        attempt: Attempt {
            number: claimed.attempt,
            started_at: now.wall,
            digest,
            outcome: Outcome::HostFault,
            reason: reason.to_owned(),
            usage: Usage::default(),
            logs: Logs::default(),
        },
        reads: Vec::new(),
        writes: Vec::new(),
        effects: Vec::new(),
        cancels: Vec::new(),
        now: now.steady,
        then: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
