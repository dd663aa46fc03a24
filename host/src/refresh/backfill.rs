//! Takes an account's objects out of Stripe's lists into the mirror: those of before signalbox was
//! there.
//!
//! Lists go from the newest object to the oldest. After each page the moment down to which a kind was
//! read is durable, and the next run goes on there; objects of that very second are read again. Of a
//! kind that Stripe does not list by time (`kinds`), the last object of each page is durable instead,
//! and `since` bounds nothing. What was made since the first page came with its webhook.
//!
//! Not the doubts (`round`), and no event: handlers are not told of what is found.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::{kinds, paths};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::object::{FetchEnd, Fetched, ObjectKey};
use crate::provider::Provider as _;
use crate::provider::stripe::StripeProvider;
use crate::store::StoreError;
use crate::store::cursors::{CursorStore, Mark};
use crate::store::objects::ObjectStore;
use crate::stripe::{Account, Accounts, ApiError, Authority, Call, Calls, Connected, List, Page};

/// Read to the end: the next run begins anew.
const ENDED: Timestamp = Timestamp::from_millis(u64::MAX);
/// Tries while the store has no room, and the wait between them.
const TRIES: u32 = 50;
const AGAIN: Duration = Duration::from_millis(100);

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Only these kinds; empty for all that are listed.
    pub kinds: Vec<String>,
    /// Only the account of this name, and those connected to it.
    pub account: Option<String>,
    /// Only objects made since then, of kinds that are listed by time.
    pub since: Option<Timestamp>,
    /// Begin with the newest, wherever the last run ended.
    pub restart: bool,
}

/// Why nothing is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadWish {
    /// No such kind.
    #[error("`{0}` cannot be read from a list: {1}; these can be: {list}", list = kinds::named())]
    Kind(String, &'static str),
    /// No such account.
    #[error("there is no account `{0}` in the configuration ([[stripe.account]])")]
    Account(String),
}

/// What became of one kind of one account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Filled {
    /// The account, and the connected one after a slash.
    pub account: String,
    /// The kind.
    pub kind: String,
    /// Objects of the list.
    pub listed: u64,
    /// Those that the mirror holds as they were listed.
    pub held: u64,
    /// Those of which something newer came meanwhile.
    pub newer: u64,
    /// Those that cannot be kept, or are none.
    pub unusable: u64,
    /// Whether it went on where a run before had ended.
    pub resumed: bool,
    /// Why the kind was left out: the account has none, or the key may not read them.
    pub left_out: Option<String>,
    /// Why it was not read to its end.
    pub error: Option<String>,
}

/// Reads lists on demand. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// Stripe's API.
    pub calls: Arc<dyn Calls>,
    /// The accounts there are keys of.
    pub accounts: Accounts,
    /// The mirror.
    pub objects: Arc<dyn ObjectStore>,
    /// How far each list was read.
    pub cursors: Arc<dyn CursorStore>,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// Held while lists are read: two at once would move one mark.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it was stopped")]
    Stopped,
}

/// Told of how many objects were listed and how many are held; false to stop.
pub type Tell<'t> = dyn Fn(u64, u64) -> bool + Send + Sync + 't;

impl Backfill {
    /// Whether `wish` can be done.
    ///
    /// # Errors
    /// [`BadWish`], with the remedy.
    pub fn check(&self, wish: &Wish) -> Result<(), BadWish> {
        if let Some(kind) = wish.kinds.iter().find(|kind| !kinds::listed().any(|k| k == **kind)) {
            return Err(BadWish::Kind(kind.clone(), kinds::why_not(kind)));
        }
        match &wish.account {
            Some(name) if self.accounts.get(name).is_none() => Err(BadWish::Account(name.clone())),
            _ => Ok(()),
        }
    }

    /// Read what `wish` names. Waits for a run that is under way.
    pub async fn run(&self, wish: &Wish, tell: &Tell<'_>) -> Vec<Filled> {
        let _turn = self.turn.lock().await;
        let mut all: Vec<Filled> = Vec::new();
        let named = |account: &&Arc<Account>| {
            wish.account.as_ref().is_none_or(|name| account.name == *name)
        };
        for authority in self.accounts.iter().filter(named).flat_map(authorities) {
            for kind in kinds::listed() {
                if !wish.kinds.is_empty() && !wish.kinds.iter().any(|wanted| wanted == kind) {
                    continue;
                }
                let (listed, held) =
                    all.iter().fold((0, 0), |sum, one| (sum.0 + one.listed, sum.1 + one.held));
                let tell = |own: &Filled| tell(listed + own.listed, held + own.held);
                let mut filled = Filled {
                    account: authority.to_string(),
                    kind: kind.to_owned(),
                    ..Filled::default()
                };
                let ended = if kinds::is_by_time(kind) {
                    self.fill(&authority, kind, wish, &mut filled, &tell).await
                } else {
                    self.fill_by_page(&authority, kind, wish, &mut filled, &tell).await
                };
                let stopped = matches!(ended, Err(Broken::Stopped));
                match ended {
                    Ok(()) => {}
                    // Of all kinds there are, few accounts have all.
                    Err(Broken::Api(error)) if wish.kinds.is_empty() && is_of_kind(&error) => {
                        filled.left_out = Some(error.to_string());
                    }
                    Err(error) => filled.error = Some(error.to_string()),
                }
                all.push(filled);
                if stopped {
                    return all;
                }
            }
        }
        all
    }

    async fn fill(
        &self,
        authority: &Authority,
        kind: &str,
        wish: &Wish,
        filled: &mut Filled,
        tell: &(dyn Fn(&Filled) -> bool + Send + Sync),
    ) -> Result<(), Broken> {
        let name = format!("backfill/{authority}/{}/{kind}", authority.mode());
        let before = self.cursors.mark(&name).await?;
        let since = wish.since.unwrap_or(Timestamp::from_secs(0));
        // Behind a mark from before `since` there is nothing that is wanted.
        let goes_on = |mark: &Mark| (since..ENDED).contains(&mark.upto) && !wish.restart;
        let before = before.filter(goes_on);
        filled.resumed = before.is_some();
        let Some(path) = paths::collection(kind) else { return Ok(()) };
        let mut call = Call::get(path);
        if wish.since.is_some() {
            call = call.query("created[gte]", since.as_secs());
        }
        if let Some(mark) = before {
            call = call.query("created[lte]", mark.upto.as_secs());
        }
        let mut list = List::new(authority.clone(), call);
        loop {
            let began = self.clock.now();
            let Some(page) = list.next(&*self.calls).await? else { break };
            let oldest = self.take(authority, kind, began, page, filled).await?;
            if let Some(upto) = oldest {
                // What lies above it is durable in the mirror by now.
                self.cursors.set_mark(&name, Mark { upto, floor: since }).await?;
            }
            if !tell(filled) {
                return Err(Broken::Stopped);
            }
        }
        Ok(self.cursors.set_mark(&name, Mark { upto: ENDED, floor: since }).await?)
    }

    /// A list that Stripe cannot begin at a moment: it is gone on with behind the last object of the
    /// run before.
    async fn fill_by_page(
        &self,
        authority: &Authority,
        kind: &str,
        wish: &Wish,
        filled: &mut Filled,
        tell: &(dyn Fn(&Filled) -> bool + Send + Sync),
    ) -> Result<(), Broken> {
        let name = format!("backfill/{authority}/{}/{kind}/after", authority.mode());
        let Some(path) = paths::collection(kind) else { return Ok(()) };
        let begin = || List::new(authority.clone(), Call::get(path.clone()));
        let mut list = begin();
        if let Some(last) = self.cursors.place(&name).await?.filter(|_| !wish.restart) {
            list = list.after(&last);
            filled.resumed = true;
        }
        loop {
            let began = self.clock.now();
            let page = match list.next(&*self.calls).await {
                // The object to go on behind is gone: from the newest again.
                Err(ApiError::NotFound { .. } | ApiError::Refused { .. })
                    if filled.resumed && filled.listed == 0 =>
                {
                    filled.resumed = false;
                    list = begin();
                    continue;
                }
                page => page?,
            };
            let Some(page) = page else { break };
            let last = page.items.last().map(|item| item.id.clone());
            self.take(authority, kind, began, page, filled).await?;
            if last.is_some() {
                // What stands before it is durable in the mirror by now.
                self.cursors.set_place(&name, last.as_deref()).await?;
            }
            if !tell(filled) {
                return Err(Broken::Stopped);
            }
        }
        Ok(self.cursors.set_place(&name, None).await?)
    }

    /// Take a page in; the moment its last object was made.
    async fn take(
        &self,
        authority: &Authority,
        kind: &str,
        began: Timestamp,
        page: Page,
        filled: &mut Filled,
    ) -> Result<Option<Timestamp>, Broken> {
        let mut oldest = None;
        let mut fetched = Vec::new();
        for item in page.items {
            filled.listed += 1;
            let body = Bytes::from(String::from(Box::<str>::from(item.raw)));
            let shown = StripeProvider::default().fetched_objects(&body, began).into_iter().next();
            let Some(found) = shown.filter(|shown| shown.kind == kind && shown.id == item.id)
            else {
                filled.unusable += 1;
                continue;
            };
            oldest = created(&body).or(oldest);
            let key = ObjectKey {
                provider: "stripe".to_owned(),
                livemode: authority.mode().is_live(),
                kind: kind.to_owned(),
                account: authority.connected().map(|id| id.as_str().to_owned()),
                id: item.id,
            };
            fetched.push(Fetched { key, began, found: Some(found) });
        }
        for end in self.insist(&fetched).await? {
            match end {
                FetchEnd::Held | FetchEnd::Nothing => filled.held += 1,
                FetchEnd::Overtaken => filled.newer += 1,
            }
        }
        Ok(oldest)
    }

    async fn insist(&self, fetched: &[Fetched]) -> Result<Vec<FetchEnd>, StoreError> {
        for _ in 1..TRIES {
            match self.objects.refetched(fetched.to_vec()).await {
                Err(StoreError::Busy) => tokio::time::sleep(AGAIN).await,
                other => return other,
            }
        }
        self.objects.refetched(fetched.to_vec()).await
    }
}

/// The account itself, and those connected to it that the configuration names.
fn authorities(account: &Arc<Account>) -> Vec<Authority> {
    let ids = match &account.connected {
        Connected::Only(ids) => ids.as_slice(),
        Connected::All => &[],
    };
    let connected = ids.iter().map(|id| Authority::on_behalf_of(account, id.clone()));
    let connected = connected.filter(|authority| authority.connected().is_some());
    std::iter::once(Authority::own(account)).chain(connected).collect()
}

/// Whether it says that there are no such objects for this key.
const fn is_of_kind(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::Forbidden { .. } | ApiError::Refused { .. } | ApiError::NotFound { .. }
    )
}

fn created(body: &[u8]) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    struct Stamp {
        created: u64,
    }
    let stamp: Stamp = serde_json::from_slice(body).ok()?;
    Some(Timestamp::from_secs(stamp.created))
}
