//! Handlers that the suite's proofs need: they keep books of what was committed, per event.
//!
//! Made from text like all of [`crate::components`]. Not examples of how to write a plugin.

use crate::components::{Ask, OK, Spec, asking, build, spec};

/// Where an import's answer goes.
const RETURN: usize = 128;
/// Where a handler's answer goes; see `components`.
const ANSWER: usize = 64;
/// Where a number is put together.
const NUMBER: usize = 32;

const TIMER: &str = r#"
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $q (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $q))))))
  (core func $wasi_block (canon lower (func $poll "[method]pollable.block")))
  (core func $wasi_subscribe (canon lower (func $clock "subscribe-duration")))"#;

/// The imports of a handler that waits.
fn timer() -> Vec<(String, String, String)> {
    let import = |text: &str, name: &str, ty: &str| (text.into(), name.into(), ty.into());
    vec![
        import(TIMER, "wasi_block", "(param i32)"),
        import("", "wasi_subscribe", "(param i64) (result i32)"),
    ]
}

/// Adds one to the number under the event's identifier: how often the event was committed.
#[must_use]
pub fn tally_text() -> String {
    format!(
        "(call $kv_get (i32.load (local.get $event)) (i32.load offset=4 (local.get $event))
           (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))
         (if (i32.load8_u (i32.const {option}))
           (then (local.set $x (i64.load (i32.load (i32.const {list}))))))
         (i64.store (i32.const {NUMBER}) (i64.add (local.get $x) (i64.const 1)))
         (call $kv_set (i32.load (local.get $event)) (i32.load offset=4 (local.get $event))
           (i32.const {NUMBER}) (i32.const 8) (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))",
        option = RETURN + 4,
        list = RETURN + 8,
    )
}

/// Waits `nanos` on a timer, then adds one to the number under the event's identifier. Every
/// `version` is other code.
#[must_use]
pub fn tally(name: &str, version: &str, kinds: &[&str], nanos: u64) -> Vec<u8> {
    let handle = format!(
        "(call $wasi_block (call $wasi_subscribe (i64.const {nanos}))) {} {OK}",
        tally_text()
    );
    let spec = spec(name, kinds);
    build(&Spec { version: version.to_owned(), handle, imports: timer(), ..spec })
}

/// Asks for another attempt until it has had `failures`, if the event's identifier holds `mark` at
/// byte 4; then adds the event's identifier and a line's end to the text under the key `order`.
#[must_use]
pub fn stumbler(name: &str, kinds: &[&str], mark: char, failures: u32) -> Vec<u8> {
    let handle = format!(
        "(if (i32.and
               (i32.eq (i32.load8_u offset=4 (i32.load (local.get $event))) (i32.const {mark}))
               (i32.le_u (i32.load offset=72 (local.get $event)) (i32.const {failures})))
           (then
             (i32.store8 (i32.const {ANSWER}) (i32.const 1))
             (i32.store8 (i32.const {case}) (i32.const 0))
             (i32.store (i32.const {text}) (global.get $text1))
             (i32.store (i32.const {size}) (global.get $size1))
             (i32.store8 (i32.const {after}) (i32.const 0))
             (return (i32.const {ANSWER}))))
         (call $kv_get (global.get $text0) (global.get $size0) (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))
         (if (i32.load8_u (i32.const {option})) (then
           (local.set $n (i32.load (i32.const {length})))
           (local.set $p (i32.load (i32.const {list})))))
         ;; What was there, the identifier, a line's end: side by side in memory of their own.
         (local.set $i (call $realloc (i32.const 0) (i32.const 0) (i32.const 1)
           (i32.add (local.get $n) (i32.const 256))))
         (memory.copy (local.get $i) (local.get $p) (local.get $n))
         (memory.copy (i32.add (local.get $i) (local.get $n))
           (i32.load (local.get $event)) (i32.load offset=4 (local.get $event)))
         (local.set $n (i32.add (local.get $n) (i32.load offset=4 (local.get $event))))
         (i32.store8 (i32.add (local.get $i) (local.get $n)) (i32.const 10))
         (call $kv_set (global.get $text0) (global.get $size0)
           (local.get $i) (i32.add (local.get $n) (i32.const 1)) (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))
         {OK}",
        mark = u32::from(mark),
        case = ANSWER + 8,
        text = ANSWER + 16,
        size = ANSWER + 20,
        after = ANSWER + 24,
        option = RETURN + 4,
        list = RETURN + 8,
        length = RETURN + 12,
    );
    let texts = vec!["order".to_owned(), "not yet".to_owned()];
    build(&Spec { handle, texts, ..spec(name, kinds) })
}

/// Puts the delivery's identifier under the event's identifier, and posts `{}` to the URL.
#[must_use]
pub fn records_and_posts(name: &str, kinds: &[&str], url: &str) -> Vec<u8> {
    let handle = format!(
        "(call $kv_set (i32.load (local.get $event)) (i32.load offset=4 (local.get $event))
           (i32.load offset=64 (local.get $event)) (i32.load offset=68 (local.get $event))
           (i32.const {RETURN}))
         (if (i32.load8_u (i32.const {RETURN})) (then unreachable))
         {OK}"
    );
    build(&asking(Spec { handle, ..spec(name, kinds) }, &[Ask::post(url)], true))
}
