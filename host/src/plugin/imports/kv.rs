//! The `kv` import: a plugin's state as one delivery sees it.
//!
//! Reads go to the store and are remembered, so that the commit can tell whether they still hold;
//! writes stay here, cover the store's answers, and travel with the verdict. Nothing is written
//! while a guest runs.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use wasmtime::Result;

use crate::domain::kv::{KvEntry, KvRange, KvRead, KvVersion, KvWrite, MAX_KEY};
use crate::domain::plugin::{Limits, PluginName};
use crate::plugin::bindings::signalbox::plugin::kv::{Host, KeyPage, Limit};
use crate::plugin::guest::{Abandoned, Guest, Role};
use crate::plugin::limits::{KEYS_PER_PAGE, MAX_READ_SET};
use crate::store::{StoreError, View};

/// One delivery's view of its plugin's state.
pub(in crate::plugin) struct KvSession {
    store: Arc<dyn View>,
    plugin: PluginName,
    limits: Limits,
    operations: u32,
    /// What was seen. A key seen twice alike is listed once.
    reads: Vec<KvRead>,
    seen: HashSet<(String, Option<KvVersion>)>,
    read_bytes: u64,
    /// What is to be written; `None` deletes.
    writes: BTreeMap<String, Option<Vec<u8>>>,
    /// Bytes the plugin held when first asked for.
    usage: Option<u64>,
}

/// Why a call did not do what it was asked.
enum Refusal {
    /// The guest is told.
    Limit(Limit),
    /// The guest ends.
    Store(StoreError),
}

impl From<Limit> for Refusal {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl KvSession {
    pub(in crate::plugin) fn new(store: Arc<dyn View>, plugin: PluginName, limits: Limits) -> Self {
        Self {
            store,
            plugin,
            limits,
            operations: 0,
            reads: Vec::new(),
            seen: HashSet::new(),
            read_bytes: 0,
            writes: BTreeMap::new(),
            usage: None,
        }
    }

    pub(in crate::plugin) const fn operations(&self) -> u32 {
        self.operations
    }

    /// What was seen and what is to be written, keys ascending.
    pub(in crate::plugin) fn finish(self) -> (Vec<KvRead>, Vec<KvWrite>) {
        let write = |(key, value)| match value {
            Some(value) => KvWrite::Put { key, value },
            None => KvWrite::Delete { key },
        };
        (self.reads, self.writes.into_iter().map(write).collect())
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        if self.operations >= self.limits.kv_operations {
            return Err(Limit::Operations.into());
        }
        self.operations += 1;
        Ok(())
    }

    fn check_key(key: &str) -> Result<(), Refusal> {
        if key.is_empty() || key.len() > MAX_KEY { Err(Limit::KeySize.into()) } else { Ok(()) }
    }

    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Refusal> {
        self.begin()?;
        Self::check_key(&key)?;
        if let Some(own) = self.writes.get(&key) {
            return Ok(own.clone());
        }
        let entry = self.store.value(&self.plugin, &key).await?;
        self.saw_key(key, entry.as_ref())?;
        Ok(entry.map(|entry| entry.value))
    }

    fn saw_key(&mut self, key: String, entry: Option<&KvEntry>) -> Result<(), Refusal> {
        let version = entry.map(|entry| entry.version);
        if self.seen.insert((key.clone(), version)) {
            self.remember(size(key.len()))?;
            self.reads.push(KvRead::Key { key, version });
        }
        Ok(())
    }

    fn remember(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.read_bytes = self.read_bytes.saturating_add(bytes);
        if self.read_bytes > MAX_READ_SET { Err(Limit::Operations.into()) } else { Ok(()) }
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), Refusal> {
        self.begin()?;
        Self::check_key(&key)?;
        if size(value.len()) > self.limits.kv_value {
            return Err(Limit::ValueSize.into());
        }
        let before = self.writes.insert(key.clone(), Some(value));
        let refused = match self.fits() {
            true => self.within_quota().await.err(),
            false => Some(Limit::Operations.into()),
        };
        match refused {
            None => Ok(()),
            Some(refusal) => {
                self.restore(key, before);
                Err(refusal)
            }
        }
    }

    async fn delete(&mut self, key: String) -> Result<(), Refusal> {
        self.begin()?;
        Self::check_key(&key)?;
        let before = self.writes.insert(key.clone(), None);
        if self.fits() {
            return Ok(());
        }
        self.restore(key, before);
        Err(Limit::Operations.into())
    }

    fn restore(&mut self, key: String, before: Option<Option<Vec<u8>>>) {
        match before {
            Some(before) => self.writes.insert(key, before),
            None => self.writes.remove(&key),
        };
    }

    /// Whether the writes fit into one transaction.
    fn fits(&self) -> bool {
        let one = |(key, value): (&String, &Option<Vec<u8>>)| {
            size(key.len() + value.as_ref().map_or(0, Vec::len))
        };
        self.writes.iter().map(one).sum::<u64>() <= self.limits.kv_writes
    }

    /// Whether the plugin would stay within its quota if the writes were committed now.
    ///
    /// Almost always what it holds plus what is to be written is within it. Only when it is not
    /// are the sizes of what would be replaced looked up; those looks are not reads of the guest,
    /// so a change of them is no conflict, and the quota may be passed by what commits at the
    /// same moment.
    async fn within_quota(&mut self) -> Result<(), Refusal> {
        let usage = match self.usage {
            Some(usage) => usage,
            None => {
                let usage = self.store.held(&self.plugin).await?;
                *self.usage.insert(usage)
            }
        };
        let puts = self.writes.iter().filter_map(|(k, v)| Some(size(k.len() + v.as_ref()?.len())));
        let added: u64 = puts.sum();
        if usage.saturating_add(added) <= self.limits.kv_quota {
            return Ok(());
        }
        let mut replaced = 0_u64;
        for key in self.writes.keys() {
            if let Some(entry) = self.store.value(&self.plugin, key).await? {
                replaced = replaced.saturating_add(size(key.len() + entry.value.len()));
            }
        }
        let after = usage.saturating_sub(replaced).saturating_add(added);
        if after <= self.limits.kv_quota { Ok(()) } else { Err(Limit::Quota.into()) }
    }

    /// One page: the store's keys, less those deleted here, plus those put here.
    async fn keys(&mut self, prefix: String, after: Option<String>) -> Result<KeyPage, Refusal> {
        self.begin()?;
        let mut keys = self.own_keys(&prefix, after.as_deref());
        let mut from = after;
        // One more than a page tells whether there is another. Deleted keys may make the store
        // be asked again; each time costs more deletions than a page holds, so not often.
        loop {
            let range =
                KvRange { prefix: prefix.clone(), after: from.take(), limit: KEYS_PER_PAGE + 1 };
            let page = self.store.keys(&self.plugin, &range).await?;
            let bytes = page.keys.iter().map(|key| size(key.len())).sum::<u64>();
            self.remember(bytes + size(prefix.len()))?;
            keys.extend(page.keys.iter().filter(|key| !self.writes.contains_key(*key)).cloned());
            from.clone_from(&page.next);
            let last = page.keys.last().cloned();
            self.reads.push(KvRead::Range { range, page });
            // What lies beyond the last key seen is known only when the store has no more.
            let known = keys.iter().filter(|key| from.is_none() || Some(*key) <= last.as_ref());
            if from.is_none() || known.count() > KEYS_PER_PAGE {
                break;
            }
        }
        keys.sort_unstable();
        let more = keys.len() > KEYS_PER_PAGE;
        keys.truncate(KEYS_PER_PAGE);
        Ok(KeyPage { next: keys.last().filter(|_| more).cloned(), keys })
    }

    fn own_keys(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.writes
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, value)| value.is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }
}

impl Guest {
    fn kv(&mut self, call: &'static str) -> Result<&mut KvSession> {
        match &mut self.role {
            Role::Handling(handling) => Ok(&mut handling.kv),
            Role::Describing => Err(Abandoned::InDescribe(call).into()),
        }
    }

    fn answer<T>(&mut self, result: Result<T, Refusal>) -> Result<Result<T, Limit>> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Refusal::Limit(limit)) => Ok(Err(limit)),
            Err(Refusal::Store(error)) => {
                self.fault = Some(format!("its state could not be read: {error}"));
                Err(Abandoned::HostFault.into())
            }
        }
    }
}

impl Host for Guest {
    async fn get(&mut self, key: String) -> Result<Result<Option<Vec<u8>>, Limit>> {
        let result = self.kv("kv.get")?.get(key).await;
        self.answer(result)
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<Result<(), Limit>> {
        let result = self.kv("kv.set")?.set(key, value).await;
        self.answer(result)
    }

    async fn delete(&mut self, key: String) -> Result<Result<(), Limit>> {
        let result = self.kv("kv.delete")?.delete(key).await;
        self.answer(result)
    }

    async fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
    ) -> Result<Result<KeyPage, Limit>> {
        let result = self.kv("kv.keys")?.keys(prefix, after).await;
        self.answer(result)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::plugin::tests::memory::MemoryStore;

    /// Every key by following the pages to their end.
    async fn all(session: &mut KvSession, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut after = None;
        loop {
            let Ok(page) = session.keys(prefix.to_owned(), after).await else { panic!("refused") };
            assert!(page.keys.len() <= KEYS_PER_PAGE);
            assert!(page.next.is_none() || page.keys.len() == KEYS_PER_PAGE, "a short page");
            keys.extend(page.keys);
            match page.next {
                Some(next) => after = Some(next),
                None => return keys,
            }
        }
    }

    fn key(n: u16) -> String {
        format!("{}{n:03}", if n.is_multiple_of(3) { "a" } else { "ab" })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever was stored and whatever was done since: what is read is what a plain map holds.
        #[test]
        fn it_reads_like_a_plain_map(
            stored in proptest::collection::btree_set(0_u16..400, 0..300),
            steps in proptest::collection::vec((0_u16..400, proptest::option::of(0_u8..255)), 0..300),
        ) {
            let store = MemoryStore::shared();
            let mut model: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            for n in stored {
                store.put(&key(n), b"old");
                model.insert(key(n), b"old".to_vec());
            }
            let limits = Limits { kv_operations: 100_000, ..Limits::default() };
            let mut session = KvSession::new(store, "a".parse().unwrap(), limits);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for (n, value) in steps {
                    let done = match value {
                        Some(value) => {
                            model.insert(key(n), vec![value]);
                            session.set(key(n), vec![value]).await
                        }
                        None => {
                            model.remove(&key(n));
                            session.delete(key(n)).await
                        }
                    };
                    assert!(done.is_ok());
                    let Ok(found) = session.get(key(n)).await else { panic!("refused") };
                    assert_eq!(found.as_ref(), model.get(&key(n)));
                }
                for prefix in ["", "a", "ab", "ab1", "b"] {
                    let expected: Vec<_> =
                        model.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
                    assert_eq!(all(&mut session, prefix).await, expected);
                }
            });
        }
    }
}
