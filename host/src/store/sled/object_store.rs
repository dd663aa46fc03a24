//! [`ObjectStore`] on sled.

use async_trait::async_trait;

use crate::domain::event::EventKey;
use crate::domain::object::{FetchEnd, Fetched, ObjectKey, ObjectState};
use crate::store::objects::{ObjectFigures, ObjectQuery, ObjectStore, Touch};
use crate::store::{Page, PageRequest, StoreError};

use super::committer::Request;
use super::ending;
use super::jobs::Job;
use super::mirror::{Refetch, read};
use super::store::SledStore;

#[async_trait]
impl ObjectStore for SledStore {
    async fn object(&self, key: &ObjectKey) -> Result<Option<ObjectState>, StoreError> {
        let key = key.clone();
        self.read(move |shared| read::object(shared, &key)).await
    }

    async fn objects(&self, query: ObjectQuery) -> Result<Page<ObjectState>, StoreError> {
        self.read(move |shared| read::objects(shared, &query)).await
    }

    async fn object_history(
        &self,
        key: &ObjectKey,
        page: PageRequest<EventKey>,
    ) -> Result<Page<Touch>, StoreError> {
        let key = key.clone();
        self.read(move |shared| read::history(shared, &key, &page)).await
    }

    async fn refetched(&self, fetched: Vec<Fetched>) -> Result<Vec<FetchEnd>, StoreError> {
        let shared = self.shared()?;
        let ready = fetched.into_iter().map(|one| Refetch::new(&shared.codec, one));
        let ready: Vec<Option<Refetch>> = ready.collect::<Result<_, _>>()?;
        drop(shared);
        let size = |one: &Option<Refetch>| one.as_ref().map_or(0, Refetch::size);
        let parts = ending::parts(ready, size);
        let requests = parts.into_iter().map(|(fetched, size)| {
            move |reply| Request::Job { job: Job::Refetched { fetched, reply }, size }
        });
        self.ask_each(requests).await
    }

    async fn object_figures(&self) -> Result<ObjectFigures, StoreError> {
        self.read(read::figures).await
    }
}
