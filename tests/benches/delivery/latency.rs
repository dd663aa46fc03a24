//! From the acknowledgement to the commit, at fixed rates whatever the host does (an open loop), and
//! what a neighbour does to it that never ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use signalbox::domain::delivery::Status;
use signalbox_tests::components;
use tokio::sync::broadcast::error::RecvError;

use super::events::{self, Events};
use super::spine::Spine;
use super::{KINDS, percentile};

/// Events a second.
const RATES: [usize; 3] = [100, 1_000, 5_000];

/// How long each rate is held.
const HELD: Duration = Duration::from_secs(5);

/// Print the table.
pub(crate) fn table(threads: usize, events: &Events) -> Result<()> {
    println!(
        "\n{:<24} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "accepted to committed", "per s", "p50", "p99", "accept p50", "accept p99", "unfinished"
    );
    let noop = components::noop("plugin", KINDS);
    let recorder = components::recorder("plugin", KINDS);
    let busy = components::endless_loop("neighbour", KINDS);
    for (name, bytes, neighbour, rates) in [
        ("no-op", &noop, None, &RATES[..]),
        ("one key an event", &recorder, None, &RATES),
        // Far more events than endless loops can end.
        ("beside an endless loop", &recorder, Some(&busy[..]), &RATES[..1]),
    ] {
        for &rate in rates {
            let spine = Spine::beside(bytes, neighbour, threads)?;
            let [commits, accepts] = spine.runtime.block_on(hold(rate, &spine, events))?;
            let cell =
                |sorted: &[Duration], percent| Duration::from_secs_f64(percentile(sorted, percent));
            println!(
                "{name:<24} {rate:>10} {:>10.2?} {:>10.2?} {:>10.2?} {:>10.2?} {:>10}",
                cell(&commits, 50),
                cell(&commits, 99),
                cell(&accepts, 50),
                cell(&accepts, 99),
                accepts.len() - commits.len(),
            );
            spine.stop()?;
        }
    }
    Ok(())
}

/// Sorted: how long the commits took from their acknowledgements, and these from their sending.
async fn hold(rate: usize, spine: &Spine, events: &Events) -> Result<[Vec<Duration>; 2]> {
    let count = rate * usize::try_from(HELD.as_secs())?;
    let mut fresh = events.fresh(count, &spine.plugin);
    fresh.iter_mut().for_each(|new| new.plugins.extend(spine.neighbour.clone()));
    let first = fresh.first().map_or(0, |new| events::number(&new.event.key));
    let moments = || -> Arc<[AtomicU64]> { (0..count).map(|_| AtomicU64::new(0)).collect() };
    let (acknowledged, committed) = (moments(), moments());
    let (handle, shutdown, start) = spine.dispatch();
    let mut ended = handle.subscribe();
    let running = start();
    let base = Instant::now();
    let since = move || u64::try_from(base.elapsed().as_nanos()).unwrap_or(u64::MAX);

    let listener = tokio::spawn({
        let (committed, plugin) = (Arc::clone(&committed), spine.plugin.clone());
        async move {
            let mut left = count as u64;
            while left > 0 {
                match ended.recv().await {
                    Ok(one) if one.status == Status::Done && one.delivery.plugin == plugin => {
                        let place = events::number(&one.event.event.key) - first;
                        committed[place].store(since(), Ordering::Relaxed);
                        left -= 1;
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => left = left.saturating_sub(missed),
                    Err(RecvError::Closed) => break,
                }
            }
        }
    });
    let mut accepting = Vec::with_capacity(count);
    let between = Duration::from_secs(1) / u32::try_from(rate)?;
    for (place, new) in fresh.into_iter().enumerate() {
        let at = base + between * u32::try_from(place)?;
        if at > Instant::now() {
            tokio::time::sleep_until(at.into()).await;
        }
        let (store, acknowledged) = (Arc::clone(&spine.store), Arc::clone(&acknowledged));
        accepting.push(tokio::spawn(async move {
            store.accept(vec![new]).await?;
            acknowledged[place].store(since(), Ordering::Relaxed);
            // From the moment it was due: a late sender hides nothing.
            Ok::<_, anyhow::Error>(at.elapsed())
        }));
    }
    let mut accepts = Vec::with_capacity(count);
    for one in accepting {
        accepts.push(one.await??);
    }
    listener.await?;
    shutdown.cancel();
    running.await?;
    if spine.neighbour.is_none() {
        ensure!(spine.store.stats().await?.waiting == 0, "not all is settled");
    }
    let pairs = acknowledged.iter().zip(committed.iter());
    let mut commits: Vec<Duration> = pairs
        .map(|(from, to)| (from.load(Ordering::Relaxed), to.load(Ordering::Relaxed)))
        .filter(|(_, to)| *to > 0)
        .map(|(from, to)| Duration::from_nanos(to.saturating_sub(from)))
        .collect();
    commits.sort_unstable();
    accepts.sort_unstable();
    Ok([commits, accepts])
}
