//! One round: through the objects that are unsure, from where the last round ended.
//!
//! Not the rules of the mirror: a state that was fetched wins by the store's own fence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::paths::{self, Ends};
use super::{Core, Figures};
use crate::domain::clock::Timestamp;
use crate::domain::object::{FetchEnd, Fetched, ObjectKey, ObjectState};
use crate::provider::Provider as _;
use crate::provider::stripe::StripeProvider;
use crate::store::{Cursor, PageRequest, StoreError};
use crate::stripe::{ApiError, Authority, Call, Mode, NoKey};

/// Objects read from the store at once.
const PAGE: usize = 100;
/// What Stripe answers where an object is not, and not where a path is none.
const MISSING: &str = "resource_missing";

/// Where rounds have come, and what failed on the way.
#[derive(Debug, Default)]
pub(super) struct Lap {
    /// The last object looked at; none at the beginning of a lap.
    after: Option<ObjectKey>,
    pub(super) failed: BTreeMap<ObjectKey, Failed>,
    /// Counts of this lap so far.
    left: Left,
}

/// Objects of a lap that nobody can fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Left {
    pathless: u64,
    keyless: u64,
}

#[derive(Debug, Default)]
pub(super) struct Failed {
    times: u32,
    /// Not before this moment again.
    until: Timestamp,
    seen: bool,
}

/// How a round ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Why it was cut short for at least one account, or for all.
    pub(super) error: Option<Cause>,
    /// How long Stripe asked to wait.
    pub(super) asked: Option<Duration>,
}

/// What cuts a round short.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Lap {
    pub(super) async fn round(&mut self, core: &Core) -> Ended {
        let mut ended = Ended::default();
        let mut out = BTreeSet::new();
        if let Err(error) = self.go(core, &mut out, &mut ended).await {
            ended.error = Some(error.into());
        }
        ended
    }

    async fn go(
        &mut self,
        core: &Core,
        out: &mut BTreeSet<String>,
        ended: &mut Ended,
    ) -> Result<(), StoreError> {
        let (mut looked, mut fetched) = (0, 0);
        while looked < core.config.looked {
            let limit = PAGE.min(core.config.looked - looked);
            let from = self.after.clone().map(Cursor::After);
            let page = core.deps.objects.ambiguous(PageRequest { limit, from }).await?;
            for state in &page.data {
                if fetched >= core.config.fetched {
                    return Ok(());
                }
                looked += 1;
                self.after = Some(state.key.clone());
                let Some((authority, call, ends)) = self.call(core, state).await? else { continue };
                if out.contains(&authority.account().name) || self.waits(core, &state.key) {
                    continue;
                }
                fetched += 1;
                match fetch(core, state, &authority, &call, ends).await? {
                    Ok(end) => self.settled(core, state, end),
                    Err(error) if is_of_account(&error) => {
                        core.count(|figures| figures.failed += 1);
                        out.insert(authority.account().name.clone());
                        ended.asked = ended.asked.max(error.retry_after());
                        ended.error = Some(error.into());
                    }
                    Err(error) => self.fails(core, state, &error),
                }
            }
            if !page.has_more {
                self.over(core);
                break;
            }
        }
        Ok(())
    }

    /// How `state` is fetched, if it can be.
    async fn call(
        &mut self,
        core: &Core,
        state: &ObjectState,
    ) -> Result<Option<(Authority, Call, Ends)>, StoreError> {
        let stripe = state.key.provider == "stripe";
        let path = stripe.then(|| paths::path(&state.key.kind, &state.key.id)).flatten();
        let Some((path, ends)) = path else {
            self.left.pathless += 1;
            return Ok(None);
        };
        let event = match &state.event {
            Some(key) => core.deps.store.event(key).await?,
            None => None,
        };
        let named = event
            .as_ref()
            .and_then(|event| core.deps.owners.owner(event.endpoint, state.key.livemode));
        let authority = match core.authority(named.as_deref(), &state.key) {
            Ok(authority) => authority,
            Err(error) => {
                self.left.keyless += 1;
                tracing::debug!(object = %state.key, %error, "an unsure object has no key");
                return Ok(None);
            }
        };
        // In the shape in which its events are.
        let version = event.and_then(|event| event.event.api_version.clone());
        let call = match version.filter(|version| is_version(version)) {
            Some(version) => Call::get(path).version(version),
            None => Call::get(path),
        };
        Ok(Some((authority, call, ends)))
    }

    fn waits(&mut self, core: &Core, key: &ObjectKey) -> bool {
        let now = core.deps.clock.now();
        self.failed.get_mut(key).is_some_and(|failed| {
            failed.seen = true;
            failed.until > now
        })
    }

    fn fails(&mut self, core: &Core, state: &ObjectState, error: &ApiError) {
        core.count(|figures| figures.failed += 1);
        if self.failed.len() >= core.config.remembered && !self.failed.contains_key(&state.key) {
            return;
        }
        let failed = self.failed.entry(state.key.clone()).or_default();
        failed.times = failed.times.saturating_add(1);
        failed.seen = true;
        let wait = core.config.wait(failed.times, None);
        failed.until = core.deps.clock.now().plus(wait);
        tracing::warn!(
            object = %state.key, %error, kind = error.kind(), times = failed.times, ?wait,
            "cannot fetch an object of which the last state is not sure"
        );
    }

    fn settled(&mut self, core: &Core, state: &ObjectState, end: FetchEnd) {
        self.failed.remove(&state.key);
        core.count(|figures| match end {
            FetchEnd::Overtaken => figures.overtaken += 1,
            FetchEnd::Held | FetchEnd::Nothing => figures.cleared += 1,
        });
        tracing::debug!(object = %state.key, ?end, "fetched an object that was not sure");
    }

    /// All were looked at: what was not seen is sure by now.
    fn over(&mut self, core: &Core) {
        self.after = None;
        self.failed.retain(|_, failed| std::mem::take(&mut failed.seen));
        let Left { pathless, keyless } = std::mem::take(&mut self.left);
        core.count(|figures| (figures.pathless, figures.keyless) = (pathless, keyless));
    }
}

impl Core {
    fn authority(&self, named: Option<&str>, key: &ObjectKey) -> Result<Authority, NoKey> {
        self.deps.accounts.authority(named, Mode::of(key.livemode), key.account.as_deref())
    }

    fn count(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// Fetch it and take it in.
async fn fetch(
    core: &Core,
    state: &ObjectState,
    authority: &Authority,
    call: &Call,
    ends: Ends,
) -> Result<Result<FetchEnd, ApiError>, StoreError> {
    let key = &state.key;
    let began = core.deps.clock.now();
    let found = match core.deps.calls.call(authority, call).await {
        Ok(answer) => {
            let all = StripeProvider::default().fetched_objects(&answer.body, began);
            let first = all.into_iter().next();
            match first.filter(|found| found.kind == key.kind && found.id == key.id) {
                Some(found) => Some(found),
                None => {
                    let cause = format!("it is not the {} {}", key.kind, key.id);
                    return Ok(Err(ApiError::Malformed { cause }));
                }
            }
        }
        Err(ApiError::NotFound { code: Some(code), .. })
            if code == MISSING && ends == Ends::Goes =>
        {
            None
        }
        Err(error) => return Ok(Err(error)),
    };
    let fetched = Fetched { key: key.clone(), began, found };
    match core.deps.objects.refetched(vec![fetched]).await {
        Ok(ends) => Ok(Ok(ends.into_iter().next().unwrap_or(FetchEnd::Nothing))),
        // It concerns this object alone, however often it is asked for.
        Err(error @ StoreError::TooLarge { .. }) => {
            Ok(Err(ApiError::Malformed { cause: error.to_string() }))
        }
        Err(error) => Err(error),
    }
}

/// Whether it concerns every object of the account, now.
const fn is_of_account(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Unauthorised { .. }
            | ApiError::OtherAccount { .. }
            | ApiError::RateLimited { .. }
            | ApiError::Server { .. }
            | ApiError::Timeout { .. }
            | ApiError::Unreachable { .. }
    )
}

/// Whether it can be asked for: it goes into a header.
fn is_version(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
}
