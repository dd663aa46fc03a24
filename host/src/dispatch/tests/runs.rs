//! When deliveries run: side by side, at a stop, and with their plugin away.

use super::*;

#[tokio::test]
async fn concurrent_increments_are_all_counted() {
    // Twice as many as shall run at once: one plugin gets half.
    let config = DispatchConfig { concurrency: 100, ..quick() };
    let mut bench = Bench::start_with(vec![components::counter("a", KINDS)], config, 100).await;
    bench.store.shut();
    let ids: Vec<String> = (0..50).map(|n| format!("evt_{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    bench.accept(&ids, &["a"]).await;
    // All have seen that there is no count yet: all but one of these runs must be lost.
    bench.store.reached(50).await;
    bench.store.open();
    for _ in 0..50 {
        let ended = bench.next().await;
        assert_eq!((ended.status, ended.attempt.number), (Status::Done, 1));
    }
    assert_eq!(bench.count("a").await, Some(50));
    assert!(bench.store.conflicts.load(Ordering::SeqCst) >= 49);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_runs_to_its_limits_leaves_room_for_others() {
    const LOOPS: usize = 40;
    let loops = components::endless_loop("loops", KINDS);
    let config = DispatchConfig { concurrency: 2, ..quick() };
    let mut bench =
        Bench::start_with(vec![loops, components::counter("honest", KINDS)], config, 8).await;
    let ids: Vec<String> = (0..LOOPS).map(|n| format!("evt_{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    bench.accept(&ids, &["loops"]).await;
    bench.accept(&["evt_last"], &["honest"]).await;
    let mut before = 0;
    while bench.next().await.delivery.plugin.as_str() != "honest" {
        before += 1;
    }
    assert!(before < LOOPS / 4, "{before} loops ended before the one that was accepted last");
    bench.shutdown.cancel();
}

#[tokio::test]
async fn a_stop_waits_for_what_runs() {
    let mut bench = Bench::start(vec![components::counter("a", KINDS)]).await;
    bench.store.shut();
    bench.accept(&["evt_1", "evt_2"], &["a"]).await;
    bench.store.reached(2).await;
    bench.shutdown.cancel();
    // A stop that did not wait would end here, and nothing would be settled.
    tokio::task::yield_now().await;
    assert!(!bench.running.is_finished());
    // Accepted after the stop: not begun any more.
    bench.accept(&["evt_3"], &["a"]).await;
    bench.store.open();
    soon(&mut bench.running).await.unwrap();
    assert_eq!(bench.delivery("evt_1", "a").await.status, Status::Done);
    assert_eq!(bench.delivery("evt_2", "a").await.status, Status::Done);
    assert_eq!(bench.delivery("evt_3", "a").await.status, Status::Pending);
    assert_eq!(bench.count("a").await, Some(2));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let config = DispatchConfig { drain: Duration::from_millis(20), ..quick() };
    let bench = Bench::start_with(vec![components::counter("a", KINDS)], config, 8).await;
    bench.store.shut();
    bench.accept(&["evt_1"], &["a"]).await;
    bench.store.reached(1).await;
    bench.shutdown.cancel();
    soon(bench.running).await.unwrap();
    let id = DeliveryId { event: key("evt_1"), plugin: plugin("a") };
    let left = bench.store.delivery(&id).await.unwrap().unwrap();
    assert_eq!((left.status, left.attempts), (Status::Running, 0));
}

#[tokio::test]
async fn deliveries_of_an_absent_plugin_wait_for_it() {
    let mut bench = Bench::start(vec![components::counter("b", KINDS)]).await;
    bench.accept(&["evt_1"], &["a"]).await;
    bench.accept(&["evt_2"], &["b"]).await;
    // What is claimed at all is claimed in order of acceptance: `a` had its turn.
    assert_eq!(bench.next().await.delivery.plugin, plugin("b"));
    let waiting = bench.delivery("evt_1", "a").await;
    assert_eq!((waiting.status, waiting.attempts), (Status::Pending, 0));
    bench.route(vec![components::counter("a", KINDS)]).await;
    let ended = bench.next().await;
    assert_eq!((ended.delivery.plugin.as_str(), ended.status), ("a", Status::Done));
    // And away again: the table is looked at for every claim.
    bench.route(vec![components::counter("b", KINDS)]).await;
    bench.accept(&["evt_3"], &["a", "b"]).await;
    assert_eq!(bench.next().await.delivery.plugin, plugin("b"));
    assert_eq!(bench.delivery("evt_3", "a").await.status, Status::Pending);
    assert_eq!((bench.count("a").await, bench.count("b").await), (Some(1), Some(2)));
    bench.stop().await;
}

#[tokio::test]
async fn no_more_run_at_once_than_configured() {
    // Of each plugin one at a time; of the four, three.
    let names = ["a", "b", "c", "d"];
    let config = DispatchConfig { concurrency: 3, ..quick() };
    let counters = names.iter().map(|name| components::counter(name, KINDS)).collect();
    let mut bench = Bench::start_with(counters, config, 8).await;
    bench.store.shut();
    bench.accept(&["evt_1", "evt_2"], &names).await;
    bench.store.reached(3).await;
    assert_eq!(bench.handle.figures().running, 3);
    bench.store.open();
    for _ in 0..8 {
        assert_eq!(bench.next().await.status, Status::Done);
    }
    for name in names {
        assert_eq!(bench.count(name).await, Some(2));
    }
    assert_eq!(bench.store.most_at_once(), 3);
    bench.stop().await;
}

#[tokio::test]
async fn a_stop_gives_back_what_has_not_begun() {
    let config = DispatchConfig { concurrency: 1, ..quick() };
    let mut bench = Bench::start_with(vec![components::counter("a", KINDS)], config, 8).await;
    bench.store.shut();
    bench.accept(&["evt_1", "evt_2", "evt_3"], &["a"]).await;
    bench.store.reached(1).await;
    bench.shutdown.cancel();
    bench.store.given_back(2).await;
    bench.store.open();
    soon(&mut bench.running).await.unwrap();
    let mut done = 0;
    for id in ["evt_1", "evt_2", "evt_3"] {
        let delivery = bench.delivery(id, "a").await;
        match delivery.status {
            Status::Done => done += 1,
            status => assert_eq!((status, delivery.attempts), (Status::Pending, 0)),
        }
    }
    assert_eq!((done, bench.count("a").await), (1, Some(1)));
}

#[tokio::test]
async fn with_nothing_to_claim_for_it_sleeps_until_something_is_loaded() {
    let mut bench = Bench::start(vec![]).await;
    bench.accept(&["evt_1"], &["a"]).await;
    // On this one thread nothing else would run while the dispatcher asks over and over.
    bench.accept(&["evt_2"], &["a"]).await;
    bench.route(vec![components::counter("a", KINDS)]).await;
    for _ in 0..2 {
        assert_eq!(bench.next().await.status, Status::Done);
    }
    assert!(bench.store.waits.load(Ordering::SeqCst) < 100);
    bench.stop().await;
}
