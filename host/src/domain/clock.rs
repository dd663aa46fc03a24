//! Time as a value, and the one door through which it enters.
//!
//! Not a timer: waiting is tokio's business.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment `secs` seconds after the epoch; saturates at the end of time.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `wait` later; saturates.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The moment `ago` earlier; saturates at the epoch.
    #[must_use]
    pub fn minus(self, ago: Duration) -> Self {
        let millis = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339 in UTC with milliseconds; moments past the year 9999 print as milliseconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can write.
        const LAST: u64 = 253_402_300_799_999;
        if self.0 > LAST {
            return write!(f, "{}ms", self.0);
        }
        let time = UNIX_EPOCH + Duration::from_millis(self.0);
        write!(f, "{}", humantime::format_rfc3339_millis(time))
    }
}

/// Where the present moment comes from.
///
/// Two readings of one time. What is shown, kept with an event, or compared with what another
/// machine says is [`Clock::now`]. What is waited for is [`Clock::steady`]: a wall clock that is set
/// a year ahead or back neither makes every wait end at once nor makes one last a year.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment by the wall clock. It may step in either direction.
    fn now(&self) -> Timestamp;

    /// The present moment by a clock that never steps: the wall clock as it was when the process
    /// began, and the time that has passed since, a suspended machine's included.
    fn steady(&self) -> Timestamp {
        self.now()
    }
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    /// By the wall clock, when this was made.
    wall: Timestamp,
    /// By the clock of the machine's running, at the same moment.
    running: Duration,
}

impl SystemClock {
    /// The machine's clocks, the steady one counting from the wall clock as it is now. A process
    /// makes one and shares it: another one's steady time differs by how far the wall clock stepped
    /// in between.
    #[must_use]
    pub fn new() -> Self {
        Self { wall: wall(), running: running() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        wall()
    }

    fn steady(&self) -> Timestamp {
        self.wall.plus(running().saturating_sub(self.running))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one door of time")]
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
}

/// Since the machine began to run, the time it was suspended included.
fn running() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall: AtomicU64,
    steady: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { wall: AtomicU64::new(now.0), steady: AtomicU64::new(now.0) }
    }

    /// Time passes: both readings move forward by `step`.
    pub fn advance(&self, step: Duration) {
        self.wall.store(self.now().plus(step).0, Ordering::SeqCst);
        self.steady.store(self.steady().plus(step).0, Ordering::SeqCst);
    }

    /// Both readings move to `now`, in either direction.
    pub fn set(&self, now: Timestamp) {
        self.wall.store(now.0, Ordering::SeqCst);
        self.steady.store(now.0, Ordering::SeqCst);
    }

    /// Someone sets the wall clock to `now`; no time passes.
    pub fn set_wall(&self, now: Timestamp) {
        self.wall.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Timestamp {
        Timestamp(self.steady.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_rfc3339_and_never_panics() {
        assert_eq!(Timestamp::from_secs(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "18446744073709551615ms");
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::default().minus(Duration::from_secs(1)), Timestamp::default());
        assert_eq!(Timestamp::default().since(end), Duration::ZERO);
    }

    #[test]
    fn the_steady_clock_starts_at_the_wall_clock_and_runs_with_it() {
        let clock = SystemClock::new();
        let (wall, steady) = (clock.now(), clock.steady());
        let apart = wall.since(steady).max(steady.since(wall));
        assert!(apart < Duration::from_secs(5), "{wall} {steady}");
        assert!(clock.steady() >= steady);
    }

    #[test]
    fn a_wall_clock_that_is_set_does_not_move_the_steady_one() {
        let clock = ManualClock::at(Timestamp::from_secs(100));
        clock.set_wall(Timestamp::from_secs(7));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp::from_secs(8));
        assert_eq!(clock.steady(), Timestamp::from_secs(101));
    }
}
