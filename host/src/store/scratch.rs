//! A view of nothing but memory, for handlers that are tried out: state, effects that wait, objects.
//!
//! Not a [`Store`](super::Store): nothing is queued, claimed or kept, and it ends with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::view::{ObjectView, View};
use super::{NewEvent, StoreError};
use crate::domain::clock::Timestamp;
use crate::domain::effect::EffectId;
use crate::domain::event::EventKey;
use crate::domain::kv::{KvEntry, KvPage, KvRange, KvVersion, KvWrite};
use crate::domain::mirror::{Mirrored, Opened, State};
use crate::domain::object::{Fetched, ObjectKey, ObjectState, Origin, Sighting};
use crate::domain::plugin::PluginName;

/// See the module.
#[derive(Debug, Default)]
pub struct Scratch(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    kv: BTreeMap<PluginName, BTreeMap<String, KvEntry>>,
    /// Of the last write.
    version: u64,
    waiting: BTreeSet<EffectId>,
    objects: HashMap<ObjectKey, Mirrored>,
}

impl Scratch {
    fn lock(&self) -> MutexGuard<'_, Held> {
        // It is whole after every change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Write a plugin's state.
    pub fn write(&self, plugin: &PluginName, writes: &[KvWrite]) {
        let mut held = self.lock();
        held.version += 1;
        let version = KvVersion(held.version);
        let kv = held.kv.entry(plugin.clone()).or_default();
        for write in writes {
            match write {
                KvWrite::Put { key, value } => {
                    kv.insert(key.clone(), KvEntry { version, value: value.clone() });
                }
                KvWrite::Delete { key } => drop(kv.remove(key)),
            }
        }
    }

    /// Let an effect wait.
    pub fn wait(&self, effect: EffectId) {
        self.lock().waiting.insert(effect);
    }

    /// Let an effect wait no longer: it happened, or was withdrawn. Whether it waited.
    pub fn end(&self, effect: &EffectId) -> bool {
        self.lock().waiting.remove(effect)
    }

    /// Take in what an event shows of the provider's objects, as its acceptance would.
    pub fn see(&self, new: &NewEvent, sightings: Vec<Sighting>) {
        let event = &new.event;
        let mut late = false;
        for sighting in sightings {
            let key = ObjectKey {
                provider: event.key.provider.clone(),
                livemode: event.livemode,
                kind: sighting.kind.clone(),
                account: event.account.clone(),
                id: sighting.id.clone(),
            };
            let origin = if sighting.subject { Origin::Event } else { Origin::Embedded };
            let moments = (event.occurred_at, new.received_at);
            let state = state(&sighting, &event.key.id, moments, origin);
            let objects = &mut self.lock().objects;
            match objects.get_mut(&key) {
                Some(held) if origin == Origin::Event => {
                    held.fold(state, &Opened::unpack);
                    late = held.is_past(event.occurred_at);
                }
                Some(held) => drop(held.fold_contained(state, late, &Opened::unpack)),
                None => drop(objects.insert(key, Mirrored::begin(state))),
            }
        }
    }

    /// Take in an object as the provider's API would have it.
    pub fn hold(&self, fetched: Fetched) {
        let Fetched { key, began, found } = fetched;
        let Some(found) = found else { return };
        let found = state(&found, "", (began, began), Origin::Fetched);
        self.lock().objects.insert(key, Mirrored::begin_fetched(began, found));
    }
}

fn state(
    sighting: &Sighting,
    event: &str,
    moments: (Timestamp, Timestamp),
    origin: Origin,
) -> State {
    State::of(sighting, event, moments, origin, Opened::pack(sighting).into())
}

#[async_trait]
impl View for Scratch {
    async fn value(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError> {
        Ok(self.lock().kv.get(plugin).and_then(|kv| kv.get(key)).cloned())
    }

    async fn keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError> {
        let held = self.lock();
        let Some(kv) = held.kv.get(plugin) else {
            return Ok(KvPage { keys: Vec::new(), next: None });
        };
        let from = match &range.after {
            Some(after) if *after >= range.prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(range.prefix.as_str()),
        };
        let mut keys = kv
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&range.prefix));
        let page: Vec<String> = keys.by_ref().take(range.limit).cloned().collect();
        let next = keys.next().and(page.last().cloned());
        Ok(KvPage { keys: page, next })
    }

    async fn held(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        let held = self.lock();
        let sizes = held.kv.get(plugin).into_iter().flatten();
        let sizes = sizes.map(|(key, entry)| key.len() + entry.value.len());
        Ok(u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX))
    }

    async fn waits(&self, effect: &EffectId) -> Result<bool, StoreError> {
        Ok(self.lock().waiting.contains(effect))
    }

    fn shown(self: Arc<Self>) -> Option<Arc<dyn ObjectView>> {
        Some(self)
    }
}

#[async_trait]
impl ObjectView for Scratch {
    async fn state(&self, key: &ObjectKey) -> Result<Option<ObjectState>, StoreError> {
        let held = self.lock();
        let Some(object) = held.objects.get(key) else { return Ok(None) };
        let state = object.state();
        let body = Opened::unpack(&state.packed).map(|opened| opened.body).unwrap_or_default();
        let id = state.event.clone();
        let event = (!id.is_empty()).then(|| EventKey { provider: key.provider.clone(), id });
        Ok(Some(ObjectState {
            key: key.clone(),
            body,
            as_of: state.as_of,
            event,
            received_at: state.received_at,
            arrived_at: object.arrived_at,
            origin: state.origin,
            deleted: object.deleted(),
            ambiguous: object.ambiguous,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> KvWrite {
        KvWrite::Put { key: key.to_owned(), value: value.as_bytes().to_vec() }
    }

    #[tokio::test]
    async fn state_is_each_plugins_own_and_its_versions_change_with_it() {
        let scratch = Scratch::default();
        let (a, b): (PluginName, PluginName) = ("a".parse().unwrap(), "b".parse().unwrap());
        scratch.write(&a, &[put("x", "1"), put("y", "22")]);
        let first = scratch.value(&a, "x").await.unwrap().unwrap();
        assert_eq!(scratch.value(&b, "x").await.unwrap(), None);
        assert_eq!((scratch.held(&a).await.unwrap(), scratch.held(&b).await.unwrap()), (5, 0));
        scratch.write(&a, &[put("x", "1"), KvWrite::Delete { key: "y".to_owned() }]);
        assert!(scratch.value(&a, "x").await.unwrap().unwrap().version > first.version);
        assert_eq!(scratch.value(&a, "y").await.unwrap(), None);
    }

    #[tokio::test]
    async fn keys_come_in_pages_below_a_prefix() {
        let scratch = Scratch::default();
        let a: PluginName = "a".parse().unwrap();
        scratch
            .write(&a, &[put("a", ""), put("p1", ""), put("p2", ""), put("p3", ""), put("q", "")]);
        let mut after = None;
        let mut pages = Vec::new();
        loop {
            let range = KvRange { prefix: "p".to_owned(), after: after.take(), limit: 2 };
            let page = scratch.keys(&a, &range).await.unwrap();
            pages.push(page.keys);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(pages, [vec!["p1", "p2"], vec!["p3"]]);
    }
}
