//! Measures the embedded store against the least a durable acknowledgement can cost: a bare file,
//! appended to and synchronised for all waiting producers at once.
//!
//! `cargo bench -p signalbox-tests --bench store` prints rates, latencies and their ratio;
//! `-- --million [EVENTS]` grows a store, kills its process, and prints memory, disk and opening time.
//! `-- --mirror` measures what the mirror adds to an accept.
//! `-- --events FILE` takes other sample events than the fixtures. Not a test: asserts nothing about time.

mod mirror;
mod samples;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use signalbox::domain::clock::Timestamp;
use signalbox::domain::delivery::{Attempt, LogLevel, LogRecord, Logs, Order, Outcome, Usage};
use signalbox::domain::plugin::{CodeDigest, PluginName};
use signalbox::store::sled::{SledConfig, SledStore};
use signalbox::store::{Admission, ClaimRequest, Demand, Settlement, Store, Verdict};
use tokio::sync::{mpsc, oneshot};

use samples::{Random, Samples};

const PRODUCERS: u64 = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const PLUGIN: &str = "charge-counter";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        Some(args.get(at + 1).filter(|next| !next.starts_with("--")).cloned())
    };
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/stripe/events.jsonl");
    let samples = after("--events").flatten().unwrap_or_else(|| fixtures.to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(Some(dir)) = after("--grow") {
        let events = after("--million").flatten().map_or(Ok(1_000_000), |n| n.parse())?;
        return runtime.block_on(grow(Path::new(&dir), &Samples::load(&samples)?, events));
    }
    if let Some(Some(dir)) = after("--open") {
        return open(Path::new(&dir));
    }
    let dir = tempfile::tempdir_in(".")?;
    if let Some(events) = after("--million") {
        return million(dir.path(), &samples, events.as_deref().unwrap_or("1000000"));
    }
    let samples = Arc::new(Samples::load(&samples)?);
    println!("events of {} bytes on average, {PRODUCERS} producers", samples.mean());
    if after("--mirror").is_some() {
        return runtime.block_on(mirror::measure(dir.path(), &samples));
    }
    runtime.block_on(compare(dir.path(), &samples))
}

/// What one round measured.
struct Round {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

async fn round<F, Fut>(produce: F) -> Result<Round>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<Vec<Duration>>> + Send + 'static,
{
    let begun = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS).map(|n| tokio::spawn(produce(n))).collect();
    let mut waits = Vec::new();
    for producer in producers {
        waits.extend(producer.await??);
    }
    let rate = waits.len() as f64 / begun.elapsed().as_secs_f64();
    waits.sort_unstable();
    let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied();
    Ok(Round { rate, p50: at(0.5).unwrap_or_default(), p99: at(0.99).unwrap_or_default() })
}

async fn compare(dir: &Path, samples: &Arc<Samples>) -> Result<()> {
    let store = SledStore::open(&SledConfig::new(dir.join("store")))?;
    let file = bare_file(&dir.join("bare"))?;
    let plugins: Vec<PluginName> = vec![PLUGIN.parse()?];
    let mut ratios = Vec::new();
    for number in 0..ROUNDS as u64 {
        let bare = round(|n| append(samples.clone(), file.clone(), number * PRODUCERS + n)).await?;
        let kept = round(|n| {
            accept(samples.clone(), store.clone(), plugins.clone(), number * PRODUCERS + n)
        });
        let kept = kept.await?;
        for (name, round) in [("bare file", &bare), ("store", &kept)] {
            let Round { rate, p50, p99 } = round;
            println!("{name:>10}: {rate:>8.0} events/s  p50 {p50:>10.1?}  p99 {p99:>10.1?}");
        }
        ratios.push(kept.rate / bare.rate);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "ratio store / bare file: {:.3} (median of {ROUNDS}; {ratios:.3?})",
        ratios[ROUNDS / 2]
    );
    drop(file);
    store.close().await?;
    Ok(())
}

type Append = (Vec<u8>, oneshot::Sender<()>);

/// Appends what waits, synchronises once, wakes all.
fn bare_file(path: &Path) -> Result<mpsc::Sender<Append>> {
    let mut file = File::create(path)?;
    let (sender, mut waiting) = mpsc::channel::<Append>(1_024);
    std::thread::spawn(move || {
        let (mut buffer, mut replies) = (Vec::new(), Vec::new());
        while let Some((bytes, reply)) = waiting.blocking_recv() {
            buffer.extend(bytes);
            replies.push(reply);
            while let Ok((bytes, reply)) = waiting.try_recv() {
                buffer.extend(bytes);
                replies.push(reply);
            }
            if file.write_all(&buffer).and_then(|()| file.sync_data()).is_err() {
                return;
            }
            buffer.clear();
            for reply in replies.drain(..) {
                let _ = reply.send(());
            }
        }
    });
    Ok(sender)
}

async fn append(
    samples: Arc<Samples>,
    file: mpsc::Sender<Append>,
    seed: u64,
) -> Result<Vec<Duration>> {
    let mut random = Random(0xa076_1d64_78bd_642f ^ (seed + 1) << 20);
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < ROUND {
        let body = samples.body(&mut random);
        let sent = Instant::now();
        let (reply, answer) = oneshot::channel();
        file.send((body, reply)).await?;
        answer.await?;
        waits.push(sent.elapsed());
    }
    Ok(waits)
}

async fn accept(
    samples: Arc<Samples>,
    store: Arc<SledStore>,
    plugins: Vec<PluginName>,
    seed: u64,
) -> Result<Vec<Duration>> {
    let mut random = Random(0xe703_7ed1_a0b4_28db ^ (seed + 1) << 20);
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < ROUND {
        let event = samples.event(&mut random, &plugins);
        let sent = Instant::now();
        store.accept(vec![event]).await?;
        waits.push(sent.elapsed());
    }
    Ok(waits)
}

/// Grow a store in a child process, kill it, open it in another.
fn million(dir: &Path, samples: &str, events: &str) -> Result<()> {
    let dir = dir.join("store");
    let dir_text = dir.to_string_lossy();
    let me = std::env::current_exe()?;
    let args = ["--grow", &dir_text, "--million", events, "--events", samples];
    let mut child = Command::new(&me).args(args).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().context("no output of the child")?).lines();
    for line in lines {
        let line = line?;
        if line == "grown" {
            break;
        }
        println!("{line}");
    }
    child.kill()?;
    child.wait()?;
    let db: PathBuf = dir.join("sled/db");
    for cold in ["after the kill, page cache dropped", "again, warm"] {
        if cold.contains("dropped") {
            let of = format!("if={}", db.display());
            Command::new("dd").args([&of, "iflag=nocache", "count=0", "status=none"]).status()?;
        }
        println!("opening {cold}:");
        if !Command::new(&me).args(["--open", &dir_text]).status()?.success() {
            bail!("the store did not open again");
        }
    }
    Ok(())
}

async fn grow(dir: &Path, samples: &Samples, events: u64) -> Result<()> {
    let store = SledStore::open(&SledConfig::new(dir))?;
    let plugins: Vec<PluginName> = vec![PLUGIN.parse()?];
    let step = (events / 10).max(PRODUCERS);
    let mut total = 0;
    let handling = tokio::spawn(handle(store.clone(), plugins.clone()));
    while total < events {
        let (begun, left) = (Instant::now(), AtomicU64::new(step));
        let produce = |n: u64| {
            let (store, plugins, left) = (&store, &plugins, &left);
            async move {
                let mut random = Random(0x5899_65cc_7537_4cc3 ^ (total + n + 1) << 20);
                while left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    .is_ok()
                {
                    let admitted = store.accept(vec![samples.event(&mut random, plugins)]).await?;
                    if !matches!(admitted[..], [Admission::Accepted(_)]) {
                        bail!("a fresh event was not accepted: {admitted:?}");
                    }
                }
                Ok(())
            }
        };
        let mut producers = Vec::new();
        for n in 0..PRODUCERS {
            producers.push(Box::pin(produce(n)));
        }
        join_all(producers).await?;
        let accepted = begun.elapsed();
        while store.stats().await?.waiting > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        total += step;
        let stats = store.stats().await?;
        println!(
            "{total:>9} events: accepted at {:>6.0}/s while handling, accepted and handled at {:>6.0}/s, \
             RSS {:>4} MiB, disk {:>5} B/event",
            step as f64 / accepted.as_secs_f64(),
            step as f64 / begun.elapsed().as_secs_f64(),
            rss_mib()?,
            stats.disk_bytes / stats.events.max(1),
        );
    }
    println!("grown");
    handling.await??;
    Ok(())
}

/// Runs all on one task, as one connection-rich host would on its I/O threads.
async fn join_all<F: Future<Output = Result<()>>>(
    mut all: Vec<std::pin::Pin<Box<F>>>,
) -> Result<()> {
    std::future::poll_fn(move |cx| {
        let mut error = None;
        all.retain_mut(|one| match one.as_mut().poll(cx) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(done) => {
                error = error.take().or(done.err());
                false
            }
        });
        match error {
            Some(e) => std::task::Poll::Ready(Err(e)),
            None if all.is_empty() => std::task::Poll::Ready(Ok(())),
            None => std::task::Poll::Pending,
        }
    })
    .await
}

/// Claims and settles as a dispatcher would, with a log record each.
async fn handle(store: Arc<SledStore>, plugins: Vec<PluginName>) -> Result<()> {
    loop {
        let now = Timestamp::from_secs(2_000_000_000);
        let demand =
            |plugin: &PluginName| Demand { plugin: plugin.clone(), room: 128, order: Order::None };
        let plugins = plugins.iter().map(demand).collect();
        let claim = store.claim(ClaimRequest { plugins, limit: 128, now }).await?;
        if claim.deliveries.is_empty() {
            store.work().await;
            continue;
        }
        let settle = claim.deliveries.into_iter().map(|delivery| Settlement {
            id: delivery.id,
            lease: delivery.lease,
            verdict: Verdict::Done,
            attempt: attempt(delivery.attempt, now),
            reads: Vec::new(),
            writes: Vec::new(),
            effects: Vec::new(),
            cancels: Vec::new(),
            now,
            then: Vec::new(),
        });
        store.settle(settle.collect()).await?;
    }
}

fn attempt(number: u32, now: Timestamp) -> Attempt {
    let message = "counted a charge".to_owned();
    Attempt {
        number,
        started_at: now,
        digest: CodeDigest([7; 32]),
        outcome: Outcome::Ok,
        reason: String::new(),
        usage: Usage {
            cpu: Duration::from_micros(52),
            wall: Duration::from_micros(81),
            memory: 1_179_648,
            kv_operations: 2,
        },
        logs: Logs {
            records: vec![LogRecord { level: LogLevel::Info, message, attributes: Vec::new() }],
            dropped: 0,
        },
    }
}

fn open(dir: &Path) -> Result<()> {
    let begun = Instant::now();
    let store = SledStore::open(&SledConfig::new(dir))?;
    println!("  opened in {:.2?}, RSS {} MiB", begun.elapsed(), rss_mib()?);
    drop(store);
    Ok(())
}

fn rss_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? / 1024)
}
