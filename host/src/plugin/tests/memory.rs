//! A view that holds one state in memory and can be told to fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::domain::effect::{EffectId, EffectStatus};
use crate::domain::kv::{KvEntry, KvPage, KvRange, KvVersion, KvWrite};
use crate::domain::plugin::PluginName;
use crate::store::{ObjectView, StoreError, View};

#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    entries: Mutex<BTreeMap<String, KvEntry>>,
    effects: Mutex<BTreeMap<EffectId, EffectStatus>>,
    /// How often an effect was looked up.
    pub(crate) looked_up: AtomicU32,
    /// Every read of `kv` fails.
    pub(crate) broken: AtomicBool,
    /// Every read of `kv` panics.
    pub(crate) panics: AtomicBool,
    /// Names of the threads that read a value, in order.
    pub(crate) read_on: Mutex<Vec<String>>,
}

impl MemoryStore {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// As the commit would.
    pub(crate) fn commit(&self, writes: Vec<KvWrite>) {
        let mut entries = self.entries.lock().unwrap();
        let version = KvVersion(entries.values().map(|e| e.version.0).max().unwrap_or(0) + 1);
        for write in writes {
            match write {
                KvWrite::Put { key, value } => {
                    entries.insert(key, KvEntry { version, value });
                }
                KvWrite::Delete { key } => {
                    entries.remove(&key);
                }
            }
        }
    }

    pub(crate) fn put(&self, key: &str, value: &[u8]) {
        self.commit(vec![KvWrite::Put { key: key.to_owned(), value: value.to_vec() }]);
    }

    pub(crate) fn put_effect(&self, id: &str, status: EffectStatus) {
        self.effects.lock().unwrap().insert(id.parse().unwrap(), status);
    }

    pub(crate) fn stored(&self, key: &str) -> Option<Vec<u8>> {
        self.entries.lock().unwrap().get(key).map(|entry| entry.value.clone())
    }

    fn works(&self) -> Result<(), StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a panic in the store");
        if self.broken.load(Ordering::SeqCst) { Err(StoreError::Busy) } else { Ok(()) }
    }
}

#[async_trait]
impl View for MemoryStore {
    async fn value(&self, _: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError> {
        self.works()?;
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.read_on.lock().unwrap().push(thread);
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    async fn keys(&self, _: &PluginName, range: &KvRange) -> Result<KvPage, StoreError> {
        self.works()?;
        let entries = self.entries.lock().unwrap();
        let after = |key: &&String| range.after.as_ref().is_none_or(|after| *key > after);
        let mut keys =
            entries.keys().filter(|key| key.starts_with(&range.prefix)).filter(after).cloned();
        let page: Vec<_> = keys.by_ref().take(range.limit).collect();
        let next = keys.next().and(page.last().cloned());
        Ok(KvPage { keys: page, next })
    }

    async fn held(&self, _: &PluginName) -> Result<u64, StoreError> {
        self.works()?;
        let entries = self.entries.lock().unwrap();
        let sizes = entries.iter().map(|(key, entry)| key.len() + entry.value.len());
        Ok(u64::try_from(sizes.sum::<usize>()).unwrap())
    }

    async fn waits(&self, id: &EffectId) -> Result<bool, StoreError> {
        self.works()?;
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        Ok(self.effects.lock().unwrap().get(id).is_some_and(|status| status.waits()))
    }

    fn shown(self: Arc<Self>) -> Option<Arc<dyn ObjectView>> {
        None
    }
}
