//! What a guest costs that a toolchain made: its size, its compilation, its loading, its fresh
//! instances and its memory; beside wasmtime alone in the same run.
//!
//! Not what a delivery costs as a whole (`delivery`). Columns, for each FILE:
//!
//! - `file`, `code`: bytes of the component and of its machine code.
//! - `compile`: from the bytes to a loaded plugin with an empty cache, `describe` included; `peak`:
//!   what the process grew by meanwhile.
//! - `cached`: the same from the cache, by a new engine; the median of several.
//! - `held`: what the process keeps for the loaded plugin, not shared with the file's pages.
//! - `bare`, `host`: one call in a fresh instance, p50 and p99, by wasmtime alone and by
//!   `Loaded::call`, alternating, on one thread; `ratio` of the medians, host to bare.
//! - `warm`: one more call in the same instance, which the host never does: what could be won.
//! - `live`: private memory of one instance that handled one event, of many at once.
//!
//! The events are charges; another TYPE is for components that handle other events.
//!
//! `cargo bench -p signalbox-tests --bench guests -- FILE.wasm... [TYPE] [CALLS_PER_ROUND [ROUNDS]]`

#[path = "../delivery/bare.rs"]
#[allow(dead_code, reason = "shared with the bench of deliveries, which calls more of it")]
mod bare;
#[path = "../delivery/events.rs"]
#[allow(dead_code, reason = "shared with the bench of deliveries, which calls more of it")]
mod events;
mod hosted;
mod memory;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use bare::Bare;
use events::Events;
use hosted::Hosted;

/// Instances alive at once when their memory is measured.
const LIVE: usize = 16;

/// One round: how long each run took.
struct Round {
    runs: Vec<Duration>,
}

/// What else a round takes: the bench of deliveries prints it.
struct Meter;

impl Meter {
    const fn start() -> Self {
        Self
    }

    fn stop(self, _calls: usize, runs: Vec<Duration>) -> Round {
        Round { runs }
    }
}

fn main() -> Result<()> {
    // `cargo bench` passes flags of its own.
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let calls: usize = numbers.next().unwrap_or(200);
    let rounds: usize = numbers.next().unwrap_or(5);
    let files: Vec<String> = std::env::args().skip(1).filter(|a| a.ends_with(".wasm")).collect();
    ensure!(!files.is_empty(), "name components: `... --bench guests -- FILE.wasm...`");
    let kind = |text: &String| text.contains('.') && !text.ends_with(".wasm");
    let kind = std::env::args().skip(1).find(kind).unwrap_or_else(|| "charge.succeeded".to_owned());
    let events = Events::load().of(kind);
    println!("{calls} calls a round, {rounds} rounds, bodies of {} B", events.size());
    println!(
        "{:<12} {:>8} {:>8} {:>9} {:>8} {:>9} {:>8} {:>17} {:>17} {:>6} {:>9} {:>8}",
        "guest",
        "file",
        "code",
        "compile",
        "peak",
        "cached",
        "held",
        "bare p50/p99",
        "host p50/p99",
        "ratio",
        "warm",
        "live"
    );
    for file in files {
        let bytes = std::fs::read(&file).with_context(|| file.clone())?;
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        println!("{}", row(&name, &bytes, calls, rounds, &events)?);
    }
    Ok(())
}

fn row(name: &str, bytes: &[u8], calls: usize, rounds: usize, events: &Events) -> Result<String> {
    let hosted = Hosted::load(bytes)?;
    let bare = Bare::new(bytes, 1, events)?;
    let mut runs = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        let measured = [bare.blocking(calls)?.runs, hosted.calls(calls, events)?];
        // The first one warms up.
        if round > 0 {
            runs.iter_mut().zip(measured).for_each(|(all, these)| all.extend(these));
        }
    }
    let [bare_runs, host_runs] = runs.map(|mut runs| {
        runs.sort_unstable();
        runs
    });
    let live = bare.live(LIVE, memory::private)? / LIVE as u64;
    let warm = bare.warm(calls.min(100))?;
    let ratio = percentile(&host_runs, 50).as_secs_f64() / percentile(&bare_runs, 50).as_secs_f64();
    Ok(format!(
        "{name:<12} {:>8} {:>8} {:>9.1?} {:>8} {:>9.1?} {:>8} {:>17} {:>17} {ratio:>6.2} {:>9.1?} {:>8}",
        mib(bytes.len() as u64),
        mib(hosted.code),
        hosted.compile,
        mib(hosted.peak),
        hosted.cached,
        mib(hosted.held),
        pair(&bare_runs),
        pair(&host_runs),
        warm,
        mib(live),
    ))
}

fn pair(sorted: &[Duration]) -> String {
    let micros = |percent| percentile(sorted, percent).as_secs_f64() * 1e6;
    format!("{:.0}/{:.0}us", micros(50), micros(99))
}

fn mib(bytes: u64) -> String {
    format!("{:.1}M", bytes as f64 / f64::from(1 << 20))
}

/// Of `sorted`, ascending.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}
