//! One run of a guest: a fresh store and instance, limits, one call, and what is left afterwards.
//!
//! Not what is called (`plugin::load`, `plugin::call`).

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Result, Store, UpdateDeadline};

use super::guest::{Abandoned, Guest};
use super::limits::{MAX_HANDLES, TICK};
use super::meter::OwnTime;
use super::outcome::Fault;
use super::threads::GuestThreads;
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

/// Processor time after which a guest goes on on the slow threads: a tick, ten calls of a small Python
/// plugin. What takes longer is not in a hurry.
const QUICK: Duration = TICK;

/// Instantiate and call. Never panics; every end is in the answer.
///
/// Begins on the thread it is polled on, and goes on on one of the slow ones of `threads` if it
/// uses more processor time than [`QUICK`].
pub(super) async fn run<T, F>(
    pre: &InstancePre<Guest>,
    guest: Guest,
    bounds: Bounds,
    threads: &GuestThreads,
    call: F,
) -> Ran<T>
where
    F: for<'a> FnOnce(Instance, &'a mut Store<Guest>) -> Called<'a, T> + Send + 'static,
    T: Send + 'static,
{
    let meter = Arc::clone(&guest.cpu);
    let mut running = Box::pin(whole(pre.clone(), guest, bounds, call));
    let quick = poll_fn(|context| match running.as_mut().poll(context) {
        Poll::Ready(ran) => Poll::Ready(Some(ran)),
        Poll::Pending if meter.used() >= QUICK => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    match quick.await {
        Some(ran) => ran,
        None => threads.go_on_slowly(running).await,
    }
}

async fn whole<T, F>(pre: InstancePre<Guest>, guest: Guest, bounds: Bounds, call: F) -> Ran<T>
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
        guest.cpu.yields();
        Ok(UpdateDeadline::Yield(1))
    });
    let meter = Arc::clone(&store.data().cpu);
    let mut own = OwnTime::new(Arc::clone(&meter));
    let end = {
        let work = async {
            let instance = pre.instantiate_async(&mut store).await?;
            call(instance, &mut store).await
        };
        let (mut work, mut alarm) = (pin!(work), pin!(sleep(bounds.wall)));
        poll_fn(|context| {
            // A panic of a host function passes through the guest's frames and ends here.
            let poll = || catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
            match own.stretch(poll) {
                Ok(Poll::Ready(result)) => return Poll::Ready(End::Of(result)),
                Err(panic) => return Poll::Ready(End::Panic(panic)),
                Ok(Poll::Pending) => {}
            }
            while alarm.as_mut().poll(context).is_ready() {
                let left = bounds.wall.saturating_sub(own.total());
                if left.is_zero() {
                    return Poll::Ready(End::OutOfWall);
                }
                // It waited for a processor.
                alarm.as_mut().reset(tokio::time::Instant::now() + left);
            }
            Poll::Pending
        })
        .await
    };
    let guest = store.into_data();
    let end = match end {
        End::Of(Ok(answer)) => Ok(answer),
        End::Of(Err(error)) => Err(Fault::of(&error, &guest, bounds.cpu)),
        End::Panic(panic) => Err(Fault::panicked(panic.as_ref())),
        End::OutOfWall => Err(Fault::out_of_wall(bounds.wall)),
    };
    let usage = Usage {
        cpu: meter.used(),
        wall: own.total(),
        memory: guest.memory.peak(),
        kv_operations: guest.kv_operations(),
    };
    Ran { end, guest, usage }
}

/// How a run ended.
enum End<T> {
    Of(Result<T>),
    Panic(Box<dyn Any + Send>),
    OutOfWall,
}
