//! Components that ask the host for effects.
//!
//! None of them names a request in its manifest: what is granted is the test's to say.

use std::fmt::Write as _;

use super::build::{OK, Spec, build, spec};
use super::{RETURN, counting};

/// Something to ask of `outbox`.
#[derive(Debug, Clone)]
pub enum Ask {
    /// `http`, or `http-with-reply` where `reply` names a type.
    Http {
        /// Method.
        method: String,
        /// URL.
        url: String,
        /// Names and values.
        headers: Vec<(String, String)>,
        /// Body.
        body: String,
        /// `reply-kind`.
        reply: Option<String>,
        /// Milliseconds.
        delay: Option<u64>,
    },
    /// `emit`, of a JSON body.
    Emit {
        /// Type.
        kind: String,
        /// Body.
        body: String,
        /// Milliseconds.
        delay: Option<u64>,
    },
    /// `cancel`
    Cancel {
        /// Identifier.
        id: String,
    },
}

impl Ask {
    /// `POST` of `{}` to this URL, at once.
    #[must_use]
    pub fn post(url: &str) -> Self {
        Self::Http {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: "{}".to_owned(),
            reply: None,
            delay: None,
        }
    }

    /// An event `{}` of this type.
    #[must_use]
    pub fn emit(kind: &str, delay: Option<u64>) -> Self {
        Self::Emit { kind: kind.to_owned(), body: "{}".to_owned(), delay }
    }

    /// Withdraw this effect.
    #[must_use]
    pub fn cancel(id: &str) -> Self {
        Self::Cancel { id: id.to_owned() }
    }
}

/// Posts `{}` to the URL. Traps when it is refused, as all of these do.
#[must_use]
pub fn posts(name: &str, kinds: &[&str], url: &str) -> Vec<u8> {
    build(&asking(spec(name, kinds), &[Ask::post(url)], true))
}

/// Posts `{}` to the URL and wants the answer as an event of this type.
#[must_use]
pub fn posts_for_reply(name: &str, kinds: &[&str], url: &str, reply: &str) -> Vec<u8> {
    let mut ask = Ask::post(url);
    if let Ask::Http { reply: kind, .. } = &mut ask {
        *kind = Some(reply.to_owned());
    }
    build(&asking(spec(name, kinds), &[ask], true))
}

/// Emits an event of this type, after `delay` milliseconds if given.
#[must_use]
pub fn emits(name: &str, kinds: &[&str], kind: &str, delay: Option<u64>) -> Vec<u8> {
    build(&asking(spec(name, kinds), &[Ask::emit(kind, delay)], true))
}

/// Withdraws the effect of this identifier.
#[must_use]
pub fn cancels(name: &str, kinds: &[&str], id: &str) -> Vec<u8> {
    build(&asking(spec(name, kinds), &[Ask::cancel(id)], true))
}

/// Adds one to the number under `count`, as `counter` does, and posts `{}` to the URL.
#[must_use]
pub fn counts_and_posts(name: &str, kinds: &[&str], url: &str) -> Vec<u8> {
    let spec = Spec { texts: vec!["count".to_owned()], ..spec(name, kinds) };
    let spec = Spec { handle: counting(), ..spec };
    build(&asking(spec, &[Ask::post(url)], true))
}

/// Asks for all of these in order, whether or not one is refused, and logs each answer: what was
/// accepted (an identifier, or `true` or `false`) as `debug`, `not-granted` as `warn`, `invalid` as
/// `error`, `quota` as `info`. Then returns `ok`.
#[must_use]
pub fn asks(name: &str, kinds: &[&str], asks: &[Ask]) -> Vec<u8> {
    build(&asking(spec(name, kinds), asks, false))
}

/// The same on top of another component; `strict`: a refusal is logged and traps.
#[must_use]
pub fn asking(mut spec: Spec, asks: &[Ask], strict: bool) -> Spec {
    let texts = &mut spec.texts;
    let mut code = String::new();
    for ask in asks {
        code.push_str(&call(ask, texts, strict));
    }
    let before = spec.handle.strip_suffix(OK).unwrap_or(&spec.handle);
    spec.handle = format!("{before}\n{code}\n{OK}");
    spec.imports.extend(imports());
    spec
}

fn push(texts: &mut Vec<String>, text: &str) -> String {
    texts.push(text.to_owned());
    let i = texts.len() - 1;
    format!("(global.get $text{i}) (global.get $size{i})")
}

/// Where a list of headers is put together: below everything else that is kept.
const HEADERS: usize = 1_024;

fn call(ask: &Ask, texts: &mut Vec<String>, strict: bool) -> String {
    let mut code = String::new();
    let after = |delay: &Option<u64>| match delay {
        Some(delay) => format!("(i32.const 1) (i64.const {delay})"),
        None => "(i32.const 0) (i64.const 0)".to_owned(),
    };
    match ask {
        Ask::Http { method, url, headers, body, reply, delay } => {
            for (place, text) in headers.iter().flat_map(|(name, value)| [name, value]).enumerate()
            {
                push(texts, text);
                let (i, at) = (texts.len() - 1, HEADERS + 8 * place);
                let _ = write!(
                    code,
                    "(i32.store (i32.const {at}) (global.get $text{i}))
                     (i32.store (i32.const {}) (global.get $size{i}))",
                    at + 4
                );
            }
            let request = format!(
                "{} {} (i32.const {HEADERS}) (i32.const {}) {}",
                push(texts, method),
                push(texts, url),
                headers.len(),
                push(texts, body)
            );
            let (function, reply) = match reply {
                Some(kind) => ("outbox_reply", push(texts, kind)),
                None => ("outbox_http", String::new()),
            };
            let _ = write!(
                code,
                "(call ${function} {request} {reply} {} (i32.const {RETURN}))",
                after(delay)
            );
        }
        Ask::Emit { kind, body, delay } => {
            let _ = write!(
                code,
                "(call $outbox_emit {} {} {} {} (i32.const {RETURN}))",
                push(texts, kind),
                push(texts, "application/json"),
                push(texts, body),
                after(delay)
            );
        }
        Ask::Cancel { id } => {
            let _ = write!(code, "(call $outbox_cancel {} (i32.const {RETURN}))", push(texts, id));
        }
    }
    let (yes, no) = (push(texts, "true"), push(texts, "false"));
    let accepted = if matches!(ask, Ask::Cancel { .. }) {
        format!(
            "(if (i32.load8_u (i32.const {})) (then {}) (else {}))",
            RETURN + 4,
            log(1, &yes),
            log(1, &no)
        )
    } else {
        log(1, &loaded(RETURN + 4))
    };
    let quota = push(texts, "quota");
    let _ = write!(
        code,
        "(if (i32.eqz (i32.load8_u (i32.const {RETURN})))
           (then {accepted})
           (else
             (if (i32.eq (i32.load8_u (i32.const {case})) (i32.const 2))
               (then {})
               (else (if (i32.load8_u (i32.const {case})) (then {}) (else {}))))
             {}))",
        log(2, &quota),
        log(4, &loaded(RETURN + 8)),
        log(3, &loaded(RETURN + 8)),
        if strict { "unreachable" } else { "" },
        case = RETURN + 4,
    );
    code
}

/// A text whose place and length are in memory.
fn loaded(at: usize) -> String {
    format!("(i32.load (i32.const {at})) (i32.load (i32.const {}))", at + 4)
}

fn log(level: u8, text: &str) -> String {
    format!("(call $log_write (i32.const {level}) {text} (i32.const 0) (i32.const 0))")
}

fn imports() -> Vec<(String, String, String)> {
    let request = "i32 i32 i32 i32 i32 i32 i32 i32";
    let functions = [
        (INTERFACE, "outbox_http", format!("(param {request} i32 i64 i32)")),
        ("", "outbox_reply", format!("(param {request} i32 i32 i32 i64 i32)")),
        ("", "outbox_emit", "(param i32 i32 i32 i32 i32 i32 i32 i64 i32)".to_owned()),
        ("", "outbox_cancel", "(param i32 i32 i32)".to_owned()),
    ];
    functions.map(|(text, name, ty)| (text.to_owned(), name.to_owned(), ty)).to_vec()
}

const INTERFACE: &str = r#"
  (import "signalbox:plugin/outbox@0.1.0" (instance $outbox
    (type $f (variant (case "not-granted" string) (case "invalid" string) (case "quota")))
    (export "refusal" (type $refusal (eq $f)))
    (type $r (record (field "method" string) (field "url" string)
      (field "headers" (list (tuple string string))) (field "body" (list u8))))
    (export "http-request" (type $request (eq $r)))
    (export "http" (func (param "request" $request) (param "delay" (option u64))
      (result (result string (error $refusal)))))
    (export "http-with-reply" (func (param "request" $request) (param "reply-kind" string)
      (param "delay" (option u64)) (result (result string (error $refusal)))))
    (export "emit" (func (param "kind" string) (param "content-type" string)
      (param "body" (list u8)) (param "delay" (option u64))
      (result (result string (error $refusal)))))
    (export "cancel" (func (param "effect-id" string)
      (result (result bool (error $refusal)))))))
  (core func $outbox_http (canon lower (func $outbox "http")
    (memory $memory) (realloc $realloc)))
  (core func $outbox_reply (canon lower (func $outbox "http-with-reply")
    (memory $memory) (realloc $realloc)))
  (core func $outbox_emit (canon lower (func $outbox "emit")
    (memory $memory) (realloc $realloc)))
  (core func $outbox_cancel (canon lower (func $outbox "cancel")
    (memory $memory) (realloc $realloc)))"#;
