//! How many deliveries of a plugin are on their way, and when so many of them ended that the
//! dispatcher should look.
//!
//! Not who runs when (`attempt`). A look at each end costs a wake-up, and a processor taken from the
//! guests; while many are on their way it finds nothing to do that could not be done for several ends
//! at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::Notify;

/// Tells the dispatcher that it should look.
#[derive(Debug, Default)]
pub(super) struct Ends {
    enough: Notify,
    /// Deliveries' tasks that panicked, of which the dispatcher has not taken note.
    broke: AtomicUsize,
    on_their_way: AtomicUsize,
}

impl Ends {
    /// Resolves when enough ended since it last did. May resolve for nothing.
    pub(super) async fn enough(&self) {
        self.enough.notified().await;
    }

    /// Whether a panicked task waits to be taken note of.
    pub(super) fn broke(&self) -> bool {
        self.broke.load(SeqCst) > 0
    }

    /// One was. A task that was cancelled ends like one that panicked, and was not counted.
    pub(super) fn noted(&self) {
        let _ = self.broke.fetch_update(SeqCst, SeqCst, |broke| broke.checked_sub(1));
    }

    /// Deliveries of all plugins that have not ended.
    pub(super) fn on_their_way(&self) -> usize {
        self.on_their_way.load(SeqCst)
    }
}

/// The deliveries of one plugin that are on their way.
#[derive(Debug, Default)]
pub(super) struct Flow {
    left: AtomicUsize,
    /// The dispatcher looks when no more than so many are left.
    low: AtomicUsize,
}

impl Flow {
    /// Deliveries that have not ended.
    pub(super) fn left(&self) -> usize {
        self.left.load(SeqCst)
    }

    /// One more is on its way, until what this answers is dropped.
    pub(super) fn begin(self: &Arc<Self>, ends: &Arc<Ends>) -> OnItsWay {
        self.left.fetch_add(1, SeqCst);
        ends.on_their_way.fetch_add(1, SeqCst);
        OnItsWay { flow: Arc::clone(self), ends: Arc::clone(ends) }
    }

    /// Have the dispatcher look when so many more ended as are worth it: half of them, at most `many`.
    pub(super) fn watch(&self, many: usize, ends: &Ends) {
        let left = self.left();
        let low = left.saturating_sub(left.div_ceil(2).min(many).max(1));
        self.low.store(low, SeqCst);
        // What ended meanwhile compared itself with the mark before.
        if self.left() < left && self.left() <= low {
            ends.enough.notify_one();
        }
    }
}

/// A delivery that has not ended.
#[derive(Debug)]
pub(super) struct OnItsWay {
    flow: Arc<Flow>,
    ends: Arc<Ends>,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let left = self.flow.left.fetch_sub(1, SeqCst) - 1;
        self.ends.on_their_way.fetch_sub(1, SeqCst);
        let broke = std::thread::panicking();
        if broke {
            self.ends.broke.fetch_add(1, SeqCst);
        }
        if broke || left <= self.flow.low.load(SeqCst) {
            self.ends.enough.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ends: &Ends) -> bool {
        use std::future::Future;
        use std::task::{Context, Waker};
        let notified = std::pin::pin!(ends.enough());
        notified.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_dispatcher_looks_when_half_or_many_ended_and_at_each_end_after_that() {
        let (flow, ends) = (Arc::new(Flow::default()), Arc::new(Ends::default()));
        let mut running: Vec<_> = (0..100).map(|_| flow.begin(&ends)).collect();
        flow.watch(28, &ends);
        running.truncate(73);
        assert!(!told(&ends));
        running.truncate(72);
        assert!(told(&ends));
        running.truncate(71);
        assert!(told(&ends));
        running.truncate(4);
        assert!(told(&ends));
        flow.watch(28, &ends);
        running.truncate(3);
        assert!(!told(&ends));
        running.truncate(2);
        assert!(told(&ends));
        running.truncate(1);
        flow.watch(28, &ends);
        assert!(told(&ends), "of the end before");
        running.clear();
        assert!(told(&ends));
        assert_eq!((flow.left(), ends.on_their_way()), (0, 0));
    }

    #[test]
    fn each_panic_is_told_at_once_until_it_is_noted() {
        let (flow, ends) = (Arc::new(Flow::default()), Arc::new(Ends::default()));
        let mut running: Vec<_> = (0..100).map(|_| flow.begin(&ends)).collect();
        flow.watch(28, &ends);
        for _ in 0..2 {
            let one = running.pop();
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                let _one = one;
                std::panic::resume_unwind(Box::new(()));
            }));
            assert!(panicked.is_err() && ends.broke() && told(&ends));
        }
        ends.noted();
        assert!(ends.broke(), "the other one");
        ends.noted();
        assert!(!ends.broke());
        ends.noted();
        assert!(!ends.broke());
    }
}
