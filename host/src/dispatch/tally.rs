//! What attempts came to since the start, by plugin: figures to watch.
//!
//! Not the attempts themselves, which are the store's. In memory alone, so that a start begins anew, as
//! counters may.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::delivery::{Attempt, Outcome};
use crate::domain::plugin::PluginName;

/// The attempts of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many ended in each way.
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// Processor time of all.
    pub cpu: Duration,
    /// Time by the clock of all, waits for a processor not counted.
    pub wall: Duration,
}

/// Counts attempts as they are committed.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<PluginName, Attempts>>);

impl Tally {
    /// One more.
    pub(super) fn count(&self, plugin: &PluginName, attempt: &Attempt) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(plugin) {
            all.insert(plugin.clone(), Attempts::default());
        }
        if let Some(own) = all.get_mut(plugin) {
            *own.by_outcome.entry(attempt.outcome).or_default() += 1;
            own.cpu += attempt.usage.cpu;
            own.wall += attempt.usage.wall;
        }
    }

    pub(super) fn all(&self) -> BTreeMap<PluginName, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
