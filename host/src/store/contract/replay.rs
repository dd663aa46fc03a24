//! Deliveries that run again, and waits across a clock that was set back.

use std::time::Duration;

use crate::domain::delivery::{Delivery, DeliveryId, Status};

use super::super::{DeliveryQuery, PageRequest, Replayed, RetentionPolicy};
use super::order::{BLOCK, about, ordered};
use super::*;

fn id(event: &str, name: &str) -> DeliveryId {
    DeliveryId { event: key(event), plugin: plugin(name) }
}

async fn replay(store: &dyn Store, event: &str, name: &str, now: Timestamp) -> Replayed {
    store.replay(vec![id(event, name)], now).await.unwrap()[0]
}

async fn shown(store: &dyn Store, event: &str) -> Delivery {
    store.delivery(&id(event, "a")).await.unwrap().unwrap()
}

fn later(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

async fn end(store: &dyn Store, event: &str, verdict: Verdict) {
    accept(store, event, &["a"]).await;
    let claimed = claim(store, &["a"]).await.remove(0);
    assert_eq!(settle(store, &claimed, verdict).await, Settled::Committed);
}

pub(crate) async fn what_ended_runs_again<E: Engine>() {
    let store = E::new().open();
    for (event, verdict) in [("done", Verdict::Done), ("dead", Verdict::Dead)] {
        end(&*store, event, verdict).await;
    }
    for event in ["done", "dead"] {
        let waiter = Arc::clone(&store);
        let woken = tokio::spawn(async move { waiter.work().await });
        assert_eq!(replay(&*store, event, "a", later(60)).await, Replayed::Queued);
        woken.await.unwrap();
        assert_eq!(replay(&*store, event, "a", later(61)).await, Replayed::Waiting);
        let found = shown(&*store, event).await;
        assert_eq!((found.status, found.attempts, found.history.len()), (Status::Pending, 0, 1));
        assert_eq!(found.replayed_at, Some(later(60)));
        let again = claim(&*store, &["a"]).await.remove(0);
        assert_eq!((again.attempt, again.replay, again.since), (1, true, later(60)));
        assert_eq!(replay(&*store, event, "a", later(62)).await, Replayed::Waiting, "it runs");
        assert_eq!(settle(&*store, &again, Verdict::Done).await, Settled::Committed);
        let found = shown(&*store, event).await;
        assert_eq!((found.status, found.attempts, found.history.len()), (Status::Done, 1, 2));
        assert_eq!(found.replayed_at, Some(later(60)));
    }
    let page = PageRequest { limit: 9, from: None };
    let status = Some(Status::Dead);
    let dead = DeliveryQuery { event: None, plugin: None, status, group: None, page };
    assert!(store.deliveries(dead).await.unwrap().data.is_empty());
    assert_eq!(store.stats().await.unwrap().dead, 0);
    assert_eq!(replay(&*store, "none", "a", START).await, Replayed::NoEvent);
    let list = vec![id("done", "a"), id("done", "a"), id("none", "a"), id("dead", "a")];
    let told = store.replay(list, later(90)).await.unwrap();
    use Replayed::{NoEvent, Queued, Waiting};
    assert_eq!(told, [Queued, Waiting, NoEvent, Queued]);
}

pub(crate) async fn what_waits_is_hastened<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    end(&*store, "1", Verdict::RetryAt(later(600))).await;
    assert_eq!(replay(&*store, "1", "a", later(60)).await, Replayed::Hastened);
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = engine.open();
        }
        let found = shown(&*store, "1").await;
        assert_eq!((found.status, found.next_attempt_at), (Status::Retry, Some(later(60))));
        assert_eq!(found.replayed_at, None, "it is no replay");
        let early = store.claim(request(&["a"], 9, later(59))).await.unwrap();
        assert_eq!((early.deliveries.len(), early.next_due), (0, Some(later(60))));
    }
    let claimed = store.claim(request(&["a"], 9, later(60))).await.unwrap().deliveries.remove(0);
    assert_eq!((claimed.attempt, claimed.replay, claimed.since), (2, false, START));
}

pub(crate) async fn a_replay_survives<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    // The second keeps the row of the block's unfinished deliveries.
    store.accept(vec![event("1", &["a"]), event("2", &["a"])]).await.unwrap();
    let claimed = claim(&*store, &["a"]).await;
    settle(&*store, &claimed[0], Verdict::Dead).await;
    assert_eq!(replay(&*store, "1", "a", later(5)).await, Replayed::Queued);
    for _ in 0..2 {
        drop(store);
        store = engine.open();
        assert_eq!(store.stats().await.unwrap().waiting, 2, "each once");
    }
    let again = claim(&*store, &["a"]).await;
    assert_eq!((again.len(), again[0].replay, again[1].replay), (2, true, false));
    assert_eq!(again[0].since, later(5));
    settle(&*store, &again[1], Verdict::Done).await;
    settle(&*store, &again[0], Verdict::RetryAt(later(70))).await;
    drop(store);
    store = engine.open();
    let last = store.claim(request(&["a"], 9, later(70))).await.unwrap().deliveries;
    assert_eq!((last.len(), last[0].attempt, last[0].replay), (1, 2, true));
    settle(&*store, &last[0], Verdict::Done).await;
    drop(store);
    store = engine.open();
    assert_eq!(store.stats().await.unwrap().waiting, 0);
    assert_eq!(shown(&*store, "1").await.history.len(), 3);
}

pub(crate) async fn a_newer_plugin_gets_old_events<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    let events = ["1", "2"].map(|id| about(id, "x", &[]));
    store.accept(events.to_vec()).await.unwrap();
    for event in ["2", "1"] {
        assert_eq!(replay(&*store, event, "a", later(5)).await, Replayed::Queued);
    }
    drop(store);
    store = engine.open();
    for event in ["1", "2"] {
        let claimed = store.claim(ordered(BLOCK, 9, START)).await.unwrap().deliveries;
        let ids: Vec<_> = claimed.iter().map(|d| d.id.event.id.as_str()).collect();
        assert_eq!(ids, [event], "in order of acceptance, whatever was replayed first");
        assert_eq!((claimed[0].attempt, claimed[0].replay), (1, true));
        settle(&*store, &claimed[0], Verdict::Done).await;
    }
}

pub(crate) async fn a_replay_holds_its_block<E: Engine>() {
    let store = E::new().open();
    end(&*store, "1", Verdict::Dead).await;
    let policy = RetentionPolicy { age: None, bytes: Some(0), dedupe_age: Duration::ZERO };
    replay(&*store, "1", "a", START).await;
    while store.retain(&policy, START).await.unwrap().more {}
    assert!(store.event(&key("1")).await.unwrap().is_some());
    let claimed = claim(&*store, &["a"]).await.remove(0);
    settle(&*store, &claimed, Verdict::Done).await;
    while store.retain(&policy, START).await.unwrap().more {}
    assert_eq!(store.stats().await.unwrap().events, 0);
    assert_eq!(replay(&*store, "1", "a", START).await, Replayed::NoEvent);
}

pub(crate) async fn a_clock_set_back_stalls_nothing<E: Engine>() {
    const YEAR: Duration = Duration::from_secs(31_536_000);
    let engine = E::new();
    let store = engine.open();
    accept(&*store, "1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let wrong = START.plus(YEAR);
    let due = wrong.plus(Duration::from_secs(60));
    let retry = Settlement { now: wrong, ..settlement(&claimed, Verdict::RetryAt(due)) };
    assert_eq!(store.settle(vec![retry]).await.unwrap(), [Settled::Committed]);
    drop(store);
    let store = engine.open_at(START);
    let early = store.claim(request(&["a"], 9, later(59))).await.unwrap();
    assert_eq!((early.deliveries.len(), early.next_due), (0, Some(later(60))), "as long a wait");
    drop(store);
    // A clock that is right changes nothing.
    let store = engine.open_at(wrong);
    assert_eq!(store.claim(request(&["a"], 9, START)).await.unwrap().next_due, Some(due));
}
