//! How runs end: every end is the named outcome, and the next run is untouched.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::memory::MemoryStore;
use super::*;
use crate::domain::delivery::{LogLevel, Outcome};

const KINDS: &[&str] = &["charge.succeeded"];

fn small() -> Limits {
    Limits {
        cpu: Duration::from_millis(100),
        // A loaded machine may take long to give a nice thread its 100 ms.
        wall: Duration::from_secs(60),
        memory: 8 << 20,
        ..Limits::default()
    }
}

async fn outcome_of(bytes: Vec<u8>, limits: Limits) -> Execution {
    let engine = engine();
    let plugin = load_with(&engine, bytes, limits).await;
    let ended = once(&engine, plugin).await;
    // Whatever happened, another guest runs as if nothing had.
    let noop = load(&engine, components::noop("noop", KINDS)).await.unwrap();
    assert_eq!(once(&engine, noop).await.outcome, Outcome::Ok);
    ended
}

#[tokio::test]
async fn a_handler_that_returns_is_ok() {
    let ended = outcome_of(components::noop("a", KINDS), small()).await;
    assert_eq!((ended.outcome, ended.reason.as_str()), (Outcome::Ok, ""));
    assert_eq!(ended.started_at, NOW);
    assert!(ended.usage.memory >= 128 << 10 && ended.usage.memory < 1 << 20);
    assert!(ended.usage.cpu > Duration::ZERO && ended.usage.cpu <= ended.usage.wall);
}

#[tokio::test]
async fn retry_and_reject_carry_what_the_handler_said() {
    let ended = outcome_of(components::retrying("a", KINDS, "not yet", Some(1_500)), small()).await;
    assert_eq!((ended.outcome, ended.reason.as_str()), (Outcome::Retry, "not yet"));
    assert_eq!(ended.retry_after, Some(Duration::from_millis(1_500)));
    let ended = outcome_of(components::retrying("a", KINDS, "later", None), small()).await;
    assert_eq!((ended.outcome, ended.retry_after), (Outcome::Retry, None));
    let ended = outcome_of(components::rejecting("a", KINDS, "no such thing"), small()).await;
    assert_eq!((ended.outcome, ended.reason.as_str()), (Outcome::Reject, "no such thing"));
}

#[tokio::test]
async fn what_the_handler_says_is_bounded() {
    let long = "x".repeat(100_000);
    for bytes in
        [components::rejecting("a", KINDS, &long), components::retrying("a", KINDS, &long, None)]
    {
        let ended = outcome_of(bytes, small()).await;
        assert!(ended.reason.len() < 5 << 10 && ended.reason.ends_with("(cut)"));
    }
}

#[tokio::test]
async fn an_endless_loop_is_out_of_time() {
    let ended = outcome_of(components::endless_loop("a", KINDS), small()).await;
    assert_eq!(ended.outcome, Outcome::OutOfTime, "{}", ended.reason);
    assert!(ended.reason.contains("100ms of processor time"), "{}", ended.reason);
    assert!(ended.usage.cpu >= Duration::from_millis(100), "{:?}", ended.usage);
}

#[tokio::test]
async fn an_endless_loop_ends_by_the_clock_too() {
    let limits = Limits {
        cpu: Duration::from_secs(3_600),
        wall: Duration::from_millis(50),
        ..Limits::default()
    };
    let ended = outcome_of(components::endless_loop("a", KINDS), limits).await;
    assert_eq!(ended.outcome, Outcome::OutOfTime);
    assert!(ended.reason.contains("50ms by the clock"), "{}", ended.reason);
}

#[tokio::test]
async fn a_guest_that_waits_ends_by_the_clock() {
    let limits = Limits { wall: Duration::from_millis(50), ..Limits::default() };
    for nanos in [3_600_000_000_000, u64::MAX] {
        let ended = outcome_of(components::sleeper("a", KINDS, nanos), limits.clone()).await;
        assert_eq!(ended.outcome, Outcome::OutOfTime, "{}", ended.reason);
    }
    let ended = outcome_of(components::sleeper("a", KINDS, 1_000), Limits::default()).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
}

#[tokio::test]
async fn a_memory_bomb_is_out_of_memory() {
    let ended = outcome_of(components::memory_bomb("a", KINDS), small()).await;
    assert_eq!(ended.outcome, Outcome::OutOfMemory, "{}", ended.reason);
    assert!(ended.usage.memory <= 8 << 20 && ended.usage.memory > 6 << 20);
}

#[tokio::test]
async fn memory_is_refused_before_the_first_instruction_as_well() {
    let limits = Limits { memory: 64 << 10, ..Limits::default() };
    let ended = outcome_of(components::noop("a", KINDS), limits).await;
    assert_eq!(ended.outcome, Outcome::OutOfMemory, "{}", ended.reason);
}

#[tokio::test]
async fn a_stack_overflow_is_a_crash() {
    let ended = outcome_of(components::stack_overflow("a", KINDS), small()).await;
    assert_eq!(ended.outcome, Outcome::Crashed);
    assert!(ended.reason.contains("call stack exhausted"), "{}", ended.reason);
    assert!(ended.reason.len() <= 4 << 10);
}

#[tokio::test]
async fn a_trap_is_a_crash_with_what_was_said_before_it() {
    let ended = outcome_of(components::trap("a", KINDS, "boom"), small()).await;
    assert_eq!(ended.outcome, Outcome::Crashed);
    assert!(ended.reason.contains("unreachable"), "{}", ended.reason);
    assert!(ended.reason.contains("handle"), "the stack is missing: {}", ended.reason);
    assert_eq!(ended.logs.records[0].message, "boom");
    assert_eq!(ended.logs.records[0].level, LogLevel::Error);
}

#[tokio::test]
async fn a_trap_at_instantiation_is_a_crash() {
    let ended = outcome_of(components::trap_at_start("a", KINDS), small()).await;
    assert_eq!(ended.outcome, Outcome::Crashed, "{}", ended.reason);
    assert!(ended.reason.contains("unreachable"), "{}", ended.reason);
}

#[tokio::test]
async fn a_log_flood_is_counted_and_dropped() {
    let ended = outcome_of(components::log_flood("a", KINDS, 5_000, 100), Limits::default()).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    assert_eq!(ended.logs.records.len(), (16 << 10) / 100);
    assert_eq!(ended.logs.records.len() as u64 + ended.logs.dropped, 5_000);
}

#[tokio::test]
async fn what_is_printed_becomes_log_records() {
    let bytes = components::printer("a", KINDS, "one\nt", 2);
    let ended = outcome_of(bytes, Limits::default()).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    let lines: Vec<_> = ended.logs.records.iter().map(|r| (r.level, r.message.as_str())).collect();
    let info = LogLevel::Info;
    assert_eq!(lines, [(info, "one"), (info, "tone"), (info, "t")]);
}

#[tokio::test]
async fn printing_without_end_is_counted_and_dropped() {
    let bytes = components::printer("a", KINDS, &"x\n".repeat(1_000), 100);
    let ended = outcome_of(bytes, Limits::default()).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    assert_eq!((ended.logs.records.len(), ended.logs.dropped), (200, 99_800));
}

#[tokio::test]
async fn chance_follows_from_the_delivery_and_the_attempt() {
    let engine = engine();
    let plugin = load(&engine, components::dice("a", KINDS)).await.unwrap();
    let call = call_of(&plugin);
    let again = Call { attempt: 2, ..call.clone() };
    let mut other = call.clone();
    other.delivery.event.id = "evt_2".to_owned();
    let mut thrown = Vec::new();
    for call in [call.clone(), call, again, other] {
        thrown.push(plugin.call(call, MemoryStore::shared()).await.writes);
    }
    assert!(!thrown[0].is_empty());
    assert_eq!(thrown[0], thrown[1]);
    assert_ne!(thrown[0], thrown[2]);
    assert_ne!(thrown[0], thrown[3]);
}

#[tokio::test]
async fn an_exit_is_a_crash() {
    let ended = outcome_of(components::exiting("a", KINDS), small()).await;
    assert_eq!(ended.outcome, Outcome::Crashed);
    assert!(ended.reason.contains("`exit` with status 1"), "{}", ended.reason);
}

#[tokio::test]
async fn what_is_handed_to_the_host_is_bounded() {
    let limits = Limits { hostcall_bytes: 1_000, ..Limits::default() };
    let ended = outcome_of(components::log_flood("a", KINDS, 1, 2_000), limits).await;
    assert_eq!(ended.outcome, Outcome::Crashed);
    assert!(ended.reason.contains("too much data"), "{}", ended.reason);
}

#[tokio::test]
async fn a_failing_store_ends_the_guest_and_is_the_hosts_fault() {
    let engine = engine();
    let plugin = Arc::new(load(&engine, components::counter("a", KINDS)).await.unwrap());
    let store = MemoryStore::shared();
    store.broken.store(true, Ordering::SeqCst);
    let ended = run_on(&engine, &plugin, Arc::clone(&store)).await;
    assert_eq!(ended.outcome, Outcome::HostFault, "{}", ended.reason);
    assert!(ended.writes.is_empty());
    store.broken.store(false, Ordering::SeqCst);
    assert_eq!(run_on(&engine, &plugin, store).await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_panic_of_the_host_stays_in_its_run() {
    let engine = engine();
    let plugin = Arc::new(load(&engine, components::counter("a", KINDS)).await.unwrap());
    let store = MemoryStore::shared();
    store.panics.store(true, Ordering::SeqCst);
    let ended = run_on(&engine, &plugin, Arc::clone(&store)).await;
    assert_eq!(ended.outcome, Outcome::HostFault, "{}", ended.reason);
    store.panics.store(false, Ordering::SeqCst);
    assert_eq!(run_on(&engine, &plugin, store).await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn one_guest_too_many_is_saturated() {
    let engine = engine_of(EngineConfig { pool: 1, ..EngineConfig::default() });
    let slow = load(&engine, components::sleeper("slow", KINDS, 3_600_000_000_000)).await.unwrap();
    let quick = Arc::new(load(&engine, components::noop("quick", KINDS)).await.unwrap());
    assert!(slow.pooled() && quick.pooled());
    let call = call_of(&slow);
    let waiting = slow.call(call, MemoryStore::shared());
    // Polled once, the sleeper has its slot and waits.
    let mut waiting = std::pin::pin!(waiting);
    assert!(futures_pending(waiting.as_mut()).await);
    let ended = run_on(&engine, &quick, MemoryStore::shared()).await;
    assert_eq!(ended.outcome, Outcome::Saturated, "{}", ended.reason);
    // A new file is good all the same.
    load(&engine, components::noop("new", KINDS)).await.unwrap();
}

/// Poll once.
async fn futures_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn a_dropped_run_frees_its_slot() {
    let engine = engine_of(EngineConfig { pool: 1, ..EngineConfig::default() });
    let slow = load(&engine, components::sleeper("slow", KINDS, 3_600_000_000_000)).await.unwrap();
    {
        let mut waiting = Box::pin(slow.call(call_of(&slow), MemoryStore::shared()));
        assert!(futures_pending(waiting.as_mut()).await);
    }
    let quick = load(&engine, components::noop("quick", KINDS)).await.unwrap();
    assert_eq!(once(&engine, quick).await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn without_a_pool_everything_still_runs() {
    let engine = engine_of(EngineConfig { pool: 0, ..EngineConfig::default() });
    let plugin = load(&engine, components::noop("a", KINDS)).await.unwrap();
    assert!(!plugin.pooled());
    assert_eq!(once(&engine, plugin).await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_busy_guest_lets_others_run_on_its_thread() {
    let engine = engine_of(EngineConfig { guest_threads: 1, ..EngineConfig::default() });
    let limits = Limits { cpu: Duration::from_secs(60), wall: Duration::from_secs(60), ..small() };
    let busy = Arc::new(load_with(&engine, components::endless_loop("busy", KINDS), limits).await);
    let call = call_of(&busy);
    let running =
        engine.guests().spawn(async move { busy.call(call, MemoryStore::shared()).await });
    let quick = load(&engine, components::noop("quick", KINDS)).await.unwrap();
    assert_eq!(once(&engine, quick).await.outcome, Outcome::Ok);
    assert!(!running.is_finished());
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
}
