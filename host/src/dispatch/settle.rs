//! What the end of an attempt means: the one place where an [`Execution`] becomes a
//! [`Settlement`].
//!
//! No I/O. Only what the handler decided or could not do spends an attempt; a fault of the host
//! never does.

use std::time::Duration;

use crate::domain::backoff::{Backoff, Next};
use crate::domain::clock::Timestamp;
use crate::domain::delivery::{Attempt, Logs, Outcome, Usage};
use crate::domain::plugin::CodeDigest;
use crate::plugin::Execution;
use crate::store::{ClaimedDelivery, Settlement, StoreError, Verdict};

/// When what failed is tried again.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// For attempts that count.
    pub(super) backoff: Backoff,
    /// For faults of the host.
    pub(super) fault_wait: Duration,
}

impl Rules {
    /// The settlement of `execution`, which ended at `now`.
    pub(super) fn settlement(
        &self,
        claimed: &ClaimedDelivery,
        execution: Execution,
        now: Timestamp,
    ) -> Settlement {
        let mut reason = execution.reason;
        let verdict = match execution.outcome {
            Outcome::Ok => Verdict::Done,
            Outcome::Reject => Verdict::Dead,
            Outcome::HostFault | Outcome::Saturated => Verdict::Release(now.plus(self.fault_wait)),
            Outcome::Retry | Outcome::Crashed | Outcome::OutOfTime | Outcome::OutOfMemory => {
                let accepted = claimed.event.received_at;
                let wish = execution.retry_after;
                let seed = claimed.id.seed();
                match self.backoff.next(claimed.attempt, accepted, now, wish, seed) {
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
        // A failed attempt wrote nothing: what it meant to write ends here.
        let writes = if verdict == Verdict::Done { execution.writes } else { Vec::new() };
        Settlement {
            id: claimed.id.clone(),
            lease: claimed.lease,
            verdict,
            attempt: Attempt {
                number: claimed.attempt,
                started_at: execution.started_at,
                digest: execution.digest,
                outcome: execution.outcome,
                reason,
                usage: execution.usage,
                logs: execution.logs,
            },
            reads: execution.reads,
            writes,
            effects: Vec::new(),
            cancels: Vec::new(),
            now,
            then: Vec::new(),
        }
    }

    /// The settlement of an attempt whose writes the store cannot take in one commit. Running it
    /// again would end the same: the delivery is dead, by the plugin's doing.
    pub(super) fn too_large(mut settlement: Settlement, error: &StoreError) -> Settlement {
        let logs = &mut settlement.attempt.logs;
        logs.dropped += u64::try_from(logs.records.len()).unwrap_or(u64::MAX);
        logs.records.clear();
        settlement.attempt.outcome = Outcome::Crashed;
        settlement.attempt.reason = format!("what it wrote cannot be committed: {error}");
        Settlement { verdict: Verdict::Dead, writes: Vec::new(), ..settlement }
    }

    /// The settlement of a run that the host broke off: as if it had not been.
    pub(super) fn broken_off(
        &self,
        claimed: &ClaimedDelivery,
        digest: CodeDigest,
        now: Timestamp,
    ) -> Settlement {
        released(claimed, digest, now, now.plus(self.fault_wait), "the host broke off the run")
    }

    /// The settlement of a delivery that was claimed and whose turn did not come.
    pub(super) fn unbegun(
        &self,
        claimed: &ClaimedDelivery,
        digest: CodeDigest,
        now: Timestamp,
    ) -> Settlement {
        released(claimed, digest, now, now, "the host stopped before the run")
    }
}

fn released(
    claimed: &ClaimedDelivery,
    digest: CodeDigest,
    now: Timestamp,
    due: Timestamp,
    reason: &str,
) -> Settlement {
    Settlement {
        id: claimed.id.clone(),
        lease: claimed.lease,
        verdict: Verdict::Release(due),
        attempt: Attempt {
            number: claimed.attempt,
            started_at: now,
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
        now,
        then: Vec::new(),
    }
}
