//! The `objects` import: the mirror, as one delivery sees it.
//!
//! What was read once reads the same until the delivery ends; a retry reads anew. A handler sees
//! objects of its event's mode and connected account, and no others: an identifier that a customer of
//! one account chose must not open another's. An event that was made here has neither; it sees the
//! endpoint's own account, what is real before what is a test.

use std::collections::HashMap;
use std::sync::Arc;

use wasmtime::Result;

use crate::domain::event::StoredEvent;
use crate::domain::grant::{Grant, allows_objects};
use crate::domain::object::{ObjectKey, ObjectState};
use crate::domain::plugin::Limits;
use crate::plugin::bindings::signalbox::plugin::objects as contract;
use crate::plugin::guest::{Abandoned, Guest, Role};
use crate::store::{ObjectView, StoreError, View};

/// What one delivery read so far.
pub(in crate::plugin) struct ObjectsSession {
    /// `None` where nothing is mirrored.
    mirror: Option<Arc<dyn ObjectView>>,
    account: Option<String>,
    /// Modes to look in, one after another.
    modes: &'static [bool],
    grants: Arc<[Grant]>,
    limits: Limits,
    reads: u32,
    bytes: u64,
    seen: HashMap<(String, String, String), Option<ObjectState>>,
}

impl ObjectsSession {
    pub(in crate::plugin) fn new(
        store: Arc<dyn View>,
        event: &StoredEvent,
        grants: Arc<[Grant]>,
        limits: Limits,
    ) -> Self {
        let modes: &'static [bool] = match (event.source.made(), event.event.livemode) {
            (Some(_), _) => &[true, false],
            (None, true) => &[true],
            (None, false) => &[false],
        };
        Self {
            mirror: store.shown(),
            account: event.event.account.clone(),
            modes,
            grants,
            limits,
            reads: 0,
            bytes: 0,
            seen: HashMap::new(),
        }
    }

    async fn get(
        &mut self,
        provider: String,
        kind: String,
        id: String,
    ) -> Result<Result<Option<ObjectState>, contract::Refusal>, StoreError> {
        let granted = allows_objects(&self.grants, &provider, &kind);
        let Some(mirror) = self.mirror.clone().filter(|_| granted) else {
            return Ok(Err(contract::Refusal::NotGranted));
        };
        if self.reads >= self.limits.object_reads {
            return Ok(Err(contract::Refusal::Operations));
        }
        self.reads += 1;
        let name = (provider, kind, id);
        let found = match self.seen.get(&name) {
            Some(seen) => seen.clone(),
            None => self.look(&*mirror, &name).await?,
        };
        let size = found.as_ref().map_or(0, |object| object.body.len());
        let bytes = self.bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        if bytes > self.limits.object_bytes {
            return Ok(Err(contract::Refusal::Operations));
        }
        self.bytes = bytes;
        self.seen.insert(name, found.clone());
        Ok(Ok(found))
    }

    async fn look(
        &self,
        mirror: &dyn ObjectView,
        (provider, kind, id): &(String, String, String),
    ) -> Result<Option<ObjectState>, StoreError> {
        for livemode in self.modes {
            let key = ObjectKey {
                provider: provider.clone(),
                livemode: *livemode,
                kind: kind.clone(),
                account: self.account.clone(),
                id: id.clone(),
            };
            let found = mirror.state(&key).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn show(object: ObjectState) -> contract::Object {
    contract::Object {
        id: object.key.id,
        kind: object.key.kind,
        as_of: object.as_of.as_millis(),
        event_id: object.event.map(|event| event.id).unwrap_or_default(),
        deleted: object.deleted,
        body: object.body.to_vec(),
    }
}

impl contract::Host for Guest {
    async fn get(
        &mut self,
        provider: String,
        kind: String,
        id: String,
    ) -> Result<Result<Option<contract::Object>, contract::Refusal>> {
        let Role::Handling(handling) = &mut self.role else {
            return Err(Abandoned::InDescribe("objects.get").into());
        };
        match handling.objects.get(provider, kind, id).await {
            Ok(answer) => Ok(answer.map(|object| object.map(show))),
            Err(error) => {
                self.fault = Some(format!("an object could not be read: {error}"));
                Err(Abandoned::HostFault.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::event::EventSeq;
    use crate::domain::grant::OBJECTS;
    use crate::store::Store;
    use crate::store::contract::objects::{TestSight, customer};
    use crate::store::sled::{SledConfig, SledStore};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_read_once_reads_the_same_until_the_delivery_ends() {
        let dir = tempfile::tempdir().unwrap();
        let config = SledConfig::new(dir.path().join("store"));
        let config = SledConfig { sight: Some(Arc::new(TestSight)), ..config };
        let store: Arc<dyn Store> = SledStore::open(&config).unwrap();
        let first = customer("1", 1, "a", "one", "");
        let event = StoredEvent {
            seq: EventSeq(1),
            endpoint: first.endpoint,
            received_at: Timestamp::from_secs(1),
            source: first.source.clone(),
            event: first.event.clone(),
        };
        store.accept(vec![first]).await.unwrap();
        let grants: Arc<[Grant]> =
            [Grant::parse(OBJECTS, "stripe customer", vec![]).unwrap()].into();
        let session = || {
            let (store, limits) = (Arc::clone(&store), Limits::default());
            ObjectsSession::new(store, &event, Arc::clone(&grants), limits)
        };
        let read = async |session: &mut ObjectsSession, id: &str| {
            let name = ["stripe", "customer", id].map(str::to_owned);
            let [provider, kind, id] = name;
            session.get(provider, kind, id).await.unwrap().unwrap().map(|object| object.as_of)
        };
        let mut one = session();
        let before = (read(&mut one, "a").await, read(&mut one, "b").await);
        store
            .accept(vec![customer("2", 2, "a", "two", ""), customer("3", 2, "b", "x", "")])
            .await
            .unwrap();
        assert_eq!((read(&mut one, "a").await, read(&mut one, "b").await), before);
        let later = before.0.unwrap().plus(Duration::from_secs(1));
        let mut two = session();
        assert_eq!(
            (read(&mut two, "a").await, read(&mut two, "b").await),
            (Some(later), Some(later))
        );
    }
}
