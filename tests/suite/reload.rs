//! Hot reload: files swapped under deliveries in flight, a thousand times in a minute.
//!
//! What each kind of change means for a file is the registry's own test; here it is many at once,
//! with work going on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use signalbox_tests::host::{Host, PATIENCE};
use signalbox_tests::{components, guests, stripe};

const KINDS: [&str; 1] = ["charge.succeeded"];
/// Plugins, and so files to swap. A file that changes faster than it settles is not read until it
/// rests: with several, each rests long enough to be read between its swaps.
const PLUGINS: usize = 8;
/// Swaps of one run.
const SWAPS: usize = 1_000;
/// Between swaps: all of them within a minute.
const BETWEEN: Duration = Duration::from_millis(55);
/// Every so manieth swap puts something that is no plugin in the file's place.
const BAD: usize = 40;
/// Deliveries in flight, at least, while files are swapped.
const IN_FLIGHT: usize = 500;
/// How long a handler takes: longer than the time between swaps, so that code is replaced while it
/// runs; and so long that the deliveries of a minute, whose rows the store holds in memory, weigh
/// less than code that was replaced and stayed.
const RUN: Duration = Duration::from_millis(200);
/// What a minute's deliveries and the compiler's own memory may add. A thousand versions that stay
/// add more.
const GROWTH: u64 = 48 << 20;

fn name(plugin: usize) -> String {
    format!("tally-{plugin}")
}

fn version(plugin: usize, number: usize) -> Vec<u8> {
    let nanos = u64::try_from(RUN.as_nanos()).unwrap();
    guests::tally(&name(plugin), &format!("1.0.{number}"), &KINDS, nanos)
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Complete under its name at once, as a careful deployment does.
fn put(host: &Path, file: &str, bytes: &[u8]) {
    let draft = host.join("plugins").join(format!(".{file}"));
    std::fs::write(&draft, bytes).unwrap();
    std::fs::rename(draft, host.join("plugins").join(file)).unwrap();
}

/// Keeps `IN_FLIGHT` deliveries waiting until told to stop. Answers the identifiers it posted and
/// the fewest deliveries it saw in flight once there had been enough.
async fn load(host: Arc<Host>, stop: Arc<AtomicBool>) -> (Vec<String>, usize) {
    let (mut posted, mut fewest) = (Vec::new(), usize::MAX);
    let mut enough = false;
    while !stop.load(Ordering::Relaxed) {
        let waiting = host.figure("signalbox_deliveries_waiting").await.unwrap() as usize;
        enough |= waiting >= IN_FLIGHT;
        if enough {
            fewest = fewest.min(waiting);
        }
        // A quarter more than there have to be, and some each time: answers take time.
        let missing = (IN_FLIGHT + IN_FLIGHT / 4).saturating_sub(waiting).div_ceil(PLUGINS);
        for _ in 0..missing {
            let event = stripe::fresh(KINDS[0]);
            let (status, answer) = host.post(event.to_string()).await.unwrap();
            assert_eq!(status, 200, "{answer}");
            posted.push(event["id"].as_str().unwrap().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (posted, fewest)
}

/// Wait until nothing is left to deliver.
async fn idle(host: &Host) {
    let begun = Instant::now();
    while host.figure("signalbox_deliveries_waiting").await.unwrap() > 0.0 {
        assert!(begun.elapsed() < PATIENCE, "deliveries wait still\n{}", host.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How often each event was committed, by the plugin's own books.
async fn tally(host: &Host, plugin: usize) -> BTreeMap<String, u64> {
    let entries = host.list(&format!("/plugins/{}/kv", name(plugin))).await.unwrap();
    let entry = |entry: Value| (entry["key"].as_str().unwrap().to_owned(), super::number(&entry));
    entries.into_iter().map(entry).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_swaps_in_a_minute_lose_and_repeat_nothing() {
    let mut digests: Vec<BTreeSet<String>> = vec![BTreeSet::new(); PLUGINS];
    let mut files = Vec::new();
    for (plugin, digests) in digests.iter_mut().enumerate() {
        let bytes = version(plugin, 0);
        digests.insert(digest(&bytes));
        files.push((format!("{}.wasm", name(plugin)), bytes));
    }
    let plugins: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (&**n, &**b)).collect();
    let mut host = Host::prepare(&plugins, "").unwrap();
    // So small that it is full before the first look at the memory.
    host.set("SIGNALBOX_STORE__CACHE", "8MiB");
    host.run().unwrap();
    let host = Arc::new(host);

    // As much work without a swap as warms everything up.
    let stop = Arc::new(AtomicBool::new(false));
    let warming = tokio::spawn(load(Arc::clone(&host), Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut posted, _) = warming.await.unwrap();
    idle(&host).await;
    let baseline = host.memory().unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let loading = tokio::spawn(load(Arc::clone(&host), Arc::clone(&stop)));
    let begun = Instant::now();
    let mut pace = tokio::time::interval(BETWEEN);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for swap in 0..SWAPS {
        pace.tick().await;
        let (plugin, number) = (swap % PLUGINS, swap / PLUGINS + 1);
        let bytes = version(plugin, number);
        let bad = swap % BAD == BAD - 1;
        let file = format!("{}.wasm", name(plugin));
        match swap / BAD % 3 {
            0 if bad => put(host.dir(), &file, &bytes[..bytes.len() / 2]),
            1 if bad => put(host.dir(), &file, b"no plugin at all"),
            _ if bad => put(host.dir(), "stranger.wasm", &components::core_module()),
            _ => {
                digests[plugin].insert(digest(&bytes));
                put(host.dir(), &file, &bytes);
            }
        }
    }
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let (more, fewest) = loading.await.unwrap();
    posted.extend(more);
    idle(&host).await;

    let mut ran = vec![BTreeSet::new(); PLUGINS];
    let deliveries = host.list("/deliveries").await.unwrap();
    assert_eq!(deliveries.len(), posted.len() * PLUGINS, "a delivery each");
    for delivery in &deliveries {
        assert_eq!(delivery["status"], "done", "{delivery:#}");
        assert_eq!(delivery["attempts"], 1, "{delivery:#}");
        let plugin = delivery["plugin"].as_str().unwrap();
        let plugin = (0..PLUGINS).find(|n| name(*n) == plugin).unwrap();
        let digest = delivery["digest"].as_str().unwrap();
        assert!(digests[plugin].contains(digest), "code that nobody put there: {delivery:#}");
        ran[plugin].insert(digest.to_owned());
    }
    for plugin in 0..PLUGINS {
        let books = tally(&host, plugin).await;
        assert_eq!(books.len(), posted.len(), "{} does not know each event", name(plugin));
        let wrong: Vec<_> = books.iter().filter(|(_, times)| **times != 1).collect();
        assert!(wrong.is_empty(), "not committed once: {wrong:?}");
    }
    let versions: usize = ran.iter().map(BTreeSet::len).sum();
    // What was let go of goes when its last run ends and the allocator finds it.
    let settled = Instant::now();
    let mut memory = host.memory().unwrap();
    while memory > baseline + GROWTH && settled.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        memory = host.memory().unwrap();
    }
    println!(
        "{SWAPS} swaps in {took:.1?}, {versions} versions ran {} deliveries, at least {fewest} in \
         flight; memory {} -> {} MiB",
        deliveries.len(),
        baseline >> 20,
        memory >> 20,
    );
    assert!(memory <= baseline + GROWTH, "{baseline} grew to {memory} bytes");
    assert!(versions >= SWAPS / 4, "only {versions} versions ever ran");
    assert!(fewest >= IN_FLIGHT / 2, "only {fewest} deliveries were in flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_is_live_soon_after_it_is_complete() {
    let host = Host::start(&[], "").unwrap();
    let bytes = components::noop("fresh", &KINDS);
    // Half of it, under its name: what a slow copy looks like. It must not be taken for whole.
    let path = host.dir().join("plugins/fresh.wasm");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let refused = |list: &Value| (list["data"][0]["status"] == "refused").then_some(());
    host.until("/plugins", refused).await.unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let complete = Instant::now();
    loop {
        let event = stripe::fresh(KINDS[0]);
        let (status, _) = host.post(event.to_string()).await.unwrap();
        assert_eq!(status, 200);
        let live = complete.elapsed();
        let path = format!("/deliveries?event={}", event["id"].as_str().unwrap());
        let list = host.list(&path).await.unwrap();
        if let Some(delivery) = list.first() {
            let ended = host.ended(delivery["id"].as_str().unwrap()).await.unwrap();
            assert_eq!(ended["digest"], Value::from(digest(&bytes)));
            println!("live {live:.0?} after the file was complete");
            return;
        }
        // Under a second on a machine with nothing else to do.
        assert!(live < Duration::from_secs(10), "not live after {live:?}\n{}", host.log());
    }
}
