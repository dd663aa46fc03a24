//! What the mirror adds to an accept: the same events into a store without it, into one whose events
//! are about a few thousand objects, as a business's are, and into one in which each is about a new
//! object, which is the worst.
//!
//! Not what mirroring means; see `signalbox::domain::mirror`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use signalbox::domain::clock::Timestamp;
use signalbox::domain::event::{EventKey, VerifiedEvent};
use signalbox::domain::object::Sighting;
use signalbox::provider::Provider as _;
use signalbox::provider::stripe::StripeProvider;
use signalbox::store::Store as _;
use signalbox::store::objects::Sight;
use signalbox::store::sled::{SledConfig, SledStore};

use super::samples::{Random, Samples};
use super::{PRODUCERS, ROUND, ROUNDS, Round, round};

#[derive(Debug)]
struct StripesSight(StripeProvider);

impl Sight for StripesSight {
    fn objects(&self, event: &VerifiedEvent) -> Vec<Sighting> {
        self.0.objects(event)
    }

    fn twin(&self, event: &VerifiedEvent) -> Option<EventKey> {
        self.0.thin(event)?.twin
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Nothing,
    Known,
    New,
}

impl About {
    const ALL: [Self; 3] = [Self::Nothing, Self::Known, Self::New];

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no mirror",
            Self::Known => "known objects",
            Self::New => "new objects",
        }
    }
}

/// Print it.
pub(crate) async fn measure(dir: &Path, samples: &Arc<Samples>) -> Result<()> {
    let clock = Arc::new(AtomicU64::new(1_790_000_000));
    let mut places = Vec::new();
    for about in About::ALL {
        let mut config = SledConfig::new(dir.join(about.name()));
        if about != About::Nothing {
            config.sight = Some(Arc::new(StripesSight(StripeProvider::default())));
        }
        places.push((about, SledStore::open(&config)?, Vec::new()));
    }
    for number in 0..ROUNDS as u64 {
        for (about, store, rates) in &mut places {
            let of = *about;
            let done = round(|n| {
                let (samples, store, clock) = (samples.clone(), store.clone(), clock.clone());
                accept(samples, store, clock, of, number * PRODUCERS + n)
            });
            let Round { rate, p50, p99 } = done.await?;
            let name = about.name();
            println!("{name:>14}: {rate:>8.0} events/s  p50 {p50:>10.1?}  p99 {p99:>10.1?}");
            rates.push(rate);
        }
    }
    let mut baseline = None;
    for (about, store, mut rates) in places {
        let figures = match Arc::clone(&store).mirror() {
            Some(mirror) => mirror.object_figures().await?,
            None => Default::default(),
        };
        let stats = store.stats().await?;
        store.close().await?;
        rates.sort_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        let without = *baseline.get_or_insert(rate);
        ensure!((about == About::Nothing) == (figures.held == 0), "nothing was held");
        println!(
            "{}: {:.2} of the rate without (medians of {ROUNDS}), {} bytes of disk per event, {} \
             objects after {} events",
            about.name(),
            rate / without,
            stats.disk_bytes / stats.events.max(1),
            figures.held,
            stats.events,
        );
    }
    Ok(())
}

async fn accept(
    samples: Arc<Samples>,
    store: Arc<SledStore>,
    clock: Arc<AtomicU64>,
    about: About,
    seed: u64,
) -> Result<Vec<Duration>> {
    let mut random = Random(0xe703_7ed1_a0b4_28db ^ (seed + 1) << 20);
    let (begun, mut waits) = (Instant::now(), Vec::new());
    while begun.elapsed() < ROUND {
        let mut event = samples.event(&mut random, &[]);
        // A second later each: every one of a known object is news.
        event.event.occurred_at = Timestamp::from_secs(clock.fetch_add(1, Ordering::Relaxed));
        if about == About::New {
            event.event.body = renamed(&event.event.body, &mut random).into();
        }
        let sent = Instant::now();
        store.accept(vec![event]).await?;
        waits.push(sent.elapsed());
    }
    Ok(waits)
}

/// The same with another identifier of the event's own object.
fn renamed(body: &[u8], random: &mut Random) -> Vec<u8> {
    // As deep as that of no other object.
    const ID: &[u8] = b"\n      \"id\": \"";
    let mut body = body.to_vec();
    let found = body.windows(ID.len()).position(|part| part == ID).map(|at| at + ID.len());
    if let Some(at) = found
        && let Some(length) = body[at..].iter().position(|byte| *byte == b'"')
    {
        let kind = body[at..at + length].iter().position(|byte| *byte == b'_').map_or(0, |u| u + 1);
        let fresh = random.text(length - kind);
        body[at + kind..at + length].copy_from_slice(fresh.as_bytes());
    }
    body
}
