//! Refused requests in the store.
//!
//! Not which of them are kept (`ingest::requests`): a store does as it is told. A trait of its own,
//! because nothing else in the store hangs on it.

use std::fmt;

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::domain::endpoint::EndpointId;
use crate::domain::request::{RefusedRequest, RequestId};

/// What keeping a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptRequest {
    /// Which.
    pub id: RequestId,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// As [`RefusedRequest::size`] says.
    pub bytes: u64,
}

/// Which requests to list, the newest first.
#[derive(Debug, Clone)]
pub struct RequestQuery {
    /// Only to this endpoint.
    pub endpoint: Option<EndpointId>,
    /// Only those refused with this code.
    pub code: Option<String>,
    /// Which page.
    pub page: PageRequest<RequestId>,
}

/// Keeps refused requests. Each method is one durable transition or one read.
#[async_trait]
pub trait RequestStore: Send + Sync + fmt::Debug + 'static {
    /// All that are kept, the oldest first.
    async fn kept_requests(&self) -> Result<Vec<KeptRequest>, StoreError>;

    /// Keep some and let others go.
    async fn keep_requests(
        &self,
        add: Vec<(RequestId, RefusedRequest)>,
        remove: Vec<RequestId>,
    ) -> Result<(), StoreError>;

    /// The one of this number.
    async fn request(&self, id: RequestId) -> Result<Option<RefusedRequest>, StoreError>;

    /// A page.
    async fn requests(
        &self,
        query: RequestQuery,
    ) -> Result<Page<(RequestId, RefusedRequest)>, StoreError>;
}

#[cfg(test)]
pub(crate) mod memory {
    //! A stand-in for tests.

    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use crate::store::Cursor;

    #[derive(Debug, Default)]
    pub(crate) struct MemoryRequests {
        pub(crate) rows: Mutex<BTreeMap<RequestId, RefusedRequest>>,
        /// How often something was written; `true` to fail from now on.
        pub(crate) writes: Mutex<(u32, bool)>,
    }

    #[async_trait]
    impl RequestStore for MemoryRequests {
        async fn kept_requests(&self) -> Result<Vec<KeptRequest>, StoreError> {
            let rows = self.rows.lock().unwrap();
            let kept = |(id, request): (&RequestId, &RefusedRequest)| KeptRequest {
                id: *id,
                endpoint: request.endpoint,
                bytes: request.size(),
            };
            Ok(rows.iter().map(kept).collect())
        }

        async fn keep_requests(
            &self,
            add: Vec<(RequestId, RefusedRequest)>,
            remove: Vec<RequestId>,
        ) -> Result<(), StoreError> {
            let mut writes = self.writes.lock().unwrap();
            if writes.1 {
                return Err(StoreError::Busy);
            }
            writes.0 += 1;
            let mut rows = self.rows.lock().unwrap();
            rows.extend(add);
            remove.iter().for_each(|id| drop(rows.remove(id)));
            Ok(())
        }

        async fn request(&self, id: RequestId) -> Result<Option<RefusedRequest>, StoreError> {
            Ok(self.rows.lock().unwrap().get(&id).cloned())
        }

        async fn requests(
            &self,
            query: RequestQuery,
        ) -> Result<Page<(RequestId, RefusedRequest)>, StoreError> {
            let rows = self.rows.lock().unwrap();
            let mut all: Vec<_> = rows
                .iter()
                .rev()
                .filter(|(id, _)| match &query.page.from {
                    Some(Cursor::After(after)) => *id < after,
                    Some(Cursor::Before(before)) => *id > before,
                    None => true,
                })
                .filter(|(_, r)| query.endpoint.is_none_or(|endpoint| r.endpoint == endpoint))
                .filter(|(_, r)| query.code.as_ref().is_none_or(|code| r.code == *code))
                .map(|(id, request)| (*id, request.clone()))
                .collect();
            let has_more = all.len() > query.page.limit;
            all.truncate(query.page.limit);
            Ok(Page { data: all, has_more })
        }
    }
}
