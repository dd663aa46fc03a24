//! Floods, restarts, and a secret that was mistyped.

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::domain::clock::ManualClock;
use crate::domain::event::Header;
use crate::domain::request::Client;
use crate::plugin::Routes;
use crate::provider::stripe::StripeProvider;
use crate::provider::testing::{NOW, SECRET, endpoint, sign};
use crate::store::memory::MemoryStore;
use crate::store::requests::memory::MemoryRequests;

fn refused(number: u128, body: &[u8]) -> RefusedRequest {
    RefusedRequest {
        at: Timestamp::from_secs(NOW),
        endpoint: EndpointId(Uuid::from_u128(number)),
        status: 400,
        code: "signature_mismatch".into(),
        message: "no".into(),
        client: Client { address: [192, 0, 2, 1].into(), proxy: None },
        method: "POST".into(),
        path: "/webhooks/x".into(),
        headers: vec![],
        headers_left_out: 0,
        body: Bytes::copy_from_slice(body),
        length: Some(body.len() as u64),
        unkept: 0,
    }
}

fn part(limits: RequestLimits) -> (Ingest, Arc<MemoryRequests>, Requests) {
    let store = Arc::new(MemoryRequests::default());
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let mut ingest = Ingest::new(Arc::new(MemoryStore::default()), Routes::default(), clock);
    ingest.limits = limits;
    let requests = Requests::new(ingest.clone(), store.clone());
    (ingest, store, requests)
}

fn offer(ingest: &Ingest, number: u128, times: usize) {
    for _ in 0..times {
        ingest.keep(EndpointId(Uuid::from_u128(number)), |_| refused(number, b"body"));
    }
}

/// Per kept request its number, endpoint and how many were not kept before it.
fn rows(store: &MemoryRequests) -> Vec<(u64, u128, u64)> {
    let rows = store.rows.lock().unwrap();
    rows.iter().map(|(id, r)| (id.0, r.endpoint.0.as_u128(), r.unkept)).collect()
}

#[tokio::test]
async fn a_flood_is_one_commit_and_the_rest_is_counted() {
    let (ingest, store, mut part) = part(RequestLimits::default());
    offer(&ingest, 1, 10_000);
    offer(&ingest, 2, 1);
    part.write().await;
    let kept = rows(&store);
    assert_eq!(kept.len(), 17);
    assert_eq!(kept.iter().filter(|(_, endpoint, _)| *endpoint == 2).count(), 1);
    assert_eq!(kept[0].2, 9_984);
    assert_eq!(store.writes.lock().unwrap().0, 1);
    // Nothing new is no commit.
    part.write().await;
    assert_eq!(store.writes.lock().unwrap().0, 1);
    for number in 10..100 {
        offer(&ingest, number, 1);
    }
    part.write().await;
    assert_eq!(rows(&store).len(), 17 + 64);
}

#[tokio::test]
async fn no_endpoint_pushes_out_anothers_and_the_oldest_go_first() {
    let limits = RequestLimits {
        per_commit: 100,
        per_commit_endpoint: 100,
        requests: 12,
        endpoint_requests: 8,
        ..RequestLimits::default()
    };
    let (ingest, store, mut part) = part(limits);
    offer(&ingest, 1, 2);
    part.write().await;
    for _ in 0..5 {
        offer(&ingest, 2, 20);
        part.write().await;
    }
    let kept = rows(&store);
    let of = |number| kept.iter().filter(move |(_, n, _)| *n == number).map(|(id, ..)| *id);
    assert_eq!(of(1).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(of(2).collect::<Vec<_>>(), (95..=102).collect::<Vec<_>>());
    // Over all: the one that holds most gives.
    offer(&ingest, 3, 8);
    part.write().await;
    let kept = rows(&store);
    assert_eq!(kept.len(), 12);
    let count = |number| kept.iter().filter(|(_, n, _)| *n == number).count();
    assert_eq!((count(1), count(2), count(3)), (2, 5, 5));
}

#[tokio::test]
async fn bytes_are_bounded_too_and_a_restart_goes_on() {
    let size = refused(1, b"body").size();
    let limits = RequestLimits { endpoint_bytes: 3 * size, ..RequestLimits::default() };
    let (ingest, store, mut part) = part(limits);
    offer(&ingest, 1, 5);
    part.write().await;
    assert_eq!(rows(&store).iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [3, 4, 5]);
    let mut again = Requests::new(ingest.clone(), store.clone());
    offer(&ingest, 1, 1);
    again.write().await;
    assert_eq!(rows(&store).iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [4, 5, 6]);
}

#[tokio::test]
async fn what_the_store_does_not_take_is_counted() {
    let (ingest, store, mut part) = part(RequestLimits::default());
    store.writes.lock().unwrap().1 = true;
    offer(&ingest, 1, 3);
    part.write().await;
    assert!(rows(&store).is_empty());
    store.writes.lock().unwrap().1 = false;
    offer(&ingest, 1, 1);
    part.write().await;
    assert_eq!(rows(&store), [(1, 1, 3)]);
}

#[tokio::test]
async fn a_stop_writes_what_is_left() {
    let (ingest, store, part) = part(RequestLimits::default());
    let stop = CancellationToken::new();
    offer(&ingest, 1, 1);
    stop.cancel();
    part.run(stop).await;
    assert_eq!(rows(&store).len(), 1);
}

#[test]
fn a_request_is_judged_again_as_of_its_own_moment_by_the_secrets_of_now() {
    let body = br#"{"id":"evt_1","object":"event","type":"a.b"}"#;
    let mut request = refused(1, body);
    let value = format!("t={NOW},v1={}", sign(SECRET, &NOW.to_string(), body)).into_bytes();
    request.headers = vec![Header { name: "stripe-signature".into(), value }];
    let stripe = StripeProvider::default();
    let weeks_later = Timestamp::from_secs(NOW + 2_000_000);
    let judge = |request: &RefusedRequest, endpoint: &Endpoint| {
        judge_again(request, endpoint, &stripe, weeks_later).map_err(|rejection| rejection.code)
    };
    let good = endpoint(1);
    assert!(
        matches!(judge(&request, &good), Ok(Verified::Event(event)) if event.key.id == "evt_1")
    );

    let mut typo = good.clone();
    typo.secrets = vec![Secret::new("whsec_typo").unwrap()];
    assert_eq!(judge(&request, &typo), Err("signature_mismatch"));
    let mut retired = good.clone();
    retired.secrets[0].not_after = Some(Timestamp::from_secs(NOW + 10));
    assert_eq!(judge(&request, &retired), Err("no_live_secret"));
    // It was stale when it came, and is no less so now.
    let stale = RefusedRequest { at: Timestamp::from_secs(NOW + 301), ..request.clone() };
    assert_eq!(judge(&stale, &good), Err("timestamp_too_old"));
    let cut = RefusedRequest { length: Some(9_999), ..request.clone() };
    assert_eq!(judge(&cut, &good), Err("request_incomplete"));
    let fewer = RefusedRequest { headers_left_out: 1, ..request };
    assert_eq!(judge(&fewer, &good), Err("request_incomplete"));
}
