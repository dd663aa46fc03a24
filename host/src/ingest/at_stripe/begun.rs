//! Endpoints whose making was cut short: finished, or undone, once the host runs again.
//!
//! The host may die between Stripe's making of an endpoint and the keeping of its secret. Its row
//! stays `creating` until the same is asked for again. Somebody may ask (`sync`); nobody has to.
//!
//! Not a comparison of both sides (`sync`): nothing but what was begun is looked at or changed.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::wire::Remote;
use super::{Asked, AtStripe, AtStripeError};
use crate::domain::endpoint::{Endpoint, EndpointId, EndpointStatus};
use crate::stripe::Authority;

/// How long a lost answer can be asked for again: Stripe forgets idempotency keys after a day.
const ANSWER_KEPT: Duration = Duration::from_secs(23 * 3_600);

/// Waits after a look that Stripe did not answer: doubled from the first to the last.
const AGAIN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(3_600));

/// What became of an endpoint that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recovered {
    /// It is whole; its name at Stripe.
    Finished(Option<String>),
    /// It is on neither side any more, and why.
    Undone(String),
}

impl AtStripe {
    /// Whether Stripe still answers again what it answered when this was begun.
    pub(super) fn can_be_finished(&self, endpoint: &Endpoint) -> bool {
        self.inner.clock.now().since(endpoint.created_at) < ANSWER_KEPT
    }

    /// Finish what was begun, or undo it on both sides. `made`: what Stripe lists of it.
    pub(super) async fn recover(
        &self,
        endpoint: &Endpoint,
        authority: &Authority,
        made: &[&Remote],
    ) -> Result<Recovered, AtStripeError> {
        if self.can_be_finished(endpoint) {
            return match self.finish(endpoint, authority, Asked::Again).await {
                Ok(finished) => {
                    let there = finished.at_provider.as_ref();
                    Ok(Recovered::Finished(there.and_then(|there| there.id.clone())))
                }
                // Stripe's last word on it: nothing is left on either side.
                Err(AtStripeError::Stripe(error)) => Ok(Recovered::Undone(error.to_string())),
                Err(other) => Err(other),
            };
        }
        // Its secret can no longer be had: an endpoint without one proves nothing.
        for remote in made {
            self.gone(authority, &remote.id).await?;
        }
        self.inner.endpoints.delete(endpoint.id).await?;
        let why = "it was begun more than a day ago and its secret is lost; make it again";
        Ok(Recovered::Undone(why.to_owned()))
    }
}

/// The part that finishes or undoes what a run of the host before this one began.
#[derive(Debug)]
pub struct Begun {
    at_stripe: AtStripe,
    /// What is still open of what was at the start. What is begun after it has its own answer.
    left: BTreeSet<EndpointId>,
}

impl Begun {
    /// A part over the endpoints that are `creating` now. It needs no handle.
    #[must_use]
    pub fn new(at_stripe: AtStripe) -> Self {
        let all = at_stripe.inner.endpoints.list();
        let creating = all.iter().filter(|one| one.status == EndpointStatus::Creating);
        let left = creating.map(|one| one.id).collect();
        Self { at_stripe, left }
    }

    /// Look until nothing is left, then wait for `shutdown`. A Stripe that fails is asked again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut wait = AGAIN.0;
        while !self.left.is_empty() {
            tokio::select! {
                // Cut short as by a kill: the next start goes on.
                () = shutdown.cancelled() => return,
                () = self.look() => {}
            }
            if self.left.is_empty() {
                break;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(AGAIN.1);
        }
        shutdown.cancelled().await;
    }

    /// Try each that is left once.
    pub(super) async fn look(&mut self) {
        for id in self.left.clone() {
            match self.at_stripe.recover_one(id).await {
                Ok(None) => {}
                Ok(Some(Recovered::Finished(there))) => {
                    let there = there.unwrap_or_default();
                    tracing::info!(
                        endpoint = %id, there,
                        "an endpoint whose making was cut short is finished, with its secret"
                    );
                }
                Ok(Some(Recovered::Undone(why))) => tracing::warn!(
                    endpoint = %id, why,
                    "an endpoint whose making was cut short is undone, here and at Stripe"
                ),
                Err(AtStripeError::Unfit(error)) => tracing::warn!(
                    endpoint = %id, %error,
                    "an endpoint whose making was cut short stays `creating`: there is no key to ask \
                     Stripe with; add it and start again, or `signalbox endpoints delete --local-only`"
                ),
                Err(error) => {
                    tracing::warn!(
                        endpoint = %id, %error,
                        "an endpoint whose making was cut short cannot be finished yet; tried again"
                    );
                    continue;
                }
            }
            self.left.remove(&id);
        }
    }
}

impl AtStripe {
    /// `None` where it is no longer open.
    async fn recover_one(&self, id: EndpointId) -> Result<Option<Recovered>, AtStripeError> {
        let _turn = self.inner.turn.lock().await;
        let endpoint = self.inner.endpoints.get(id);
        let open = endpoint.filter(|one| one.status == EndpointStatus::Creating);
        let Some(endpoint) = open else { return Ok(None) };
        let authority = self.authority(&endpoint)?;
        // Asked first: a key that may not even look must not decide that nothing is there.
        let all = self.listed(&authority).await?;
        let made: Vec<&Remote> = all.iter().filter(|one| one.marked() == Some(id)).collect();
        self.recover(&endpoint, &authority, &made).await.map(Some)
    }
}
