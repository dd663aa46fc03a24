//! Which deliveries run side by side, which one after another, and which overtake.

use std::time::Duration;

use crate::domain::delivery::{Delivery, DeliveryId, Status};
use crate::domain::kv::KvVersion;

use super::*;

/// Deliveries about one object block each other until they are done or dead.
pub(super) const BLOCK: Order = Order::Object { skip_after: None };

/// An event about this customer.
pub(super) fn about(id: &str, customer: &str, plugins: &[&str]) -> NewEvent {
    let mut new = event(id, plugins);
    new.event.object = Some(ObjectRef { kind: "customer".to_owned(), id: customer.to_owned() });
    new
}

async fn given(store: &dyn Store, events: &[(&str, &str)], plugins: &[&str]) {
    let events = events.iter().map(|(id, customer)| about(id, customer, plugins)).collect();
    store.accept(events).await.unwrap();
}

pub(super) fn ordered(order: Order, limit: usize, now: Timestamp) -> ClaimRequest {
    let demand = Demand { order, ..demand("a", usize::MAX) };
    ClaimRequest { plugins: vec![demand], limit, now }
}

async fn take(store: &dyn Store, order: Order, now: Timestamp) -> Vec<ClaimedDelivery> {
    store.claim(ordered(order, 100, now)).await.unwrap().deliveries
}

fn ids(claimed: &[ClaimedDelivery]) -> Vec<&str> {
    claimed.iter().map(|delivery| delivery.id.event.id.as_str()).collect()
}

async fn shown(store: &dyn Store, id: &str) -> Delivery {
    let id = DeliveryId { event: key(id), plugin: plugin("a") };
    store.delivery(&id).await.unwrap().unwrap()
}

async fn behind(store: &dyn Store, id: &str) -> Option<String> {
    shown(store, id).await.behind.map(|id| id.event.id)
}

fn later(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

pub(crate) async fn one_object_one_after_another<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    given(&*store, &[("1", "x"), ("2", "x"), ("3", "y"), ("4", "x")], &["a", "b"]).await;
    let mut alone = event("5", &["a"]);
    alone.event.object = None;
    let mut too = alone.clone();
    too.event.key = key("6");
    let mut elsewhere = about("7", "x", &["a"]);
    elsewhere.event.account = None;
    let mut otherwise = about("8", "x", &["a"]);
    otherwise.event.object.as_mut().unwrap().kind = "account".to_owned();
    store.accept(vec![alone, too, elsewhere, otherwise]).await.unwrap();
    let first = take(&*store, BLOCK, START).await;
    assert_eq!(ids(&first), ["1", "3", "5", "6", "7", "8"], "one of each object, and all without");
    assert!(take(&*store, BLOCK, START).await.is_empty());
    assert_eq!(claim(&*store, &["b"]).await.len(), 4, "another plugin has its own order");
    assert_eq!(behind(&*store, "4").await.as_deref(), Some("1"));
    assert_eq!(behind(&*store, "1").await, None);
    settle(&*store, &first[0], Verdict::Done).await;
    assert_eq!(behind(&*store, "4").await.as_deref(), Some("2"));
    assert_eq!(behind(&*store, "2").await, None, "it waits for nothing");
    drop(store);
    store = engine.open();
    // What ran waits again, in its order.
    let again = take(&*store, BLOCK, START).await;
    assert_eq!(ids(&again), ["2", "3", "5", "6", "7", "8"]);
    settle(&*store, &again[0], Verdict::Dead).await;
    assert_eq!(ids(&take(&*store, BLOCK, START).await), ["4"], "the dead hold up nothing");
}

pub(crate) async fn nothing_overtakes_one_that_fails<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    given(&*store, &[("1", "x"), ("2", "x"), ("3", "y"), ("4", "y")], &["a"]).await;
    let first = take(&*store, BLOCK, START).await;
    assert_eq!(ids(&first), ["1", "3"]);
    settle(&*store, &first[0], Verdict::RetryAt(later(60))).await;
    let stale = vec![KvRead::Key { key: "k".to_owned(), version: Some(KvVersion(9)) }];
    assert_eq!(done(&*store, &first[1], stale, vec![]).await, Settled::Conflict);
    assert!(take(&*store, BLOCK, later(59)).await.is_empty());
    settle(&*store, &first[1], Verdict::Release(later(30))).await;
    assert!(take(&*store, BLOCK, later(29)).await.is_empty());
    assert_eq!(store.claim(ordered(BLOCK, 9, START)).await.unwrap().next_due, Some(later(30)));
    assert_eq!(behind(&*store, "2").await.as_deref(), Some("1"));
    drop(store);
    store = engine.open();
    let again = take(&*store, BLOCK, later(30)).await;
    assert_eq!(ids(&again), ["3"], "a plugin's retry holds up its own object alone");
    settle(&*store, &again[0], Verdict::Done).await;
    assert_eq!(ids(&take(&*store, BLOCK, later(30)).await), ["4"]);
    let last = take(&*store, BLOCK, later(60)).await;
    assert_eq!(ids(&last), ["1"]);
    // The next of its object wakes who waits.
    let waiter = Arc::clone(&store);
    let woken = tokio::spawn(async move { waiter.work().await });
    settle(&*store, &last[0], Verdict::Done).await;
    woken.await.unwrap();
    assert_eq!(ids(&take(&*store, BLOCK, later(60)).await), ["2"]);
}

pub(crate) async fn one_that_failed_often_is_overtaken<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    let skip = Order::Object { skip_after: Some(2) };
    given(&*store, &[("1", "x"), ("2", "x"), ("3", "x")], &["a"]).await;
    for n in 0..2 {
        let claimed = take(&*store, skip, later(n)).await;
        assert_eq!(ids(&claimed), ["1"], "failed {n} times");
        settle(&*store, &claimed[0], Verdict::RetryAt(later(n + 1))).await;
    }
    drop(store);
    store = engine.open();
    let claimed = take(&*store, skip, later(1)).await;
    assert_eq!(ids(&claimed), ["2"], "the first failed twice and is not due");
    assert!(take(&*store, skip, later(60)).await.is_empty(), "they never overlap");
    settle(&*store, &claimed[0], Verdict::RetryAt(later(90))).await;
    assert_eq!(behind(&*store, "3").await.as_deref(), Some("2"));
    let claimed = take(&*store, skip, later(60)).await;
    assert_eq!(ids(&claimed), ["1"], "it goes on being tried");
    settle(&*store, &claimed[0], Verdict::RetryAt(later(90))).await;
    assert!(take(&*store, skip, later(60)).await.is_empty(), "the second failed but once");
    let claimed = take(&*store, skip, later(90)).await;
    assert_eq!(claimed.len(), 1);
    settle(&*store, &claimed[0], Verdict::Done).await;
}

pub(crate) async fn an_order_may_change<E: Engine>() {
    let store = E::new().open();
    given(&*store, &[("1", "x"), ("2", "x"), ("3", "x"), ("4", "x")], &["a"]).await;
    let first = store.claim(ordered(BLOCK, 1, START)).await.unwrap().deliveries;
    let second = store.claim(ordered(Order::None, 1, START)).await.unwrap().deliveries;
    assert_eq!((ids(&first), ids(&second)), (vec!["1"], vec!["2"]));
    assert_eq!(behind(&*store, "3").await, None);
    assert!(take(&*store, BLOCK, START).await.is_empty());
    assert_eq!(behind(&*store, "4").await.as_deref(), Some("1"));
    settle(&*store, &first[0], Verdict::Done).await;
    assert!(take(&*store, BLOCK, START).await.is_empty(), "the second still runs");
    settle(&*store, &second[0], Verdict::RetryAt(later(9))).await;
    assert!(take(&*store, BLOCK, START).await.is_empty());
    let skip = Order::Object { skip_after: Some(1) };
    assert_eq!(ids(&take(&*store, skip, START).await), ["3"]);
    assert_eq!(ids(&take(&*store, Order::None, START).await), ["4"]);
    assert_eq!(shown(&*store, "2").await.status, Status::Retry);
}
