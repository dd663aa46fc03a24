//! Each plugin by its own policy.

use super::*;

fn attempts(attempts: u32) -> DeliveryPolicy {
    let quick = quick_delivery();
    DeliveryPolicy { backoff: Backoff { attempts, ..quick.backoff.clone() }, ..quick }
}

#[tokio::test]
async fn each_plugin_is_attempted_as_its_own_policy_says() {
    let retrying = |name| components::retrying(name, KINDS, "not yet", None);
    let setup = Setup { plugins: vec![("hasty", attempts(1))], ..Setup::default() };
    let mut bench = Bench::set_up(vec![retrying("hasty"), retrying("other")], setup).await;
    bench.accept(&["evt_1"], &["hasty", "other"]).await;
    let mut dead = Vec::new();
    while dead.len() < 2 {
        let ended = bench.next().await;
        if ended.status == Status::Dead {
            dead.push((ended.delivery.plugin.to_string(), ended.attempt.number));
        }
    }
    assert_eq!(dead, [("hasty".to_owned(), 1), ("other".to_owned(), 3)]);
    bench.stop().await;
}

#[tokio::test]
async fn no_more_of_a_plugin_run_than_its_policy_lets() {
    let single = DeliveryPolicy { concurrency: Some(1), ..quick_delivery() };
    let setup = Setup { plugins: vec![("single", single)], ..Setup::default() };
    let counters = ["single", "other"].map(|name| components::counter(name, KINDS)).to_vec();
    let mut bench = Bench::set_up(counters, setup).await;
    bench.store.shut();
    let ids: Vec<String> = (0..20).map(|n| format!("evt_{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    bench.accept(&ids, &["single"]).await;
    bench.accept(&["evt_a", "evt_b", "evt_c"], &["other"]).await;
    bench.store.reached(4).await;
    assert_eq!(bench.handle.figures().running, 4);
    bench.store.open();
    for _ in 0..23 {
        assert_eq!(bench.next().await.status, Status::Done);
    }
    assert_eq!(bench.store.most_at_once(), 4);
    // Three at once lose three runs at the most; one at a time loses none.
    assert!(bench.store.conflicts.load(Ordering::SeqCst) <= 3);
    assert_eq!(bench.count("single").await, Some(20));
    bench.stop().await;
}

#[tokio::test]
async fn what_begins_runs_the_code_that_is_loaded_then() {
    let config = DispatchConfig { concurrency: 1, ..quick() };
    let mut bench = Bench::start_with(vec![components::counter("a", KINDS)], config, 8).await;
    let digest = |bench: &Bench| bench.routes.current().get(&plugin("a")).unwrap().digest();
    let first = digest(&bench);
    bench.store.shut();
    bench.accept(&["evt_1", "evt_2"], &["a"]).await;
    bench.store.reached(1).await;
    bench.route(vec![components::noop("a", KINDS)]).await;
    let second = digest(&bench);
    assert_ne!(first, second);
    bench.store.open();
    // Either of the two may be the one that began, and either may be told first: a guest's slot is
    // free before its end is committed.
    let mut ran = Vec::new();
    for _ in 0..2 {
        let ended = bench.next().await;
        assert_eq!(ended.status, Status::Done);
        ran.push(ended.attempt.digest);
    }
    assert!(ran.contains(&first) && ran.contains(&second), "{ran:?}");
    bench.stop().await;
}

#[tokio::test]
async fn faults_of_the_host_wait_longer_each_time() {
    let config = DispatchConfig { fault_wait: Duration::from_millis(20), ..quick() };
    let mut bench = Bench::start_with(vec![components::counter("a", KINDS)], config, 8).await;
    bench.store.failing_reads.store(4, Ordering::SeqCst);
    bench.accept(&["evt_1"], &["a"]).await;
    let mut starts = Vec::new();
    for _ in 0..5 {
        starts.push(bench.next().await.attempt.started_at);
    }
    let mut least = Duration::from_millis(10);
    for pair in starts.windows(2) {
        assert!(pair[1].since(pair[0]) + GRAIN >= least, "{starts:?}");
        least *= 2;
    }
    let figures = bench.handle.figures();
    assert_eq!(figures.faults, 4);
    let ended = &figures.attempts[&"a".parse().unwrap()];
    assert_eq!(ended.by_outcome, [(Outcome::Ok, 1), (Outcome::HostFault, 4)].into());
    bench.stop().await;
}
