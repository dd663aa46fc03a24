//! When a call goes to the patient threads, and when it comes back.
//!
//! Not the threads (`plugin::threads`), and not a call's limits: those count wherever it runs.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::super::limits::thread_time;

/// How long nobody is sent to the patient threads after one starved there.
const REMEMBERED: Duration = Duration::from_secs(60);

/// A call starves that wanted a processor for [`NOTICED`] and had less than this part of it: what
/// the ordinary guest threads get of a processor that never rests (their niceness is worth about a
/// tenth).
const FAIR_SHARE: u32 = 10;

/// Before this there is no telling.
const NOTICED: Duration = Duration::from_millis(100);

/// Whether the processors were too busy for the patient threads lately.
#[derive(Debug, Default)]
pub(super) struct Starving(Mutex<Option<Instant>>);

impl Starving {
    fn lately(&self) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    fn noticed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// A call, and what it has had.
pub(super) struct Turn<T> {
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    had: Had,
}

/// Processor time, and the time that passed while it ran or could have.
#[derive(Debug, Default, Clone, Copy)]
struct Had {
    processor: Duration,
    wanted: Duration,
}

/// How it went on the patient threads.
pub(super) enum Patient<T> {
    /// To its end.
    Ended(T),
    /// It got no processor there: this is the rest of it.
    Starved(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Turn<T> {
    pub(super) fn new(call: Pin<Box<dyn Future<Output = T> + Send>>) -> Self {
        Self { call, had: Had::default() }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<T> {
        let (began, had) = (Instant::now(), thread_time());
        let polled = self.call.as_mut().poll(context);
        self.had.processor += thread_time().saturating_sub(had);
        self.had.wanted += began.elapsed();
        polled
    }

    /// Run it here for `most` of processor time, or to its end while the patient threads starve.
    pub(super) async fn short(&mut self, most: Duration, starving: &Starving) -> Option<T> {
        poll_fn(|context| match self.poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if self.had.processor >= most && !starving.lately() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Run it here to its end, or until it starves.
    pub(super) async fn patient(mut self, starving: &Starving) -> Patient<T> {
        self.had = Had::default();
        let ended = poll_fn(|context| match self.poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if self.had.starves() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        if let Some(answer) = ended {
            return Patient::Ended(answer);
        }
        starving.noticed();
        Patient::Starved(self.call)
    }
}

impl Had {
    fn starves(self) -> bool {
        self.wanted >= NOTICED && self.processor * FAIR_SHARE < self.wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_a_tenth_is_too_little() {
        let had = |processor, wanted| Had {
            processor: Duration::from_millis(processor),
            wanted: Duration::from_millis(wanted),
        };
        assert!(had(9, 100).starves());
        assert!(!had(10, 100).starves());
        assert!(!had(0, 99).starves());
    }

    #[test]
    fn who_starves_comes_back_and_nobody_follows() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let starving = Starving::default();
        // Stands for a thread that the kernel leaves waiting: time passes and none of it is its own.
        let mut waits = 2;
        let call = Box::pin(poll_fn(move |context| {
            waits -= 1;
            if waits == 0 {
                return Poll::Ready("to its end");
            }
            let (mutex, never) = (Mutex::new(()), std::sync::Condvar::new());
            drop(never.wait_timeout(mutex.lock().unwrap(), NOTICED));
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        let Patient::Starved(rest) = runtime.block_on(Turn::new(call).patient(&starving)) else {
            panic!("it did not come back");
        };
        assert_eq!(runtime.block_on(rest), "to its end");

        let mut polls = 0;
        let long = Box::pin(poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls > 3 { Poll::Ready(()) } else { Poll::Pending }
        }));
        let here = runtime.block_on(Turn::new(long).short(Duration::ZERO, &starving));
        assert_eq!(here, Some(()));
    }
}
