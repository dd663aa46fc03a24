//! What happens when the store cannot keep up or fails under its callers.

use std::time::Duration;

use crate::store::contract::{START, accept, claim, done, event, key, plugin, put, request};
use crate::store::{Admission, Settled, StoreError};

use super::super::write_set::WriteSet;
use super::super::{layout, open};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_busy_and_loses_nothing() {
    let place = Place::new();
    let config = SledConfig { queue: 1, busy_wait: Duration::ZERO, ..place.config() };
    let store = SledStore::open(&config).unwrap();
    let posts = (0..400).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { (n, store.accept(vec![event(&n.to_string(), &[])]).await) })
    });
    let (mut accepted, mut busy) = (Vec::new(), 0);
    for post in posts.collect::<Vec<_>>() {
        match post.await.unwrap() {
            (n, Ok(_)) => accepted.push(n),
            (_, Err(StoreError::Busy)) => busy += 1,
            (_, Err(e)) => panic!("{e}"),
        }
    }
    assert!(busy > 0, "four hundred at once fit a queue of one");
    drop(store);
    let store = place.open_sled();
    assert_eq!(store.stats().await.unwrap().events, accepted.len() as u64);
    for n in accepted {
        assert!(store.event(&key(&n.to_string())).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_damaged_record_is_one_events_trouble_and_not_the_stores() {
    let place = Place::new();
    let store = place.open_sled();
    let mut set = WriteSet::default();
    set.put(layout::dedupe(&key("bad")).unwrap(), vec![0xff, 0xff]);
    store.shared().unwrap().table.apply(set).unwrap();
    let told = store.accept(vec![event("bad", &["a"])]).await;
    assert!(matches!(told, Err(StoreError::Damaged { .. })), "{told:?}");
    assert!(matches!(accept(&*store, "good", &["a"]).await, Admission::Accepted(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_dropped_half_way_gives_its_leases_back() {
    let place = Place::new();
    // Without a cache every claim has to wait for its blocks.
    let config = SledConfig { event_cache_bytes: 0, ..place.config() };
    let store = SledStore::open(&config).unwrap();
    for n in 0..50 {
        accept(&*store, &n.to_string(), &["a"]).await;
    }
    let mut finished = 0;
    for _ in 0..50 {
        let claim = store.claim(request(&["a"], 50, START));
        // One poll, then gone.
        tokio::select! {
            biased;
            claim = claim => finished += claim.unwrap().deliveries.len(),
            () = std::future::ready(()) => {}
        }
    }
    let rest = claim(&*store, &["a"]).await.len();
    assert_eq!(finished + rest, 50, "no delivery is left to nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_of_each_at_once_commit_together() {
    let place = Place::new();
    let store = place.open_sled();
    let producer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..300 {
                assert!(matches!(
                    accept(&*store, &n.to_string(), &["a"]).await,
                    Admission::Accepted(_)
                ));
            }
        })
    };
    let mut handled = 0;
    while handled < 300 {
        let claimed = claim(&*store, &["a"]).await;
        if claimed.is_empty() {
            store.work().await;
        }
        for delivery in claimed {
            handled += 1;
            let writes = vec![put(&delivery.id.event.id, "seen")];
            assert_eq!(done(&*store, &delivery, vec![], writes).await, Settled::Committed);
        }
    }
    producer.await.unwrap();
    drop(store);
    let store = place.open_sled();
    assert_eq!(store.stats().await.unwrap().waiting, 0);
    // Keys of one to three digits and values of four bytes.
    let bytes = 10 + 2 * 90 + 3 * 200 + 4 * 300;
    assert_eq!(store.kv_usage(&plugin("a")).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_ends_the_store() {
    let place = Place::new();
    let config = place.config();
    let (mut shared, counters) = open::open(&config).unwrap();
    shared.table.break_sync().unwrap();
    let store = SledStore::start(&config, shared, counters).unwrap();
    let posts = (0..32).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.accept(vec![event(&n.to_string(), &["a"])]).await })
    });
    for post in posts.collect::<Vec<_>>() {
        let answer = post.await.unwrap();
        assert!(matches!(answer, Err(StoreError::Failed(_))), "{answer:?}");
    }
    assert!(store.failed().await.contains("synchronising"));
    let claim = store.claim(request(&["a"], 9, START)).await;
    assert!(matches!(claim, Err(StoreError::Failed(_))), "nothing unsure is handed out: {claim:?}");
    assert!(matches!(store.stats().await, Err(StoreError::Failed(_))));
    assert!(matches!(store.close().await, Err(StoreError::Failed(_))));
    assert!(config.path.join("RUNNING").exists(), "the next opening knows");
}
