//! What the end of a try means: the one place where it becomes an [`EffectSettlement`], with the
//! events it leads to.
//!
//! No I/O. Every answer that is no success is tried again while tries are left, whatever its
//! status: receivers answer `401` and `404` while they are being deployed, and senders of webhooks
//! are expected to go on. Given up at once is only what no later try can change: a request that
//! cannot be sent, or that no grant covers any more. A fault of the host never spends a try.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::backoff::{Backoff, Next};
use crate::domain::clock::Timestamp;
use crate::domain::effect::{EffectAttempt, EffectId};
use crate::domain::endpoint::EndpointId;
use crate::domain::event::{EventKey, Made, Source, VerifiedEvent};
use crate::domain::notice::{self, MAX_DEPTH, Notice};
use crate::domain::plugin::PluginName;
use crate::store::{ClaimedEffect, EffectSettlement, EffectVerdict, NewEvent, StoreError};

use super::send::{Answer, Failure};

/// Who receives an event.
pub(super) type Route<'a> = &'a dyn Fn(&VerifiedEvent) -> Vec<PluginName>;

/// A try that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try<'a> {
    pub(super) claimed: &'a ClaimedEffect,
    pub(super) started_at: Timestamp,
    pub(super) took: Duration,
    /// When it ended, by the clock that waits are counted by.
    pub(super) now: Timestamp,
    /// The same moment by the wall clock, for what is told.
    pub(super) wall: Timestamp,
}

/// When what failed is tried again.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) backoff: Backoff,
    pub(super) retry_after_most: Duration,
    /// For faults of the host.
    pub(super) fault_wait: Duration,
}

impl Rules {
    /// The end of a request that is to be answered by an event of type `reply`, if any.
    pub(super) fn sent(
        &self,
        done: Try<'_>,
        reply: Option<&str>,
        end: Result<Answer, Failure>,
        route: Route<'_>,
    ) -> EffectSettlement {
        match end {
            Ok(answer) => {
                let status = Some(answer.status);
                let then = reply.and_then(|kind| answered(done, kind, answer));
                done.settlement(
                    EffectVerdict::Done,
                    status,
                    String::new(),
                    then.into_iter().collect(),
                )
            }
            Err(failure) => self.failed(done, reply, failure, route),
        }
    }

    /// The end of a try that did not perform its effect.
    pub(super) fn failed(
        &self,
        done: Try<'_>,
        reply: Option<&str>,
        failure: Failure,
        route: Route<'_>,
    ) -> EffectSettlement {
        let Failure { status, mut reason, retry_after, hopeless } = failure;
        let Try { claimed, now, .. } = done;
        if !hopeless {
            match self.backoff.next(claimed.attempt, claimed.since, now, None, seed(&claimed.id)) {
                Next::At(at) => {
                    // Upwards only: a receiver cannot have itself asked more often.
                    let asked = retry_after.unwrap_or_default().min(self.retry_after_most);
                    let at = at.max(now.plus(asked));
                    return done.settlement(EffectVerdict::RetryAt(at), status, reason, Vec::new());
                }
                Next::Spent => {
                    reason = format!("{reason} (try {} was the last)", claimed.attempt);
                }
                Next::TooOld => reason.push_str(" (too old for another try)"),
            }
        }
        let mut dead = done.settlement(EffectVerdict::Dead, status, reason, Vec::new());
        let told = reply.and_then(|kind| given_up(done, kind, &dead.attempt.reason));
        dead.then = told.into_iter().chain(notice(done, &dead.attempt, route)).collect();
        dead
    }

    /// The settlement of a try that the host broke off: as if it had not been.
    pub(super) fn released(&self, claimed: &ClaimedEffect, now: Timestamp) -> EffectSettlement {
        let done = Try { claimed, started_at: now, took: Duration::ZERO, now, wall: now };
        let verdict = EffectVerdict::Release(now.plus(self.fault_wait));
        done.settlement(verdict, None, "the host broke off the try".to_owned(), Vec::new())
    }
}

/// Why the event that this effect makes would be one too many of those that led to one another;
/// `None` when it is not. Judged before anything is sent.
pub(super) fn too_deep(claimed: &ClaimedEffect) -> Option<Failure> {
    (claimed.depth >= MAX_DEPTH).then(|| {
        Failure::hopeless(format!(
            "{MAX_DEPTH} events led to one another before this one, which is as many as may; an \
             event emitted with a delay of a minute or more begins anew"
        ))
    })
}

/// The end of an emission: it always succeeds, for the event is accepted with it.
pub(super) fn emitted(
    done: Try<'_>,
    kind: &str,
    content_type: &str,
    body: &[u8],
    route: Route<'_>,
) -> EffectSettlement {
    let Try { claimed, wall, .. } = done;
    let body = Bytes::copy_from_slice(body);
    let (event, source) = emission(&claimed.id, claimed.depth, wall, (kind, content_type, body));
    let plugins = route(&event);
    let then = vec![done.accepted(event, source, plugins)];
    done.settlement(EffectVerdict::Done, None, String::new(), then)
}

/// The event that an effect of type `emit` makes: its type, media type and body. `depth` is that of
/// the event that led to it.
#[must_use]
pub fn emission(
    effect: &EffectId,
    depth: u8,
    at: Timestamp,
    (kind, content_type, body): (&str, &str, Bytes),
) -> (VerifiedEvent, Source) {
    let key = effect.event_key();
    let mut event = VerifiedEvent::vouched(key, kind.to_owned(), content_type.to_owned(), body);
    event.occurred_at = at;
    (event, Source::Emitted(made(effect, depth, Vec::new())))
}

fn made(effect: &EffectId, depth: u8, mut attributes: Vec<(String, String)>) -> Made {
    attributes.insert(0, ("effect-id".to_owned(), effect.to_string()));
    Made { effect: Some(effect.clone()), depth: depth.saturating_add(1), attributes }
}

/// The settlement of an effect whose event the store cannot take in one commit. Trying again would
/// end the same.
pub(super) fn too_large(mut settlement: EffectSettlement, error: &StoreError) -> EffectSettlement {
    settlement.attempt.reason = format!("the event it led to cannot be kept: {error}");
    EffectSettlement { verdict: EffectVerdict::Dead, then: Vec::new(), ..settlement }
}

/// The event that brings an answer back.
fn answered(done: Try<'_>, kind: &str, answer: Answer) -> Option<NewEvent> {
    let mut attributes = vec![("status".to_owned(), answer.status.to_string())];
    if answer.cut {
        attributes.push(("truncated".to_owned(), "true".to_owned()));
    }
    let headers = answer.headers.into_iter();
    attributes.extend(headers.map(|(name, value)| (format!("header-{name}"), value)));
    let content_type = answer.content_type.as_deref().unwrap_or("application/octet-stream");
    done.reply(done.claimed.id.event_key(), kind, content_type, answer.body.into(), attributes)
}

/// The event that tells the plugin that no answer will come.
fn given_up(done: Try<'_>, kind: &str, reason: &str) -> Option<NewEvent> {
    let attributes = vec![("status".to_owned(), "0".to_owned())];
    let body = Bytes::from(reason.to_owned());
    done.reply(done.claimed.id.given_up_key(), kind, "text/plain; charset=utf-8", body, attributes)
}

/// The event that tells everyone of an effect's death; none of what happens to signalbox's own
/// events, or too deep.
fn notice(done: Try<'_>, attempt: &EffectAttempt, route: Route<'_>) -> Option<NewEvent> {
    let Try { claimed, wall, .. } = done;
    if claimed.id.delivery.event.provider == notice::PROVIDER || claimed.depth > MAX_DEPTH {
        return None;
    }
    let dead = Notice::EffectDead { effect: claimed.id.clone(), attempt: attempt.clone() };
    let (event, source) = dead.event(wall, claimed.depth.saturating_add(1));
    let plugins = route(&event);
    Some(done.accepted(event, source, plugins))
}

impl Try<'_> {
    fn settlement(
        &self,
        verdict: EffectVerdict,
        status: Option<u16>,
        reason: String,
        then: Vec<NewEvent>,
    ) -> EffectSettlement {
        EffectSettlement {
            id: self.claimed.id.clone(),
            lease: self.claimed.lease,
            verdict,
            attempt: EffectAttempt {
                number: self.claimed.attempt,
                started_at: self.started_at,
                took: self.took,
                status,
                reason,
            },
            then,
        }
    }

    /// An event of the plugin that asked.
    fn event(&self, key: EventKey, kind: &str, content_type: &str, body: Bytes) -> VerifiedEvent {
        let mut event = VerifiedEvent::vouched(key, kind.to_owned(), content_type.to_owned(), body);
        event.occurred_at = self.wall;
        event
    }

    /// An event for the plugin that asked, and no other; none too deep.
    fn reply(
        &self,
        key: EventKey,
        kind: &str,
        content_type: &str,
        body: Bytes,
        attributes: Vec<(String, String)>,
    ) -> Option<NewEvent> {
        if self.claimed.depth >= MAX_DEPTH {
            return None;
        }
        let event = self.event(key, kind, content_type, body);
        let plugin = self.claimed.id.delivery.plugin.clone();
        Some(self.accepted(
            event,
            Source::Reply(made(&self.claimed.id, self.claimed.depth, attributes)),
            vec![plugin],
        ))
    }

    fn accepted(&self, event: VerifiedEvent, source: Source, plugins: Vec<PluginName>) -> NewEvent {
        NewEvent { event, endpoint: EndpointId::NONE, received_at: self.wall, source, plugins }
    }
}

/// Decides the jitter: the same for this effect on every host and in every run.
fn seed(id: &EffectId) -> u64 {
    id.delivery.seed() ^ (u64::from(id.ordinal) << 32)
}
