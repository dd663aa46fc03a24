//! A plugin's state as its handler sees it.

use std::sync::Arc;

use super::memory::MemoryStore;
use super::*;
use crate::domain::delivery::Outcome;
use crate::domain::kv::{KvRead, KvVersion, KvWrite, MAX_KEY};

const KINDS: &[&str] = &["charge.succeeded"];

/// One step of a handler, and what `kv` must answer: the case of `limit` or, for none, 255.
#[derive(Clone)]
enum Step {
    Set(String, usize, u8),
    Delete(String, u8),
    /// The key must have a value of this size, or none.
    Get(String, Option<usize>),
    GetLimit(String, u8),
    /// Keys with this prefix, after this one: the number of keys, and whether there are more.
    Keys(String, Option<String>, usize, bool),
    Repeat(u32, Box<Step>),
}

const FINE: u8 = 255;
const KEY_SIZE: u8 = 0;
const VALUE_SIZE: u8 = 1;
const QUOTA: u8 = 2;
const OPERATIONS: u8 = 3;

/// A handler that takes the steps and traps at the first that goes otherwise.
fn script(steps: &[Step]) -> Vec<u8> {
    let mut texts = Vec::new();
    let mut handle = String::new();
    for (number, step) in steps.iter().enumerate() {
        handle.push_str(&format!("(local.set $n (i32.const {number}))\n"));
        handle.push_str(&code(step, &mut texts));
    }
    components::build(&components::Spec {
        handle: format!("{handle} {}", components::OK),
        texts,
        ..components::spec("a", KINDS)
    })
}

fn text(texts: &mut Vec<String>, text: &str) -> String {
    texts.push(text.to_owned());
    let i = texts.len() - 1;
    format!("(global.get $text{i}) (global.get $size{i})")
}

fn answer(expected: u8) -> String {
    match expected {
        FINE => "(if (i32.load8_u (i32.const 128)) (then unreachable))".to_owned(),
        limit => format!(
            "(if (i32.eqz (i32.load8_u (i32.const 128))) (then unreachable))
             (if (i32.ne (i32.or (i32.load8_u (i32.const 129)) (i32.load8_u (i32.const 132)))
               (i32.const {limit})) (then unreachable))"
        ),
    }
}

fn code(step: &Step, texts: &mut Vec<String>) -> String {
    match step {
        Step::Set(key, size, expected) => {
            let key = text(texts, key);
            format!(
                "(i32.store (i32.const 128) (i32.const 0)) (i32.store (i32.const 132) (i32.const 0))
                 (call $kv_set {key} (i32.const 4096) (i32.const {size}) (i32.const 128)) {}",
                answer(*expected)
            )
        }
        Step::Delete(key, expected) => {
            let key = text(texts, key);
            format!(
                "(i32.store (i32.const 128) (i32.const 0)) (i32.store (i32.const 132) (i32.const 0))
                 (call $kv_delete {key} (i32.const 128)) {}",
                answer(*expected)
            )
        }
        Step::Get(key, size) => {
            let key = text(texts, key);
            let found = match size {
                None => "(if (i32.load8_u (i32.const 132)) (then unreachable))".to_owned(),
                Some(size) => format!(
                    "(if (i32.eqz (i32.load8_u (i32.const 132))) (then unreachable))
                     (if (i32.ne (i32.load (i32.const 140)) (i32.const {size})) (then unreachable))"
                ),
            };
            format!("(call $kv_get {key} (i32.const 128)) {} {found}", answer(FINE))
        }
        Step::GetLimit(key, limit) => {
            let key = text(texts, key);
            format!(
                "(i32.store (i32.const 128) (i32.const 0)) (i32.store (i32.const 132) (i32.const 0))
                 (call $kv_get {key} (i32.const 128)) {}",
                answer(*limit)
            )
        }
        Step::Keys(prefix, after, count, more) => {
            let prefix = text(texts, prefix);
            let after = match after {
                None => "(i32.const 0) (i32.const 0) (i32.const 0)".to_owned(),
                Some(after) => format!("(i32.const 1) {}", text(texts, after)),
            };
            format!(
                "(call $kv_keys {prefix} {after} (i32.const 128)) {}
                 (if (i32.ne (i32.load (i32.const 136)) (i32.const {count})) (then unreachable))
                 (if (i32.ne (i32.load8_u (i32.const 140)) (i32.const {})) (then unreachable))",
                answer(FINE),
                u8::from(*more)
            )
        }
        Step::Repeat(times, step) => format!(
            "(local.set $i (i32.const 0))
             (loop $l {} (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $l (i32.lt_u (local.get $i) (i32.const {times}))))",
            code(step, texts)
        ),
    }
}

fn set(key: &str, size: usize) -> Step {
    Step::Set(key.to_owned(), size, FINE)
}

fn get(key: &str, size: Option<usize>) -> Step {
    Step::Get(key.to_owned(), size)
}

async fn run_script(steps: &[Step], limits: Limits, store: Arc<MemoryStore>) -> Execution {
    let engine = engine();
    let plugin = Arc::new(load_with(&engine, script(steps), limits).await);
    run_on(&engine, &plugin, store).await
}

async fn succeeds(steps: &[Step], limits: Limits, store: Arc<MemoryStore>) -> Execution {
    let ended = run_script(steps, limits, store).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    ended
}

#[tokio::test]
async fn a_count_goes_up_by_one_for_each_commit() {
    let engine = engine();
    let plugin = Arc::new(load(&engine, components::counter("a", KINDS)).await.unwrap());
    let store = MemoryStore::shared();
    for expected in 1_u64..=3 {
        let ended = run_on(&engine, &plugin, Arc::clone(&store)).await;
        assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
        assert_eq!(ended.usage.kv_operations, 2);
        let version = (expected > 1).then_some(KvVersion(expected - 1));
        assert_eq!(ended.reads, [KvRead::Key { key: "count".to_owned(), version }]);
        assert_ne!(store.stored("count"), Some(expected.to_le_bytes().to_vec()), "not yet");
        store.commit(ended.writes);
        assert_eq!(store.stored("count"), Some(expected.to_le_bytes().to_vec()));
    }
}

#[tokio::test]
async fn own_writes_are_read_and_cover_the_store() {
    let store = MemoryStore::shared();
    store.put("old", b"12345");
    store.put("gone", b"1");
    let ended = succeeds(
        &[
            get("old", Some(5)),
            set("old", 7),
            get("old", Some(7)),
            Step::Delete("gone".to_owned(), FINE),
            get("gone", None),
            Step::Delete("never".to_owned(), FINE),
            set("new", 0),
            get("new", Some(0)),
            set("new", 3),
        ],
        Limits::default(),
        store,
    )
    .await;
    assert_eq!(
        ended.reads,
        [KvRead::Key { key: "old".to_owned(), version: Some(KvVersion(1)) }],
        "own writes are no reads of the store"
    );
    let keys: Vec<_> = ended
        .writes
        .iter()
        .map(|write| match write {
            KvWrite::Put { key, value } => format!("{key}={}", value.len()),
            KvWrite::Delete { key } => format!("-{key}"),
        })
        .collect();
    assert_eq!(keys, ["-gone", "-never", "new=3", "old=7"]);
}

#[tokio::test]
async fn pages_of_keys_merge_own_writes() {
    let store = MemoryStore::shared();
    for i in 0..150 {
        store.put(&format!("k{i:03}"), b"v");
    }
    store.put("other", b"v");
    let keys = |after: Option<&str>, count, more| {
        Step::Keys("k".to_owned(), after.map(str::to_owned), count, more)
    };
    let ended = succeeds(
        &[
            keys(None, 100, true),
            keys(Some("k099"), 50, false),
            keys(Some("k149"), 0, false),
            // A page that is full and the last.
            keys(Some("k049"), 100, false),
            // 151 keys: one more in the middle.
            set("k099a", 1),
            keys(None, 100, true),
            keys(Some("k099"), 51, false),
            Step::Keys("k099".to_owned(), None, 2, false),
            // Beyond the page, so not on it.
            set("kz", 1),
            keys(None, 100, true),
            keys(Some("k149"), 1, false),
            Step::Delete("kz".to_owned(), FINE),
            Step::Delete("k149".to_owned(), FINE),
            keys(Some("k099"), 50, false),
            Step::Keys("nothing".to_owned(), None, 0, false),
            Step::Keys(String::new(), Some("k148".to_owned()), 1, false),
        ],
        Limits::default(),
        store,
    )
    .await;
    assert!(ended.reads.iter().all(|read| matches!(read, KvRead::Range { .. })));
}

#[tokio::test]
async fn a_page_is_full_even_when_what_the_store_had_was_deleted() {
    let store = MemoryStore::shared();
    for i in 0..250 {
        store.put(&format!("k{i:03}"), b"v");
    }
    let mut steps: Vec<_> = (0..120).map(|i| Step::Delete(format!("k{i:03}"), FINE)).collect();
    steps.push(Step::Keys("k".to_owned(), None, 100, true));
    steps.push(Step::Keys("k".to_owned(), Some("k219".to_owned()), 30, false));
    succeeds(&steps, Limits::default(), store).await;
}

#[tokio::test]
async fn keys_are_bounded_in_length() {
    let long = "x".repeat(MAX_KEY + 1);
    let steps = [
        Step::GetLimit(String::new(), KEY_SIZE),
        Step::GetLimit(long.clone(), KEY_SIZE),
        Step::Set(String::new(), 1, KEY_SIZE),
        Step::Set(long.clone(), 1, KEY_SIZE),
        Step::Delete(long, KEY_SIZE),
        set(&"x".repeat(MAX_KEY), 1),
    ];
    succeeds(&steps, Limits::default(), MemoryStore::shared()).await;
}

#[tokio::test]
async fn values_and_writes_are_bounded_and_a_refused_write_leaves_the_one_before() {
    let limits = Limits { kv_value: 100, kv_writes: 150, ..Limits::default() };
    let steps = [
        Step::Set("a".to_owned(), 101, VALUE_SIZE),
        get("a", None),
        set("a", 100),
        Step::Set("b".to_owned(), 60, OPERATIONS),
        get("b", None),
        set("b", 40),
        Step::Set("b".to_owned(), 60, OPERATIONS),
        get("b", Some(40)),
        set("a", 1),
        set("b", 60),
    ];
    let ended = succeeds(&steps, limits, MemoryStore::shared()).await;
    assert_eq!(ended.writes.len(), 2);
}

#[tokio::test]
async fn operations_are_counted_and_bounded() {
    let limits = Limits { kv_operations: 10, ..Limits::default() };
    let steps = [
        Step::Repeat(10, Box::new(get("a", None))),
        Step::GetLimit("a".to_owned(), OPERATIONS),
        Step::Set("a".to_owned(), 1, OPERATIONS),
        Step::Delete("a".to_owned(), OPERATIONS),
    ];
    let ended = succeeds(&steps, limits, MemoryStore::shared()).await;
    assert_eq!(ended.usage.kv_operations, 10);
    assert_eq!(ended.reads.len(), 1, "the same read is kept once");
}

#[tokio::test]
async fn the_quota_counts_what_would_be_held() {
    let store = MemoryStore::shared();
    store.put("a", &[0; 89]); // 90 bytes
    let limits = Limits { kv_quota: 100, ..Limits::default() };
    let steps = [
        Step::Set("b".to_owned(), 10, QUOTA),
        get("b", None),
        set("b", 9),
        // Replacing gives back what is replaced.
        set("a", 80),
        set("b", 18),
        Step::Set("b".to_owned(), 19, QUOTA),
        Step::Delete("a".to_owned(), FINE),
        set("b", 99),
    ];
    let ended = succeeds(&steps, limits, store).await;
    let read = KvRead::Key { key: "b".to_owned(), version: None };
    assert_eq!(ended.reads, [read], "looking at sizes is no read");
}

#[tokio::test]
async fn what_fails_writes_nothing() {
    let engine = engine();
    let spec = components::Spec {
        handle: "(call $kv_set (i32.const 4096) (i32.const 1) (i32.const 4096) (i32.const 1)
            (i32.const 128)) unreachable"
            .to_owned(),
        ..components::spec("a", KINDS)
    };
    let plugin = Arc::new(load(&engine, components::build(&spec)).await.unwrap());
    let ended = run_on(&engine, &plugin, MemoryStore::shared()).await;
    assert_eq!(ended.outcome, Outcome::Crashed);
    assert!(ended.writes.is_empty());
    assert_eq!(ended.usage.kv_operations, 1);
}
