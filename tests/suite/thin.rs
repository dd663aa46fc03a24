//! Thin events, through the real binary, against a stand-in for Stripe's API.

use serde_json::{Value, json};
use signalbox_tests::fake_stripe::{FakeEvent, FakeStripe, Fault, What};
use signalbox_tests::host::Host;
use signalbox_tests::{components, stripe};

use crate::count;

const CREATED: &str = "2026-11-24T10:00:00.000Z";

/// A thin event about the customer, and the snapshot event of the same change.
fn pair(number: u32) -> (FakeEvent, FakeEvent) {
    let snapshot = format!("evt_snap_{number}");
    let fields = json!({
        "snapshot_event": snapshot,
        "related_object": { "id": "cus_1", "type": "customer", "url": "/v1/customers/cus_1" },
    });
    let thin =
        FakeEvent::thin(&format!("evt_thin_{number}"), "v1.customer.updated", CREATED, &fields);
    let object = json!({ "id": "cus_1", "object": "customer", "balance": 1 });
    (thin, FakeEvent::new(&snapshot, "customer.updated", stripe::now(), &object))
}

async fn post(host: &Host, event: &FakeEvent) {
    let (status, answer) = host.post(event.webhook()).await.unwrap();
    assert_eq!((status, &answer["status"]), (200, &json!("accepted")), "{answer}");
}

/// Once every delivery of the event is done: to which plugins they were.
async fn handled(host: &Host, event: &FakeEvent) -> Vec<String> {
    let path = format!("/events/{}", event.body["id"].as_str().unwrap());
    let all_done = |event: &Value| {
        let deliveries = event["deliveries"].as_array()?;
        let done = deliveries.iter().all(|delivery| delivery["status"] == "done");
        let plugin = |one: &Value| one["plugin"].as_str().unwrap_or_default().to_owned();
        let mut plugins: Vec<_> = deliveries.iter().map(plugin).collect();
        plugins.sort();
        done.then_some(plugins)
    };
    host.until(&path, all_done).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_one_delivery_and_the_object_is_there_before_it() {
    let fake = FakeStripe::start().await.unwrap();
    let both = components::counter("both", &["customer.updated", "v1.customer.updated"]);
    let thin_only = components::counter("thin-only", &["v1.*"]);
    let plugins: [(&str, &[u8]); 2] = [("both.wasm", &both), ("thin-only.wasm", &thin_only)];
    let settings = format!("{}[reconcile]\nenabled = false\n", fake.config());
    let host = Host::start(&plugins, &settings).unwrap();
    let customer =
        json!({ "id": "cus_1", "object": "customer", "balance": 9_007_199_254_740_993_u64 });

    // The thin one first.
    let (thin, snapshot) = pair(1);
    fake.with(|world| {
        world.paths.insert("/v1/customers/cus_1".to_owned(), customer.clone());
        world.events.extend([thin.clone(), snapshot.clone()]);
    });
    post(&host, &thin).await;
    assert_eq!(handled(&host, &thin).await, ["both", "thin-only"]);
    // Fetched before it was accepted, byte for byte, and the event itself beside it.
    let held = host.get("/objects/stripe/customer/cus_1?livemode=false").await.unwrap();
    assert!(held.to_string().contains("9007199254740993"), "{held}");
    assert_eq!(held["origin"], "fetched", "{held}");
    host.get("/objects/stripe/v2.core.event/evt_thin_1?livemode=false").await.unwrap();
    post(&host, &snapshot).await;
    assert!(handled(&host, &snapshot).await.is_empty(), "whoever wanted it had the thin one");
    let explained = host.get("/events/evt_snap_1/explain").await.unwrap();
    let told = explained["plugins"].as_array().unwrap();
    let spared = told.iter().find(|plugin| plugin["plugin"] == "both").unwrap();
    assert_eq!(spared["note"], "it was given evt_thin_1, which tells of the same change");

    // The snapshot first: `thin-only` has not had it.
    let (thin, snapshot) = pair(2);
    post(&host, &snapshot).await;
    assert_eq!(handled(&host, &snapshot).await, ["both"]);
    fake.with(|world| {
        // What cannot be fetched keeps no event from its handlers.
        world.faults.push(Fault::always("/v1/customers", What::Status(500)));
        world.faults.push(Fault::always("/v2/core/events", What::Status(500)));
    });
    post(&host, &thin).await;
    assert_eq!(handled(&host, &thin).await, ["thin-only"]);
    let explained = host.get("/events/evt_thin_2/explain").await.unwrap();
    let told = explained["plugins"].as_array().unwrap();
    let both = told.iter().find(|plugin| plugin["plugin"] == "both").unwrap();
    assert_eq!(both["note"], "it was given evt_snap_2, which tells of the same change");
    assert_eq!((count(&host, "both").await, count(&host, "thin-only").await), (2, 2));
}
