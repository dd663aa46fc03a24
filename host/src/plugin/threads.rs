//! The threads guests run on: their own, and less urgent than everything else.
//!
//! Not a queue: how many deliveries run at once is `dispatch`'s business.
//!
//! Guests and the compiler get threads apart from those that do I/O, and a lower scheduling
//! priority, so that the kernel prefers an acknowledgement to a handler whenever both want a
//! processor. A guest yields its thread at every tick (see [`super::limits`]), so more guests
//! than threads share them fairly.
//!
//! A low priority is not enough beside a guest that computes for long: a thread that the kernel
//! wakes for an acknowledgement may still wait for the guest's slice to end, which is looked at
//! once a timer tick (4 ms where `CONFIG_HZ` is 250). So a guest that has had its share,
//! [`IMPATIENT`], goes on on threads that run while nothing else wants the processor
//! (`SCHED_IDLE`: whatever wakes takes the processor at once). Such a thread gets next to nothing
//! of a processor that is never free; a guest that finds itself starved there comes back, and
//! for a while nobody is sent there.

mod patience;

use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};

use patience::{Patient, Starving, Turn};

/// How nice the threads are: 10 of 19 leaves them about a tenth of a contended processor, which
/// is enough to never starve.
const NICENESS: i32 = 10;

/// Most threads for compiling and reading the cache. One compiles at a time; the others serve
/// cache hits.
const BLOCKING_THREADS: usize = 4;

/// Processor time that a guest has on the ordinary threads. A handler in Rust takes a hundredth of
/// it, one in JavaScript or Python less than it but for rare long work: nobody who is quick ever
/// moves.
const IMPATIENT: Duration = Duration::from_millis(20);

/// A handle to the guests' own threads.
#[derive(Debug, Clone)]
pub struct GuestThreads {
    handle: Handle,
    patient: Handle,
    starving: Arc<Starving>,
    _owners: Arc<[Owner; 2]>,
}

#[derive(Debug)]
struct Owner(Option<Runtime>);

impl GuestThreads {
    /// Start `threads` threads (at least one) of either kind.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("guest")
            .enable_time()
            .on_thread_start(be_nice)
            .build()?;
        let patient = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("guest-patient")
            .on_thread_start(be_idle)
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            patient: patient.handle().clone(),
            starving: Arc::default(),
            _owners: Arc::new([Owner(Some(runtime)), Owner(Some(patient))]),
        })
    }

    /// Run a guest's call, which is awaited on a guest thread: on that thread while it is short, on
    /// one that gives way to everything when it turns out long.
    ///
    /// Dropping this drops the call; a panic of the call is a panic of this.
    pub async fn fairly<F>(&self, call: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let mut turn = Turn::new(Box::pin(call));
        if let Some(answer) = turn.short(IMPATIENT, &self.starving).await {
            return answer;
        }
        let starving = Arc::clone(&self.starving);
        let moved = self.patient.spawn(async move { turn.patient(&starving).await });
        match AbortOnDrop(moved).await {
            Ok(Patient::Ended(answer)) => answer,
            Ok(Patient::Starved(call)) => call.await,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Nobody else can cancel it but the end of its threads.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Run `future` on a guest thread.
    ///
    /// A panic in it ends as the handle's error, as with [`tokio::spawn`].
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// For spawning into a set.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Run `work`, which may keep its thread for seconds, on a thread as nice as a guest's.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn_blocking(work)
    }
}

/// A runtime must not be dropped where blocking is forbidden, and the last handle may well be
/// held by a task: let its threads end by themselves.
impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lower this thread's priority. On Linux a process identifier of zero means the calling thread;
/// elsewhere it may mean the whole process, so nothing is done there.
fn be_nice() {
    #[cfg(target_os = "linux")]
    if let Err(cause) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%cause, "guest threads keep the usual priority");
    }
}

/// Have this thread run only while nothing else wants its processor.
fn be_idle() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::{
            NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id, thread_schedule_policy,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let lowest = thread_priority::ThreadPriority::Min;
        // It sets the niceness as well, which a nice process may not: what counts is the policy.
        let set = set_thread_priority_and_policy(thread_native_id(), lowest, idle);
        if thread_schedule_policy().ok() != Some(idle) {
            tracing::warn!(?set, "long guests keep the priority of guests");
        }
    }
    be_nice();
}

/// A task that ends with the one that waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::thread_time;
    use super::*;

    #[test]
    fn guests_are_nicer_than_the_rest() {
        let threads = GuestThreads::new(1).unwrap();
        let nice = threads.spawn(async { rustix::process::getpriority_process(None).unwrap() });
        let runtime = Builder::new_current_thread().build().unwrap();
        let here = rustix::process::getpriority_process(None).unwrap();
        assert_eq!(runtime.block_on(nice).unwrap(), NICENESS.max(here));
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), here);
    }

    /// The scheduling policy of the thread that asks.
    fn policy() -> thread_priority::ThreadSchedulePolicy {
        thread_priority::unix::thread_schedule_policy().unwrap()
    }

    /// Computes for this long, giving way now and then, and tells on which kinds of threads it was.
    async fn compute(time: Duration) -> Vec<thread_priority::ThreadSchedulePolicy> {
        let mut seen = vec![policy()];
        let end = thread_time() + time;
        let mut here = std::thread::current().id();
        let mut left = end - thread_time();
        while !left.is_zero() {
            let before = thread_time();
            std::hint::black_box((0..10_000).sum::<u64>());
            left = left.saturating_sub(thread_time() - before);
            tokio::task::yield_now().await;
            if std::thread::current().id() != here {
                here = std::thread::current().id();
                seen.push(policy());
            }
        }
        seen
    }

    #[test]
    fn a_long_call_gives_way_and_a_short_one_stays() {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let threads = GuestThreads::new(1).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        let run = |time| {
            let own = threads.clone();
            let task = threads.spawn(async move { own.fairly(compute(time)).await });
            runtime.block_on(task).unwrap()
        };
        assert!(!run(Duration::from_millis(1)).contains(&idle));
        let long = run(IMPATIENT * 4);
        assert_ne!(long.first(), Some(&idle));
        assert!(long.contains(&idle), "{long:?}");
    }

    #[test]
    fn a_panic_on_a_patient_thread_is_the_callers() {
        let threads = GuestThreads::new(1).unwrap();
        let own = threads.clone();
        let call = async {
            compute(IMPATIENT * 2).await;
            panic!("boom");
        };
        let task = threads.spawn(async move { own.fairly(call).await });
        let runtime = Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(task).unwrap_err().is_panic());
    }

    #[test]
    fn a_long_call_ends_with_its_caller() {
        struct Gone(std::sync::mpsc::SyncSender<()>);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let threads = GuestThreads::new(1).unwrap();
        let own = threads.clone();
        let (moved, is_moved) = std::sync::mpsc::sync_channel(1);
        let (gone, is_gone) = std::sync::mpsc::sync_channel(1);
        let call = async move {
            let _gone = Gone(gone);
            compute(IMPATIENT * 2).await;
            moved.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        let task = threads.spawn(async move { own.fairly(call).await });
        is_moved.recv().unwrap();
        task.abort();
        is_gone.recv().unwrap();
    }

    #[test]
    fn may_be_dropped_by_its_own_task() {
        let threads = GuestThreads::new(1).unwrap();
        let last = threads.clone();
        let task = threads.spawn(async move { drop(last) });
        drop(threads);
        let runtime = Builder::new_current_thread().build().unwrap();
        // Either it ran or it was cancelled; nothing panicked.
        if let Err(ended) = runtime.block_on(task) {
            assert!(ended.is_cancelled());
        }
    }
}
