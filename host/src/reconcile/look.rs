//! One look at one account's events: which stretches of the list are read, and how far that is
//! known to be read afterwards.
//!
//! # Why nothing is missed
//!
//! The mark is a moment by Stripe's clock (or the host's, whichever is earlier) before which
//! everything the list showed was durable in the store before the mark was. A look begins an
//! overlap before the mark, at that very second, and ends without an upper bound. Stretches are
//! read from the oldest to the newest, and the mark follows each. A stretch too large to be held is
//! read in smaller ones.

use serde::Serialize;

use super::config::HORIZON;
use super::gather::{End, Gathered, Stretch, gather};
use super::take::{TOLD, count, take};
use super::{Core, LostGround};
use crate::domain::clock::Timestamp;
use crate::store::cursors::Mark;
use crate::store::{Admission, StoreError};
use crate::stripe::{ApiError, Authority};

/// What a look is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Look back to this moment, whatever was looked at before; the mark stays where it is.
    pub since: Option<Timestamp>,
    /// Only count.
    pub dry_run: bool,
}

/// What looks found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Found {
    /// Events of the list.
    pub listed: u64,
    /// Those that were not known and now are; in a dry run, those not known.
    pub missed: u64,
    /// Those that were known.
    pub known: u64,
    /// Those too young: left to their webhook.
    pub young: u64,
    /// Those that cannot be events, or cannot be kept; the log says which.
    pub unusable: u64,
    /// The ids of the first hundred that were missed.
    pub events: Vec<String>,
    /// What the list no longer reaches.
    pub lost: Option<LostGround>,
}

impl Found {
    pub(super) fn missed(&mut self, id: &str) {
        self.missed += 1;
        if self.events.len() < TOLD {
            self.events.push(id.to_owned());
        }
    }

    /// Both, but for what is told of single events.
    pub(super) fn with(&self, more: &Self) -> Self {
        Self {
            listed: self.listed + more.listed,
            missed: self.missed + more.missed,
            known: self.known + more.known,
            young: self.young + more.young,
            unusable: self.unusable + more.unusable,
            ..Self::default()
        }
    }

    pub(super) fn admitted(&mut self, id: &str, admission: Admission) {
        match admission {
            Admission::Accepted(_) => self.missed(id),
            Admission::Duplicate(_) => self.known += 1,
        }
    }
}

/// Why a look did not come to its end. What it took is taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// Stripe's API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to stop.
    #[error("it was stopped")]
    Stopped,
}

impl LookError {
    /// A word for it, out of a closed set.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Api(error) => error.kind(),
            Self::Store(_) => "store",
            Self::Stopped => "stopped",
        }
    }
}

/// A look under way.
pub(super) struct Look<'l> {
    pub(super) core: &'l Core,
    pub(super) authority: &'l Authority,
    pub(super) wish: Wish,
    /// Told of what was found so far; false to stop.
    pub(super) tell: &'l (dyn Fn(&Found) -> bool + Send + Sync),
    pub(super) found: Found,
    /// How far Stripe's clock is ahead of the host's, in seconds.
    pub(super) skew: Option<i64>,
}

impl Look<'_> {
    pub(super) async fn run(&mut self) -> Result<(), LookError> {
        let mut mark = self.begin().await?;
        let config = &self.core.config;
        let now = self.core.deps.clock.now();
        let oldest = now.minus(HORIZON);
        let uncertain = mark.upto > now || mark.floor > now;
        if uncertain {
            // Some clock was ahead: whatever was looked at, it is not known up to when.
            tracing::warn!(account = %self.authority, %now, upto = %mark.upto, "a mark in the future");
            mark = Mark { upto: oldest, floor: oldest };
        }
        let from = match self.wish.since {
            Some(since) => since.max(oldest),
            None => mark.upto.minus(config.overlap).max(mark.floor),
        };
        let mut from = from.as_secs();
        let mut width: Option<u64> = None;
        let mut first = true;
        loop {
            let stretch = Stretch { from, until: width.map(|width| from + width) };
            let bounded = width != Some(1);
            let calls = &*self.core.deps.calls;
            let gathered = gather(calls, self.authority, stretch, config, bounded).await?;
            let stripe_now = self.stripe_now(gathered.date);
            if std::mem::take(&mut first) {
                if mark.floor > stripe_now && self.wish.since.is_none() {
                    // The host's clock was ahead when it looked for the first time.
                    let floor = stripe_now.minus(config.first_since);
                    mark = Mark { upto: floor, floor };
                    from = floor.as_secs();
                    continue;
                }
                if !uncertain {
                    self.lost_ground(mark, stripe_now).await?;
                }
                from = from.max(stripe_now.minus(HORIZON).as_secs());
            }
            if matches!(gathered.end, End::TooMuch) {
                width = Some(narrower(from, stretch.until, &gathered, stripe_now));
                continue;
            }
            let young = stripe_now.minus(config.grace).as_secs();
            // A clock nobody told moves no mark: the newest event does.
            let newest = gathered.events.iter().map(|event| event.created).max().unwrap_or(0);
            let known = match gathered.date {
                Some(_) => young,
                None => newest.max(mark.upto.as_secs()).min(young),
            };
            self.take(gathered.events, stretch.until.is_none().then_some(young)).await?;
            if let End::Odd(odd) = gathered.end {
                return Err(odd.into());
            }
            let upto = stretch.until.map_or(known, |until| until.min(young));
            self.reached(mark, Timestamp::from_secs(upto)).await?;
            let Some(until) = stretch.until else { return Ok(()) };
            if !(self.tell)(&self.found) {
                return Err(LookError::Stopped);
            }
            from = until;
            let wider = width.unwrap_or(1).saturating_mul(2);
            width = (from + wider < stripe_now.as_secs()).then_some(wider);
        }
    }

    /// The mark; a new one for an account that is looked at for the first time.
    async fn begin(&self) -> Result<Mark, StoreError> {
        let name = name(self.authority);
        let deps = &self.core.deps;
        if let Some(mark) = deps.cursors.mark(&name).await? {
            return Ok(mark);
        }
        let from = deps.clock.now().minus(self.core.config.first_since);
        // To the second, as Stripe's stamps are.
        let from = Timestamp::from_secs(from.as_secs());
        let mark = Mark { upto: from, floor: from };
        if !self.wish.dry_run {
            deps.cursors.set_mark(&name, mark).await?;
            tracing::info!(
                account = %self.authority, %from,
                "missed events are looked for from here on; `signalbox reconcile --since` looks \
                 further back"
            );
        }
        Ok(mark)
    }

    /// The earlier of both clocks: neither one that is ahead moves the mark too far.
    fn stripe_now(&mut self, date: Option<Timestamp>) -> Timestamp {
        let now = self.core.deps.clock.now();
        let Some(date) = date else { return now };
        let seconds = |time: Timestamp| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.skew = Some(seconds(date).saturating_sub(seconds(now)));
        date.min(now)
    }

    /// Tell of what Stripe's list no longer reaches, once.
    async fn lost_ground(&mut self, mark: Mark, stripe_now: Timestamp) -> Result<(), StoreError> {
        let reach = stripe_now.minus(HORIZON);
        if self.wish.since.is_some() || mark.upto >= reach {
            return Ok(());
        }
        let lost = LostGround { from: mark.upto, until: reach };
        self.found.lost = Some(lost);
        if self.wish.dry_run {
            return Ok(());
        }
        self.core.tell_lost(self.authority, lost).await
    }

    /// Take what was gathered, the oldest first, but for what is too young.
    async fn take(
        &mut self,
        mut events: Vec<super::gather::Listed>,
        young: Option<u64>,
    ) -> Result<(), LookError> {
        self.found.listed += events.len() as u64;
        events.reverse();
        // Stable: of one second, the order of the list. What lists the oldest first is read as well.
        events.sort_by_key(|event| event.created);
        let before = events.len();
        if let Some(young) = young {
            events.retain(|event| event.created < young);
        }
        self.found.young += (before - events.len()) as u64;
        if self.wish.dry_run {
            return count(self.core, &events, &mut self.found).await;
        }
        take(self.core, self.authority, &events, &mut self.found).await
    }

    /// Everything before `upto` is durable.
    async fn reached(&self, mark: Mark, upto: Timestamp) -> Result<(), StoreError> {
        if self.wish.dry_run || self.wish.since.is_some() {
            return Ok(());
        }
        let deps = &self.core.deps;
        // Not back to before the account was looked at for the first time.
        let upto = upto.max(mark.floor);
        deps.cursors.set_mark(&name(self.authority), Mark { upto, ..mark }).await
    }
}

/// The name of an account's mark.
pub(super) fn name(authority: &Authority) -> String {
    format!("reconcile/{}/{authority}", authority.mode())
}

/// How wide a stretch that was too large should be instead: what was held stood within some time,
/// and half of the stretch is less than all of it.
fn narrower(from: u64, until: Option<u64>, gathered: &Gathered, now: Timestamp) -> u64 {
    let stamps = || gathered.events.iter().map(|event| event.created);
    let (newest, oldest) = (stamps().max().unwrap_or(0), stamps().min().unwrap_or(0));
    let end = until.unwrap_or_else(|| now.as_secs().max(newest).saturating_add(1));
    let half = end.saturating_sub(from) / 2;
    half.min(newest.saturating_sub(oldest)).max(1)
}
