//! One run of a guest: a fresh store and instance, limits, one call, and what is left afterwards.
//!
//! Not what is called (`plugin::load`, `plugin::call`).

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Result, Store, UpdateDeadline};

use super::guest::{Abandoned, Guest};
use super::limits::MAX_HANDLES;
use super::outcome::Fault;
use crate::domain::delivery::Usage;

/// What bounds a run, beyond what its [`Guest`] holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
    pub(super) hostcall_bytes: u64,
}

/// A finished run.
pub(super) struct Ran<T> {
    pub(super) end: Result<T, Fault>,
    pub(super) guest: Guest,
    pub(super) usage: Usage,
}

/// A call of one export.
pub(super) type Called<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Instantiate and call. Never panics; every end is in the answer.
pub(super) async fn run<T, F>(
    pre: &InstancePre<Guest>,
    guest: Guest,
    bounds: Bounds,
    call: F,
) -> Ran<T>
where
    F: for<'a> FnOnce(Instance, &'a mut Store<Guest>) -> Called<'a, T> + Send,
    T: Send,
{
    let mut store = Store::new(pre.engine(), guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(usize::try_from(bounds.hostcall_bytes).unwrap_or(usize::MAX));
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        let guest = context.data_mut();
        guest.out_of_cpu = guest.cpu.spent();
        if guest.out_of_cpu {
            return Err(Abandoned::OutOfCpu.into());
        }
        Ok(UpdateDeadline::Yield(1))
    });
    let meter = Arc::clone(&store.data().cpu);
    let began = Instant::now();
    let end = {
        let work = async {
            let instance = pre.instantiate_async(&mut store).await?;
            call(instance, &mut store).await
        };
        let mut work = pin!(work);
        // A panic of a host function passes through the guest's frames and ends here.
        let guarded = poll_fn(|context| {
            meter.resume();
            let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
            meter.pause();
            match polled {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        });
        tokio::time::timeout(bounds.wall, guarded).await
    };
    let wall = began.elapsed();
    let guest = store.into_data();
    let end = match end {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(error))) => Err(Fault::of(&error, &guest, bounds.cpu)),
        Ok(Err(panic)) => Err(Fault::panicked(panic.as_ref())),
        Err(_) => Err(Fault::out_of_wall(bounds.wall)),
    };
    let usage = Usage {
        cpu: meter.used(),
        wall,
        memory: guest.memory.peak(),
        kv_operations: guest.kv_operations(),
    };
    Ran { end, guest, usage }
}
