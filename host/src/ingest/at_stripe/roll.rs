//! A new secret for an endpoint, and the end of the old one.
//!
//! Stripe's API cannot roll a secret: its dashboard can (the new one is given here, then), or the
//! endpoint is replaced by another with the same URL and settings, and so with a secret of its own.
//! While both post, an event that comes twice is known for one. The replaced one is kept at Stripe
//! until the old secret ends, for what it still has to deliver would be lost with it.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::wire::{self, Remote};
use super::{AtStripe, AtStripeError, creating, unfit};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Endpoint, EndpointId, EndpointStatus, Secret, SecretId, Validation};

/// How long an old secret stays valid unless something else is said: as long as Stripe's dashboard
/// lets it at most.
pub const DEFAULT_OLD_VALID: Duration = Duration::from_secs(24 * 3_600);

/// How long an old secret may stay valid: Stripe retries for three days; a month is a mistake.
pub const MAX_OLD_VALID: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How long a secret must have proved nothing, while another did, to be called safe to retire: as
/// long as Stripe signs with both at most.
pub const RETIRE_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How often the host looks for replaced endpoints whose time has come.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// Where the new secret comes from.
#[derive(Debug, Clone)]
pub enum Roll {
    /// The operator has it, from Stripe's dashboard.
    Given(Secret),
    /// Another endpoint at Stripe, in the place of this one.
    Replace,
}

/// Whether a secret can be taken away without refusing a genuine request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it can.
    pub safe: bool,
    /// Why, in words.
    pub why: String,
}

/// Whether the secret `id` of `endpoint` can be taken away. `matched` says when a secret last proved
/// a request.
#[must_use]
pub fn judge_secret(
    endpoint: &Endpoint,
    id: &SecretId,
    matched: impl Fn(&SecretId) -> Option<Timestamp>,
    now: Timestamp,
) -> Verdict {
    let verdict = |safe, why: String| Verdict { safe, why };
    let Some(secret) = endpoint.secrets.iter().find(|secret| secret.id() == *id) else {
        return verdict(false, "there is no such secret".to_owned());
    };
    if !secret.is_live(now) {
        return verdict(true, "it has ended and proves nothing any more".to_owned());
    }
    let others = endpoint.secrets.iter().filter(|other| other.id() != *id && other.is_live(now));
    let others: Vec<SecretId> = others.map(Secret::id).collect();
    if others.is_empty() {
        return verdict(false, "it is the only one that proves anything".to_owned());
    }
    let Some(other) = others.iter().filter_map(&matched).max() else {
        return verdict(false, "no other secret has proved a request yet".to_owned());
    };
    match matched(id) {
        None => verdict(true, format!("it never proved a request; another did at {other}")),
        Some(own) if other.since(own) >= RETIRE_AFTER => verdict(
            true,
            format!("it last proved a request at {own}, more than a day before another did"),
        ),
        Some(own) => {
            verdict(false, format!("it proved a request at {own}, not a day before another"))
        }
    }
}

impl AtStripe {
    /// Give `id` a new secret; those it has end after `old_valid`.
    ///
    /// # Errors
    /// [`AtStripeError`]; nothing was changed here. A replacement that Stripe made and that was not
    /// noted here is found by asking for the same again.
    pub async fn roll(
        &self,
        id: EndpointId,
        roll: Roll,
        old_valid: Duration,
    ) -> Result<Arc<Endpoint>, AtStripeError> {
        if old_valid > MAX_OLD_VALID {
            return Err(unfit(
                "old_valid_for",
                "an old secret stays valid for 30 days at the most",
            ));
        }
        let _turn = self.inner.turn.lock().await;
        let before = self.own(id)?;
        if before.status == EndpointStatus::Creating {
            return Err(creating(id));
        }
        let end = self.inner.clock.now().plus(old_valid);
        match roll {
            Roll::Given(secret) => self.give(id, secret, end, None).await,
            Roll::Replace => self.replace(&before, old_valid, end).await,
        }
    }

    /// Put `secret` first: of two that sign a request, the first is the one that is noted.
    async fn give(
        &self,
        id: EndpointId,
        secret: Secret,
        end: Timestamp,
        replaced: Option<&Remote>,
    ) -> Result<Arc<Endpoint>, AtStripeError> {
        let new = secret.id();
        let now = self.inner.clock.now();
        let changed = self.inner.endpoints.change(id, |endpoint| {
            endpoint.secrets.retain(|old| old.id() != new && old.is_live(now));
            for old in &mut endpoint.secrets {
                old.not_after = Some(old.not_after.map_or(end, |known| known.min(end)));
            }
            endpoint.secrets.insert(0, secret);
            if let (Some(remote), Some(there)) = (replaced, &endpoint.at_provider) {
                let mut retiring = there.retiring.clone();
                retiring.extend(there.id.clone().map(|old| (old, end)));
                endpoint.at_provider = Some(remote.kept(retiring));
            }
        });
        Ok(changed.await?)
    }

    async fn replace(
        &self,
        before: &Endpoint,
        old_valid: Duration,
        end: Timestamp,
    ) -> Result<Arc<Endpoint>, AtStripeError> {
        let id = before.id;
        let there =
            before.at_provider.as_ref().and_then(|there| there.id.as_ref().zip(Some(there)));
        let Some((old, there)) = there else {
            return Err(unfit(
                "replace",
                "this endpoint is of this host alone; roll its secret where it was made, and give \
                 the new one (`secret`)",
            ));
        };
        if before.status == EndpointStatus::Disabled {
            let message = "a disabled endpoint is not replaced: the new one would be enabled; enable \
                           it first, or give the new secret (`secret`)";
            return Err(unfit("replace", message));
        }
        let authority = self.authority(before)?;
        // One key for one that is replaced: asked again, Stripe answers the same secret.
        let key = format!("{id}.{old}");
        let remote = self.remote(&authority, &wire::create(before, there, &key)).await?;
        let secret = remote.secret.as_deref().and_then(|text| Secret::new(text).ok());
        let Some(secret) = secret else {
            return Err(AtStripeError::Conflict(format!(
                "Stripe made {} and answered no secret; `signalbox endpoints sync` shows it",
                remote.id
            )));
        };
        let changed = self.give(id, secret, end, Some(&remote)).await?;
        if old_valid.is_zero() {
            self.retire(&changed, self.inner.clock.now()).await?;
        }
        Ok(self.inner.endpoints.get(id).unwrap_or(changed))
    }

    /// Give `id` a secret beside those it has.
    ///
    /// # Errors
    /// [`AtStripeError`]; nothing was changed.
    pub async fn add_secret(
        &self,
        id: EndpointId,
        secret: Secret,
    ) -> Result<Arc<Endpoint>, AtStripeError> {
        let _turn = self.inner.turn.lock().await;
        self.own(id)?;
        let new = secret.id();
        let changed = self.inner.endpoints.change(id, |endpoint| {
            endpoint.secrets.retain(|old| old.id() != new);
            endpoint.secrets.insert(0, secret);
        });
        Ok(changed.await?)
    }

    /// Take the secret with this fingerprint away.
    ///
    /// # Errors
    /// When it is not there, or, unless `force`, when genuine requests could be refused then.
    pub async fn retire_secret(
        &self,
        id: EndpointId,
        secret: &SecretId,
        force: bool,
    ) -> Result<Arc<Endpoint>, AtStripeError> {
        let _turn = self.inner.turn.lock().await;
        let endpoint = self.own(id)?;
        let endpoints = &self.inner.endpoints;
        if !endpoint.secrets.iter().any(|known| known.id() == *secret) {
            let message = format!("endpoint {id} has no secret {}", secret.0);
            return Err(unfit("secret", message));
        }
        let last = endpoint.secrets.len() == 1;
        if last && endpoint.validation == Validation::VerifySignature {
            let message = "it is the only secret of this endpoint; add another first";
            return Err(AtStripeError::Conflict(message.to_owned()));
        }
        let matched = |secret: &SecretId| endpoints.last_matched(id, secret);
        let verdict = judge_secret(&endpoint, secret, matched, self.inner.clock.now());
        if !verdict.safe && !force {
            return Err(AtStripeError::Conflict(format!(
                "not safe yet: {}; wait, or force it",
                verdict.why
            )));
        }
        let change = |endpoint: &mut Endpoint| endpoint.secrets.retain(|old| old.id() != *secret);
        Ok(endpoints.change(id, change).await?)
    }

    /// Delete at Stripe what `endpoint` replaced and whose time has come.
    pub(super) async fn retire(
        &self,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Vec<String>, AtStripeError> {
        let retiring = endpoint.at_provider.iter().flat_map(|there| &there.retiring);
        let due: Vec<String> =
            retiring.filter(|(_, end)| *end <= now).map(|(id, _)| id.clone()).collect();
        if due.is_empty() {
            return Ok(due);
        }
        let authority = self.authority(endpoint)?;
        for id in &due {
            self.gone(&authority, id).await?;
        }
        let change = |endpoint: &mut Endpoint| {
            if let Some(there) = &mut endpoint.at_provider {
                there.retiring.retain(|(id, _)| !due.contains(id));
            }
        };
        self.inner.endpoints.change(endpoint.id, change).await?;
        Ok(due)
    }
}

/// The part that deletes replaced endpoints at Stripe once their time has come.
#[derive(Debug)]
pub struct Retiring {
    at_stripe: AtStripe,
}

impl Retiring {
    /// A part over these endpoints. It needs no handle.
    #[must_use]
    pub const fn new(at_stripe: AtStripe) -> Self {
        Self { at_stripe }
    }

    /// Look until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            self.look().await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&self) {
        let inner = &self.at_stripe.inner;
        for endpoint in inner.endpoints.list() {
            let _turn = inner.turn.lock().await;
            // It may have changed while others had the turn.
            let Some(endpoint) = inner.endpoints.get(endpoint.id) else { continue };
            match self.at_stripe.retire(&endpoint, inner.clock.now()).await {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => {
                    tracing::info!(endpoint = %endpoint.id, ?gone, "replaced endpoints are deleted");
                }
                Err(error) => tracing::warn!(
                    endpoint = %endpoint.id, %error,
                    "a replaced endpoint cannot be deleted at Stripe yet; tried again later"
                ),
            }
        }
    }
}
