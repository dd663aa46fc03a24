//! Components made from text, for tests that need failing or odd ones: no guest compiler.
//!
//! Included by the host's own tests as well; depends on `wat` alone. Not an example of how to
//! write a plugin.

mod build;
mod objects;
mod outbox;
mod wasi;

pub use build::{OK, Spec, build, spec, text, wat};
pub use objects::{reading, reads, reads_in_describe};
pub use outbox::{Ask, asking, asks, cancels, counts_and_posts, emits, posts, posts_for_reply};
pub use wasi::{dice, exiting, printer, sleeper, trap_at_start, wants_sockets};

/// What `handle` may write its answer to.
///
/// `result<_, failure>`: the case at 0, the failure's case at 8, its text at 16 (pointer, length),
/// the option of `retry.after` at 24 and its value at 32.
const ANSWER: usize = 64;

/// Where an import's answer goes.
const RETURN: usize = 128;

/// `handle` with this body, which leaves a value only if it ends with one.
fn with(name: &str, kinds: &[&str], handle: &str) -> Vec<u8> {
    build(&Spec { handle: handle.to_owned(), ..spec(name, kinds) })
}

/// Returns `ok` at once.
#[must_use]
pub fn noop(name: &str, kinds: &[&str]) -> Vec<u8> {
    build(&spec(name, kinds))
}

/// Adds one to the number under the key `count`: eight bytes, the lowest first.
#[must_use]
pub fn counter(name: &str, kinds: &[&str]) -> Vec<u8> {
    build(&Spec { handle: counting(), texts: vec!["count".to_owned()], ..spec(name, kinds) })
}

/// What `counter` does; the first text is its key.
fn counting() -> String {
    format!(
        "(call $kv_get (global.get $text0) (global.get $size0) (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))
         (if (i32.load8_u (i32.const {option}))
           (then (local.set $x (i64.load (i32.load (i32.const {list}))))))
         (i64.store (i32.const 32) (i64.add (local.get $x) (i64.const 1)))
         (call $kv_set (global.get $text0) (global.get $size0)
           (i32.const 32) (i32.const 8) (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))
         {OK}",
        option = RETURN + 4,
        list = RETURN + 8,
    )
}

/// Puts the delivery's identifier under the event's identifier.
#[must_use]
pub fn recorder(name: &str, kinds: &[&str]) -> Vec<u8> {
    let handle = format!(
        "(call $kv_set (i32.load (local.get $event)) (i32.load offset=4 (local.get $event))
           (i32.load offset=64 (local.get $event)) (i32.load offset=68 (local.get $event))
           (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))
         {OK}"
    );
    with(name, kinds, &handle)
}

/// Asks for another attempt, after `after` milliseconds if given.
#[must_use]
pub fn retrying(name: &str, kinds: &[&str], reason: &str, after: Option<u64>) -> Vec<u8> {
    let after = after.map_or(String::new(), |after| {
        format!(
            "(i32.store8 (i32.const {}) (i32.const 1))
             (i64.store (i32.const {}) (i64.const {after}))",
            ANSWER + 24,
            ANSWER + 32
        )
    });
    failing(
        name,
        kinds,
        reason,
        &format!("(i32.store8 (i32.const {}) (i32.const 0)) {after}", ANSWER + 8),
    )
}

/// Says it will never succeed.
#[must_use]
pub fn rejecting(name: &str, kinds: &[&str], reason: &str) -> Vec<u8> {
    failing(name, kinds, reason, &format!("(i32.store8 (i32.const {}) (i32.const 1))", ANSWER + 8))
}

fn failing(name: &str, kinds: &[&str], reason: &str, case: &str) -> Vec<u8> {
    let handle = format!(
        "(i32.store8 (i32.const {ANSWER}) (i32.const 1))
         {case}
         (i32.store (i32.const {}) (global.get $text0))
         (i32.store (i32.const {}) (global.get $size0))
         (i32.const {ANSWER})",
        ANSWER + 16,
        ANSWER + 20
    );
    build(&Spec { handle, texts: vec![reason.to_owned()], ..spec(name, kinds) })
}

/// Runs for ever.
#[must_use]
pub fn endless_loop(name: &str, kinds: &[&str]) -> Vec<u8> {
    with(name, kinds, "(loop $l (br $l)) unreachable")
}

/// Takes memory, 1 MiB at a time, until it gets none, and traps.
#[must_use]
pub fn memory_bomb(name: &str, kinds: &[&str]) -> Vec<u8> {
    let handle = "(loop $l
        (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable";
    with(name, kinds, handle)
}

/// Calls itself for ever.
#[must_use]
pub fn stack_overflow(name: &str, kinds: &[&str]) -> Vec<u8> {
    let functions = "(func $deeper (param i32) (result i32)
        (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))";
    let handle = "(drop (call $deeper (i32.const 0))) unreachable";
    build(&Spec { functions: functions.to_owned(), handle: handle.to_owned(), ..spec(name, kinds) })
}

/// Writes `records` log records of `size` bytes, then returns `ok`.
#[must_use]
pub fn log_flood(name: &str, kinds: &[&str], records: u32, size: usize) -> Vec<u8> {
    let handle = format!(
        "(loop $l
           (call $log_write (i32.const 2) (global.get $text0) (global.get $size0)
             (i32.const 0) (i32.const 0))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get $i) (i32.const {records}))))
         {OK}"
    );
    build(&Spec { handle, texts: vec!["x".repeat(size)], ..spec(name, kinds) })
}

/// Logs `message` as an error, as a language runtime does in a panic, and traps.
#[must_use]
pub fn trap(name: &str, kinds: &[&str], message: &str) -> Vec<u8> {
    let handle = "(call $log_write (i32.const 4) (global.get $text0) (global.get $size0)
        (i32.const 0) (i32.const 0)) unreachable";
    build(&Spec { handle: handle.to_owned(), texts: vec![message.to_owned()], ..spec(name, kinds) })
}

/// A core module: valid WebAssembly, and no component.
#[must_use]
pub fn core_module() -> Vec<u8> {
    wat("(module (func (export \"handle\")))")
}
