//! What a delivery costs: the real dispatcher over the real store against a bare loop that only
//! instantiates and calls; and how long an accepted event waits for its commit.
//!
//! Rows of the first table, for each component, alternating in one run:
//!
//! - `bare, blocking`: wasmtime alone on plain threads, pooled, a fresh store and instance for each
//!   call, the epoch ticking. The least that any host of fresh instances does.
//! - `bare, yielding`: the same as futures on tokio, so that a guest can give way at a tick.
//! - `Loaded::call`: what the host does around one run, settled nowhere.
//! - `delivery`: claimed, run, settled and on stable storage, from a backlog.
//!
//! All with the same component, events and number of guest threads. p50 and p99 are of one run
//! of the guest; what a delivery takes as a whole is the second table.
//!
//! Threads that call are as nice in every row as the guests' are: beside other work, a loop that gets
//! its processor first would prove nothing. `cpu` is the processor time of all threads for each call,
//! which other work changes less; its ratio is the one to compare on a machine that is not idle. A guest
//! that grows its memory costs twice as much while another processor runs guests as well (each change of
//! protection interrupts it), in every row: compare rows of one run alone.
//!
//! At the end, what a delivery costs by what it does: deliveries a second against those of the
//! handler that does nothing, all of this run.
//!
//! A component made from text does nothing, so that its bare call is almost free and the ratio
//! tells little of a real handler: give one as FILE (`signalbox build` makes it) for its own table.
//!
//! `cargo bench -p signalbox-tests --bench delivery [-- [FILE.wasm...] [NAME...] DELIVERIES_PER_ROUND [ROUNDS]]`
//!
//! With names of components (of a file, without `.wasm`), these alone.

#[allow(dead_code, reason = "shared with the bench of guests, which measures more of it")]
mod bare;
#[allow(dead_code, reason = "shared with the bench of guests, which takes other types")]
mod events;
mod latency;
mod spine;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use signalbox_tests::{components, guests};

use events::Events;
use spine::Spine;

/// What every component subscribes to.
const KINDS: &[&str] = &["charge.succeeded"];

/// The handler that all others are compared with.
const NOTHING: &str = "no-op";

/// One round: what it took, and how long each run took.
struct Round {
    rate: f64,
    /// Processor time of the whole process for each.
    cpu: f64,
    runs: Vec<Duration>,
}

/// What a round takes.
struct Meter {
    began: Instant,
    cpu: f64,
}

impl Meter {
    fn start() -> Self {
        Self { began: Instant::now(), cpu: processor_time() }
    }

    /// The round of these runs ends now.
    fn stop(self, calls: usize, runs: Vec<Duration>) -> Round {
        let (took, cpu) = (self.began.elapsed(), processor_time() - self.cpu);
        Round { rate: calls as f64 / took.as_secs_f64(), cpu: cpu / calls as f64, runs }
    }
}

/// The figures of one round: a second, processor time of the whole process for each, p50, p99.
type Figures = [f64; 4];

/// A row of the first table.
struct Row {
    name: &'static str,
    rounds: Vec<Figures>,
}

fn main() -> Result<()> {
    // `cargo bench` passes flags of its own.
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let calls: usize = numbers.next().unwrap_or(10_000);
    let rounds = numbers.next().unwrap_or(5);
    let threads = std::thread::available_parallelism()?.get();
    let events = Events::load();
    println!("{calls} calls a round, bodies of {} B, {threads} threads; medians", events.size());
    let mut subjects = Vec::new();
    let words = || std::env::args().skip(1).filter(|text| !text.starts_with('-'));
    let chosen: Vec<String> =
        words().filter(|text| !text.ends_with(".wasm") && text.parse::<usize>().is_err()).collect();
    for file in words().filter(|text| text.ends_with(".wasm")) {
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        subjects.push((name, std::fs::read(&file).with_context(|| file.clone())?));
    }
    for (name, bytes) in [
        (NOTHING, components::noop("plugin", KINDS)),
        ("one key an event", components::recorder("plugin", KINDS)),
        ("one key, one effect", guests::records_and_posts("plugin", KINDS, spine::SINK)),
        ("one key for all events", components::counter("plugin", KINDS)),
    ] {
        subjects.push((name.to_owned(), bytes));
    }
    if !chosen.is_empty() {
        subjects.retain(|(name, _)| chosen.contains(name));
    }
    let mut rates = Vec::new();
    for (name, bytes) in subjects {
        let bare = bare::Bare::new(&bytes, threads, &events)?;
        let spine = Spine::start(&bytes, threads)?;
        let mut rows = ["bare, blocking", "bare, yielding", "Loaded::call", "delivery"]
            .map(|name| Row { name, rounds: Vec::new() });
        for round in 0..=rounds {
            let measured = [
                bare.blocking(calls)?,
                bare.yielding(calls)?,
                spine.calls(calls, &events)?,
                spine.deliveries(calls, &events)?,
            ];
            // The first one warms up.
            if round > 0 {
                for (row, measured) in rows.iter_mut().zip(measured) {
                    row.rounds.push(figures(measured));
                }
            }
        }
        print(&name, &rows);
        rates.push((name, rows.last().map_or(0.0, |row| median(row, 0))));
        spine.stop()?;
    }
    if !chosen.is_empty() {
        return Ok(());
    }
    println!("\n{:<24} {:>10} {:>10}", "deliveries by what they do", "per s", "ratio");
    let nothing = rates.iter().find(|(name, _)| name == NOTHING).map_or(0.0, |(_, rate)| *rate);
    for (name, rate) in rates {
        println!("{name:<26} {rate:>10.0} {:>8.2}", rate / nothing);
    }
    latency::table(threads, &events)
}

fn figures(mut round: Round) -> Figures {
    round.runs.sort_unstable();
    [round.rate, round.cpu, percentile(&round.runs, 50), percentile(&round.runs, 99)]
}

/// What all threads of this process have used, in seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// In seconds; `sorted` ascending.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).map_or(0.0, Duration::as_secs_f64)
}

fn median(row: &Row, column: usize) -> f64 {
    let mut values: Vec<f64> = row.rounds.iter().map(|round| round[column]).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn print(component: &str, rows: &[Row]) {
    let headings = ["per s", "ratio", "cpu", "ratio", "p50", "p99"];
    println!("\n{component:<24} {}", headings.map(|name| format!("{name:>9}")).join(" "));
    let time = |seconds| format!("{:.1?}", Duration::from_secs_f64(seconds));
    let limit = rows.first().map_or([0.0; 2], |row| [median(row, 0), median(row, 1)]);
    for row in rows {
        let [rate, cpu, p50, p99] = [0, 1, 2, 3].map(|column| median(row, column));
        println!(
            "{:<24} {rate:>9.0} {:>9.2} {:>9} {:>9.2} {:>9} {:>9}",
            row.name,
            rate / limit[0],
            time(cpu),
            limit[1] / cpu,
            time(p50),
            time(p99)
        );
    }
}
