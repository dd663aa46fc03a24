//! Endpoints that signalbox keeps at Stripe: made, changed, rolled and deleted there and here.
//!
//! Not the endpoints of this host as such ([`endpoints`](super::endpoints)), and not the events
//! that come in at them.
//!
//! # What a crash or a fault leaves
//!
//! Everything is checked before Stripe is called. A new endpoint is durable here, as `creating`,
//! before Stripe is asked to make it, and the UUID of its URL is the idempotency key: asking again
//! makes no second one and answers its secret again. So whatever happens between the two, either
//! the call is known to have done nothing (then the row goes too), or the next start ([`Begun`]) or
//! [`AtStripe::sync`] finds the row and finishes or undoes it. A change is made at Stripe first; what was not noted here after
//! that, `sync` takes over from Stripe.

mod begun;
mod plan;
mod roll;
mod sync;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use super::endpoints::{EndpointError, Endpoints};
use crate::domain::clock::Clock;
use crate::domain::endpoint::{Endpoint, EndpointId, EndpointStatus, Origin, Secret, Validation};
use crate::stripe::{Account, Accounts, ApiError, Authority, Call, List, Mode, StripeApi};
use wire::Remote;

pub use begun::Begun;
pub use plan::{
    DJSTRIPE_KEY, Fields, MAX_DESCRIPTION, MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE,
    MAX_URL, OWN_KEY, Unfit,
};
pub use roll::{
    DEFAULT_OLD_VALID, MAX_OLD_VALID, RETIRE_AFTER, Retiring, Roll, Verdict, judge_secret,
};
pub use sync::{Adopt, Difference, SyncEntry, SyncOutcome, SyncReport, SyncWish};

/// How long all calls of one operation may take: the admin API answers within 30 s.
const DEADLINE: Duration = Duration::from_secs(25);

/// What is asked of a new endpoint.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The configured account, by name; the default one where nothing is said.
    pub account: Option<String>,
    /// Which mode the key must be of; that of the account where nothing is said.
    pub livemode: Option<bool>,
    /// Whether it gets the events of connected accounts.
    pub connect: bool,
    /// What Stripe is told.
    pub fields: Fields,
    /// How its requests become events.
    pub validation: Validation,
    /// Whether live events are believed without proof.
    pub force_unverified: bool,
    /// Greatest age of a signature.
    pub tolerance: Duration,
}

/// What is to be changed; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// What Stripe is told of; for an endpoint of this host alone, only the description.
    pub fields: Fields,
    /// Out of use, or in use again.
    pub disabled: Option<bool>,
    /// How its requests become events.
    pub validation: Option<Validation>,
    /// Whether live events are believed without proof.
    pub force_unverified: Option<bool>,
    /// Greatest age of a signature.
    pub tolerance: Option<Duration>,
    /// Which mode its events must be of; of an endpoint of this host alone.
    pub livemode: Option<bool>,
    /// Whether its events must be those of connected accounts; of an endpoint of this host alone.
    pub connect: Option<bool>,
}

/// Why an endpoint at Stripe is not made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AtStripeError {
    /// A parameter is wrong. Stripe was not called.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// This host does not keep it.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Stripe does not do it. Nothing was changed on either side.
    #[error("{0}")]
    Stripe(#[from] ApiError),
    /// It is not known what Stripe did.
    #[error(
        "it is not known whether Stripe made the endpoint {id} ({error}); `signalbox endpoints sync`, \
         or the next start, finishes it, `signalbox endpoints delete {id}` undoes it"
    )]
    Open {
        /// The endpoint, `creating` until then.
        id: EndpointId,
        /// What was answered last.
        error: ApiError,
    },
    /// What is there stands against it.
    #[error("{0}")]
    Conflict(String),
}

/// Whether the making of an endpoint was asked for before: then Stripe may have done it, whatever it
/// answers now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    First,
    Again,
}

fn unfit(param: &str, message: impl Into<String>) -> AtStripeError {
    plan::unfit(param, message).into()
}

/// Endpoints at Stripe. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AtStripe {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoints: Endpoints,
    accounts: Accounts,
    api: StripeApi,
    clock: Arc<dyn Clock>,
    public_url: Option<String>,
    /// One operation at a time: each looks first and acts then.
    turn: Mutex<()>,
}

impl AtStripe {
    /// Keeps `endpoints` at Stripe with the keys of `accounts`. `public_url` is how the world
    /// reaches the public listener.
    #[must_use]
    pub fn new(
        endpoints: Endpoints,
        accounts: Accounts,
        api: StripeApi,
        clock: Arc<dyn Clock>,
        public_url: Option<String>,
    ) -> Self {
        let turn = Mutex::new(());
        Self { inner: Arc::new(Inner { endpoints, accounts, api, clock, public_url, turn }) }
    }

    /// That an account of this name is configured.
    ///
    /// # Errors
    /// [`Unfit`] for `account`.
    pub fn check_account(&self, name: &str) -> Result<(), Unfit> {
        self.inner.accounts.get(name).map(drop).ok_or_else(|| self.no_account(name))
    }

    fn no_account(&self, name: &str) -> Unfit {
        let known: Vec<&str> = self.inner.accounts.iter().map(|a| a.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = format!(
            "no account `{name}` is configured ([[stripe.account]]); configured are: {known}"
        );
        plan::unfit("account", message)
    }

    fn account(&self, name: Option<&str>, livemode: Option<bool>) -> Result<&Arc<Account>, Unfit> {
        let accounts = &self.inner.accounts;
        let mode = livemode.map(Mode::of);
        let Some(name) = name else {
            return accounts.default_of(mode).ok_or_else(|| {
                let kind = mode.map_or_else(String::new, |mode| format!(" of {mode} mode"));
                let message = format!(
                    "no key{kind} is configured, or several and none is called `default`; add \
                     [[stripe.account]] with its api_key, or name the account"
                );
                plan::unfit("account", message)
            });
        };
        let account = accounts.get(name).ok_or_else(|| self.no_account(name))?;
        match mode {
            Some(mode) if account.mode() != mode => {
                let message = format!(
                    "the key of the account `{name}` is of {} mode; name an account with a {mode} \
                     key",
                    account.mode()
                );
                Err(plan::unfit("livemode", message))
            }
            _ => Ok(account),
        }
    }

    /// Everything about a new endpoint that can be known before Stripe is called.
    fn prepare(&self, wanted: &Wanted) -> Result<(Endpoint, Authority), AtStripeError> {
        let account = self.account(wanted.account.as_deref(), wanted.livemode)?;
        let live = account.mode().is_live();
        let id = EndpointId(Uuid::new_v4());
        let there = wanted.fields.check(id, self.inner.public_url.as_deref(), live)?;
        let endpoint = Endpoint {
            tolerance: wanted.tolerance,
            description: wanted.fields.description.clone().filter(|text| !text.is_empty()),
            validation: wanted.validation,
            force_unverified: wanted.force_unverified,
            // By name, so that another default takes no endpoint elsewhere.
            account: Some(account.name.clone()),
            livemode: Some(live),
            connect: Some(wanted.connect),
            status: EndpointStatus::Creating,
            at_provider: Some(there),
            ..Endpoint::new(id, "stripe", Vec::new())
        };
        self.inner.endpoints.check(&endpoint)?;
        Ok((endpoint, Authority::own(account)))
    }

    /// What would be sent to make this endpoint; its UUID is another one each time.
    ///
    /// # Errors
    /// As [`AtStripe::create`], as far as it can be known without Stripe.
    pub fn plan(&self, wanted: &Wanted) -> Result<Value, AtStripeError> {
        let (endpoint, authority) = self.prepare(wanted)?;
        let there = endpoint.at_provider.clone().unwrap_or_default();
        Ok(json!({
            "object": "endpoint.plan",
            "account": authority.account().name,
            "livemode": authority.mode().is_live(),
            "method": "POST",
            "path": wire::PATH,
            "params": wire::shown(&endpoint, &there),
        }))
    }

    /// Make an endpoint at Stripe and here. It is durable, with its secret, when this returns.
    ///
    /// # Errors
    /// [`AtStripeError`]. But for [`AtStripeError::Open`], nothing is left on either side.
    pub async fn create(&self, wanted: &Wanted) -> Result<Arc<Endpoint>, AtStripeError> {
        let (endpoint, authority) = self.prepare(wanted)?;
        let _turn = self.inner.turn.lock().await;
        // A key that may not, or a network that is not there, shows before anything is prepared.
        self.listed(&authority).await?;
        let endpoint = self.inner.endpoints.add(endpoint).await?;
        self.finish(&endpoint, &authority, Asked::First).await
    }

    /// Ask Stripe for an endpoint that is prepared here, or for the answer that was lost.
    async fn finish(
        &self,
        endpoint: &Endpoint,
        authority: &Authority,
        asked: Asked,
    ) -> Result<Arc<Endpoint>, AtStripeError> {
        let id = endpoint.id;
        let there = endpoint.at_provider.clone().unwrap_or_default();
        let call = wire::create(endpoint, &there, &id.to_string());
        let error = match self.remote(authority, &call).await {
            Ok(made) => return self.made(id, &made).await,
            Err(error) => error,
        };
        let again = asked == Asked::Again;
        if again && error.is_passing() {
            return Err(AtStripeError::Open { id, error });
        }
        if again || may_have_been_done(&error) {
            // Whether it is there can be seen, if Stripe can be asked at all.
            let Ok(all) = self.listed(authority).await else {
                return Err(AtStripeError::Open { id, error });
            };
            for remote in all.iter().filter(|remote| remote.marked() == Some(id)) {
                if self.gone(authority, &remote.id).await.is_err() {
                    return Err(AtStripeError::Open { id, error });
                }
            }
        }
        self.inner.endpoints.delete(id).await?;
        Err(error.into())
    }

    /// Keep what Stripe made.
    async fn made(&self, id: EndpointId, made: &Remote) -> Result<Arc<Endpoint>, AtStripeError> {
        let secret = made.secret.as_deref().and_then(|text| Secret::new(text).ok());
        if secret.is_none() {
            tracing::warn!(endpoint = %id, "Stripe answered no secret; `add-secret` takes it");
        }
        let changed = self.inner.endpoints.change(id, |endpoint| {
            endpoint.status = made.status();
            endpoint.secrets = secret.into_iter().collect();
            endpoint.at_provider = Some(made.kept(Vec::new()));
        });
        Ok(changed.await?)
    }

    /// Change an endpoint, at Stripe first where it is kept there.
    ///
    /// # Errors
    /// [`AtStripeError`]; nothing was changed here.
    pub async fn update(&self, id: EndpointId, edit: Edit) -> Result<Arc<Endpoint>, AtStripeError> {
        let _turn = self.inner.turn.lock().await;
        let before = self.own(id)?;
        let mut after = Endpoint::clone(&before);
        edit.apply(&mut after);
        match &before.at_provider {
            None => edit.check_local()?,
            Some(was) => {
                if before.status == EndpointStatus::Creating {
                    return Err(creating(id));
                }
                edit.check_kept()?;
                let authority = self.authority(&before)?;
                let live = authority.mode().is_live();
                let is = edit.fields.change(id, was, live)?;
                after.at_provider = Some(is.clone());
                self.inner.endpoints.check(&after)?;
                let fields = wire::changes((&before, was), (&after, &is));
                if !fields.is_empty() {
                    let there = was.id.as_deref().unwrap_or_default();
                    let key = Uuid::new_v4().to_string();
                    let call = wire::form(Call::post(wire::one(there)), fields);
                    self.remote(&authority, &call.idempotency_key(key)).await?;
                }
            }
        }
        plan::check_description(after.description.as_deref())?;
        let changed = self.inner.endpoints.change(id, |endpoint| *endpoint = after).await?;
        Ok(changed)
    }

    /// Delete an endpoint, at Stripe first where it is kept there, unless `local_only`.
    ///
    /// # Errors
    /// [`AtStripeError`]; it is still here.
    pub async fn delete(&self, id: EndpointId, local_only: bool) -> Result<(), AtStripeError> {
        let _turn = self.inner.turn.lock().await;
        let endpoint = self.own(id)?;
        if let (Some(there), false) = (&endpoint.at_provider, local_only) {
            let authority = self.authority(&endpoint)?;
            let known = there.id.iter().chain(there.retiring.iter().map(|(id, _)| id));
            let mut ids: Vec<String> = known.cloned().collect();
            if there.id.is_none() {
                let all = self.listed(&authority).await?;
                let ours = all.into_iter().filter(|remote| remote.marked() == Some(id));
                ids.extend(ours.map(|remote| remote.id));
            }
            for there in ids {
                self.gone(&authority, &there).await?;
            }
        }
        self.inner.endpoints.delete(id).await?;
        Ok(())
    }

    /// An endpoint that may be changed here.
    fn own(&self, id: EndpointId) -> Result<Arc<Endpoint>, EndpointError> {
        match self.inner.endpoints.get(id) {
            None => Err(EndpointError::Missing(id)),
            Some(endpoint) if endpoint.origin == Origin::Config => Err(EndpointError::OfConfig(id)),
            Some(endpoint) => Ok(endpoint),
        }
    }

    /// The key of the account that an endpoint is kept in.
    fn authority(&self, endpoint: &Endpoint) -> Result<Authority, Unfit> {
        self.account(endpoint.account.as_deref(), endpoint.livemode).map(Authority::own)
    }

    async fn call(
        &self,
        authority: &Authority,
        call: &Call,
    ) -> Result<crate::stripe::Answer, ApiError> {
        let overrun = |_| Err(ApiError::Timeout { within: DEADLINE });
        timeout(DEADLINE, self.inner.api.call(authority, call)).await.unwrap_or_else(overrun)
    }

    async fn remote(&self, authority: &Authority, call: &Call) -> Result<Remote, ApiError> {
        self.call(authority, call).await?.read()
    }

    /// Have it deleted; that it is not there is as good.
    async fn gone(&self, authority: &Authority, id: &str) -> Result<(), ApiError> {
        match self.call(authority, &Call::delete(wire::one(id))).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every endpoint of an account.
    async fn listed(&self, authority: &Authority) -> Result<Vec<Remote>, ApiError> {
        let mut list = List::new(authority.clone(), Call::get(wire::PATH));
        let read = async {
            let mut all = Vec::new();
            while let Some(page) = list.next(&self.inner.api).await? {
                for item in page.items {
                    let remote = serde_json::from_str(item.raw.get());
                    all.push(remote.map_err(|error| ApiError::Malformed {
                        cause: format!("an endpoint of the list: {error}"),
                    })?);
                }
            }
            Ok(all)
        };
        timeout(DEADLINE, read).await.unwrap_or(Err(ApiError::Timeout { within: DEADLINE }))
    }
}

fn creating(id: EndpointId) -> AtStripeError {
    AtStripeError::Conflict(format!(
        "endpoint {id} is still being made; `signalbox endpoints sync` finishes or undoes it"
    ))
}

/// Whether Stripe may have done what it was asked for all the same.
const fn may_have_been_done(error: &ApiError) -> bool {
    !matches!(
        error,
        ApiError::Unauthorised { .. }
            | ApiError::Forbidden { .. }
            | ApiError::OtherAccount { .. }
            | ApiError::NotFound { .. }
            | ApiError::Refused { .. }
            | ApiError::RateLimited { .. }
            | ApiError::BadPath { .. }
    )
}

impl Edit {
    /// What is said of the endpoint itself.
    fn apply(&self, endpoint: &mut Endpoint) {
        if let Some(description) = &self.fields.description {
            // Empty text takes it away, as at Stripe.
            endpoint.description = Some(description.clone()).filter(|text| !text.is_empty());
        }
        match self.disabled {
            Some(true) => endpoint.status = EndpointStatus::Disabled,
            Some(false) => endpoint.status = EndpointStatus::Enabled,
            None => {}
        }
        endpoint.validation = self.validation.unwrap_or(endpoint.validation);
        endpoint.tolerance = self.tolerance.unwrap_or(endpoint.tolerance);
        // A force that has nothing to force any more goes with it.
        endpoint.force_unverified = self
            .force_unverified
            .unwrap_or(endpoint.force_unverified && endpoint.validation == Validation::None);
        endpoint.livemode = self.livemode.or(endpoint.livemode);
        endpoint.connect = self.connect.or(endpoint.connect);
    }

    fn check_local(&self) -> Result<(), Unfit> {
        let fields = &self.fields;
        let given = [
            ("base_url", fields.base_url.is_some()),
            ("enabled_events", fields.enabled_events.is_some()),
            ("api_version", fields.api_version.is_some()),
            ("metadata", fields.metadata.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((param, _)) => {
                let message = "this endpoint is of this host alone: signalbox keeps nothing of it at \
                               Stripe; `signalbox endpoints create --event ...` makes one there";
                Err(plan::unfit(*param, message))
            }
        }
    }

    fn check_kept(&self) -> Result<(), Unfit> {
        let given = [("livemode", self.livemode.is_some()), ("connect", self.connect.is_some())];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((param, _)) => {
                let message = "Stripe does not change this of an endpoint; make a new endpoint and \
                               delete this one";
                Err(plan::unfit(*param, message))
            }
        }
    }
}
