//! How far something long has come, and the switch that stops it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::ReplayError;

/// Figures of something under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Events looked at so far.
    pub looked_at: u64,
    /// How many there are to do; unknown while they are counted.
    pub counted: Option<u64>,
    /// How many are done.
    pub done: u64,
    /// How many were left alone, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
}

impl Figures {
    /// Count one more that was left alone.
    pub fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }
}

/// How far something has come. Shared by who does it and who looks.
#[derive(Debug, Default)]
pub struct Progress {
    figures: Mutex<Figures>,
    cancel: CancellationToken,
}

impl Progress {
    /// The figures of now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.lock().clone()
    }

    /// Have it stop at its next step.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Resolves when it is told to stop.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Bring the figures up to date.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.lock());
    }

    /// That it may go on.
    pub(super) fn go_on(&self) -> Result<(), ReplayError> {
        if self.cancel.is_cancelled() { Err(ReplayError::Cancelled) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        // Figures are whole after every change.
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
