//! The threads guests run on: their own, and less urgent than everything else.
//!
//! Not a queue: how many deliveries run at once is `dispatch`'s business.
//!
//! Guests and the compiler get threads apart from those that do I/O, and a lower scheduling
//! priority, so that the kernel prefers an acknowledgement to a handler whenever both want a
//! processor. A guest yields its thread at every tick (see [`super::limits`]), so more guests
//! than threads share them fairly.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// How nice the threads are: 10 of 19 leaves them about a tenth of a contended processor, which
/// is enough to never starve.
const NICENESS: i32 = 10;

/// Most threads for compiling and reading the cache. One compiles at a time; the others serve
/// cache hits.
const BLOCKING_THREADS: usize = 4;

/// A handle to the guests' own threads.
#[derive(Debug, Clone)]
pub struct GuestThreads {
    handle: Handle,
    _owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner(Option<Runtime>);

impl GuestThreads {
    /// Start `threads` threads (at least one).
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
        let handle = runtime.handle().clone();
        Ok(Self { handle, _owner: Arc::new(Owner(Some(runtime))) })
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
