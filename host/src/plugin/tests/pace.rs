//! Guests that compute for long: where they run, and whose time their waits are.

use std::sync::Arc;
use std::time::Duration;

use super::components::{OK, Spec, build, spec};
use super::memory::MemoryStore;
use super::*;
use crate::domain::delivery::Outcome;

const KINDS: &[&str] = &["charge.succeeded"];

/// As long as no machine stands still.
const LONG: Duration = Duration::from_secs(600);

/// Reads its state, turns a loop so many times, and reads it again.
fn computing(turns: u64) -> Vec<u8> {
    let read = "(call $kv_get (global.get $text0) (global.get $size0) (i32.const 128))";
    let handle = format!(
        "{read}
         (local.set $x (i64.const {turns}))
         (loop $turn
           (local.set $x (i64.sub (local.get $x) (i64.const 1)))
           (br_if $turn (i64.ne (local.get $x) (i64.const 0))))
         {read}
         {OK}"
    );
    build(&Spec { handle, texts: vec!["state".to_owned()], ..spec("a", KINDS) })
}

/// The names of the threads its two reads were on.
async fn read_on(turns: u64) -> Vec<String> {
    let engine = engine();
    let limits = Limits { cpu: LONG, wall: LONG, ..Limits::default() };
    let plugin = Arc::new(load_with(&engine, computing(turns), limits).await);
    let store = MemoryStore::shared();
    let ended = run_on(&engine, &plugin, Arc::clone(&store)).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    store.read_on.lock().unwrap().clone()
}

#[tokio::test]
async fn what_computes_for_long_goes_on_on_a_slow_thread() {
    assert_eq!(read_on(1).await, ["guest", "guest"]);
    // No processor turns it so often within two ticks.
    assert_eq!(read_on(300_000_000).await, ["guest", "guest-slow"]);
}

/// Each would end by the clock if the turns of the others were its own time.
#[tokio::test]
async fn waiting_for_a_processor_is_not_a_guests_time() {
    let engine = engine_of(EngineConfig { guest_threads: 1, pool: 8, ..EngineConfig::default() });
    let (cpu, wall) = (Duration::from_millis(60), Duration::from_millis(200));
    let limits = Limits { cpu, wall, ..Limits::default() };
    let busy = Arc::new(load_with(&engine, components::endless_loop("a", KINDS), limits).await);
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let (busy, call) = (Arc::clone(&busy), call_of(&busy));
            engine.guests().spawn(async move { busy.call(call, MemoryStore::shared()).await })
        })
        .collect();
    for run in runs {
        let ended = run.await.unwrap();
        assert_eq!(ended.outcome, Outcome::OutOfTime);
        assert!(ended.reason.contains("60ms of processor time"), "{}", ended.reason);
        assert!(ended.usage.wall < wall, "{:?}", ended.usage);
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_ends_on_a_slow_thread_too() {
    let engine = engine_of(EngineConfig { pool: 1, guest_threads: 1, ..EngineConfig::default() });
    let limits = Limits { cpu: LONG, wall: LONG, ..Limits::default() };
    let busy = Arc::new(load_with(&engine, components::endless_loop("a", KINDS), limits).await);
    let call = call_of(&busy);
    let run = engine.guests().spawn(async move { busy.call(call, MemoryStore::shared()).await });
    // It shares the only quick thread until it has left it.
    let left = async {
        while engine.guests().slow_runs() == 0 {
            engine.guests().spawn(tokio::task::yield_now()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), left).await.expect("it leaves the quick thread");
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    let ended = async {
        while engine.guests().slow_runs() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends there");
    // Its slot of the pool is free.
    let quick = load(&engine, components::noop("quick", KINDS)).await.unwrap();
    assert_eq!(once(&engine, quick).await.outcome, Outcome::Ok);
}
