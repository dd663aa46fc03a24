//! From a request to an event that is believed, by the validation of its endpoint.
//!
//! Not the rules of a provider (`provider`, which does no I/O) and not the answer to the sender
//! (`http`). What is fetched is all that is believed: of the posted body, its identifier and its
//! account only say what to ask for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::endpoints::unfit;
use crate::domain::clock::Clock;
use crate::domain::endpoint::{Endpoint, EndpointStatus, Validation};
use crate::domain::event::{ObjectRef, VerifiedEvent};
use crate::domain::object::{Fetched, ObjectKey};
use crate::domain::proof::Proved;
use crate::provider::{Lookup, Proof, Provider, RawRequest, Rejection, Verified};
use crate::stripe::{Accounts, ApiError, Authority, Call, Mode, NoKey, StripeApi};

/// How much is fetched at once, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrievalLimits {
    /// Events that are being fetched. Default 16: twice what one key may have under way.
    pub concurrency: usize,
    /// Requests that wait for their turn or are being fetched. Default 64, a quarter of what the
    /// listener works on: endpoints that verify signatures are not held up by those that fetch.
    pub waiting: usize,
    /// From the request to the fetched event. Default 10 s: providers wait longer for an answer.
    pub deadline: Duration,
    /// For what a thin event points at. Default 5 s: without it the event is accepted all the same,
    /// and its sender waits meanwhile.
    pub companions: Duration,
}

impl Default for RetrievalLimits {
    fn default() -> Self {
        Self {
            concurrency: 16,
            waiting: 64,
            deadline: Duration::from_secs(10),
            companions: Duration::from_secs(5),
        }
    }
}

/// Seconds after which to try again what could not be fetched: a fault of Stripe's or of the
/// network lasts longer than a full queue of ours.
const RETRY_AFTER: u32 = 30;

/// Why a request is not taken for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is none. The sender's doing, or the operator's.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It may be one; nobody could say now.
    #[error("{message}")]
    Later {
        /// Stable, for programs.
        code: &'static str,
        /// Cause and remedy.
        message: String,
        /// Seconds after which to try again.
        retry_after: u32,
    },
}

fn later(code: &'static str, message: impl Into<String>) -> Refused {
    Refused::Later { code, message: message.into(), retry_after: RETRY_AFTER }
}

fn rejected(code: &'static str, message: impl Into<String>) -> Refused {
    Refused::Rejected(Rejection { code, message: message.into() })
}

/// Believes requests, or does not. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Validator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    accounts: Accounts,
    api: Option<StripeApi>,
    clock: Arc<dyn Clock>,
    limits: RetrievalLimits,
    turns: Semaphore,
    waiting: Semaphore,
}

impl Validator {
    /// A validator that fetches through `api` with the keys of `accounts`; without an `api`,
    /// nothing is fetched.
    #[must_use]
    pub fn new(
        accounts: Accounts,
        api: Option<StripeApi>,
        clock: Arc<dyn Clock>,
        limits: RetrievalLimits,
    ) -> Self {
        let (turns, waiting) = (Semaphore::new(limits.concurrency), Semaphore::new(limits.waiting));
        Self { inner: Arc::new(Inner { accounts, api, clock, limits, turns, waiting }) }
    }

    /// A validator that fetches nothing.
    #[must_use]
    pub fn offline(clock: Arc<dyn Clock>) -> Self {
        Self::new(Accounts::default(), None, clock, RetrievalLimits::default())
    }

    /// What `request` brings to `endpoint`: an event, or a question to be answered.
    ///
    /// # Errors
    /// [`Refused`]; nothing was changed.
    pub async fn validate(
        &self,
        endpoint: &Endpoint,
        provider: &dyn Provider,
        request: &RawRequest,
    ) -> Result<Verified, Refused> {
        match endpoint.status {
            EndpointStatus::Creating => {
                let message = "this endpoint is still being made; try again shortly";
                return Err(later("endpoint_creating", message));
            }
            // Stripe posts nothing new to one that is disabled there; what is under way is genuine.
            EndpointStatus::Disabled if endpoint.at_provider.is_none() => {
                let message = "this endpoint is disabled; `signalbox endpoints enable` enables it";
                return Err(later("endpoint_disabled", message));
            }
            EndpointStatus::Disabled | EndpointStatus::Enabled => {}
        }
        let now = self.inner.clock.now();
        let proof = Proof { secrets: &endpoint.secrets, tolerance: endpoint.tolerance, now };
        let event = match endpoint.validation {
            Validation::VerifySignature => match provider.receive(request, proof)? {
                Verified::Event(event) => *event,
                handshake @ Verified::Handshake(_) => return Ok(handshake),
            },
            Validation::None => {
                let event = provider.read(&request.body, now)?;
                VerifiedEvent { proof: Proved::Nothing.header().into_iter().collect(), ..event }
            }
            Validation::RetrieveEvent => {
                // Where there are secrets, whoever holds none does not make us call.
                let verify = || provider.verify(request, proof);
                let secret = (!endpoint.secrets.is_empty()).then(verify).transpose()?;
                let lookup = provider.lookup(&request.body)?;
                // What would not fit is not asked for either.
                let claimed = provider.read(&request.body, now)?;
                self.fit(endpoint, &claimed)?;
                let event = self.retrieve(endpoint, provider, &lookup).await?;
                match secret {
                    Some(signed) => VerifiedEvent { secret: signed.secret, ..event },
                    None => event,
                }
            }
        };
        self.fit(endpoint, &event)?;
        Ok(Verified::Event(Box::new(event)))
    }

    fn fit(&self, endpoint: &Endpoint, event: &VerifiedEvent) -> Result<(), Rejection> {
        let own = self.named(endpoint, event.livemode);
        let own = own.and_then(|name| self.inner.accounts.get(name)?.id.as_ref());
        unfit(endpoint, event, own.map(|id| id.as_str())).map_or(Ok(()), Err)
    }

    /// What a thin event points at, fetched where there is a key: the event itself, and the object it
    /// is about. Empty for every other event, without a key, and where Stripe does not answer in time:
    /// the event is genuine all the same, and its handlers see what the mirror has.
    pub async fn companions(
        &self,
        endpoint: &Endpoint,
        provider: &dyn Provider,
        event: &VerifiedEvent,
    ) -> Vec<Fetched> {
        let Some(thin) = provider.thin(event) else { return Vec::new() };
        let Inner { accounts, api: Some(api), clock, limits, turns, .. } = &*self.inner else {
            return Vec::new();
        };
        if accounts.is_empty() {
            return Vec::new();
        }
        let named = self.named(endpoint, event.livemode);
        let mode = Mode::of(event.livemode);
        let authority = match accounts.authority(named, mode, event.account.as_deref()) {
            Ok(authority) => authority,
            Err(error) => {
                tracing::warn!(event = %event.key, %error, "a thin event stays as it came");
                return Vec::new();
            }
        };
        let key = |object: ObjectRef| ObjectKey {
            provider: event.key.provider.clone(),
            livemode: event.livemode,
            kind: object.kind,
            account: event.account.clone(),
            id: object.id,
        };
        let fetch = async |path: String, wanted: Option<ObjectRef>| {
            let _turn = turns.acquire().await.ok()?;
            let began = clock.now();
            match api.call(&authority, &Call::get(path.as_str())).await {
                Ok(answer) => {
                    let shown = provider.fetched_objects(&answer.body, began);
                    let fetched = shown.into_iter().map(|sighting| Fetched {
                        key: key(ObjectRef {
                            kind: sighting.kind.clone(),
                            id: sighting.id.clone(),
                        }),
                        began,
                        found: Some(sighting),
                    });
                    Some(fetched.collect::<Vec<_>>())
                }
                // It was, and it is gone. After any other event it may be that this key sees less.
                Err(ApiError::NotFound { .. }) if event.kind.ends_with(".deleted") => {
                    wanted.map(|object| vec![Fetched { key: key(object), began, found: None }])
                }
                Err(error) => {
                    tracing::warn!(event = %event.key, path, %error, "cannot fetch what it points at");
                    None
                }
            }
        };
        let object = async {
            let (object, path) = thin.related?;
            fetch(path, Some(object)).await
        };
        let both = async { tokio::join!(fetch(thin.event, None), object) };
        let Ok((event_itself, object)) = timeout(limits.companions, both).await else {
            tracing::warn!(event = %event.key, "what a thin event points at did not come in time");
            return Vec::new();
        };
        event_itself.into_iter().chain(object).flatten().collect()
    }

    /// The account of the endpoint, or the default one.
    fn named<'a>(&'a self, endpoint: &'a Endpoint, live: bool) -> Option<&'a str> {
        let default = || self.inner.accounts.default_of(Some(Mode::of(live)));
        endpoint.account.as_deref().or_else(|| default().map(|account| account.name.as_str()))
    }

    async fn retrieve(
        &self,
        endpoint: &Endpoint,
        provider: &dyn Provider,
        lookup: &Lookup,
    ) -> Result<VerifiedEvent, Refused> {
        let Inner { accounts, api, limits, turns, waiting, .. } = &*self.inner;
        let mode = Mode::of(lookup.livemode);
        let named = self.named(endpoint, lookup.livemode);
        let authority = accounts
            .authority(named, mode, lookup.account.as_deref())
            .map_err(|error| keyless(&error))?;
        let api = api.as_ref().ok_or_else(|| later("stripe_unavailable", "no client is set up"))?;
        let busy =
            || later("retrieval_busy", "too many events are being fetched; try again shortly");
        let _waits = waiting.try_acquire().map_err(|_| busy())?;
        let call = Call::get(lookup.path.as_str());
        let fetch = async {
            let _turn = turns.acquire().await.map_err(|_| busy())?;
            api.call(&authority, &call).await.map_err(|error| failed(&authority, &error))
        };
        let deadline = limits.deadline;
        let answer = timeout(deadline, fetch).await.map_err(|_| {
            later(
                "stripe_unavailable",
                format!("the event could not be fetched within {deadline:?}"),
            )
        })??;
        let now = self.inner.clock.now();
        let event = provider.read(&answer.body, now).map_err(|rejection| {
            tracing::error!(account = authority.account().name, %rejection, "no event was answered");
            later("stripe_unavailable", format!("Stripe answered what is no event: {rejection}"))
        })?;
        let account = same(lookup, &event, &authority)?;
        let proved = Proved::Retrieved {
            account: authority.account().name.clone(),
            on_behalf_of: authority.connected().map(ToString::to_string),
            at: now.as_millis(),
        };
        Ok(VerifiedEvent { account, proof: proved.header().into_iter().collect(), ..event })
    }
}

/// Whose the fetched event is, if it is the one that was asked for. An answer for a connected
/// account need not name it again: the account is that of the question then.
fn same(
    lookup: &Lookup,
    event: &VerifiedEvent,
    authority: &Authority,
) -> Result<Option<String>, Refused> {
    let asked = authority.connected().map(ToString::to_string);
    let account = event.account.clone().or_else(|| asked.clone());
    let own = authority.account().id.as_ref().map(ToString::to_string);
    let fits = account == asked || (asked.is_none() && account == own);
    if event.key.id != lookup.id || event.livemode != lookup.livemode || !fits {
        return Err(rejected(
            "retrieved_differs",
            "Stripe's event of this id is of another account or mode than the posted one says; the \
             request is not Stripe's",
        ));
    }
    Ok(account)
}

fn keyless(error: &NoKey) -> Refused {
    match error {
        NoKey::Mode { .. } => rejected("livemode_mismatch", error.to_string()),
        NoKey::Account(_) => rejected("event_account_invalid", error.to_string()),
        // The operator can mend it, and the sender tries again until then.
        _ => {
            tracing::error!(%error, "an event cannot be fetched");
            later("stripe_key_missing", error.to_string())
        }
    }
}

fn failed(authority: &Authority, error: &ApiError) -> Refused {
    match error {
        ApiError::NotFound { .. } => rejected(
            "event_unknown",
            "Stripe knows no event of this id in this account and mode: the request is not \
             Stripe's, or the endpoint is tied to another account (`account`)",
        ),
        // Of accounts it is not connected to, Stripe answers so.
        ApiError::Forbidden { .. } if authority.connected().is_some() => rejected(
            "account_inaccessible",
            format!(
                "the key of `{}` does not reach the connected account that the event names: the \
                 request is not Stripe's, or the endpoint is tied to another account (`account`)",
                authority.account().name
            ),
        ),
        ApiError::Refused { .. } | ApiError::BadPath { .. } => {
            rejected("event_unknown", format!("Stripe does not answer for this event: {error}"))
        }
        _ => {
            tracing::error!(
                account = authority.account().name, %error, "an event could not be fetched"
            );
            later("stripe_unavailable", format!("the event could not be fetched: {error}"))
        }
    }
}

#[cfg(test)]
mod tests;
