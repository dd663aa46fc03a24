//! A plugin that fails in each way there is, at the full rate of its events: what it does to the
//! time an acknowledgement takes.
//!
//! Two hosts take turns under the same load, one with a handler that does nothing, one with the
//! poison; whoever does not measure is stopped by a signal, so that neither disturbs the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_tests::host::Host;
use signalbox_tests::{components, stripe};
use tokio::task::JoinSet;

const KINDS: [&str; 1] = ["charge.succeeded"];
/// Events a second.
const RATE: u32 = 200;
/// How long a turn lasts.
const TURN: Duration = Duration::from_millis(1_500);
/// Turns of each host for each poison. What counts is the quietest: what other work on the machine
/// does to a turn comes and goes, what the poison does is in every one.
const TURNS: usize = 4;
/// The aim is 1.5, told as the figure in each line; a machine that does other things at the same
/// time makes two by itself. A handler on the acknowledgement's way makes tens.
const WORST: f64 = 4.0;
/// Differences below this are the machine's own.
const NOISE: Duration = Duration::from_millis(10);

/// It never rests: no attempt is the last, waits are short, and it is not paused.
const SETTINGS: &str = r#"
[dispatch]
attempts = 1000
first_wait = "1s"
longest_wait = "1s"

[plugin.poison]
pause_after = 0
"#;

/// Each way to fail.
fn poisons() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("endless loop", components::endless_loop("poison", &KINDS)),
        ("memory bomb", components::memory_bomb("poison", &KINDS)),
        ("trap", components::trap("poison", &KINDS, "no such customer")),
        ("stack overflow", components::stack_overflow("poison", &KINDS)),
        ("log flood", components::log_flood("poison", &KINDS, 10_000, 100)),
        ("retry for ever", components::retrying("poison", &KINDS, "not yet", Some(0))),
    ]
}

/// Posts at [`RATE`] for a turn, whatever the host does. How long each acknowledgement took, from
/// the moment the event was due.
async fn turn(host: &Arc<Host>) -> Vec<Duration> {
    host.signal("CONT").unwrap();
    let count = RATE * u32::try_from(TURN.as_millis()).unwrap() / 1_000;
    let base = Instant::now();
    let mut posts = JoinSet::new();
    for n in 0..count {
        let due = base + Duration::from_secs(1) / RATE * n;
        let (host, body) = (Arc::clone(host), stripe::fresh(KINDS[0]).to_string());
        posts.spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            let (status, answer) = host.post(body).await.unwrap();
            assert_eq!(status, 200, "{answer}");
            due.elapsed()
        });
    }
    let times = posts.join_all().await;
    host.signal("STOP").unwrap();
    times
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * percent / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_poison_moves_the_acknowledgements_by_much() {
    let noop = components::noop("poison", &KINDS);
    let calm = Arc::new(Host::start(&[("poison.wasm", &noop)], SETTINGS).unwrap());
    let mut broken = Vec::new();
    for (name, bytes) in poisons() {
        let poisoned = Arc::new(Host::start(&[("poison.wasm", &bytes)], SETTINGS).unwrap());
        let mut turns = [Vec::new(), Vec::new()];
        for round in 0..=TURNS {
            for (host, turns) in [&calm, &poisoned].into_iter().zip(&mut turns) {
                let p99 = percentile(turn(host).await, 99);
                // The first one warms up.
                if round > 0 {
                    turns.push(p99);
                }
            }
        }
        let [calm, poisoned] = turns.map(|turns| turns.into_iter().min().unwrap());
        let ratio = poisoned.as_secs_f64() / calm.as_secs_f64();
        println!("{name:<16} p99 {calm:>9.2?} calm, {poisoned:>9.2?} beside it: {ratio:.2}");
        if ratio > WORST && poisoned > calm + NOISE {
            broken.push(name);
        }
    }
    calm.signal("CONT").unwrap();
    assert!(broken.is_empty(), "{broken:?} moved the p99 by more than {WORST}");
}
