//! SIGKILL at random moments under load. What was acknowledged is there, every delivery ends, and
//! every event is counted once.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use signalbox_tests::dice::Dice;
use signalbox_tests::host::{ENDPOINT, Host, SECRET};
use signalbox_tests::{components, stripe};

/// Kills in one run of the suite.
const KILLS: u32 = 50;
/// Senders at a time.
const SENDERS: usize = 8;
/// Every so manieth kill comes while the host opens its store.
const OPENING: u32 = 3;
/// Such a kill comes this many milliseconds after the start, at the latest.
const LONGEST_OPENING_MS: u64 = 60;
/// Attempts of a handler that never succeeds.
const ATTEMPTS: u32 = 2;
/// A kill comes this many milliseconds after the host was ready, at the latest.
const LONGEST_LIFE_MS: u64 = 250;

/// Posts fresh events until the host is gone. Answers the ids it acknowledged.
async fn send(url: String) -> Vec<String> {
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    loop {
        let event = stripe::fresh("charge.succeeded");
        let body = event.to_string().into_bytes();
        let header = stripe::sign(SECRET, stripe::now(), &body);
        let request = client.post(&url).header("stripe-signature", header).body(body);
        match request.send().await {
            Ok(answer) if answer.status() == 200 => {
                acknowledged.push(event["id"].as_str().unwrap().to_owned());
            }
            Ok(answer) => panic!("{} for a genuine event", answer.status()),
            Err(_) => return acknowledged,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_and_count_nothing_twice() {
    let mut dice = Dice::of_run();
    let counter = components::counter("counter", &["charge.*"]);
    let failing = components::retrying("failing", &["charge.*"], "not yet", None);
    let plugins: [(&str, &[u8]); 2] = [("counter.wasm", &counter), ("failing.wasm", &failing)];
    let settings = format!("[dispatch]\nattempts = {ATTEMPTS}\nfirst_wait = \"100ms\"\n");
    let mut host = Host::prepare(&plugins, &settings).unwrap();
    let mut acknowledged = BTreeSet::new();
    for kill in 0..KILLS {
        if kill % OPENING == OPENING - 1 {
            let life = Duration::from_millis(dice.below(LONGEST_OPENING_MS));
            host.run_shortly(life).unwrap();
            continue;
        }
        host.run().unwrap();
        let url = format!("{}/webhooks/{ENDPOINT}", host.public);
        let senders: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(send(url.clone()))).collect();
        // The moment of the kill is the experiment, not a synchronisation.
        tokio::time::sleep(Duration::from_millis(dice.below(LONGEST_LIFE_MS))).await;
        host.kill().unwrap();
        for sender in senders {
            acknowledged.extend(sender.await.unwrap());
        }
    }
    host.run().unwrap();
    for status in ["pending", "running", "retry"] {
        let path = format!("/deliveries?status={status}&limit=1");
        let empty = |list: &Value| list["data"].as_array()?.is_empty().then_some(());
        host.until(&path, empty).await.unwrap();
    }
    let events = host.list("/events").await.unwrap();
    // Each that is given up is told of, in the same transaction.
    let (told, events): (Vec<Value>, Vec<Value>) =
        events.into_iter().partition(|event| event["provider"] == "signalbox");
    let told = told.iter().filter(|event| event["type"] == "signalbox.delivery.dead").count();
    assert_eq!(told, events.len(), "one notice for each dead delivery");
    let stored: BTreeSet<String> =
        events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert_eq!(stored.len(), events.len(), "an event is stored twice");
    let deliveries = host.list("/deliveries").await.unwrap();
    assert_eq!(deliveries.len(), 2 * stored.len());
    for delivery in &deliveries {
        let (status, attempts) =
            if delivery["plugin"] == "counter" { ("done", 1) } else { ("dead", ATTEMPTS) };
        assert_eq!(delivery["status"], status, "{delivery:#}");
        assert_eq!(delivery["attempts"], attempts, "{delivery:#}");
    }
    // Stripe sends again what it thinks was lost: known, and not handled again.
    for id in acknowledged.iter().take(20) {
        let mut event = stripe::fixture("charge.succeeded");
        event["id"] = Value::from(id.as_str());
        let (status, answer) = host.post(event.to_string()).await.unwrap();
        assert_eq!((status, &answer["status"]), (200, &Value::from("duplicate")));
    }
    assert_eq!(super::count(&host, "counter").await, stored.len() as u64);
    println!("{KILLS} kills, {} acknowledged, {} stored", acknowledged.len(), stored.len());
    assert!(acknowledged.len() > KILLS as usize, "the load was too small to prove anything");
}
