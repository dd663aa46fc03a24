//! The processor time of one run.
//!
//! Not what happens when there is too much of it (`plugin::run`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The processor time one run has used. Shared by the run, which says when the guest goes on and
/// stops, and the guest, which looks at its ticks: always the same thread at one time.
#[derive(Debug)]
pub(super) struct CpuMeter {
    limit: Duration,
    /// Until the guest last stopped, in nanoseconds.
    used: AtomicU64,
    /// The thread's clock when the guest last went on, in nanoseconds.
    resumed: AtomicU64,
}

impl CpuMeter {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, used: AtomicU64::new(0), resumed: AtomicU64::new(0) }
    }

    /// The guest goes on, on this thread.
    pub(super) fn resume(&self) {
        self.resumed.store(thread_time(), Ordering::Relaxed);
    }

    /// The guest stops; it went on on this thread.
    pub(super) fn pause(&self) {
        self.used.store(self.now(), Ordering::Relaxed);
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
        std::thread::park_timeout(Duration::from_millis(50));
        assert!(!meter.spent(), "waiting is free");
        spin(Duration::from_millis(21));
        assert!(meter.spent());
        meter.pause();
        let used = meter.used();
        assert!(used >= Duration::from_millis(20));
        spin(Duration::from_millis(5));
        assert_eq!(meter.used(), used, "it stopped");
    }

    /// Use this much processor time.
    fn spin(time: Duration) {
        let until = thread_time() + u64::try_from(time.as_nanos()).unwrap();
        while thread_time() < until {}
    }
}
