//! Claiming and transaction B.

use std::time::Duration;

use crate::domain::delivery::{Delivery, DeliveryId, Status};

use super::super::{ClaimRequest, Lease, StoreError};
use super::*;

async fn delivery(store: &dyn Store, id: &str, name: &str) -> Option<Delivery> {
    store.delivery(&DeliveryId { event: key(id), plugin: plugin(name) }).await.unwrap()
}

pub(crate) async fn a_claim_respects_its_request<E: Engine>() {
    let store = E::new().open();
    for n in 0..10 {
        accept(&*store, &format!("evt_{n}"), &["a", "b", "c"]).await;
    }
    let plugins = vec![demand("a", 3), demand("b", 0), demand("unknown", 9)];
    let request = ClaimRequest { plugins: plugins.clone(), limit: 100, now: START };
    let first = store.claim(request.clone()).await.unwrap();
    let ids: Vec<_> = first.deliveries.iter().map(|d| d.id.to_string()).collect();
    assert_eq!(ids, ["stripe.evt_0.a", "stripe.evt_1.a", "stripe.evt_2.a"]);
    assert!(first.deliveries.iter().all(|d| d.attempt == 1 && !d.replay));
    let limited = store.claim(ClaimRequest { limit: 2, ..request }).await.unwrap();
    assert_eq!(limited.deliveries.len(), 2, "the limit of all");
    assert_eq!(limited.deliveries[0].id.to_string(), "stripe.evt_3.a", "none is claimed twice");
    let running = delivery(&*store, "evt_0", "a").await.unwrap();
    assert_eq!((running.status, running.attempts), (Status::Running, 0));
    assert_eq!(delivery(&*store, "evt_0", "b").await.unwrap().status, Status::Pending);
    assert!(delivery(&*store, "evt_0", "unknown").await.is_none());
}

pub(crate) async fn claims_are_fair_and_in_order<E: Engine>() {
    let store = E::new().open();
    for n in 0..6 {
        let mut new = event(&format!("evt_{n}"), &["a", "b"]);
        // The clock stepped back half-way: what came later is not held up.
        new.received_at = START.plus(Duration::from_secs(if n < 3 { 3_600 } else { n }));
        store.accept(vec![new]).await.unwrap();
    }
    let claimed = store.claim(request(&["a", "b"], 6, START)).await.unwrap().deliveries;
    assert!(claimed.is_sorted_by_key(|d| d.event.seq), "in order of acceptance");
    let of_a = claimed.iter().filter(|d| d.id.plugin == plugin("a")).count();
    assert_eq!((claimed.len(), of_a), (6, 3), "no plugin waits for the other");
    assert_eq!(claim(&*store, &["a", "b"]).await.len(), 6);
}

pub(crate) async fn only_the_lease_settles<E: Engine>() {
    let store = E::new().open();
    accept(&*store, "evt_1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let mut forged = settlement(&claimed, Verdict::Done);
    forged.lease = Lease(claimed.lease.0 + 1);
    forged.writes = vec![put("k", "v")];
    assert_eq!(store.settle(vec![forged]).await.unwrap(), [Settled::Fenced]);
    assert_eq!(store.kv_get(&plugin("a"), "k").await.unwrap(), None);
    let mut other = settlement(&claimed, Verdict::Done);
    other.id.plugin = plugin("b");
    assert_eq!(store.settle(vec![other]).await.unwrap(), [Settled::Fenced]);
    assert_eq!(settle(&*store, &claimed, Verdict::Done).await, Settled::Committed);
    assert_eq!(settle(&*store, &claimed, Verdict::Dead).await, Settled::Fenced, "it ended");
    let ended = delivery(&*store, "evt_1", "a").await.unwrap();
    assert_eq!((ended.status, ended.attempts), (Status::Done, 1));
    assert_eq!(ended.history, [attempt(1, Outcome::Ok)]);
    assert!(claim(&*store, &["a"]).await.is_empty());
}

pub(crate) async fn a_retry_waits_for_its_moment<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    accept(&*store, "evt_1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let due = START.plus(Duration::from_secs(60));
    assert_eq!(settle(&*store, &claimed, Verdict::RetryAt(due)).await, Settled::Committed);
    assert_eq!(settle(&*store, &claimed, Verdict::Done).await, Settled::Fenced, "an old lease");
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = engine.open();
        }
        let early = store.claim(request(&["a"], 9, due.minus(Duration::from_millis(1)))).await;
        let early = early.unwrap();
        assert!(early.deliveries.is_empty());
        assert_eq!(early.next_due, Some(due));
        let found = delivery(&*store, "evt_1", "a").await.unwrap();
        assert_eq!((found.status, found.attempts), (Status::Retry, 1));
        assert_eq!(found.next_attempt_at, Some(due));
        assert_eq!(found.history, [attempt(1, Outcome::Retry)]);
    }
    let again = store.claim(request(&["a"], 9, due)).await.unwrap().deliveries.remove(0);
    assert_eq!(again.attempt, 2);
    assert_eq!(settle(&*store, &again, Verdict::Done).await, Settled::Committed);
    let found = delivery(&*store, "evt_1", "a").await.unwrap();
    assert_eq!((found.status, found.attempts, found.next_attempt_at), (Status::Done, 2, None));
    assert_eq!(found.history, [attempt(1, Outcome::Retry), attempt(2, Outcome::Ok)]);
}

pub(crate) async fn release_leaves_no_trace<E: Engine>() {
    let store = E::new().open();
    accept(&*store, "evt_1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let due = START.plus(Duration::from_secs(5));
    assert_eq!(settle(&*store, &claimed, Verdict::Release(due)).await, Settled::Committed);
    assert_eq!(settle(&*store, &claimed, Verdict::Done).await, Settled::Fenced);
    let found = delivery(&*store, "evt_1", "a").await.unwrap();
    assert_eq!((found.status, found.attempts, found.history.len()), (Status::Pending, 0, 0));
    assert!(claim(&*store, &["a"]).await.is_empty(), "not before its moment");
    let again = store.claim(request(&["a"], 9, due)).await.unwrap().deliveries.remove(0);
    assert_eq!(again.attempt, 1);
}

pub(crate) async fn nothing_runs_after_reopening<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    for n in 0..5 {
        accept(&*store, &format!("evt_{n}"), &["a", "b"]).await;
    }
    let claimed = claim(&*store, &["a", "b"]).await;
    assert_eq!(claimed.len(), 10);
    let last: Vec<_> = claimed.iter().filter(|d| d.id.event == key("evt_4")).collect();
    for delivery in &last {
        settle(&*store, delivery, Verdict::Done).await;
    }
    drop(store);
    let store = engine.open();
    let pending = delivery(&*store, "evt_0", "a").await.unwrap();
    assert_eq!((pending.status, pending.attempts), (Status::Pending, 0));
    assert_eq!(settle(&*store, &claimed[0], Verdict::Done).await, Settled::Fenced);
    let again = claim(&*store, &["a", "b"]).await;
    assert_eq!(again.len(), 8, "what ended does not run again");
    assert_eq!(settle(&*store, &claimed[0], Verdict::Done).await, Settled::Fenced, "old leases");
    for delivery in &again {
        assert_eq!(delivery.attempt, 1);
        assert_eq!(settle(&*store, delivery, Verdict::Done).await, Settled::Committed);
    }
    drop(store);
    let store = engine.open();
    assert!(claim(&*store, &["a", "b"]).await.is_empty());
    assert_eq!(store.stats().await.unwrap().waiting, 0);
}

pub(crate) async fn history_is_bounded<E: Engine>() {
    let store = E::new().open();
    accept(&*store, "evt_1", &["a"]).await;
    let most = u32::try_from(Delivery::KEPT_ATTEMPTS).unwrap();
    for number in 1..=most + 5 {
        let claimed = claim(&*store, &["a"]).await.remove(0);
        assert_eq!(claimed.attempt, number);
        let mut settlement = settlement(&claimed, Verdict::RetryAt(START));
        settlement.attempt.logs.records[0].message = "x".repeat(16 << 10);
        assert_eq!(store.settle(vec![settlement]).await.unwrap(), [Settled::Committed]);
    }
    let found = delivery(&*store, "evt_1", "a").await.unwrap();
    let numbers: Vec<_> = found.history.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (6..=most + 5).collect::<Vec<_>>());
    assert_eq!(found.attempts, most + 5);
    let last = &found.history.last().unwrap().logs;
    assert_eq!((last.records.len(), last.dropped), (1, 1), "the last attempt's logs are whole");
    for attempt in &found.history {
        assert_eq!(attempt.logs.records.len() as u64 + attempt.logs.dropped, 2, "none uncounted");
    }
}

pub(crate) async fn dead_ends_it<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    accept(&*store, "evt_1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    assert_eq!(settle(&*store, &claimed, Verdict::Dead).await, Settled::Committed);
    drop(store);
    let store = engine.open();
    let found = delivery(&*store, "evt_1", "a").await.unwrap();
    assert_eq!((found.status, found.attempts), (Status::Dead, 1));
    assert!(claim(&*store, &["a"]).await.is_empty());
}

pub(crate) async fn work_wakes<E: Engine>() {
    let store = E::new().open();
    assert!(claim(&*store, &["a"]).await.is_empty());
    let waiter = Arc::clone(&store);
    let woken = tokio::spawn(async move { waiter.work().await });
    accept(&*store, "evt_1", &["a"]).await;
    woken.await.unwrap();
    // It is not lost on one who comes later, until a claim has looked.
    store.work().await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let waiter = Arc::clone(&store);
    let woken = tokio::spawn(async move { waiter.work().await });
    settle(&*store, &claimed, Verdict::RetryAt(START)).await;
    woken.await.unwrap();
}

pub(crate) async fn closed_is_closed<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    accept(&*store, "evt_1", &["a"]).await;
    store.close().await.unwrap();
    let refused = store.accept(vec![event("evt_2", &[])]).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    assert!(matches!(store.stats().await, Err(StoreError::Closed)));
    assert!(matches!(store.claim(request(&["a"], 1, START)).await, Err(StoreError::Closed)));
    store.close().await.unwrap();
    let store = engine.open();
    assert_eq!(claim(&*store, &["a"]).await.len(), 1);
}

pub(crate) async fn one_list_settles_a_delivery_once<E: Engine>() {
    let store = E::new().open();
    accept(&*store, "evt_1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let twice = vec![settlement(&claimed, Verdict::Done), settlement(&claimed, Verdict::Dead)];
    assert_eq!(store.settle(twice).await.unwrap(), [Settled::Committed, Settled::Fenced]);
    assert_eq!(delivery(&*store, "evt_1", "a").await.unwrap().status, Status::Done);
}
