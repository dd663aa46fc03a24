//! Components that use WASI as the runtimes of languages do.

use super::build::{OK, Spec, build, spec};

fn importing(
    name: &str,
    kinds: &[&str],
    text: &str,
    functions: &[(&str, &str)],
    handle: String,
) -> Spec {
    let mut imports: Vec<_> = functions
        .iter()
        .map(|(name, ty)| (String::new(), (*name).to_owned(), (*ty).to_owned()))
        .collect();
    if let Some(first) = imports.first_mut() {
        text.clone_into(&mut first.0);
    }
    Spec { imports, handle, ..spec(name, kinds) }
}

/// Traps while it is instantiated for a delivery, and not while it is for `describe`: the one
/// thing that tells them apart is the wall clock, which stands at zero in `describe`.
#[must_use]
pub fn trap_at_start(name: &str, kinds: &[&str]) -> Vec<u8> {
    let imports = r#"
  (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
    (type $d (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $d)))
    (export "now" (func (result $datetime)))))
  (core func $wall_now (canon lower (func $wall "now") (memory $memory)))"#;
    let start = "(call $wall_now (i32.const 16))
        (if (i64.ne (i64.load (i32.const 16)) (i64.const 0)) (then unreachable))";
    let functions = [("wall_now", "(param i32)")];
    build(&Spec {
        start: Some(start.to_owned()),
        ..importing(name, kinds, imports, &functions, OK.to_owned())
    })
}

/// Waits on a WASI timer for `nanos` nanoseconds, then returns `ok`.
#[must_use]
pub fn sleeper(name: &str, kinds: &[&str], nanos: u64) -> Vec<u8> {
    let imports = r#"
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
    let functions = [("wasi_block", "(param i32)"), ("wasi_subscribe", "(param i64) (result i32)")];
    let handle = format!("(call $wasi_block (call $wasi_subscribe (i64.const {nanos}))) {OK}");
    build(&importing(name, kinds, imports, &functions, handle))
}

/// Prints `text` to standard output, at most 4 KiB at once, `times` times; then returns `ok`.
#[must_use]
pub fn printer(name: &str, kinds: &[&str], text: &str, times: u32) -> Vec<u8> {
    let imports = r#"
  (import "wasi:io/error@0.2.0" (instance $ioerror (export "error" (type (sub resource)))))
  (alias export $ioerror "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $s (sub resource)))
    (alias outer 1 $error (type $e0))
    (export "error" (type $e (eq $e0)))
    (type $f0 (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $f (eq $f0)))
    (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $s))
      (param "contents" (list u8)) (result (result (error $f)))))))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output (type $o0))
    (export "output-stream" (type $o (eq $o0)))
    (export "get-stdout" (func (result (own $o))))))
  (core func $wasi_stdout (canon lower (func $stdout "get-stdout")))
  (core func $wasi_print (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))"#;
    let functions = [("wasi_stdout", "(result i32)"), ("wasi_print", "(param i32 i32 i32 i32)")];
    let handle = format!(
        "(local.set $p (call $wasi_stdout))
         (loop $l
           (call $wasi_print (local.get $p) (global.get $text0) (global.get $size0) (i32.const 128))
           (if (i32.load8_u (i32.const 128)) (then unreachable))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get $i) (i32.const {times}))))
         {OK}"
    );
    let spec = importing(name, kinds, imports, &functions, handle);
    build(&Spec { texts: vec![text.to_owned()], ..spec })
}

/// Puts a random number of WASI under the event's identifier: eight bytes, the lowest first.
#[must_use]
pub fn dice(name: &str, kinds: &[&str]) -> Vec<u8> {
    let imports = r#"
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (core func $wasi_random (canon lower (func $random "get-random-u64")))"#;
    let handle = format!(
        "(i64.store (i32.const 32) (call $wasi_random))
         (call $kv_set (i32.load (local.get $event)) (i32.load offset=4 (local.get $event))
           (i32.const 32) (i32.const 8) (i32.const 128))
         (if (i32.load8_u (i32.const 128)) (then unreachable))
         {OK}"
    );
    build(&importing(name, kinds, imports, &[("wasi_random", "(result i64)")], handle))
}

/// Calls WASI's `exit` with a failure.
#[must_use]
pub fn exiting(name: &str, kinds: &[&str]) -> Vec<u8> {
    let imports = r#"
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (core func $wasi_exit (canon lower (func $exit "exit")))"#;
    let handle = "(call $wasi_exit (i32.const 1)) unreachable".to_owned();
    build(&importing(name, kinds, imports, &[("wasi_exit", "(param i32)")], handle))
}

/// Imports a socket interface of WASI, which no host of plugins has.
#[must_use]
pub fn wants_sockets(name: &str, kinds: &[&str]) -> Vec<u8> {
    let imports = r#"
  (import "wasi:sockets/instance-network@0.2.0" (instance $net
    (export "network" (type $n (sub resource)))
    (export "instance-network" (func (result (own $n))))))
  (core func $wasi_network (canon lower (func $net "instance-network")))"#;
    build(&importing(name, kinds, imports, &[("wasi_network", "(result i32)")], OK.to_owned()))
}
