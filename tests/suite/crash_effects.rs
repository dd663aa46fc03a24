//! SIGKILL at random moments under load, with handlers that keep books, ask for effects and set
//! timers. Every acknowledged event ends, its work is committed once, and the world outside sees
//! each effect at least once under one key, and no stranger.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use signalbox_tests::components::{Ask, OK, Spec, asking, build, spec};
use signalbox_tests::dice::Dice;
use signalbox_tests::host::{ENDPOINT, Host, SECRET};
use signalbox_tests::sink::{Reply, Sink};
use signalbox_tests::{guests, stripe};

const KIND: &str = "charge.succeeded";
/// Kills in one run of the suite.
const KILLS: u32 = 40;
/// Every so manieth kill comes while the host opens its store.
const OPENING: u32 = 5;
/// Such a kill comes this many milliseconds after the start, at the latest.
const LONGEST_OPENING_MS: u64 = 60;
/// A kill comes this many milliseconds after the host was ready, at the latest.
const LONGEST_LIFE_MS: u64 = 300;
/// Senders at a time.
const SENDERS: usize = 4;
/// How long a timer waits: longer than most lives of the host.
const TIMER_MS: u64 = 700;

/// Keeps books, and asks for `asks`.
fn plugin(name: &str, provider: &str, kind: &str, asks: &[Ask]) -> Vec<u8> {
    let mut spec = spec(name, &[]);
    spec.subscriptions.push((provider.to_owned(), kind.to_owned(), None));
    let handle = format!("{}{OK}", guests::tally_text());
    let spec = Spec { handle, ..spec };
    build(&if asks.is_empty() { spec } else { asking(spec, asks, true) })
}

/// Posts fresh events until the host is gone: first what it could not say of the one before, as
/// Stripe does. Answers the identifiers it acknowledged, and the one it knows nothing of.
async fn send(url: String) -> (Vec<String>, String) {
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    loop {
        let event = stripe::fresh(KIND);
        let id = event["id"].as_str().unwrap().to_owned();
        let body = event.to_string().into_bytes();
        let header = stripe::sign(SECRET, stripe::now(), &body);
        let request = client.post(&url).header("stripe-signature", header).body(body);
        match request.send().await {
            Ok(answer) if answer.status() == 200 => acknowledged.push(id),
            Ok(answer) => panic!("{} for a genuine event", answer.status()),
            Err(_) => return (acknowledged, id),
        }
    }
}

/// How often each key was committed, by a plugin's own books.
async fn books(host: &Host, plugin: &str) -> Vec<(String, u64)> {
    let entries = host.list(&format!("/plugins/{plugin}/kv")).await.unwrap();
    let entry = |entry: &Value| (entry["key"].as_str().unwrap().to_owned(), super::number(entry));
    entries.iter().map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_repeat_no_work_and_lose_no_effect() {
    let mut dice = Dice::of_run();
    // Some fail in every way a receiver can, at first.
    let sink = Sink::scripted(|arrived| {
        match (arrived.before, arrived.key.bytes().map(u32::from).sum::<u32>() % 7) {
            (0, 0) => Reply::Status(500),
            (0, 1) => Reply::Drop,
            (0, 2) => Reply::Full(429, ("retry-after", "1".to_owned()), Vec::new()),
            (0, 3) => Reply::After(Duration::from_millis(50), Box::new(Reply::Status(200))),
            _ => Reply::Status(200),
        }
    })
    .await
    .unwrap();
    let poster = plugin("poster", "stripe", KIND, &[Ask::post(&format!("{}/hook", sink.url()))]);
    let timer = plugin("timer", "stripe", KIND, &[Ask::emit("rang", Some(TIMER_MS))]);
    let ringer = plugin("ringer", "timer", "rang", &[]);
    let plugins: [(&str, &[u8]); 3] =
        [("poster.wasm", &poster), ("timer.wasm", &timer), ("ringer.wasm", &ringer)];
    let settings = format!(
        r#"
[dispatch]
first_wait = "100ms"
[outbox]
allow_networks = ["127.0.0.1"]
first_wait = "100ms"
[plugin.poster]
grants = [{{ capability = "outbox.http", scope = "POST {}/*" }}]
[plugin.timer]
grants = [{{ capability = "outbox.emit", scope = "rang" }}]
"#,
        sink.url()
    );
    let mut host = Host::prepare(&plugins, &settings).unwrap();
    let (mut acknowledged, mut unsure) = (BTreeSet::new(), BTreeSet::new());
    for kill in 0..KILLS {
        if kill % OPENING == OPENING - 1 {
            host.run_shortly(Duration::from_millis(dice.below(LONGEST_OPENING_MS))).unwrap();
            continue;
        }
        host.run().unwrap();
        let url = format!("{}/webhooks/{ENDPOINT}", host.public);
        let senders: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(send(url.clone()))).collect();
        // The moment of the kill is the experiment, not a synchronisation.
        tokio::time::sleep(Duration::from_millis(dice.below(LONGEST_LIFE_MS))).await;
        host.kill().unwrap();
        for sender in senders {
            let (sure, last) = sender.await.unwrap();
            acknowledged.extend(sure);
            unsure.insert(last);
        }
    }
    host.run().unwrap();
    let empty = |list: &Value| list["data"].as_array()?.is_empty().then_some(());
    for list in ["effects", "deliveries"] {
        // A timer that rings makes another delivery: effects first.
        for status in ["pending", "running", "retry"] {
            host.until(&format!("/{list}?status={status}&limit=1"), empty).await.unwrap();
        }
    }
    let events = host.list("/events").await.unwrap();
    let mut stored = BTreeSet::new();
    let mut rang = 0;
    for event in &events {
        let id = event["id"].as_str().unwrap().to_owned();
        match event["provider"].as_str().unwrap() {
            "stripe" => assert!(stored.insert(id), "stored twice"),
            "timer" => rang += 1,
            // It tells of plugins that were loaded.
            "signalbox" => {}
            other => panic!("an event of {other}: {event:#}"),
        }
    }
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let strangers: Vec<_> =
        stored.iter().filter(|id| !acknowledged.contains(*id) && !unsure.contains(*id)).collect();
    assert!(strangers.is_empty(), "nobody sent {strangers:?}");
    assert_eq!(rang, stored.len(), "each timer rings once");
    let deliveries = host.list("/deliveries").await.unwrap();
    assert_eq!(deliveries.len(), 3 * stored.len());
    for delivery in &deliveries {
        assert_eq!((&delivery["status"], &delivery["attempts"]), (&"done".into(), &1.into()));
    }
    for plugin in ["poster", "timer", "ringer"] {
        let books = books(&host, plugin).await;
        assert_eq!(books.len(), stored.len(), "{plugin} does not know each event");
        let wrong: Vec<_> = books.iter().filter(|(_, times)| *times != 1).collect();
        assert!(wrong.is_empty(), "{plugin} did not commit once: {wrong:?}");
    }
    let arrived = sink.arrived();
    let expected: BTreeSet<_> = stored.iter().map(|id| format!("stripe.{id}.poster.0")).collect();
    let seen: BTreeSet<_> = arrived.keys().cloned().collect();
    assert_eq!(seen.difference(&expected).collect::<Vec<_>>(), Vec::<&String>::new(), "strangers");
    assert_eq!(expected.difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new(), "missing");
    let repeated = arrived.values().filter(|requests| requests.len() > 1).count();
    println!(
        "{KILLS} kills, {} acknowledged, {} stored, {} effects at the sink, {repeated} more than once",
        acknowledged.len(),
        stored.len(),
        arrived.len(),
    );
    assert!(acknowledged.len() > KILLS as usize, "the load was too small to prove anything");
}
