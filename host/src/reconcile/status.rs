//! How each account stands: in memory, since the start. The mark alone is durable.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LostGround;
use super::look::{Found, LookError};
use crate::domain::clock::Timestamp;
use crate::store::cursors::Mark;
use crate::stripe::{Authority, Mode};

/// Why a look failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// A word of a closed set.
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

/// How one account, or a connected one, stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The operator's name of the account, and the connected account after a slash.
    pub account: String,
    /// The operator's name of the account alone.
    pub name: String,
    /// Live or test.
    pub mode: Mode,
    /// Everything before this moment was looked at.
    pub upto: Option<Timestamp>,
    /// The last look, however it ended.
    pub last_look: Option<Timestamp>,
    /// The last that came to its end.
    pub last_success: Option<Timestamp>,
    /// Why the last look failed, if it did.
    pub error: Option<LastError>,
    /// How many looks failed in a row.
    pub failures: u64,
    /// Missed events found since the start.
    pub missed: u64,
    /// Events since the start that cannot be events, or cannot be kept.
    pub unusable: u64,
    /// What was lost since the start, the last one.
    pub lost: Option<LostGround>,
    /// How often ground was lost since the start.
    pub lost_total: u64,
    /// Failed looks since the start, by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// How far Stripe's clock is ahead of the host's, in seconds.
    pub skew: Option<i64>,
}

/// The figures of an account with all that are connected to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Since the last look of the worst of them that came to its end; since the start before that.
    pub age: Duration,
    /// As in [`Status`].
    pub missed: u64,
    /// As in [`Status`].
    pub lost: u64,
    /// As in [`Status`].
    pub errors: BTreeMap<&'static str, u64>,
}

/// Where all of them stand.
#[derive(Debug)]
pub(super) struct Board {
    started: Timestamp,
    all: Mutex<BTreeMap<String, Status>>,
}

impl Board {
    pub(super) fn new(started: Timestamp) -> Self {
        Self { started, all: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        // Whole after every change.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Vec<Status> {
        self.lock().values().cloned().collect()
    }

    /// That there is such an account.
    pub(super) fn know(&self, authority: &Authority) {
        let status = || Status {
            account: authority.to_string(),
            name: authority.account().name.clone(),
            mode: authority.mode(),
            upto: None,
            last_look: None,
            last_success: None,
            error: None,
            failures: 0,
            missed: 0,
            unusable: 0,
            lost: None,
            lost_total: 0,
            errors: BTreeMap::new(),
            skew: None,
        };
        self.lock().entry(authority.to_string()).or_insert_with(status);
    }

    pub(super) fn looked(
        &self,
        authority: &Authority,
        found: &Found,
        error: Option<&LookError>,
        mark: Option<Mark>,
        skew: Option<i64>,
        now: Timestamp,
    ) {
        let mut all = self.lock();
        let Some(status) = all.get_mut(&authority.to_string()) else { return };
        status.upto = mark.map(|mark| mark.upto).or(status.upto);
        status.last_look = Some(now);
        status.missed += found.missed;
        status.unusable += found.unusable;
        status.skew = skew.or(status.skew);
        if let Some(lost) = found.lost
            && status.lost.map(|lost| lost.from) != Some(lost.from)
        {
            status.lost_total += 1;
            status.lost = Some(lost);
        }
        match error {
            None => {
                (status.last_success, status.error, status.failures) = (Some(now), None, 0);
            }
            Some(error) => {
                let (kind, message) = (error.kind(), error.to_string());
                status.error = Some(LastError { at: now, kind, message });
                status.failures += 1;
                *status.errors.entry(kind).or_default() += 1;
            }
        }
    }

    pub(super) fn figures(&self, now: Timestamp) -> BTreeMap<String, Figures> {
        let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
        for status in self.lock().values() {
            let own = figures.entry(status.name.clone()).or_default();
            own.age = own.age.max(now.since(status.last_success.unwrap_or(self.started)));
            own.missed += status.missed;
            own.lost += status.lost_total;
            for (kind, count) in &status.errors {
                *own.errors.entry(kind).or_default() += count;
            }
        }
        figures
    }
}
