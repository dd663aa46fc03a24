//! What the end of an attempt leaves its delivery as.

use std::collections::HashMap;

use super::*;

#[tokio::test]
async fn a_retry_waits_longer_each_time_and_ends_dead() {
    let mut bench = Bench::start(vec![components::retrying("a", KINDS, "not yet", None)]).await;
    bench.accept(&["evt_1"], &["a"]).await;
    let mut starts = Vec::new();
    for (number, status) in [(1, Status::Retry), (2, Status::Retry), (3, Status::Dead)] {
        let ended = bench.next().await;
        assert_eq!((ended.attempt.number, ended.status), (number, status));
        assert_eq!(ended.attempt.outcome, Outcome::Retry);
        starts.push(ended.attempt.started_at);
    }
    // At least half of 20 ms, then of 40 ms: the rest is jitter.
    let first = quick_delivery().backoff.first;
    assert!(starts[1].since(starts[0]) + GRAIN >= first / 2, "{starts:?}");
    assert!(starts[2].since(starts[1]) + GRAIN >= first, "{starts:?}");
    let delivery = bench.delivery("evt_1", "a").await;
    assert_eq!((delivery.status, delivery.attempts), (Status::Dead, 3));
    let reasons: Vec<_> = delivery.history.iter().map(|a| a.reason.as_str()).collect();
    assert_eq!(reasons, ["not yet", "not yet", "not yet (attempt 3 was the last)"]);
    bench.stop().await;
}

#[tokio::test]
async fn a_handlers_wish_is_clamped() {
    let mut delivery = quick_delivery();
    delivery.backoff.longest = Duration::from_millis(60);
    let (first, longest) = (delivery.backoff.first, delivery.backoff.longest);
    let tomorrow = 24 * 3_600 * 1_000;
    let late = components::retrying("late", KINDS, "tomorrow", Some(tomorrow));
    let hasty = components::retrying("hasty", KINDS, "at once", Some(0));
    let setup = Setup { delivery, ..Setup::default() };
    let mut bench = Bench::set_up(vec![late, hasty], setup).await;
    bench.accept(&["evt_1"], &["late", "hasty"]).await;
    let mut starts = HashMap::new();
    // That `late` starts again within the test's patience is the upper bound.
    while !["late", "hasty"].iter().all(|name| starts.contains_key(&(plugin(name), 2))) {
        let ended = bench.next().await;
        let attempt = (ended.delivery.plugin.clone(), ended.attempt.number);
        starts.insert(attempt, ended.attempt.started_at);
    }
    for (name, least) in [("late", longest), ("hasty", first)] {
        let waited = starts[&(plugin(name), 2)].since(starts[&(plugin(name), 1)]);
        assert!(waited + GRAIN >= least, "{name} waited {waited:?}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_reject_is_dead_at_once() {
    let mut bench = Bench::start(vec![components::rejecting("a", KINDS, "no such thing")]).await;
    bench.accept(&["evt_1"], &["a"]).await;
    let ended = bench.next().await;
    assert_eq!((ended.status, ended.attempt.outcome), (Status::Dead, Outcome::Reject));
    let delivery = bench.delivery("evt_1", "a").await;
    assert_eq!((delivery.status, delivery.attempts), (Status::Dead, 1));
    assert_eq!(delivery.history[0].reason, "no such thing");
    bench.stop().await;
}

#[tokio::test]
async fn a_trap_spends_an_attempt_and_writes_nothing() {
    let mut bench = Bench::start(vec![components::trap("a", KINDS, "at line 7")]).await;
    bench.accept(&["evt_1"], &["a"]).await;
    for status in [Status::Retry, Status::Retry, Status::Dead] {
        let ended = bench.next().await;
        assert_eq!((ended.status, ended.attempt.outcome), (status, Outcome::Crashed));
        assert_eq!(ended.attempt.logs.records[0].message, "at line 7");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_fault_of_the_host_spends_no_attempt() {
    let mut bench = Bench::start(vec![components::counter("a", KINDS)]).await;
    // More often than there are attempts.
    bench.store.failing_reads.store(5, Ordering::SeqCst);
    bench.accept(&["evt_1"], &["a"]).await;
    for _ in 0..5 {
        let ended = bench.next().await;
        assert_eq!((ended.status, ended.attempt.outcome), (Status::Pending, Outcome::HostFault));
        assert_eq!(ended.attempt.number, 1);
    }
    assert_eq!(bench.next().await.status, Status::Done);
    let delivery = bench.delivery("evt_1", "a").await;
    assert_eq!((delivery.status, delivery.attempts), (Status::Done, 1));
    assert_eq!(delivery.history.len(), 1, "a fault leaves no trace with the delivery");
    assert_eq!(bench.count("a").await, Some(1));
    bench.stop().await;
}

#[tokio::test]
async fn no_room_for_a_guest_spends_no_attempt() {
    let counter = components::counter("a", KINDS);
    let mut bench = Bench::start_with(vec![counter], quick(), 1).await;
    bench.store.shut();
    bench.accept(&["evt_1", "evt_2"], &["a"]).await;
    bench.store.reached(1).await;
    // One guest holds the only slot until the gate opens; the other finds none, over and over.
    for _ in 0..5 {
        let ended = bench.next().await;
        assert_eq!((ended.status, ended.attempt.outcome), (Status::Pending, Outcome::Saturated));
    }
    bench.store.open();
    for _ in 0..2 {
        let ended = bench.next_that_counts().await;
        assert_eq!((ended.status, ended.attempt.number), (Status::Done, 1));
    }
    assert_eq!(bench.count("a").await, Some(2));
    bench.stop().await;
}

#[tokio::test]
async fn a_panic_of_the_host_gives_the_delivery_back() {
    let mut bench = Bench::start(vec![components::counter("a", KINDS)]).await;
    bench.store.panicking_settlements.store(1, Ordering::SeqCst);
    bench.accept(&["evt_1"], &["a"]).await;
    let ended = bench.next().await;
    assert_eq!((ended.status, ended.attempt.number), (Status::Done, 1));
    assert_eq!(bench.count("a").await, Some(1));
    assert_eq!(bench.store.panicking_settlements.load(Ordering::SeqCst), 0, "it did panic");
    bench.stop().await;
}
