//! The threads guests run on: their own, and less urgent than everything else.
//!
//! Not a queue: how many deliveries run at once is `dispatch`'s business.
//!
//! Guests and the compiler get threads apart from those that do I/O, and a lower scheduling
//! priority, so that the kernel prefers an acknowledgement to a handler whenever both want a
//! processor. A guest yields its thread at every tick (see [`super::limits`]), so more guests
//! than threads share them fairly.
//!
//! There are two sets of them. All guests begin on the quick threads; one that has used its first
//! tick of processor time goes on on the slow ones (see `plugin::run`). So handlers that compute for long,
//! or for ever, wait for each other and for nobody else, and there is one slow thread less than
//! processors: one processor is always free of them, for acknowledgements and short handlers.
//! (A scheduler with feedback, as in Corbato, Merwin-Daggett and Daley 1962, of two levels.)

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

/// How nice the threads are: 10 of 19 leaves them about a tenth of a contended processor, which
/// is enough to never starve.
const NICENESS: i32 = 10;

/// Most threads for compiling and reading the cache. One compiles at a time; the others serve
/// cache hits.
const BLOCKING_THREADS: usize = 4;

/// A handle to the guests' own threads.
#[derive(Debug, Clone)]
pub struct GuestThreads {
    quick: Handle,
    slow: Handle,
    _owners: Arc<(Owner, Owner)>,
}

#[derive(Debug)]
struct Owner(Option<Runtime>);

impl GuestThreads {
    /// Start `threads` quick threads (at least one), and one slow thread less (at least one).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let quick = nice_threads("guest", threads.max(1))?;
        let slow = nice_threads("guest-slow", threads.saturating_sub(1).max(1))?;
        let (quick_handle, slow_handle) = (quick.handle().clone(), slow.handle().clone());
        let owners = Arc::new((Owner(Some(quick)), Owner(Some(slow))));
        Ok(Self { quick: quick_handle, slow: slow_handle, _owners: owners })
    }

    /// Run `future` on a guest thread.
    ///
    /// A panic in it ends as the handle's error, as with [`tokio::spawn`].
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.quick.spawn(future)
    }

    /// Go on with `work` on a slow thread. Ends with it when dropped; panics where it does.
    pub(super) async fn go_on_slowly<T: Send + 'static>(
        &self,
        work: Pin<Box<impl Future<Output = T> + Send + 'static>>,
    ) -> T {
        match AbortOnDropHandle::new(self.slow.spawn(work)).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The threads have ended, and with them whoever asked.
                Err(_) => pending().await,
            },
        }
    }

    /// Runs that go on on the slow threads now.
    #[must_use]
    pub fn slow_runs(&self) -> usize {
        self.slow.metrics().num_alive_tasks()
    }

    /// For spawning into a set.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.quick
    }

    /// Run `work`, which may keep its thread for seconds, on a thread as nice as a guest's.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.quick.spawn_blocking(work)
    }
}

fn nice_threads(name: &str, threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name(name)
        .enable_time()
        .on_thread_start(be_nice)
        .build()
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
pub(super) fn be_nice() {
    #[cfg(target_os = "linux")]
    if let Err(cause) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%cause, "guest threads keep the usual priority");
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn slow_threads_are_as_nice_and_a_panic_there_is_one_here() {
        let threads = GuestThreads::new(1).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        let nice = async { rustix::process::getpriority_process(None).unwrap() };
        let here = rustix::process::getpriority_process(None).unwrap();
        assert_eq!(runtime.block_on(threads.go_on_slowly(Box::pin(nice))), NICENESS.max(here));
        let panics = async { panic!("in a guest's place") };
        let work = async move { threads.go_on_slowly::<()>(Box::pin(panics)).await };
        let work = std::panic::AssertUnwindSafe(|| runtime.block_on(work));
        let panic = std::panic::catch_unwind(work).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"in a guest's place"));
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
