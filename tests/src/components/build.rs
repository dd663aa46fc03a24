//! A component as text, and from there as bytes.
//!
//! One core module that is the same for all holds the memory and the allocator; another, made for
//! each component, holds the manifest as data and the bodies of `describe` and `handle`.

use std::fmt::Write as _;

/// Where the manifest and its strings begin.
const DATA: usize = 4_096;

/// A component to make.
#[derive(Debug, Clone)]
pub struct Spec {
    /// `manifest.name`.
    pub name: String,
    /// `manifest.version`.
    pub version: String,
    /// Provider, kind, filter.
    pub subscriptions: Vec<(String, String, Option<String>)>,
    /// Capability, scope.
    pub requests: Vec<(String, String)>,
    /// Name, value.
    pub attributes: Vec<(String, String)>,
    /// More texts the code uses: the first is at `(global $text0)`, length `(global $size0)`.
    pub texts: Vec<String>,
    /// Body of `describe` before the manifest is returned.
    pub describe: String,
    /// Body of `handle`. `(local.get $event)` points to the event, the delivery follows at 64;
    /// locals `$i $n $p i32` and `$x i64` are there. Its value is the pointer to the answer.
    pub handle: String,
    /// Body of the start function, if there is to be one.
    pub start: Option<String>,
    /// More functions of the core module.
    pub functions: String,
    /// More imports of the component, and the core functions made of them, as
    /// `(text of the component, name, core type)`.
    pub imports: Vec<(String, String, String)>,
}

/// Return `ok`.
pub const OK: &str = "(i32.store8 (i32.const 64) (i32.const 0)) (i32.const 64)";

/// A plugin of version 1.0.0 that subscribes to these event types and does nothing. They are
/// Stripe's, unless a provider stands before them: `ledger:reminder.due`.
#[must_use]
pub fn spec(name: &str, kinds: &[&str]) -> Spec {
    let subscription = |kind: &&str| {
        let (provider, kind) = kind.split_once(':').unwrap_or(("stripe", kind));
        (provider.to_owned(), kind.to_owned(), None)
    };
    Spec {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        subscriptions: kinds.iter().map(subscription).collect(),
        requests: Vec::new(),
        attributes: Vec::new(),
        texts: Vec::new(),
        describe: String::new(),
        handle: OK.to_owned(),
        start: None,
        functions: String::new(),
        imports: Vec::new(),
    }
}

/// Assemble text that is known to be good.
#[must_use]
#[allow(clippy::panic, reason = "a test's own text that does not assemble is a mistake in it")]
pub fn wat(text: &str) -> Vec<u8> {
    match wat::parse_str(text) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// The memory of a component while it is laid out.
struct Data {
    bytes: Vec<u8>,
}

impl Data {
    fn align(&mut self) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        DATA + self.bytes.len()
    }

    fn text(&mut self, text: &str) -> (usize, usize) {
        let at = DATA + self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        (at, text.len())
    }

    fn words(&mut self, words: &[usize]) -> usize {
        let at = self.align();
        for word in words {
            // Addresses here are those of a 32-bit memory.
            #[expect(clippy::cast_possible_truncation, reason = "a few KiB")]
            self.bytes.extend_from_slice(&(*word as u32).to_le_bytes());
        }
        at
    }

    fn pairs(&mut self, pairs: &[(String, String)]) -> (usize, usize) {
        let mut words = Vec::new();
        for (a, b) in pairs {
            let (a, b) = (self.text(a), self.text(b));
            words.extend([a.0, a.1, b.0, b.1]);
        }
        (self.words(&words), pairs.len())
    }
}

/// Make the component.
#[must_use]
pub fn build(spec: &Spec) -> Vec<u8> {
    wat(&text(spec))
}

/// The component as text.
#[must_use]
pub fn text(spec: &Spec) -> String {
    let mut data = Data { bytes: Vec::new() };
    let name = data.text(&spec.name);
    let version = data.text(&spec.version);
    let mut words = Vec::new();
    for (provider, kind, filter) in &spec.subscriptions {
        let (provider, kind) = (data.text(provider), data.text(kind));
        let text = filter.as_deref().map(|filter| data.text(filter)).unwrap_or_default();
        words.extend([provider.0, provider.1, kind.0, kind.1]);
        words.extend([usize::from(filter.is_some()), text.0, text.1]);
    }
    let subscriptions = (data.words(&words), spec.subscriptions.len());
    let requests = data.pairs(&spec.requests);
    let attributes = data.pairs(&spec.attributes);
    let parts = [name, version, subscriptions, requests, attributes];
    let manifest = data.words(&parts.map(|(at, len)| [at, len]).concat());
    let mut globals = String::new();
    for (i, one) in spec.texts.iter().enumerate() {
        let (at, len) = data.text(one);
        let _ = writeln!(globals, "(global $text{i} i32 (i32.const {at}))");
        let _ = writeln!(globals, "(global $size{i} i32 (i32.const {len}))");
    }
    let heap = data.align();
    let pages = heap / 65_536 + 2;
    let mut bytes = String::new();
    for byte in &data.bytes {
        let _ = write!(bytes, "\\{byte:02x}");
    }
    let mut imports = String::new();
    let mut core_imports = String::new();
    let mut core_exports = String::new();
    for (import, function, ty) in &spec.imports {
        imports.push_str(import);
        let _ = write!(core_imports, "(import \"host\" \"{function}\" (func ${function} {ty}))");
        let _ = write!(core_exports, "(export \"{function}\" (func ${function}))");
    }
    let start = spec.start.as_ref().map(|s| format!("(func $start {s}) (start $start)"));
    FRAME
        .replace("{heap}", &heap.to_string())
        .replace("{pages}", &pages.to_string())
        .replace("{imports}", &imports)
        .replace("{core_imports}", &core_imports)
        .replace("{core_exports}", &core_exports)
        .replace("{globals}", &globals)
        .replace("{functions}", &spec.functions)
        .replace("{start}", &start.unwrap_or_default())
        .replace("{describe}", &spec.describe)
        .replace("{handle}", &spec.handle)
        .replace("{manifest}", &manifest.to_string())
        .replace("{data_at}", &DATA.to_string())
        .replace("{data}", &bytes)
}

const FRAME: &str = r#"(component
  (import "signalbox:plugin/log@0.1.0" (instance $log
    (type $l (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $l)))
    (export "write" (func (param "level" $level) (param "message" string)
      (param "attributes" (list (tuple string string)))))))
  (import "signalbox:plugin/config@0.1.0" (instance $config
    (export "get" (func (param "key" string) (result (option string))))))
  (import "signalbox:plugin/kv@0.1.0" (instance $kv
    (type $l (enum "key-size" "value-size" "quota" "operations"))
    (export "limit" (type $limit (eq $l)))
    (type $k (record (field "keys" (list string)) (field "next" (option string))))
    (export "key-page" (type $page (eq $k)))
    (export "get" (func (param "key" string)
      (result (result (option (list u8)) (error $limit)))))
    (export "set" (func (param "key" string) (param "value" (list u8))
      (result (result (error $limit)))))
    (export "delete" (func (param "key" string) (result (result (error $limit)))))
    (export "keys" (func (param "prefix" string) (param "after" (option string))
      (result (result $page (error $limit)))))))

  (core module $libc
    (memory (export "memory") {pages})
    (global $heap (mut i32) (i32.const {heap}))
    (func (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32)
      (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $heap (i32.add (local.get $at) (local.get $size)))
      (block $enough
        (loop $more
          (br_if $enough (i32.le_u (global.get $heap)
            (i32.mul (memory.size) (i32.const 65536))))
          (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
          unreachable))
      (memory.copy (local.get $at) (local.get $old) (local.get $was))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "cabi_realloc" (core func $realloc))

  (core func $log_write (canon lower (func $log "write") (memory $memory)))
  (core func $config_get (canon lower (func $config "get") (memory $memory) (realloc $realloc)))
  (core func $kv_get (canon lower (func $kv "get") (memory $memory) (realloc $realloc)))
  (core func $kv_set (canon lower (func $kv "set") (memory $memory)))
  (core func $kv_delete (canon lower (func $kv "delete") (memory $memory)))
  (core func $kv_keys (canon lower (func $kv "keys") (memory $memory) (realloc $realloc)))
  {imports}

  (core module $main
    (import "libc" "memory" (memory {pages}))
    (import "libc" "cabi_realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "log_write" (func $log_write (param i32 i32 i32 i32 i32)))
    (import "host" "config_get" (func $config_get (param i32 i32 i32)))
    (import "host" "kv_get" (func $kv_get (param i32 i32 i32)))
    (import "host" "kv_set" (func $kv_set (param i32 i32 i32 i32 i32)))
    (import "host" "kv_delete" (func $kv_delete (param i32 i32 i32)))
    (import "host" "kv_keys" (func $kv_keys (param i32 i32 i32 i32 i32 i32)))
    {core_imports}
    {globals}
    (data (i32.const {data_at}) "{data}")
    {functions}
    {start}
    (func (export "describe") (result i32)
      {describe}
      (i32.const {manifest}))
    (func $handle (export "handle") (param $event i32) (result i32)
      (local $i i32) (local $n i32) (local $p i32) (local $x i64)
      {handle}))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "log_write" (func $log_write))
      (export "config_get" (func $config_get))
      (export "kv_get" (func $kv_get))
      (export "kv_set" (func $kv_set))
      (export "kv_delete" (func $kv_delete))
      (export "kv_keys" (func $kv_keys))
      {core_exports}))))

  (type $event0 (record (field "id" string) (field "provider" string) (field "kind" string)
    (field "occurred-at" u64) (field "received-at" u64) (field "content-type" string)
    (field "body" (list u8)) (field "attributes" (list (tuple string string)))))
  (export $event "event" (type $event0))
  (type $delivery0 (record (field "id" string) (field "attempt" u32) (field "replay" bool)))
  (export $delivery "delivery" (type $delivery0))
  (type $retry0 (record (field "reason" string) (field "after" (option u64))))
  (export $retry "retry" (type $retry0))
  (type $failure0 (variant (case "retry" $retry) (case "reject" string)))
  (export $failure "failure" (type $failure0))
  (type $subscription0 (record (field "provider" string) (field "kind" string)
    (field "filter" (option string))))
  (export $subscription "subscription" (type $subscription0))
  (type $request0 (record (field "capability" string) (field "scope" string)))
  (export $request "request" (type $request0))
  (type $manifest0 (record (field "name" string) (field "version" string)
    (field "subscriptions" (list $subscription)) (field "requests" (list $request))
    (field "attributes" (list (tuple string string)))))
  (export $manifest "manifest" (type $manifest0))

  (func $describe (result $manifest) (canon lift (core func $main "describe") (memory $memory)))
  (func $handle (param "event" $event) (param "delivery" $delivery)
    (result (result (error $failure)))
    (canon lift (core func $main "handle") (memory $memory) (realloc $realloc)))
  (instance $handler
    (export "describe" (func $describe))
    (export "handle" (func $handle)))
  (export "signalbox:plugin/handler@0.1.0" (instance $handler)))
"#;
