//! Refused requests between the domain and their rows.

use std::net::IpAddr;
use std::ops::Bound;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::EndpointId;
use crate::domain::event::{EventSeq, Header};
use crate::domain::request::{Client, RefusedRequest, RequestId};
use crate::store::{Cursor, KeptRequest, Page, RequestQuery, RequestStore, StoreError};

use super::committer::{COMMIT_BYTES, Request};
use super::ending;
use super::error::RowError;
use super::jobs::Job;
use super::layout;
use super::rows;
use super::shared::Shared;
use super::store::SledStore;
use super::table::{Row, Table};

/// What is kept of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    at: u64,
    endpoint: [u8; 16],
    status: u16,
    code: String,
    message: String,
    client: IpAddr,
    proxy: Option<IpAddr>,
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    headers_left_out: u32,
    body: Vec<u8>,
    length: Option<u64>,
    unkept: u64,
}

/// The row of a request.
fn row(request: &RefusedRequest) -> Result<Vec<u8>, RowError> {
    let header = |header: &Header| (header.name.clone(), header.value.clone());
    rows::encode(&Kept {
        at: request.at.as_millis(),
        endpoint: *request.endpoint.0.as_bytes(),
        status: request.status,
        code: request.code.clone(),
        message: request.message.clone(),
        client: request.client.address,
        proxy: request.client.proxy,
        method: request.method.clone(),
        path: request.path.clone(),
        headers: request.headers.iter().map(header).collect(),
        headers_left_out: request.headers_left_out,
        body: request.body.to_vec(),
        length: request.length,
        unkept: request.unkept,
    })
}

fn show(bytes: &[u8]) -> Result<RefusedRequest, RowError> {
    let kept: Kept = rows::decode("a refused request", bytes)?;
    let header = |(name, value)| Header { name, value };
    Ok(RefusedRequest {
        at: Timestamp::from_millis(kept.at),
        endpoint: EndpointId(uuid::Uuid::from_bytes(kept.endpoint)),
        status: kept.status,
        code: kept.code,
        message: kept.message,
        client: Client { address: kept.client, proxy: kept.proxy },
        method: kept.method,
        path: kept.path,
        headers: kept.headers.into_iter().map(header).collect(),
        headers_left_out: kept.headers_left_out,
        body: kept.body.into(),
        length: kept.length,
        unkept: kept.unkept,
    })
}

fn shown(row: Result<Row, RowError>) -> Result<(RequestId, RefusedRequest), RowError> {
    let row = row?;
    let id = layout::parse_numbered(layout::REQUEST, &row.key)
        .ok_or_else(|| RowError::damaged("a refused request", "its key is malformed"))?;
    Ok((RequestId(id.0), show(row.value.bytes())?))
}

fn all(table: &Table) -> Result<Vec<KeptRequest>, RowError> {
    table
        .prefix(&[layout::REQUEST])
        .map(|row| {
            let (id, request) = shown(row)?;
            Ok(KeptRequest { id, endpoint: request.endpoint, bytes: request.size() })
        })
        .collect()
}

fn list(
    shared: &Shared,
    query: &RequestQuery,
) -> Result<Page<(RequestId, RefusedRequest)>, StoreError> {
    let key = |id: RequestId| layout::request(EventSeq(id.0));
    let (first, last) = (key(RequestId(0)), key(RequestId(u64::MAX)));
    let (from, to) = match query.page.from {
        None => (Bound::Included(first), Bound::Included(last)),
        Some(Cursor::After(id)) => (Bound::Included(first), Bound::Excluded(key(id))),
        Some(Cursor::Before(id)) => (Bound::Excluded(key(id)), Bound::Included(last)),
    };
    let rows = shared.table.range(from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    let wanted = |row: &Result<(RequestId, RefusedRequest), RowError>| match row {
        Ok((_, request)) => {
            query.endpoint.is_none_or(|endpoint| request.endpoint == endpoint)
                && query.code.as_ref().is_none_or(|code| request.code == *code)
        }
        Err(_) => true,
    };
    let most = query.page.limit.saturating_add(1);
    let newer = matches!(query.page.from, Some(Cursor::Before(_)));
    let found: Result<Vec<_>, RowError> = if newer {
        rows.map(shown).filter(wanted).take(most).collect()
    } else {
        rows.rev().map(shown).filter(wanted).take(most).collect()
    };
    let mut data = found?;
    let has_more = data.len() > query.page.limit;
    data.truncate(query.page.limit);
    if newer {
        data.reverse();
    }
    Ok(Page { data, has_more })
}

#[async_trait]
impl RequestStore for SledStore {
    async fn kept_requests(&self) -> Result<Vec<KeptRequest>, StoreError> {
        self.read(|shared| Ok(all(&shared.table)?)).await
    }

    async fn keep_requests(
        &self,
        add: Vec<(RequestId, RefusedRequest)>,
        remove: Vec<RequestId>,
    ) -> Result<(), StoreError> {
        let key = |id: RequestId| layout::request(EventSeq(id.0));
        let mut ops = Vec::with_capacity(add.len() + remove.len());
        for (id, request) in &add {
            ops.push((key(*id), Some(row(request)?)));
        }
        ops.extend(remove.into_iter().map(|id| (key(id), None)));
        let bytes = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            key.len() + value.as_ref().map_or(0, Vec::len)
        };
        let size = ending::within("refused requests", ops.iter().map(bytes).sum(), COMMIT_BYTES)?;
        self.ask(|reply| Request::Job { job: Job::Rows { ops, reply }, size }).await
    }

    async fn request(&self, id: RequestId) -> Result<Option<RefusedRequest>, StoreError> {
        self.read(move |shared| {
            let value = shared.table.get(&layout::request(EventSeq(id.0)))?;
            Ok(value.map(|value| show(value.bytes())).transpose()?)
        })
        .await
    }

    async fn requests(
        &self,
        query: RequestQuery,
    ) -> Result<Page<(RequestId, RefusedRequest)>, StoreError> {
        self.read(move |shared| list(shared, &query)).await
    }
}
