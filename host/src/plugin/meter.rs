//! The time of one run: of a processor, and by the clock.
//!
//! Not what happens when there is too much of it (`plugin::run`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The processor time one run has used. Shared by the run, which says when the guest goes on and
/// stops, and the guest, which looks at its ticks: always the same thread at one time.
#[derive(Debug)]
pub(super) struct CpuMeter {
    limit: Duration,
    /// Until the guest last stopped, in nanoseconds.
    used: AtomicU64,
    /// The thread's clock when the guest last went on, in nanoseconds.
    resumed: AtomicU64,
    /// It stopped for others to run, and could have gone on.
    yielded: AtomicBool,
}

impl CpuMeter {
    pub(super) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            yielded: AtomicBool::new(false),
        }
    }

    /// The guest goes on, on this thread.
    pub(super) fn resume(&self) {
        self.resumed.store(thread_time(), Ordering::Relaxed);
    }

    /// The guest stops; it went on on this thread.
    pub(super) fn pause(&self) {
        self.used.store(self.now(), Ordering::Relaxed);
    }

    /// The guest makes room for others. It could go on at once.
    pub(super) fn yields(&self) {
        self.yielded.store(true, Ordering::Relaxed);
    }

    /// Whether the limit is passed at this moment of the guest's running.
    pub(super) fn spent(&self) -> bool {
        Duration::from_nanos(self.now()) >= self.limit
    }

    /// What was used until the guest last stopped.
    pub(super) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    fn now(&self) -> u64 {
        let running = thread_time().saturating_sub(self.resumed.load(Ordering::Relaxed));
        self.used.load(Ordering::Relaxed).saturating_add(running)
    }
}

/// The time by the clock that is a run's own: its processor time, and its waits for the host.
///
/// A wait for a processor is not its own, be it for the turn of others after a yield or because the
/// machine is busy: a handler must not fail, and its plugin not be paused, for what its neighbours do.
#[derive(Debug)]
pub(super) struct OwnTime {
    meter: Arc<CpuMeter>,
    waited: Duration,
    /// When it last stopped; none while it runs and before it begins.
    stopped: Option<Instant>,
}

impl OwnTime {
    /// Of a run that has not begun.
    pub(super) const fn new(meter: Arc<CpuMeter>) -> Self {
        Self { meter, waited: Duration::ZERO, stopped: None }
    }

    /// Run a stretch of it, on this thread.
    pub(super) fn stretch<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let yielded = self.meter.yielded.swap(false, Ordering::Relaxed);
        if let Some(stopped) = self.stopped.take()
            && !yielded
        {
            self.waited += stopped.elapsed();
        }
        self.meter.resume();
        let answer = run();
        self.meter.pause();
        self.stopped = Some(Instant::now());
        answer
    }

    /// Until it last stopped.
    pub(super) fn total(&self) -> Duration {
        self.meter.used() + self.waited
    }
}

/// The processor time this thread has used, in nanoseconds.
fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_is_counted() {
        let meter = CpuMeter::new(Duration::from_millis(20));
        // What the thread did before is not the guest's.
        spin(Duration::from_millis(30));
        meter.resume();
        assert!(!meter.spent());
        pass(Duration::from_millis(50));
        assert!(!meter.spent(), "waiting is free");
        spin(Duration::from_millis(21));
        assert!(meter.spent());
        meter.pause();
        let used = meter.used();
        assert!(used >= Duration::from_millis(20));
        spin(Duration::from_millis(5));
        assert_eq!(meter.used(), used, "it stopped");
    }

    #[test]
    fn a_wait_for_the_host_is_its_own_and_one_for_a_processor_is_not() {
        let meter = Arc::new(CpuMeter::new(Duration::from_secs(1)));
        let mut own = OwnTime::new(Arc::clone(&meter));
        let wait = Duration::from_millis(50);
        pass(wait);
        own.stretch(|| meter.yields());
        pass(wait);
        own.stretch(|| ());
        assert!(own.total() < wait, "neither before it began nor after a yield");
        pass(wait);
        own.stretch(|| ());
        assert!(own.total() >= wait);
    }

    /// Let this much time pass without working.
    fn pass(time: Duration) {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
    }

    /// Use this much processor time.
    fn spin(time: Duration) {
        let until = thread_time() + u64::try_from(time.as_nanos()).unwrap();
        while thread_time() < until {}
    }
}
