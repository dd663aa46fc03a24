//! What the test host keeps: committed values and effects, what the run under way writes and asks
//! for, its records.
//!
//! The rules are the contract's (`wit/kv.wit`); the numbers are the real host's defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Record;
use super::objects::Objects;
use super::outbox::{Action, Effect, Outbox};
use crate::host::KeyPage;
use crate::kv::Limit;
use crate::objects::{Object, Unread};
use crate::outbox::{EffectId, Refused};

/// What one run may use. The defaults are those of the real host.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Calls to `kv`. Default 1,000.
    pub kv_operations: usize,
    /// Bytes of one value. Default 256 KiB.
    pub kv_value: usize,
    /// Bytes of all writes of one run. Default 1 MiB.
    pub kv_writes: usize,
    /// Bytes of all keys and values the plugin holds. Default 64 MiB.
    pub kv_quota: usize,
    /// Reads of mirrored objects of one run. Default 100.
    pub object_reads: usize,
    /// Bytes of all objects that one run reads. Default 4 MiB.
    pub object_bytes: usize,
    /// Effects and withdrawals of one run. Default 100.
    pub effects: usize,
    /// Bytes of all effects of one run. Default 1 MiB.
    pub effect_bytes: usize,
    /// Log records kept of one run. Default 200.
    pub log_records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            kv_operations: 1_000,
            kv_value: 256 << 10,
            kv_writes: 1 << 20,
            kv_quota: 64 << 20,
            object_reads: 100,
            object_bytes: 4 << 20,
            effects: 100,
            effect_bytes: 1 << 20,
            log_records: 200,
        }
    }
}

/// Longest key, as the contract says.
const MAX_KEY: usize = 512;

/// Keys of one page: few, so that a test crosses from one to the next.
const PAGE: usize = 16;

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) limits: Limits,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) committed: BTreeMap<String, Vec<u8>>,
    /// `None` for what the run deleted.
    writes: BTreeMap<String, Option<Vec<u8>>>,
    operations: usize,
    written: usize,
    pub(crate) logs: Vec<Record>,
    pub(crate) logs_dropped: usize,
    pub(crate) outbox: Outbox,
    pub(crate) objects: Objects,
}

impl State {
    /// End the run: keep what it wrote and asked for, or forget it.
    pub(crate) fn end(&mut self, commit: bool) -> Vec<Effect> {
        for (key, value) in std::mem::take(&mut self.writes) {
            match value {
                _ if !commit => {}
                Some(value) => {
                    self.committed.insert(key, value);
                }
                None => {
                    self.committed.remove(&key);
                }
            }
        }
        self.operations = 0;
        self.written = 0;
        self.objects.end();
        self.outbox.end(commit)
    }

    pub(crate) fn ask(&mut self, action: Action, delay: Duration) -> Result<EffectId, Refused> {
        self.outbox.ask(action, delay, (self.limits.effects, self.limits.effect_bytes))
    }

    pub(crate) fn object(&mut self, name: [&str; 3]) -> Result<Option<Object<Vec<u8>>>, Unread> {
        let most = (self.limits.object_reads, self.limits.object_bytes);
        self.objects.get(name, !self.outbox.barren, most)
    }

    pub(crate) fn cancel(&mut self, id: &str) -> Result<bool, Refused> {
        self.outbox.cancel(id, self.limits.effects)
    }

    pub(crate) fn log(&mut self, record: Record) {
        if self.logs.len() < self.limits.log_records {
            self.logs.push(record);
        } else {
            self.logs_dropped += 1;
        }
    }

    pub(crate) fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Limit> {
        self.operation()?;
        check(key)?;
        Ok(self.seen(key).cloned())
    }

    pub(crate) fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Limit> {
        self.operation()?;
        check(key)?;
        if value.len() > self.limits.kv_value {
            return Err(Limit::ValueSize);
        }
        self.count_bytes(key.len() + value.len())?;
        let freed = self.seen(key).map_or(0, |old| key.len() + old.len());
        if self.held() - freed + key.len() + value.len() > self.limits.kv_quota {
            return Err(Limit::Quota);
        }
        self.writes.insert(key.to_owned(), Some(value.to_vec()));
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &str) -> Result<(), Limit> {
        self.operation()?;
        check(key)?;
        self.count_bytes(key.len())?;
        self.writes.insert(key.to_owned(), None);
        Ok(())
    }

    pub(crate) fn keys(&mut self, prefix: &str, after: Option<&str>) -> Result<KeyPage, Limit> {
        self.operation()?;
        let mut keys: Vec<String> = self
            .visible()
            .map(|(key, _)| key)
            .filter(|key| key.starts_with(prefix) && after.is_none_or(|after| *key > after))
            .map(str::to_owned)
            .collect();
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let next = if more { keys.last().cloned() } else { None };
        Ok(KeyPage { keys, next })
    }

    fn seen(&self, key: &str) -> Option<&Vec<u8>> {
        match self.writes.get(key) {
            Some(written) => written.as_ref(),
            None => self.committed.get(key),
        }
    }

    /// What the run sees, in the order of the keys.
    fn visible(&self) -> impl Iterator<Item = (&str, &Vec<u8>)> {
        let mut all: BTreeMap<&str, Option<&Vec<u8>>> =
            self.committed.iter().map(|(key, value)| (key.as_str(), Some(value))).collect();
        all.extend(self.writes.iter().map(|(key, value)| (key.as_str(), value.as_ref())));
        all.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }

    fn held(&self) -> usize {
        self.visible().map(|(key, value)| key.len() + value.len()).sum()
    }

    fn operation(&mut self) -> Result<(), Limit> {
        self.operations += 1;
        if self.operations > self.limits.kv_operations { Err(Limit::Operations) } else { Ok(()) }
    }

    fn count_bytes(&mut self, bytes: usize) -> Result<(), Limit> {
        self.written += bytes;
        if self.written > self.limits.kv_writes { Err(Limit::Operations) } else { Ok(()) }
    }
}

fn check(key: &str) -> Result<(), Limit> {
    if key.is_empty() || key.len() > MAX_KEY { Err(Limit::KeySize) } else { Ok(()) }
}
