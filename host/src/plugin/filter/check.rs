//! Which expressions a filter may be: those that name what exists and end soon.
//!
//! An expression of CEL ends always, but not always soon: a loop may stand in a loop, a loop's
//! answer may be looped over again, and what a loop builds may double at each turn. So a loop goes
//! over a list of the event itself, and inside it stand only its own variable and literals, with
//! nothing that builds anything. What is left costs each loop at most as much as the list is
//! long. The dear operations outside of loops are counted.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::FIELDS;

/// Functions of the standard library, beyond the operators.
const FUNCTIONS: [&str; 25] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "type",
    "dyn",
    "timestamp",
    "duration",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
];

/// Bytes a regular expression may compile to. `matches` compiles it each time it is evaluated.
const MAX_REGEX: usize = 64 << 10;

/// Most loops of an expression, additions (of texts and lists, maybe) and regular expressions.
const MAX_LOOPS: u32 = 4;
const MAX_ADDITIONS: u32 = 4;
const MAX_PATTERNS: u32 = 4;

/// What is known at one place of an expression.
#[derive(Clone, Copy)]
enum Scope<'a> {
    /// Outside of loops.
    Outer,
    /// In what a loop does with each element; these are the names it introduced.
    Loop(&'a [&'a str]),
}

#[derive(Default)]
struct Tally {
    loops: u32,
    additions: u32,
    patterns: u32,
}

/// Whether the expression has a loop, or why it is refused.
pub(super) fn check(expression: &IdedExpr) -> Result<bool, String> {
    let mut tally = Tally::default();
    tally.walk(expression, Scope::Outer)?;
    tally.within("loops", tally.loops, MAX_LOOPS)?;
    tally.within("additions", tally.additions, MAX_ADDITIONS)?;
    tally.within("regular expressions", tally.patterns, MAX_PATTERNS)?;
    Ok(tally.loops > 0)
}

impl Tally {
    fn walk(&mut self, node: &IdedExpr, scope: Scope<'_>) -> Result<(), String> {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => ident(name, scope),
            Expr::Select(select) => {
                if is_event(&select.operand, scope) {
                    field(&select.field)?;
                }
                self.walk(&select.operand, scope)
            }
            Expr::Call(call) => self.call(call, scope),
            Expr::List(list) => {
                let literals = list.elements.iter().all(|e| matches!(e.expr, Expr::Literal(_)));
                if !literals {
                    builds(scope)?;
                }
                list.elements.iter().try_for_each(|e| self.walk(e, scope))
            }
            Expr::Map(map) => {
                builds(scope)?;
                map.entries.iter().try_for_each(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        self.walk(&entry.key, scope)?;
                        self.walk(&entry.value, scope)
                    }
                    EntryExpr::StructField(field) => self.walk(&field.value, scope),
                })
            }
            Expr::Struct(value) => Err(format!("there is no type `{}`", value.type_name)),
            Expr::Comprehension(inner) => self.comprehension(inner, scope),
        }
    }

    fn call(&mut self, call: &CallExpr, scope: Scope<'_>) -> Result<(), String> {
        let inside = matches!(scope, Scope::Loop(_));
        function(&call.func_name)?;
        match call.func_name.as_str() {
            "matches" if inside => {
                return Err("it calls `matches` inside a loop; decide that in the handler".into());
            }
            "matches" => {
                self.patterns += 1;
                regex(call.args.last())?;
            }
            operators::ADD => {
                builds(scope)?;
                self.additions += 1;
            }
            operators::INDEX => {
                if let [operand, index] = call.args.as_slice()
                    && is_event(operand, scope)
                    && let Expr::Literal(LiteralValue::String(name)) = &index.expr
                {
                    field(name.inner())?;
                }
            }
            _ => {}
        }
        call.target.iter().try_for_each(|target| self.walk(target, scope))?;
        call.args.iter().try_for_each(|arg| self.walk(arg, scope))
    }

    fn comprehension(&mut self, inner: &ComprehensionExpr, scope: Scope<'_>) -> Result<(), String> {
        if matches!(scope, Scope::Loop(_)) {
            return Err("it has a loop (`all`, `exists`, `exists_one`, `map`, `filter`) inside a \
                        loop; decide that in the handler"
                .to_owned());
        }
        self.loops += 1;
        if !is_path(&inner.iter_range) {
            return Err("it loops over something computed; loop over a list of the event".into());
        }
        self.walk(&inner.iter_range, scope)?;
        let second = inner.iter_var2.as_deref().unwrap_or(inner.iter_var.as_str());
        let names = [inner.iter_var.as_str(), second, inner.accu_var.as_str()];
        let inside = Scope::Loop(&names);
        // What the author did not write is the macro's own; what it builds is the loop's answer,
        // of at most one entry for each element.
        let step = written(&inner.loop_step, &inner.accu_var);
        step.into_iter().try_for_each(|part| self.walk(part, inside))
    }

    fn within(&self, what: &str, count: u32, most: u32) -> Result<(), String> {
        if count <= most {
            return Ok(());
        }
        Err(format!(
            "it has {count} {what} and at most {most} are taken; decide the rest in the handler"
        ))
    }
}

/// The parts of a loop's step that its author wrote: every largest part that does not touch the
/// accumulator, which nobody can name.
fn written<'a>(step: &'a IdedExpr, accumulator: &str) -> Vec<&'a IdedExpr> {
    if !touches(step, accumulator) {
        return vec![step];
    }
    let parts: Vec<&IdedExpr> = match &step.expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        _ => return Vec::new(),
    };
    // `map` puts what was written into a list of one.
    let unwrapped = parts.into_iter().flat_map(|part| match &part.expr {
        Expr::List(list) if !touches(part, accumulator) => list.elements.iter().collect(),
        _ => written(part, accumulator),
    });
    unwrapped.collect()
}

fn touches(node: &IdedExpr, name: &str) -> bool {
    match &node.expr {
        Expr::Ident(ident) => ident == name,
        Expr::Select(select) => touches(&select.operand, name),
        Expr::Call(call) => {
            call.target.as_deref().into_iter().chain(&call.args).any(|part| touches(part, name))
        }
        Expr::List(list) => list.elements.iter().any(|part| touches(part, name)),
        _ => false,
    }
}

fn builds(scope: Scope<'_>) -> Result<(), String> {
    match scope {
        Scope::Outer => Ok(()),
        Scope::Loop(_) => {
            Err("it adds or builds something inside a loop; decide that in the handler".to_owned())
        }
    }
}

fn is_event(node: &IdedExpr, scope: Scope<'_>) -> bool {
    matches!(scope, Scope::Outer) && matches!(&node.expr, Expr::Ident(name) if name == "event")
}

fn ident(name: &str, scope: Scope<'_>) -> Result<(), String> {
    match scope {
        Scope::Outer if name == "event" => Ok(()),
        Scope::Outer => {
            Err(format!("it names `{name}`, and there is only `event`; write e.g. `event.kind`"))
        }
        Scope::Loop(names) if names.contains(&name) => Ok(()),
        Scope::Loop(_) => Err(format!(
            "it names `{name}` inside a loop, where only the loop's own variable can be named; \
             decide that in the handler"
        )),
    }
}

fn field(name: &str) -> Result<(), String> {
    if FIELDS.contains(&name) {
        return Ok(());
    }
    Err(format!(
        "`event` has no `{name}`, only {}; what the provider sent is below `event.data`",
        FIELDS.join(", ")
    ))
}

fn function(name: &str) -> Result<(), String> {
    // Operators have names nobody can write: `_+_`, `!_`, `@in`.
    let operator = name.contains(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.'));
    if operator || FUNCTIONS.contains(&name) {
        return Ok(());
    }
    Err(format!("there is no function `{name}`"))
}

/// Whether this names something the event holds, or lists it.
fn is_path(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Ident(_) => true,
        Expr::List(list) => list.elements.iter().all(|e| matches!(e.expr, Expr::Literal(_))),
        Expr::Select(select) => !select.test && is_path(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [operand, index] = call.args.as_slice() else { return false };
            is_path(operand) && matches!(index.expr, Expr::Literal(_))
        }
        _ => false,
    }
}

fn regex(pattern: Option<&IdedExpr>) -> Result<(), String> {
    let Some(Expr::Literal(LiteralValue::String(pattern))) = pattern.map(|p| &p.expr) else {
        return Err("`matches` takes a regular expression in quotes and nothing else".to_owned());
    };
    match regex::RegexBuilder::new(pattern.inner()).size_limit(MAX_REGEX).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(format!(
            "the regular expression is too large (over {} KiB compiled); \
             repeat fewer times, or write [0-9] for \\d and [A-Za-z0-9_] for \\w",
            MAX_REGEX >> 10
        )),
        Err(cause) => Err(format!("the regular expression does not parse: {cause}")),
    }
}
