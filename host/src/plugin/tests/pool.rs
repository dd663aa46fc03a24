//! Plugins of the shape that big toolchains give them, many of them, in a pool of few slots.

use super::*;
use crate::domain::delivery::Outcome;

const KINDS: &[&str] = &["charge.succeeded"];

/// Slots of the pool.
const SLOTS: u32 = 4;

/// As Python's: 38 core instances, a table of 7,700 elements, three memories.
fn big(name: &str, handle: &str) -> Vec<u8> {
    let spec = components::Spec { handle: handle.to_owned(), ..components::spec(name, KINDS) };
    let libc = "(core instance $libc (instantiate $libc))";
    let mut more = format!(
        "{libc}
         (core module $table (table 7700 funcref)) (core instance (instantiate $table))
         (core module $memory (memory 16)) (core instance (instantiate $memory))
         (core instance (instantiate $memory)) (core module $small)"
    );
    more.push_str(&"(core instance (instantiate $small))".repeat(33));
    components::wat(&components::text(&spec).replace(libc, &more))
}

async fn at_once(engine: &Engine, plugins: &[Arc<Loaded>]) -> Vec<Outcome> {
    let store = memory::MemoryStore::shared();
    let started: Vec<_> = plugins
        .iter()
        .map(|plugin| {
            let (plugin, call) = (Arc::clone(plugin), call_of(plugin));
            let store = Arc::clone(&store);
            engine.guests().spawn(async move { plugin.call(call, store).await.outcome })
        })
        .collect();
    let mut ended = Vec::new();
    for one in started {
        ended.push(one.await.unwrap());
    }
    ended
}

#[tokio::test]
async fn every_slot_takes_a_big_plugin_and_one_more_is_saturated_and_no_worse() {
    let engine = engine_of(EngineConfig { pool: SLOTS, ..EngineConfig::default() });
    let limits = Limits { cpu: Duration::from_millis(300), ..Limits::default() };
    let mut loaded = Vec::new();
    for number in 0..12 {
        let bytes = big(&format!("a{number}"), "(loop $l (br $l)) unreachable");
        let plugin = load_with(&engine, bytes, limits.clone()).await;
        assert!(plugin.pooled(), "{number}");
        loaded.push(Arc::new(plugin));
    }
    // Each lives until its time is spent, so that all are alive at once.
    for round in loaded.chunks(4) {
        assert_eq!(at_once(&engine, round).await, [Outcome::OutOfTime; 4]);
    }
    let mut five = at_once(&engine, &loaded[..5]).await;
    five.sort_unstable();
    let mut expected = vec![Outcome::OutOfTime; 4];
    expected.push(Outcome::Saturated);
    expected.sort_unstable();
    assert_eq!(five, expected);
    let idle = Arc::new(load(&engine, big("b", components::OK)).await.unwrap());
    assert_eq!(at_once(&engine, &[idle]).await, [Outcome::Ok], "the slots came back");
}

#[tokio::test]
async fn a_host_that_cannot_compile_elsewhere_compiles_itself() {
    let compiler = Some("/bin/true".into());
    let engine = engine_of(EngineConfig { pool: 0, compiler, ..EngineConfig::default() });
    let plugin = load(&engine, components::noop("a", KINDS)).await.unwrap();
    assert_eq!(once(&engine, plugin).await.outcome, Outcome::Ok);
}
