//! What goes, what stays, and what stays known.

use std::time::Duration;

use crate::domain::delivery::{DeliveryId, Status};

use super::super::{DeliveryQuery, EventQuery, PageRequest, Retained, RetentionPolicy};
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

async fn sweep(store: &dyn Store, policy: &RetentionPolicy, now: Timestamp) -> Retained {
    let mut sum = Retained { more: true, ..Retained::default() };
    for _ in 0..10_000 {
        let step = store.retain(policy, now).await.unwrap();
        sum.events += step.events;
        sum.dedupes += step.dedupes;
        if !step.more {
            sum.more = false;
            return sum;
        }
    }
    panic!("retention does not end");
}

pub(crate) async fn old_events_go_and_stay_known<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    for n in 0..300 {
        let mut new = of_kind(event(&format!("old_{n}"), &["a"]), &format!("kind.{n}"));
        new.event.body = noise(1_000, n).into();
        store.accept(vec![new]).await.unwrap();
    }
    for (n, delivery) in claim(&*store, &["a"]).await.iter().enumerate() {
        settle(&*store, delivery, if n % 5 == 0 { Verdict::Dead } else { Verdict::Done }).await;
    }
    let mut young = event("young", &[]);
    young.received_at = START.plus(DAY * 2);
    store.accept(vec![young]).await.unwrap();
    let policy = RetentionPolicy { age: Some(DAY), bytes: None, dedupe_age: DAY * 30 };
    let early = sweep(&*store, &policy, START.plus(DAY)).await;
    assert_eq!(early, Retained::default(), "not older than a day yet");
    let gone = sweep(&*store, &policy, START.plus(DAY * 2)).await;
    assert_eq!((gone.events, gone.dedupes), (300, 0));
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = engine.open();
        }
        assert_eq!(store.stats().await.unwrap().events, 1);
        assert!(store.event(&key("old_7")).await.unwrap().is_none());
        assert!(store.event(&key("young")).await.unwrap().is_some());
        let id = DeliveryId { event: key("old_7"), plugin: plugin("a") };
        assert!(store.delivery(&id).await.unwrap().is_none());
        let page = PageRequest { limit: 9, from: None };
        let status = Some(Status::Dead);
        let dead = DeliveryQuery { event: None, plugin: None, status, group: None, page };
        assert!(store.deliveries(dead).await.unwrap().data.is_empty());
        for n in [0, 150, 299] {
            let again = accept(&*store, &format!("old_{n}"), &["a"]).await;
            assert!(matches!(again, Admission::Duplicate(_)), "{again:?}");
        }
        assert!(claim(&*store, &["a"]).await.is_empty());
    }
    let page = PageRequest { limit: 9, from: None };
    let all = EventQuery { kind: None, status: None, page };
    assert_eq!(store.events(all).await.unwrap().data.len(), 1);
    let forgotten = sweep(&*store, &policy, START.plus(DAY * 31)).await;
    assert_eq!((forgotten.events, forgotten.dedupes), (1, 300), "its dedupe record outlives it");
    assert!(matches!(accept(&*store, "old_0", &["a"]).await, Admission::Accepted(_)));
    assert!(matches!(accept(&*store, "young", &[]).await, Admission::Duplicate(_)));
}

pub(crate) async fn unfinished_events_stay<E: Engine>() {
    let store = E::new().open();
    for id in ["pending", "running", "retry", "done"] {
        accept(&*store, id, &["a"]).await;
    }
    let claimed = claim(&*store, &["a"]).await;
    settle(&*store, &claimed[2], Verdict::RetryAt(START.plus(DAY * 9))).await;
    settle(&*store, &claimed[3], Verdict::Done).await;
    settle(&*store, &claimed[0], Verdict::Release(START.plus(DAY * 9))).await;
    let policy = RetentionPolicy { age: Some(DAY), bytes: Some(0), dedupe_age: Duration::ZERO };
    let now = START.plus(DAY * 5);
    sweep(&*store, &policy, now).await;
    for id in ["pending", "running", "retry"] {
        assert!(store.event(&key(id)).await.unwrap().is_some(), "{id}");
        assert!(matches!(accept(&*store, id, &[]).await, Admission::Duplicate(_)));
    }
    settle(&*store, &claimed[1], Verdict::Dead).await;
    let late = store.claim(request(&["a"], 9, START.plus(DAY * 9))).await.unwrap();
    assert_eq!(late.deliveries.len(), 2);
    for delivery in &late.deliveries {
        settle(&*store, delivery, Verdict::Done).await;
    }
    sweep(&*store, &policy, now).await;
    assert_eq!(store.stats().await.unwrap().events, 0);
}

pub(crate) async fn by_bytes<E: Engine>() {
    let store = E::new().open();
    for n in 0..200 {
        let mut new = event(&format!("evt_{n}"), &[]);
        new.event.body = noise(10_000, n).into();
        store.accept(vec![new]).await.unwrap();
    }
    let most = 500_000;
    let policy = RetentionPolicy { age: None, bytes: Some(most), dedupe_age: DAY };
    let gone = sweep(&*store, &policy, START).await;
    let kept = store.stats().await.unwrap().events;
    assert_eq!(gone.events + kept, 200);
    assert!((40..=50).contains(&kept), "{kept} events of 10 kB in {most} bytes");
    assert!(store.event(&key("evt_0")).await.unwrap().is_none(), "the oldest go");
    assert!(store.event(&key("evt_199")).await.unwrap().is_some());
    assert_eq!(sweep(&*store, &policy, START).await, Retained::default());
}
