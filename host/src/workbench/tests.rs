//! What follows from what: emitted events, timers, state between events, objects.

use serde_json::json;

use super::*;
use crate::domain::delivery::Outcome;
use crate::plugin::tests::components::{self, Ask, Spec};
use crate::plugin::{EngineConfig, Policy, Trial};

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A bench for these components, each granted what it asks for.
async fn bench(components: Vec<Vec<u8>>, config: BenchConfig) -> Bench {
    let clock = Arc::new(ManualClock::at(NOW));
    let engine = EngineConfig { pool: 4, ..EngineConfig::default() };
    let engine = Engine::new(&engine, clock.clone()).unwrap();
    let trial = Trial { grant_all: true, ..Trial::default() };
    let mut plugins = Vec::new();
    for bytes in components {
        let loaded = engine.load_on_trial(bytes.into(), &Policy::default(), &trial).await;
        plugins.push(Arc::new(loaded.unwrap().0));
    }
    let providers = Providers::new(crate::provider::built_in());
    Bench::new(engine, plugins, clock, providers, config)
}

/// Asks for these when one of `kinds` comes.
fn asking(name: &str, kinds: &[&str], asks: &[Ask]) -> Vec<u8> {
    let requests = vec![
        ("outbox.emit".to_owned(), "*".to_owned()),
        ("outbox.http".to_owned(), "POST https://a.com/*".to_owned()),
    ];
    let spec = Spec { requests, ..components::spec(name, kinds) };
    components::build(&components::asking(spec, asks, true))
}

fn event(id: &str, kind: &str) -> VerifiedEvent {
    let body = json!({
        "id": id, "object": "event", "type": kind, "created": NOW.as_secs(), "livemode": false,
        "data": {"object": {"id": "cus_1", "object": "customer", "name": id}},
    });
    let stripe = crate::provider::stripe::StripeProvider::default();
    let body = Bytes::from(body.to_string());
    crate::provider::Provider::read(&stripe, &body, NOW).unwrap()
}

fn kinds(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| step.event.event.kind.as_str()).collect()
}

fn runs(step: &Step) -> Vec<(&str, Outcome)> {
    let run = |run: &'_ DryRun| run.execution.outcome;
    step.runs.iter().map(|one| (one.delivery.plugin.as_str(), run(one))).collect()
}

#[tokio::test]
async fn what_is_emitted_is_delivered_next_to_whoever_wants_it() {
    let first = asking("first", &["a"], &[Ask::emit("b", None), Ask::post("https://a.com/x")]);
    let second = components::noop("second", &["first:b", "c"]);
    let mut bench = bench(vec![first, second], BenchConfig::default()).await;
    let steps = bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    assert_eq!(kinds(&steps), ["a", "b"]);
    assert_eq!(runs(&steps[0]), [("first", Outcome::Ok)]);
    assert_eq!(runs(&steps[1]), [("second", Outcome::Ok)]);
    assert_eq!(steps[1].cause, Some(steps[0].runs[0].execution.effects[0].id.clone()));
    assert_eq!(steps[1].event.source.depth(), 1);
    // And not where that is not wanted.
    bench.config.follow = false;
    let steps = bench.deliver(event("evt_2", "a"), Source::Webhook).await.unwrap();
    assert_eq!(kinds(&steps), ["a"]);
    assert!(!steps[0].duplicate);
    assert!(bench.deliver(event("evt_2", "a"), Source::Webhook).await.unwrap()[0].duplicate);
}

#[tokio::test]
async fn a_chain_without_an_end_is_cut() {
    // Each event leads to two: the depth alone would let through tens of thousands.
    let twice = [Ask::emit("more", None), Ask::emit("more", None)];
    let bytes = asking("loop", &["a", "loop:more"], &twice);
    let mut bench = bench(vec![bytes], BenchConfig::default()).await;
    let steps = bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    assert_eq!(steps.len(), 1 + MAX_FOLLOWING);
    assert!(steps.iter().any(|step| step.cut > 0));
    // A timer that sets itself again.
    let bytes = asking("tick", &["a", "tick:tock"], &[Ask::emit("tock", Some(60_000))]);
    let mut bench = self::bench(vec![bytes], BenchConfig::default()).await;
    bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    let (steps, ended) = bench.run_timers().await.unwrap();
    assert_eq!((steps.len(), ended), (MAX_FOLLOWING, false));
    assert_eq!(bench.clock.now(), NOW.plus(Duration::from_secs(60 * MAX_FOLLOWING as u64)));
}

#[tokio::test]
async fn a_timer_happens_at_its_moment_unless_it_is_withdrawn() {
    let sets =
        asking("sets", &["a"], &[Ask::emit("late", Some(9_000)), Ask::emit("soon", Some(2_000))]);
    let hears = components::noop("hears", &["sets:*"]);
    let mut bench = bench(vec![sets.clone(), hears], BenchConfig::default()).await;
    bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    let (steps, ended) = bench.run_timers().await.unwrap();
    assert_eq!((kinds(&steps), ended), (vec!["soon", "late"], true));
    assert_eq!(steps[1].event.received_at, NOW.plus(Duration::from_secs(9)));
    assert!(steps.iter().all(|step| step.cause.is_some() && step.runs.len() == 1));

    let both = Spec {
        requests: vec![("outbox.emit".to_owned(), "*".to_owned())],
        ..components::spec("sets", &["b"])
    };
    let cancels =
        components::build(&components::asking(both, &[Ask::cancel("stripe.evt_1.sets.0")], true));
    // The same plugin in another version withdraws the first.
    let mut bench = self::bench(vec![sets], BenchConfig::default()).await;
    bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    let trial = Trial { grant_all: true, ..Trial::default() };
    let loaded = bench.engine.load_on_trial(cancels.into(), &Policy::default(), &trial).await;
    bench.table = RoutingTable::new([Arc::new(loaded.unwrap().0)], Vec::new());
    let steps = bench.deliver(event("evt_2", "b"), Source::Webhook).await.unwrap();
    assert!(steps[0].runs[0].execution.cancels[0].waiting);
    let (steps, _) = bench.run_timers().await.unwrap();
    assert_eq!(kinds(&steps), ["soon"]);
}

#[tokio::test]
async fn an_event_finds_what_those_before_it_left_and_a_failed_attempt_leaves_nothing() {
    let counter = components::counter("counter", &["a"]);
    let mut bench = bench(vec![counter], BenchConfig::default()).await;
    for (id, before, after) in [("evt_1", None, 1_u64), ("evt_2", Some(1), 2)] {
        let steps = bench.deliver(event(id, "a"), Source::Webhook).await.unwrap();
        let [change] = steps[0].runs[0].changes.as_slice() else { panic!("one change") };
        let bytes = |number: u64| number.to_le_bytes().to_vec();
        assert_eq!(change.before, before.map(bytes));
        assert_eq!(change.after, Some(bytes(after)));
    }
    let retrying = components::retrying("counter", &["a"], "no", Some(5));
    let mut bench = self::bench(vec![retrying], BenchConfig::default()).await;
    let steps = bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    assert_eq!(runs(&steps[0]), [("counter", Outcome::Retry)]);
    assert!(steps[0].runs[0].changes.is_empty());
}

#[tokio::test]
async fn a_handler_finds_the_object_that_its_event_shows() {
    let reads = components::reads("reads", &["a"], &[("stripe", "customer", "cus_1")]);
    let mut bench = bench(vec![reads], BenchConfig::default()).await;
    let steps = bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    let logs = &steps[0].runs[0].execution.logs.records;
    assert!(logs[0].message.contains("evt_1"), "{logs:?}");
}

#[tokio::test]
async fn an_answer_goes_to_the_plugin_that_asked() {
    let asked = components::noop("asked", &["other"]);
    let curious = components::noop("curious", &["asked:*"]);
    let mut bench = bench(vec![asked, curious], BenchConfig::default()).await;
    let key = EventKey { provider: "asked".to_owned(), id: "evt_1".to_owned() };
    let reply = VerifiedEvent::vouched(key, "reply".into(), "text/plain".into(), Bytes::new());
    let steps = bench.deliver(reply, Source::Reply(Default::default())).await.unwrap();
    assert_eq!(runs(&steps[0]), [("asked", Outcome::Ok)]);
}

#[tokio::test]
async fn what_is_asked_for_is_granted_secrets_with_it_and_what_is_unknown_is_not() {
    let request = |name: &str, scope: &str| (name.to_owned(), scope.to_owned());
    let http = request("outbox.http", "POST https://a.com/*");
    let spec = Spec {
        requests: vec![http.clone(), request("secret", "TOKEN")],
        ..components::spec("a", &["a"])
    };
    let ask = Ask::Http {
        method: "POST".to_owned(),
        url: "https://a.com/x".to_owned(),
        headers: vec![("authorization".to_owned(), "{{secret:TOKEN}}".to_owned())],
        body: String::new(),
        reply: None,
        delay: None,
    };
    let bytes = components::build(&components::asking(spec, &[ask], true));
    let mut bench = bench(vec![bytes], BenchConfig::default()).await;
    let steps = bench.deliver(event("evt_1", "a"), Source::Webhook).await.unwrap();
    assert_eq!(runs(&steps[0]), [("a", Outcome::Ok)]);

    let spec =
        Spec { requests: vec![http, request("camera", "front")], ..components::spec("b", &["a"]) };
    let trial = Trial { grant_all: true, ..Trial::default() };
    let bytes = components::build(&spec).into();
    let error = bench.engine.load_on_trial(bytes, &Policy::default(), &trial).await.unwrap_err();
    assert!(error.to_string().contains("camera"), "{error}");
}
