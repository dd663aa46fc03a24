//! What a plugin that fails does to the time an acknowledgement takes: the measurement.
//!
//! Two hosts take turns under the same load, one with a handler that does nothing, one with the
//! poison; whoever does not measure is stopped by a signal, so that neither disturbs the other. Not
//! a judgement: the suite has bounds, the bench only tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::host::Host;
use crate::{components, stripe};

const KINDS: [&str; 1] = ["charge.succeeded"];
/// Events a second.
const RATE: u32 = 200;
/// How long a turn lasts.
const TURN: Duration = Duration::from_millis(1_500);

/// It never rests: no attempt is the last, waits are short, and it is not paused.
const SETTINGS: &str = r#"
[dispatch]
attempts = 1000
first_wait = "1s"
longest_wait = "1s"

[plugin.poison]
pause_after = 0
"#;

/// Half and 99 of a hundred acknowledgements of one turn took no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// The 99 of a hundred.
    pub p99: Duration,
    /// The half.
    pub p50: Duration,
}

/// The turns of one poison, each beside the turn of the calm host right before it.
#[derive(Debug)]
pub struct Measured {
    /// How the poison fails.
    pub name: &'static str,
    /// With a handler that does nothing.
    pub calm: Vec<Turn>,
    /// With the poison.
    pub poisoned: Vec<Turn>,
}

impl Measured {
    /// The quietest turn of each. What other work on the machine does to a turn comes and goes;
    /// what the poison does is in every one.
    #[must_use]
    pub fn quietest(&self) -> Option<(Turn, Turn)> {
        Some((*self.calm.iter().min()?, *self.poisoned.iter().min()?))
    }

    /// The middle of the ratios of a turn's p99 to that of its neighbour.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let pairs = self.calm.iter().zip(&self.poisoned);
        let mut ratios: Vec<f64> =
            pairs.map(|(calm, poisoned)| poisoned.p99.div_duration_f64(calm.p99)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(1.0)
    }
}

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

/// Measure each poison over so many turns; `tell` is told of each.
///
/// # Errors
/// When a host does not start, or does not acknowledge.
pub async fn measure(turns: usize, mut tell: impl FnMut(&Measured)) -> Result<Vec<Measured>> {
    let noop = components::noop("poison", &KINDS);
    let calm = Arc::new(Host::start(&[("poison.wasm", &noop)], SETTINGS)?);
    let mut all = Vec::new();
    for (name, bytes) in poisons() {
        let poisoned = Arc::new(Host::start(&[("poison.wasm", &bytes)], SETTINGS)?);
        let mut measured = Measured { name, calm: Vec::new(), poisoned: Vec::new() };
        for round in 0..=turns {
            let pair = (turn(&calm).await?, turn(&poisoned).await?);
            // The first one warms up.
            if round > 0 {
                measured.calm.push(pair.0);
                measured.poisoned.push(pair.1);
            }
        }
        tell(&measured);
        all.push(measured);
    }
    Ok(all)
}

/// Posts at [`RATE`] for a turn, whatever the host does, and looks at how long each acknowledgement
/// took from the moment the event was due.
async fn turn(host: &Arc<Host>) -> Result<Turn> {
    host.signal("CONT")?;
    let count = RATE * u32::try_from(TURN.as_millis())? / 1_000;
    let base = Instant::now();
    let mut posts = JoinSet::new();
    for n in 0..count {
        let due = base + Duration::from_secs(1) / RATE * n;
        let (host, body) = (Arc::clone(host), stripe::fresh(KINDS[0]).to_string());
        posts.spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            let (status, answer) = host.post(body).await?;
            ensure!(status == 200, "{status}: {answer}");
            Ok(due.elapsed())
        });
    }
    let mut times = Vec::new();
    while let Some(took) = posts.join_next().await {
        times.push(took??);
    }
    host.signal("STOP")?;
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Ok(Turn { p99: at(99), p50: at(50) })
}
