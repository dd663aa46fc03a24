//! Refused requests: kept over a restart, listed both ways, gone when told.

use bytes::Bytes;
use uuid::Uuid;

use super::super::layout;
use super::*;
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::EndpointId;
use crate::domain::event::Header;
use crate::domain::request::{Client, RefusedRequest, RequestId};
use crate::store::{Cursor, PageRequest, RequestQuery, RequestStore as _, Store as _};

fn request(number: u128, code: &str, body: &[u8]) -> RefusedRequest {
    RefusedRequest {
        at: Timestamp::from_millis(1_795_400_000_123),
        endpoint: EndpointId(Uuid::from_u128(number)),
        status: 400,
        code: code.into(),
        message: "no".into(),
        client: Client {
            address: "2001:db8::1".parse().unwrap(),
            proxy: Some([10, 0, 0, 1].into()),
        },
        method: "POST".into(),
        path: "/webhooks/x".into(),
        headers: vec![Header { name: "a".into(), value: vec![0xff, 0] }],
        headers_left_out: 2,
        body: Bytes::copy_from_slice(body),
        length: Some(9_000),
        unkept: 7,
    }
}

async fn ids(store: &SledStore, query: RequestQuery) -> (Vec<u64>, bool) {
    let page = store.requests(query).await.unwrap();
    (page.data.iter().map(|(id, _)| id.0).collect(), page.has_more)
}

fn page(limit: usize, from: Option<Cursor<RequestId>>) -> RequestQuery {
    RequestQuery { endpoint: None, code: None, page: PageRequest { limit, from } }
}

#[tokio::test]
async fn they_read_back_after_a_restart_and_go_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = SledConfig::new(dir.path().join("store"));
    let store = SledStore::open(&config).unwrap();
    let large = vec![b'x'; 200_000];
    let add = (1..=5_u64).map(|n| {
        let (endpoint, code) = if n % 2 == 0 { (2, "even") } else { (1, "odd") };
        let body: &[u8] = if n == 5 { &large } else { b"body" };
        (RequestId(n), request(endpoint, code, body))
    });
    store.keep_requests(add.collect(), vec![]).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let store = SledStore::open(&config).unwrap();
    assert_eq!(store.request(RequestId(3)).await.unwrap(), Some(request(1, "odd", b"body")));
    assert_eq!(store.request(RequestId(5)).await.unwrap(), Some(request(1, "odd", &large)));
    assert_eq!(ids(&store, page(2, None)).await, (vec![5, 4], true));
    let after = |n| Some(Cursor::After(RequestId(n)));
    let before = |n| Some(Cursor::Before(RequestId(n)));
    assert_eq!(ids(&store, page(9, after(4))).await, (vec![3, 2, 1], false));
    assert_eq!(ids(&store, page(2, before(2))).await, (vec![4, 3], true));
    let even = RequestQuery { code: Some("even".into()), ..page(9, None) };
    assert_eq!(ids(&store, even).await, (vec![4, 2], false));
    let one = RequestQuery { endpoint: Some(EndpointId(Uuid::from_u128(1))), ..page(9, None) };
    assert_eq!(ids(&store, one).await, (vec![5, 3, 1], false));

    let all = vec![RequestId(5), RequestId(1), RequestId(99)];
    store.keep_requests(vec![(RequestId(6), request(3, "new", b""))], all).await.unwrap();
    let kept = store.kept_requests().await.unwrap();
    assert_eq!(kept.iter().map(|kept| kept.id.0).collect::<Vec<_>>(), [2, 3, 4, 6]);
    assert_eq!(kept[3].bytes, request(3, "new", b"").size());
    assert_eq!(store.request(RequestId(5)).await.unwrap(), None);
    // Nor is anything left of the body that did not fit a row.
    let chunks = store.shared().unwrap().table.keys(&[layout::CHUNK]).count();
    assert_eq!(chunks, 0);
    // Nothing else was touched.
    assert!(store.endpoints().await.unwrap().is_empty());
    store.close().await.unwrap();
}
