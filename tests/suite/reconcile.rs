//! Events that no webhook brought, through the real binary, against a stand-in for Stripe's API.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::fake_stripe::{
    CONNECTED, FAKE_ACCOUNT, FAKE_KEY, FakeEvent, FakeStripe, Fault, What,
};
use signalbox_tests::host::{ENDPOINT, Host};
use signalbox_tests::{components, stripe};

use crate::count;

/// Looks every second, takes what is a second old.
const QUICK: &str = "[reconcile]\ninterval = \"1s\"\ngrace = \"0s\"\n";

fn event(id: &str, ago: u64) -> FakeEvent {
    let object = json!({ "id": format!("ch_{id}"), "object": "charge", "amount": 1_000 });
    FakeEvent::new(&format!("evt_{id}"), "charge.succeeded", stripe::now() - ago, &object)
}

/// Until the account `name` has looked to the end, so that what it does next is another look.
async fn looked(host: &Host, name: &str) -> Value {
    let status = |answer: &Value| {
        let all = answer["accounts"].as_array()?;
        let own = all.iter().find(|status| status["account"] == name)?;
        (own["status"] == "ok").then(|| own.clone())
    };
    host.until("/reconcile", status).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_swallowed_is_fetched_and_handled() {
    let fake = FakeStripe::start().await.unwrap();
    let counter = components::counter("counter", &["charge.*"]);
    let plugins: [(&str, &[u8]); 1] = [("counter.wasm", &counter)];
    let settings =
        format!("{}connected = [\"{CONNECTED}\"]\nid = \"{FAKE_ACCOUNT}\"\n{QUICK}", fake.config());
    let mut host = Host::start(&plugins, &settings).unwrap();
    looked(&host, &format!("default/{CONNECTED}")).await;

    // One event comes by its webhook, and is in the list as well.
    let posted = event("posted", 0);
    fake.with(|world| world.events.push(posted.clone()));
    assert_eq!(host.post(posted.webhook()).await.unwrap().0, 200);
    host.kill().unwrap();

    fake.with(|world| {
        for n in 0..250 {
            world.events.push(event(&format!("missed_{n:03}"), 0));
        }
        world.events.push(event("connected", 0).of(CONNECTED));
        // Another mode's are another key's.
        world.events.push(event("live", 0).live());
        world.faults.push(Fault::once("/v1/events", What::RateLimited(Some(1))));
        world.faults.push(Fault::once("/v1/events", What::Cut));
        world.faults.push(Fault::once("/v1/events", What::Status(502)));
    });
    host.run().unwrap();
    let missed = "/events/evt_missed_000";
    let found = host.until("/events?type=charge.succeeded&limit=100", |list| {
        list["data"].as_array()?.iter().find(|event| event["id"] == "evt_connected").cloned()
    });
    let found = found.await.unwrap();
    assert_eq!((&found["source"], &found["account"]), (&json!("reconcile"), &json!(CONNECTED)));
    host.until("/plugins/counter/kv", |_| Some(())).await.unwrap();
    for _ in 0..600 {
        if count(&host, "counter").await == 252 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(count(&host, "counter").await, 252, "each once");
    let shown = host.get(missed).await.unwrap();
    assert_eq!((&shown["source"], &shown["endpoint"]), (&json!("reconcile"), &json!(ENDPOINT)));
    assert_eq!(host.get("/events/evt_posted").await.unwrap()["source"], "webhook");
    let raw: Value =
        serde_json::from_slice(&host.get_bytes(&format!("{missed}/raw")).await.unwrap()).unwrap();
    let expected = fake.with(|world| {
        let mut all = world.events.iter();
        all.find(|event| event.body["id"] == "evt_missed_000").unwrap().body.clone()
    });
    assert_eq!(raw, expected);
    // Its webhook comes after all: it is known.
    let late = fake.with(|world| world.events[1].webhook());
    let (status, answer) = host.post(late).await.unwrap();
    assert_eq!((status, &answer["status"]), (200, &json!("duplicate")));

    let status = looked(&host, "default").await;
    assert_eq!(status["missed_found"], 250);
    let missed =
        host.figure("signalbox_reconcile_missed_total{account=\"default\"}").await.unwrap();
    assert!((missed - 251.0).abs() < 0.1, "{missed}");
    assert!(!host.log().contains(FAKE_KEY), "the key is in the log");
    host.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_counts_fetches_and_shows() {
    let fake = FakeStripe::start().await.unwrap();
    let settings = format!("{}[reconcile]\ngrace = \"0s\"\ninterval = \"1h\"\n", fake.config());
    let mut host = Host::start(&[], &settings).unwrap();
    looked(&host, "default").await;
    fake.with(|world| {
        world.events.push(event("old", 86_400));
        world.events.push(event("older", 3 * 86_400));
    });
    let run = |args: &[&str]| {
        let ran = host.cli(args).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (ran.status.code(), text(ran.stdout), text(ran.stderr))
    };
    let (code, out, _) = run(&["reconcile"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "default: 0 missed and taken, 0 known, of 0 listed\n")
    );
    let (code, out, _) = run(&["reconcile", "--since", "2d", "--dry-run"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "default: 1 missed, 0 known, of 1 listed\n  evt_old\n")
    );
    assert!(host.list("/events").await.unwrap().is_empty());
    let (code, out, _) = run(&["reconcile", "--since", "7d", "--account", "default"]);
    let expected = "default: 2 missed and taken, 0 known, of 2 listed\n  evt_older\n  evt_old\n";
    assert_eq!((code, out.as_str()), (Some(0), expected));
    let (_, out, _) = run(&["reconcile", "--since", "7d", "--output", "jsonl"]);
    let operation: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(operation["result"]["accounts"][0]["found"]["known"], 2);
    let (code, _, error) = run(&["reconcile", "--since", "31d"]);
    assert_eq!(code, Some(2), "{error}");
    let (code, _, error) = run(&["reconcile", "--account", "nobody"]);
    assert!(code == Some(2) && error.contains("[[stripe.account]]"), "{code:?} {error}");

    fake.with(|world| world.revoked.insert(FAKE_KEY.to_owned()));
    let (code, _, error) = run(&["reconcile"]);
    assert!(code == Some(1) && error.contains("make a new one at Stripe"), "{code:?} {error}");
    let (code, out, _) = run(&["reconcile", "status"]);
    assert!(code == Some(0) && out.contains("failed") && out.contains("unauthorised"), "{out}");
    assert!(!host.log().contains(FAKE_KEY), "the key is in the log");
    host.stop().unwrap();
}
