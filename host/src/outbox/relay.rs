//! Claimed effects, from their performance to their settlement.
//!
//! Not when they are claimed (`outbox`), not what their ends mean (`settle`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use crate::domain::clock::Clock;
use crate::domain::effect::{Action, EffectStatus, HttpRequest};
use crate::domain::event::VerifiedEvent;
use crate::domain::grant::{self, Grant};
use crate::domain::plugin::PluginName;
use crate::plugin::Routes;
use crate::store::{ClaimedEffect, EffectSettlement, EffectVerdict, Settled, Store, StoreError};

use super::Ended;
use super::request::prepare;
use super::send::{Answer, Failure, Sender};
use super::settle::{self, Rules, Try};

/// Wait before a settlement is offered again to a store that had no room for it.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// What every effect's performance needs.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) store: Arc<dyn Store>,
    pub(super) routes: Routes,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) grants: BTreeMap<PluginName, Vec<Grant>>,
    pub(super) rules: Rules,
    pub(super) sender: Sender,
    pub(super) ended: broadcast::Sender<Arc<Ended>>,
}

impl Relay {
    /// Perform these to their settlement, which is one for all.
    pub(super) async fn run(&self, effects: &[ClaimedEffect]) {
        let mut settlements = Vec::with_capacity(effects.len());
        for claimed in effects {
            settlements.push(self.perform(claimed).await);
        }
        self.settle(settlements).await;
    }

    async fn perform(&self, claimed: &ClaimedEffect) -> EffectSettlement {
        let started_at = self.clock.now();
        let began = Instant::now();
        let routes = self.routes.current();
        let route = |event: &VerifiedEvent| routes.matching(event);
        let done = || {
            let (now, wall) = (self.clock.steady(), self.clock.now());
            Try { claimed, started_at, took: began.elapsed(), now, wall }
        };
        match &claimed.action {
            Action::Emit { kind, content_type, body } => {
                let missing = grant::allows_emit(self.grants(claimed), kind).err();
                let ungranted = missing.map(|missing| {
                    Failure::hopeless(format!("no grant covers the event any more: {missing}"))
                });
                match ungranted.or_else(|| settle::too_deep(claimed)) {
                    Some(failure) => self.rules.failed(done(), None, failure, &route),
                    None => settle::emitted(done(), kind, content_type, body, &route),
                }
            }
            Action::Http { request, reply } => {
                let end = self.send(claimed, request, reply.is_some()).await;
                self.rules.sent(done(), reply.as_deref(), end, &route)
            }
        }
    }

    async fn send(
        &self,
        claimed: &ClaimedEffect,
        request: &HttpRequest,
        reply: bool,
    ) -> Result<Answer, Failure> {
        if reply && let Some(failure) = settle::too_deep(claimed) {
            return Err(failure);
        }
        let grants = self.grants(claimed);
        let request = prepare(&claimed.id, request, grants, &self.sender.secrets)?;
        self.sender.send(request, reply).await
    }

    fn grants(&self, claimed: &ClaimedEffect) -> &[Grant] {
        self.grants.get(&claimed.id.delivery.plugin).map(Vec::as_slice).unwrap_or_default()
    }

    async fn settle(&self, settlements: Vec<EffectSettlement>) {
        // Where one of many cannot be kept, the others can.
        if settlements.len() > 1 && self.commit(&settlements).await.is_ok() {
            return;
        }
        for settlement in settlements {
            self.settle_one(settlement).await;
        }
    }

    async fn settle_one(&self, settlement: EffectSettlement) {
        let effect = settlement.id.clone();
        let Err(error) = self.commit(std::slice::from_ref(&settlement)).await else { return };
        let other = match &error {
            StoreError::TooLarge { .. } if !settlement.then.is_empty() => {
                tracing::warn!(%effect, %error, "an effect leads to an event that is too large");
                settle::too_large(settlement, &error)
            }
            StoreError::Damaged { .. } => {
                tracing::error!(%effect, %error, "cannot settle; it waits");
                let due = self.clock.steady().plus(self.rules.fault_wait);
                let verdict = EffectVerdict::Release(due);
                EffectSettlement { verdict, then: Vec::new(), ..settlement }
            }
            // The store is closed or has failed: the next start performs the effect again.
            _ => return tracing::error!(%effect, %error, "cannot settle"),
        };
        if let Err(error) = self.commit(std::slice::from_ref(&other)).await {
            tracing::error!(%effect, %error, "cannot settle");
        }
    }

    /// Offer these to the store until it has room for them.
    async fn commit(&self, settlements: &[EffectSettlement]) -> Result<(), StoreError> {
        loop {
            match self.store.settle_effects(settlements.to_vec()).await {
                Ok(settled) => {
                    for (settlement, settled) in settlements.iter().zip(settled) {
                        self.tell(settlement, settled);
                    }
                    return Ok(());
                }
                Err(StoreError::Busy) => tokio::time::sleep(BUSY_WAIT).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Let the log and whoever listens know of a committed try.
    fn tell(&self, settlement: &EffectSettlement, settled: Settled) {
        let EffectSettlement { id: effect, verdict, attempt, .. } = settlement;
        if settled != Settled::Committed {
            tracing::warn!(%effect, ?settled, "a try came too late to be settled");
            return;
        }
        let (number, reason) = (attempt.number, &attempt.reason);
        let status = match verdict {
            EffectVerdict::Done => {
                tracing::debug!(%effect, "performed");
                EffectStatus::Done
            }
            EffectVerdict::RetryAt(at) => {
                tracing::info!(%effect, r#try = number, %at, %reason, "to be tried again");
                EffectStatus::Retry
            }
            EffectVerdict::Dead => {
                tracing::warn!(%effect, r#try = number, %reason, "given up");
                EffectStatus::Dead
            }
            // As if it had not been.
            EffectVerdict::Release(_) => return,
        };
        // Nobody listening is no error.
        let ended = Ended { effect: effect.clone(), status, attempt: attempt.clone() };
        let _ = self.ended.send(Arc::new(ended));
    }

    /// Give back effects whose performance the host itself broke off.
    pub(super) async fn broken_off(&self, effects: &[ClaimedEffect]) {
        let now = self.clock.steady();
        self.settle(effects.iter().map(|claimed| self.rules.released(claimed, now)).collect())
            .await;
    }
}
