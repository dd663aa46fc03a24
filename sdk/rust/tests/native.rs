//! Receivers run natively: what they read, what they write, and what is left after each end.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_sdk::kv::{KvError, Limit};
use signalbox_sdk::log::Level;
use signalbox_sdk::prelude::*;
use signalbox_sdk::testing::{Host, Verdict, delivery, event, raw, stripe};

plugin! {
    name: "ledger",
    version: "1.2.3",
    description: "Keeps a ledger",
    ordering: "none",
    concurrency: 4,
    receivers: [first, nested::second, pushes, answers_nothing],
}

#[receiver("charge.*", "refund.created")]
fn first(event: &Event) -> Result<(), Failure> {
    kv::set("order", &["first"])?;
    info!("first of {}", event.kind());
    Ok(())
}

mod nested {
    use super::*;

    /// An error of the plugin's own, which chooses for itself.
    pub(crate) struct Closed;

    impl From<Closed> for Failure {
        fn from(_: Closed) -> Self {
            Self::retry_after(Duration::from_secs(60), "the books are closed")
        }
    }

    #[receiver("charge.succeeded", "charge.failed")]
    pub(crate) fn second(event: &Event, delivery: &Delivery) -> Result<(), Closed> {
        info!("second"; attempt = delivery.attempt, "event-id" = event.id());
        if event.kind() == "charge.failed" { Err(Closed) } else { Ok(()) }
    }
}

#[receiver("push", provider = "github", filter = "event.data.ref == 'refs/heads/main'")]
fn pushes(event: &Event) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Push {
        r#ref: String,
    }
    let push: Push = event.parse()?;
    kv::set_bytes("ref", push.r#ref.as_bytes())?;
    Ok(())
}

#[receiver("payout.paid")]
fn answers_nothing(_: &Event) {
    debug!("paid");
}

fn messages(run: &signalbox_sdk::testing::Run) -> Vec<&str> {
    run.logs.iter().map(|record| record.message.as_str()).collect()
}

#[test]
fn the_attributes_become_the_manifest() {
    assert_eq!((PLUGIN.name(), PLUGIN.version()), ("ledger", "1.2.3"));
    assert_eq!(
        PLUGIN.attributes(),
        [("description", "Keeps a ledger"), ("ordering", "none"), ("concurrency", "4")]
    );
    let receivers: Vec<_> = PLUGIN
        .receivers()
        .iter()
        .map(|r| (r.name(), r.provider(), r.kinds().to_vec(), r.filter()))
        .collect();
    assert_eq!(receivers[0], ("first", "stripe", vec!["charge.*", "refund.created"], None));
    assert_eq!(receivers[2].1, "github");
    assert_eq!(receivers[2].3, Some("event.data.ref == 'refs/heads/main'"));
}

#[test]
fn every_receiver_that_takes_an_event_runs_in_order() {
    let mut host = Host::new();
    let run = host.deliver(&PLUGIN, &stripe("charge.succeeded", json!({}))).expect_ok();
    assert_eq!(messages(&run), ["first of charge.succeeded", "second"]);
    assert_eq!(run.logs[1].attribute("attempt"), Some("1"));
    assert_eq!(run.logs[1].attribute("event-id"), Some("evt_test"));
    let run = host.deliver(&PLUGIN, &stripe("charge.captured", json!({}))).expect_ok();
    assert_eq!(messages(&run), ["first of charge.captured"]);
    let run = host.deliver(&PLUGIN, &stripe("payout.paid", json!({}))).expect_ok();
    assert_eq!(run.logs[0].level, Level::Debug);
}

#[test]
fn the_first_failure_undoes_the_whole_run_and_keeps_the_log() {
    let mut host = Host::new();
    let run = host.deliver(&PLUGIN, &stripe("charge.failed", json!({})));
    assert_eq!(
        run.verdict,
        Verdict::Failed(Failure::retry_after(Duration::from_secs(60), "the books are closed"))
    );
    assert_eq!(messages(&run), ["first of charge.failed", "second"]);
    assert_eq!(host.get::<Value>("order"), None);
}

#[test]
fn what_no_receiver_takes_is_not_delivered() {
    let mut host = Host::new();
    for event in [stripe("customer.created", json!({})), raw("github", "1", "charge.failed", "{}")]
    {
        assert_eq!(host.deliver(&PLUGIN, &event).verdict, Verdict::NotSubscribed);
        // A delivery that waited while the plugin changed: nobody may lose it silently.
        let failure = PLUGIN.handle(&event, &delivery(1)).unwrap_err();
        assert!(matches!(failure, Failure::Reject { .. }), "{failure}");
    }
    host.deliver(&PLUGIN, &raw("github", "1", "push", r#"{"ref":"main"}"#)).expect_ok();
    assert_eq!(host.keys().collect::<Vec<_>>(), ["ref"]);
}

#[test]
fn an_event_is_read_as_its_envelope_says() {
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Customer {
        email: Option<String>,
    }
    let body = r#"{"id":"evt_1","object":"event","api_version":"2026-10-28","created":7,
        "account":"acct_1","livemode":true,"request":{"id":"req_1"},"type":"customer.updated",
        "data":{"object":{"email":"b@c"},"previous_attributes":{"email":null}}}"#;
    let event = event(body);
    assert_eq!(
        (event.id(), event.kind(), event.provider()),
        ("evt_1", "customer.updated", "stripe")
    );
    assert_eq!((event.account(), event.livemode()), (Some("acct_1"), Some(true)));
    assert_eq!(event.api_version(), Some("2026-10-28"));
    assert_eq!(event.attribute("request-id"), Some("req_1"));
    assert_eq!(event.occurred_at(), std::time::UNIX_EPOCH + Duration::from_secs(7));
    assert_eq!(event.body(), body.as_bytes());
    assert_eq!(event.object::<Customer>().unwrap(), Customer { email: Some("b@c".into()) });
    let before = event.previous_attributes::<Customer>().unwrap();
    assert_eq!(before, Some(Customer { email: None }));
    assert_eq!(event.json().unwrap()["data"]["object"]["email"], "b@c");
    assert_eq!(stripe("a", json!({})).previous_attributes::<Customer>().unwrap(), None);

    let failure = Failure::from(event.object::<Vec<u8>>().unwrap_err());
    assert!(
        failure.reason().starts_with("`data.object` of `customer.updated` is not"),
        "{failure}"
    );
    assert!(matches!(failure, Failure::Reject { .. }));
    let thin =
        raw("stripe", "evt_2", "v1.customer.created", r#"{"related_object":{"id":"cus_1"}}"#);
    assert!(thin.object::<Customer>().is_err());
    assert!(raw("x", "1", "a", "not json").json().is_err());
}

#[test]
fn a_run_sees_its_own_writes_and_lists_keys_in_order() {
    let mut host = Host::new();
    host.set("k/050", &"kept");
    host.set("other", &1);
    let run = host.run(|| -> Result<(), KvError> {
        for i in 0..40 {
            kv::set(format!("k/{i:03}"), &i)?;
        }
        kv::delete("k/007")?;
        let keys: Vec<String> = kv::keys("k/").collect::<Result<_, _>>()?;
        let mut expected: Vec<String> =
            (0..40).filter(|i| *i != 7).map(|i| format!("k/{i:03}")).collect();
        expected.push("k/050".to_owned());
        assert_eq!(keys, expected);
        assert_eq!(kv::get::<i32>("k/039")?, Some(39));
        assert_eq!(kv::get::<i32>("k/007")?, None);
        kv::delete("k/050")
    });
    run.expect_ok();
    assert_eq!(host.keys().count(), 40);
    assert_eq!(host.get::<String>("k/050"), None);
}

#[test]
fn counters_count_and_say_when_they_cannot() {
    let mut host = Host::new();
    host.set("words", &"many");
    host.set("full", &i64::MAX);
    let run = host.run(|| -> Result<(), KvError> {
        let counter = kv::counter("n");
        assert_eq!((counter.get()?, counter.add(3)?, counter.add(-1)?), (0, 3, 2));
        assert!(matches!(kv::counter("words").add(1), Err(KvError::Shape { .. })));
        assert!(matches!(kv::counter("full").add(1), Err(KvError::Overflow { .. })));
        Ok(())
    });
    run.expect_ok();
    assert_eq!(host.get::<i64>("n"), Some(2));
    let run = host.run(|| kv::counter("words").add(1).map(drop));
    assert!(run.expect_retry().starts_with("kv `words`: the value has another type"));
}

#[test]
fn limits_hold_as_on_the_real_host() {
    let limit = |result: Result<(), KvError>| match result {
        Err(KvError::Limit { limit, .. }) => Some(limit),
        _ => None,
    };
    let mut host = Host::new().with_limits(|limits| {
        limits.kv_operations = 8;
        limits.kv_value = 16;
        limits.kv_quota = 40;
        limits.log_records = 2;
    });
    let run = host.run(|| {
        assert_eq!(limit(kv::set("", &1)), Some(Limit::KeySize));
        assert_eq!(limit(kv::set("k".repeat(513), &1)), Some(Limit::KeySize));
        assert_eq!(limit(kv::set_bytes("a", &[0; 17])), Some(Limit::ValueSize));
        assert_eq!(limit(kv::set_bytes("a", &[0; 16])), None);
        assert_eq!(limit(kv::set_bytes("b", &[0; 16])), None);
        assert_eq!(limit(kv::set_bytes("c", &[0; 16])), Some(Limit::Quota));
        assert_eq!(limit(kv::set_bytes("b", &[1; 16])), None, "a replaced value is freed");
        assert_eq!(limit(kv::delete("b")), None);
        assert_eq!(limit(kv::delete("b")), Some(Limit::Operations));
        for n in 0..5 {
            trace!("{n}");
        }
    });
    assert_eq!((messages(&run).len(), run.logs_dropped), (2, 3));
    let mut host = Host::new().with_limits(|limits| limits.kv_writes = 10);
    let run = host.run(|| kv::set_bytes("k", &[0; 10]));
    assert!(run.expect_retry().contains("more than the host allows"));
}

#[test]
fn settings_are_read_and_a_bad_one_asks_for_another_attempt() {
    let mut host = Host::new().with_setting("limit", "12").with_setting("channel", "#money");
    let run = host.run(|| {
        assert_eq!(config::get("channel").as_deref(), Some("#money"));
        assert_eq!(config::get("absent"), None);
        assert_eq!(config::parse::<u8>("limit").unwrap(), Some(12));
        let all = config::all();
        assert_eq!(
            all.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            ["channel", "limit"]
        );
        config::parse::<u8>("channel").map(drop)
    });
    let reason = "the operator's setting `channel` cannot be used: invalid digit found in string";
    assert_eq!(run.expect_retry(), reason);
}

#[test]
fn a_panic_is_an_end_like_any_other() {
    let mut host = Host::new();
    let run = host.run(|| -> () {
        kv::counter("n").add(1).unwrap();
        warn!("so far so good");
        panic!("no {}", "good");
    });
    assert_eq!(run.verdict, Verdict::Crashed("panicked: no good".to_owned()));
    assert_eq!(messages(&run), ["so far so good", "panicked: no good"]);
    assert_eq!(host.keys().count(), 0);
    host.run(|| kv::set("n", &1)).expect_ok();
    assert_eq!(host.get::<i64>("n"), Some(1));
}

#[test]
fn a_call_outside_a_host_says_what_to_do() {
    let panic = std::panic::catch_unwind(|| kv::get::<i64>("n").unwrap()).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("outside a host") && text.contains("Host::new().run"), "{text}");
}
