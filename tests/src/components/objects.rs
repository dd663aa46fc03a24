//! Components that read mirrored objects.

use std::fmt::Write as _;

use super::RETURN;
use super::build::{OK, Spec, build, spec};

/// Reads these objects (provider, kind, identifier) in order and logs each answer: the body of one
/// that is there as `debug`, as `info` where it is deleted, `none`, `not-granted` and `operations` as
/// `warn`. Then returns `ok`. Its manifest asks for the kinds it reads.
#[must_use]
pub fn reads(name: &str, kinds: &[&str], objects: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut spec = spec(name, kinds);
    let request = |(provider, kind, _): &(&str, &str, &str)| {
        ("objects".to_owned(), format!("{provider} {kind}"))
    };
    spec.requests = objects.iter().map(request).collect();
    spec.requests.sort();
    spec.requests.dedup();
    build(&reading(spec, objects))
}

/// The same on top of another component, whatever its manifest asks for.
#[must_use]
pub fn reading(mut spec: Spec, objects: &[(&str, &str, &str)]) -> Spec {
    let mut code = String::new();
    let push = |texts: &mut Vec<String>, text: &str| {
        texts.push(text.to_owned());
        let i = texts.len() - 1;
        format!("(global.get $text{i}) (global.get $size{i})")
    };
    let [none, not_granted, operations] =
        ["none", "not-granted", "operations"].map(|text| push(&mut spec.texts, text));
    for (provider, kind, id) in objects {
        let name = [provider, kind, id].map(|text| push(&mut spec.texts, text)).join(" ");
        let body = format!(
            "(i32.load (i32.const {})) (i32.load (i32.const {}))",
            RETURN + 52,
            RETURN + 56
        );
        let _ = write!(
            code,
            "(call $objects_get {name} (i32.const {RETURN}))
             (if (i32.load8_u (i32.const {RETURN}))
               (then (if (i32.load8_u (i32.const {case})) (then {}) (else {})))
               (else (if (i32.load8_u (i32.const {case}))
                 (then (call $log_write
                   (i32.add (i32.const 1) (i32.load8_u (i32.const {deleted})))
                   {body} (i32.const 0) (i32.const 0)))
                 (else {}))))",
            log(&operations),
            log(&not_granted),
            log(&none),
            case = RETURN + 8,
            deleted = RETURN + 48,
        );
    }
    let before = spec.handle.strip_suffix(OK).unwrap_or(&spec.handle);
    spec.handle = format!("{before}\n{code}\n{OK}");
    let ty = "(param i32 i32 i32 i32 i32 i32 i32)".to_owned();
    spec.imports.push((INTERFACE.to_owned(), "objects_get".to_owned(), ty));
    spec
}

/// Reads an object while it describes itself, which is forbidden.
#[must_use]
pub fn reads_in_describe(name: &str, kinds: &[&str]) -> Vec<u8> {
    let mut spec = reading(spec(name, kinds), &[("stripe", "customer", "cus_1")]);
    let texts = "(global.get $text0) (global.get $size0)";
    spec.describe = format!("(call $objects_get {texts} {texts} {texts} (i32.const {RETURN}))");
    build(&spec)
}

fn log(text: &str) -> String {
    format!("(call $log_write (i32.const 3) {text} (i32.const 0) (i32.const 0))")
}

const INTERFACE: &str = r#"
  (import "signalbox:plugin/objects@0.1.0" (instance $objects
    (type $o (record (field "id" string) (field "kind" string) (field "as-of" u64)
      (field "event-id" string) (field "deleted" bool) (field "body" (list u8))))
    (export "object" (type $object (eq $o)))
    (type $f (enum "not-granted" "operations"))
    (export "refusal" (type $refusal (eq $f)))
    (export "get" (func (param "provider" string) (param "kind" string) (param "id" string)
      (result (result (option $object) (error $refusal)))))))
  (core func $objects_get (canon lower (func $objects "get")
    (memory $memory) (realloc $realloc)))"#;
