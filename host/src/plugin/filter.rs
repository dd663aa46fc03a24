//! The filter of a subscription: a CEL expression over `event`, evaluated when an event is
//! accepted, without starting the guest.
//!
//! It stands before the acknowledgement, so its work is bounded: by the size of the expression,
//! by which expressions are taken (`check`: each loop is linear in a list of the event), and by
//! the size of the events it looks into. Measured on the largest event: its body is parsed in
//! 0.2 ms, once for all filters; an ordinary expression then takes a microsecond, the dearest
//! known 3 ms. Whatever cannot be evaluated counts as a match: a filter that does not know must
//! not lose an event.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, Program, Value};
use serde_json::Value as Json;

use crate::domain::event::VerifiedEvent;

mod check;

/// Longest expression in bytes. A filter names a handful of fields; what needs more is a handler.
pub const MAX_EXPRESSION: usize = 1_024;

/// Largest body a filter looks into. Default 256 KiB, as much as Stripe sends at most.
pub const MAX_BODY: usize = 256 << 10;

/// Longest list or object that a filter with a loop looks into: it bounds the steps of the loop.
pub const MAX_ELEMENTS: usize = 1_000;

/// What is known as `event` in an expression.
pub const FIELDS: [&str; 6] = ["id", "provider", "kind", "livemode", "account", "data"];

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the filter `{expression}` is refused: {cause}")]
pub struct FilterError {
    /// The expression, shortened where it is long.
    pub expression: String,
    /// What is wrong with it, and what to do.
    pub cause: String,
}

/// A checked expression.
pub struct Filter {
    program: Program,
    env: Arc<Env>,
    loops: bool,
    source: String,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Filter").field(&self.source).finish()
    }
}

impl Filter {
    /// Parse and check an expression.
    ///
    /// # Errors
    /// When it does not parse, names what does not exist, or could take long.
    pub fn new(source: &str) -> Result<Self, FilterError> {
        let refuse = |cause: String| {
            let mut expression: String = source.chars().take(120).collect();
            if expression.len() < source.len() {
                expression.push_str("...");
            }
            FilterError { expression, cause }
        };
        if source.len() > MAX_EXPRESSION {
            return Err(refuse(format!(
                "it has {} bytes and at most {MAX_EXPRESSION} are taken; \
                 decide in the handler what takes more",
                source.len()
            )));
        }
        let env = Arc::new(Env::stdlib());
        // The parser is not ours and its input is anyone's.
        let parsed = catch_unwind(AssertUnwindSafe(|| env.compile(source)));
        let program = match parsed {
            Ok(Ok(program)) => program,
            Ok(Err(errors)) => return Err(refuse(format!("it does not parse: {errors}"))),
            Err(_) => return Err(refuse("it does not parse".to_owned())),
        };
        let loops = check::check(program.expression()).map_err(refuse)?;
        Ok(Self { program, env, loops, source: source.to_owned() })
    }

    /// Whether `subject` passes. True as well when that cannot be found out.
    #[must_use]
    pub fn passes(&self, subject: &Subject<'_>) -> bool {
        self.judge(subject).unwrap_or_else(|cause| self.unknown(subject, &cause))
    }

    /// Whether `subject` passes.
    ///
    /// # Errors
    /// Why that cannot be found out.
    pub fn judge(&self, subject: &Subject<'_>) -> Result<bool, String> {
        catch_unwind(AssertUnwindSafe(|| self.evaluate(subject)))
            .unwrap_or_else(|_| Err("the evaluation panicked".to_owned()))
    }

    fn unknown(&self, subject: &Subject<'_>, cause: &str) -> bool {
        tracing::warn!(
            event = %subject.event.key, filter = self.source, cause,
            "a filter could not be evaluated and counts as a match"
        );
        true
    }

    fn evaluate(&self, subject: &Subject<'_>) -> Result<bool, String> {
        let seen = subject.seen()?;
        if self.loops && seen.longest > MAX_ELEMENTS {
            return Err(format!(
                "the event has a list of {} elements and a filter loops over at most {MAX_ELEMENTS}",
                seen.longest
            ));
        }
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(seen);
        match self.program.execute(&context) {
            Ok(Value::Bool(passes)) => Ok(passes),
            Ok(other) => Err(format!("it is {} and not true or false", other.type_of())),
            Err(error) => Err(shortened(error.to_string())),
        }
    }
}

/// An error may show the whole event; the log needs its beginning.
fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(300));
    text
}

/// An event as filters see it; its body is parsed at most once, and only when asked for.
#[derive(Debug)]
pub struct Subject<'a> {
    event: &'a VerifiedEvent,
    seen: OnceCell<Result<Seen, String>>,
}

#[derive(Debug)]
struct Seen {
    value: Box<dyn Val>,
    longest: usize,
}

/// Lends the event to every filter that looks at it.
impl VariableResolver for Seen {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        (variable == "event").then(|| CowVal::Borrowed(self.value.as_ref()))
    }
}

impl<'a> Subject<'a> {
    /// Filters will look at `event`.
    #[must_use]
    pub const fn new(event: &'a VerifiedEvent) -> Self {
        Self { event, seen: OnceCell::new() }
    }

    fn seen(&self) -> Result<&Seen, String> {
        self.seen.get_or_init(|| see(self.event)).as_ref().map_err(Clone::clone)
    }
}

/// `event.data` is the body's member `data` where it has one (Stripe's `event.data.object`),
/// else the whole body (a thin event, GitHub).
fn see(event: &VerifiedEvent) -> Result<Seen, String> {
    if event.body.len() > MAX_BODY {
        return Err(format!(
            "the event's body has {} bytes and filters look into at most {MAX_BODY}",
            event.body.len()
        ));
    }
    let body: Json = serde_json::from_slice(&event.body)
        .map_err(|cause| format!("the event's body is not JSON: {cause}"))?;
    let data = match body {
        Json::Object(mut members) => match members.remove("data") {
            Some(data) => data,
            None => Json::Object(members),
        },
        other => other,
    };
    let mut longest = 0;
    let account: Box<dyn Val> = match &event.account {
        Some(account) => text(account.clone()),
        None => Box::new(CelNull),
    };
    let fields: [(&str, Box<dyn Val>); 6] = [
        ("id", text(event.key.id.clone())),
        ("provider", text(event.key.provider.clone())),
        ("kind", text(event.kind.clone())),
        ("livemode", Box::new(CelBool::from(event.livemode))),
        ("account", account),
        ("data", to_cel(data, &mut longest)),
    ];
    let fields = fields.into_iter().map(|(name, value)| (CelMapKey::from(name.to_owned()), value));
    let value = Box::new(CelMap::from(fields.collect::<HashMap<_, _>>()));
    Ok(Seen { value, longest })
}

fn text(text: String) -> Box<dyn Val> {
    Box::new(CelString::from(text))
}

/// Whole numbers stay whole, so that amounts beyond 2^53 compare exactly. The depth is bounded by
/// the JSON parser's own.
fn to_cel(json: Json, longest: &mut usize) -> Box<dyn Val> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(b) => Box::new(CelBool::from(b)),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Box::new(CelInt::from(n)),
            (None, Some(n)) => Box::new(CelUInt::from(n)),
            (None, None) => Box::new(CelDouble::from(n.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(string) => text(string),
        Json::Array(items) => {
            *longest = (*longest).max(items.len());
            let items = items.into_iter().map(|item| to_cel(item, longest));
            Box::new(CelList::from(items.collect::<Vec<_>>()))
        }
        Json::Object(members) => {
            *longest = (*longest).max(members.len());
            let members = members.into_iter().map(|(k, v)| (k.into(), to_cel(v, longest)));
            Box::new(CelMap::from(members.collect::<HashMap<_, _>>()))
        }
    }
}

#[cfg(test)]
mod tests;
