//! What a stretch of the list held, into the store: the same transaction as a webhook's.

use std::time::Duration;

use super::Core;
use super::gather::Listed;
use super::look::{Found, LookError};
use crate::domain::endpoint::EndpointId;
use crate::domain::event::{EventKey, Source};
use crate::domain::proof::Proved;
use crate::provider::stripe::StripeProvider;
use crate::store::{Admission, NewEvent, StoreError};
use crate::stripe::Authority;

/// Events in one commit, and bytes of their bodies: half of what the store takes at once.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 1 << 20;
/// Tries while the store has no room, and the wait between them.
const TRIES: u32 = 50;
const AGAIN: Duration = Duration::from_millis(100);
/// Most ids of missed events that are told.
pub(super) const TOLD: usize = 100;

/// Whether `listed` can be an event, and how it came.
fn read(core: &Core, authority: &Authority, listed: &Listed, home: EndpointId) -> Option<NewEvent> {
    let now = core.deps.clock.now();
    let account = authority.connected().map(|id| id.as_str());
    match StripeProvider::default().retrieved(listed.body.clone(), account, now) {
        Ok(mut event) => {
            let proved = Proved::Retrieved {
                account: authority.account().name.clone(),
                on_behalf_of: account.map(str::to_owned),
                at: now.as_millis(),
            };
            event.proof = proved.header().into_iter().collect();
            Some(core.deps.routes.new_event(event, Source::Reconcile, home, now))
        }
        Err(rejection) => {
            // Nobody can handle it, today or tomorrow: it must not hold up the others.
            let (account, event) = (authority.to_string(), &listed.id);
            tracing::error!(account, event, %rejection, "an event of Stripe's list is none");
            None
        }
    }
}

/// Take `events`, the oldest first. Those known already are left alone.
pub(super) async fn take(
    core: &Core,
    authority: &Authority,
    events: &[Listed],
    found: &mut Found,
) -> Result<(), LookError> {
    let home = core.deps.homes.home(authority);
    let mut batch = Vec::new();
    let mut bytes = 0;
    for listed in events {
        let Some(new) = read(core, authority, listed, home) else {
            found.unusable += 1;
            continue;
        };
        if batch.len() >= BATCH || bytes + listed.body.len() > BATCH_BYTES {
            accept(core, std::mem::take(&mut batch), found).await?;
            bytes = 0;
        }
        bytes += listed.body.len();
        batch.push(new);
    }
    accept(core, batch, found).await
}

async fn accept(core: &Core, batch: Vec<NewEvent>, found: &mut Found) -> Result<(), LookError> {
    if batch.is_empty() {
        return Ok(());
    }
    match insist(core, &batch).await {
        Ok(admissions) => {
            let ids = batch.iter().map(|new| new.event.key.id.as_str());
            ids.zip(admissions).for_each(|(id, admission)| found.admitted(id, admission));
        }
        Err(StoreError::TooLarge { .. }) if batch.len() > 1 => {
            for one in batch {
                Box::pin(accept(core, vec![one], found)).await?;
            }
        }
        Err(error @ StoreError::TooLarge { .. }) => {
            let event = batch.first().map(|new| new.event.key.id.as_str());
            tracing::error!(event, %error, "an event of Stripe's list cannot be kept");
            found.unusable += 1;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn insist(core: &Core, batch: &[NewEvent]) -> Result<Vec<Admission>, StoreError> {
    for _ in 1..TRIES {
        match core.deps.store.accept(batch.to_vec()).await {
            Err(StoreError::Busy) => tokio::time::sleep(AGAIN).await,
            other => return other,
        }
    }
    core.deps.store.accept(batch.to_vec()).await
}

/// Look which of `events` are not known, and leave all as it is.
pub(super) async fn count(
    core: &Core,
    events: &[Listed],
    found: &mut Found,
) -> Result<(), LookError> {
    for listed in events {
        let key = EventKey { provider: "stripe".to_owned(), id: listed.id.clone() };
        match core.deps.store.event(&key).await? {
            Some(_) => found.known += 1,
            None => found.missed(&listed.id),
        }
    }
    Ok(())
}
