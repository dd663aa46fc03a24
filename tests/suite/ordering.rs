//! Deliveries about one object of a provider: one after another in order of acceptance, whatever
//! fails, whatever ends the process; and other objects are not held up.

use std::collections::BTreeMap;

use serde_json::Value;
use signalbox_tests::dice::Dice;
use signalbox_tests::host::Host;
use signalbox_tests::{guests, stripe};

const KIND: &str = "customer.updated";
/// Attempts that fail before one succeeds.
const FAILURES: u32 = 2;

/// An event about a customer. `stumbles`: its handler fails before it succeeds.
fn about(customer: &str, stumbles: bool) -> Value {
    let mut event = stripe::fresh(KIND);
    let id =
        event["id"].as_str().unwrap().replace("evt_", if stumbles { "evt_s" } else { "evt_f" });
    event["id"] = id.into();
    event["data"]["object"]["id"] = customer.into();
    event
}

async fn host(settings: &str) -> Host {
    let stumbler = guests::stumbler("stumbler", &[KIND], 's', FAILURES);
    let host = Host::start(&[("stumbler.wasm", &stumbler)], settings).unwrap();
    let listed = host.list("/plugins").await.unwrap();
    assert_eq!(listed[0]["status"], "loaded", "{listed:#?}");
    host
}

/// Post them one after another. Answers their identifiers.
async fn post(host: &Host, events: &[Value]) -> Vec<String> {
    let mut ids = Vec::new();
    for event in events {
        let (status, answer) = host.post(event.to_string()).await.unwrap();
        assert_eq!((status, &answer["status"]), (200, &"accepted".into()), "{answer}");
        ids.push(event["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// Identifiers of events in the order in which they were committed, once `ids` all were.
async fn committed(host: &Host, ids: &[String]) -> Vec<String> {
    for id in ids {
        let delivery = host.ended(&format!("stripe.{id}.stumbler")).await.unwrap();
        assert_eq!(delivery["status"], "done", "{delivery:#}");
        let attempts = if id.starts_with("evt_s") { FAILURES + 1 } else { 1 };
        assert_eq!(delivery["attempts"], attempts, "{delivery:#}");
    }
    let entries = host.list("/plugins/stumbler/kv").await.unwrap();
    let order = entries.iter().find(|entry| entry["key"] == "order").unwrap();
    order["value"].as_str().unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_delivery_holds_up_its_own_object_alone() {
    // Seconds, so that everything else has ended before the stumbler's last attempt.
    let host = host("[dispatch]\nfirst_wait = \"2s\"\nlongest_wait = \"2s\"\n").await;
    let events = [
        about("cus_a", true),
        about("cus_a", false),
        about("cus_b", false),
        about("cus_a", false),
        about("cus_b", false),
    ];
    let ids = post(&host, &events).await;
    let waits = format!("/deliveries/stripe.{}.stumbler", ids[1]);
    let order = committed(&host, &ids).await;
    let expected = [&ids[2], &ids[4], &ids[0], &ids[1], &ids[3]];
    assert_eq!(order.iter().collect::<Vec<_>>(), expected);
    assert_eq!(host.get(&waits).await.unwrap()["attempts"], 1, "never tried out of turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn skip_after_lets_the_others_overtake() {
    let settings = "[dispatch]\nfirst_wait = \"2s\"\nlongest_wait = \"2s\"\n\
                    [plugin.stumbler]\nhead_of_line = \"skip-after 1\"\n";
    let host = host(settings).await;
    let events = [about("cus_a", true), about("cus_a", false), about("cus_a", false)];
    let ids = post(&host, &events).await;
    let order = committed(&host, &ids).await;
    assert_eq!(order.iter().collect::<Vec<_>>(), [&ids[1], &ids[2], &ids[0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_survives_kills() {
    let mut dice = Dice::of_run();
    let settings = "[dispatch]\nfirst_wait = \"100ms\"\nlongest_wait = \"100ms\"\n";
    let mut host = host(settings).await;
    let mut ids = Vec::new();
    let mut by_customer: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..5 {
        for _ in 0..30 {
            let customer = format!("cus_{}", dice.below(6));
            let event = about(&customer, dice.below(8) == 0);
            let id = post(&host, &[event]).await;
            by_customer.entry(customer).or_default().extend(id.clone());
            ids.extend(id);
        }
        host.kill().unwrap();
        host.run().unwrap();
    }
    let order = committed(&host, &ids).await;
    assert_eq!(order.len(), ids.len(), "each committed once");
    for (customer, accepted) in by_customer {
        let own: Vec<_> = order.iter().filter(|id| accepted.contains(*id)).cloned().collect();
        assert_eq!(own, accepted, "{customer}");
    }
}
