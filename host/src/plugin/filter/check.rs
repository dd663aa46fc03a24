//! Which expressions a filter may be: those that name what exists and end soon.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

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

/// What is known at one place of an expression.
#[derive(Clone, Copy)]
struct Scope<'a> {
    /// Names a loop introduced.
    names: &'a [&'a str],
    inside_loop: bool,
}

/// Whether the expression has a loop, or why it is refused.
pub(super) fn check(expression: &IdedExpr) -> Result<bool, String> {
    let mut loops = false;
    walk(expression, Scope { names: &[], inside_loop: false }, &mut loops)?;
    Ok(loops)
}

fn walk(node: &IdedExpr, scope: Scope<'_>, loops: &mut bool) -> Result<(), String> {
    match &node.expr {
        Expr::Unspecified | Expr::Literal(_) => Ok(()),
        Expr::Ident(name) => ident(name, scope),
        Expr::Select(select) => {
            if is_event(&select.operand, scope) {
                field(&select.field)?;
            }
            walk(&select.operand, scope, loops)
        }
        Expr::Call(call) => {
            function(&call.func_name, scope)?;
            if call.func_name == "matches" {
                regex(call.args.last())?;
            }
            if let [operand, index] = call.args.as_slice()
                && call.func_name == operators::INDEX
                && is_event(operand, scope)
                && let Expr::Literal(LiteralValue::String(name)) = &index.expr
            {
                field(name.inner())?;
            }
            call.target.iter().try_for_each(|target| walk(target, scope, loops))?;
            call.args.iter().try_for_each(|arg| walk(arg, scope, loops))
        }
        Expr::List(list) => list.elements.iter().try_for_each(|e| walk(e, scope, loops)),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                walk(&entry.key, scope, loops)?;
                walk(&entry.value, scope, loops)
            }
            EntryExpr::StructField(field) => walk(&field.value, scope, loops),
        }),
        Expr::Struct(value) => Err(format!("there is no type `{}`", value.type_name)),
        Expr::Comprehension(inner) => {
            if scope.inside_loop {
                return Err("it has a loop (`all`, `exists`, `exists_one`, `map`, `filter`) \
                            inside a loop; decide that in the handler"
                    .to_owned());
            }
            *loops = true;
            range(&inner.iter_range, scope, loops)?;
            let second = inner.iter_var2.as_deref().unwrap_or(inner.iter_var.as_str());
            let names = [inner.iter_var.as_str(), second, inner.accu_var.as_str()];
            let inside = Scope { names: &names, inside_loop: true };
            [&inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result]
                .into_iter()
                .try_for_each(|part| walk(part, inside, loops))
        }
    }
}

fn is_event(node: &IdedExpr, scope: Scope<'_>) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name == "event") && !scope.names.contains(&"event")
}

fn ident(name: &str, scope: Scope<'_>) -> Result<(), String> {
    if name == "event" || scope.names.contains(&name) {
        return Ok(());
    }
    Err(format!("it names `{name}`, and there is only `event`; write e.g. `event.kind`"))
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

fn function(name: &str, scope: Scope<'_>) -> Result<(), String> {
    if name == "matches" && scope.inside_loop {
        return Err("it calls `matches` inside a loop; decide that in the handler".to_owned());
    }
    // Operators have names nobody can write: `_+_`, `!_`, `@in`.
    let operator = name.contains(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.'));
    if operator || FUNCTIONS.contains(&name) {
        return Ok(());
    }
    Err(format!("there is no function `{name}`"))
}

/// A loop may go over what the event holds, or over another loop's answer: both are as long as a
/// list of the event at most.
fn range(node: &IdedExpr, scope: Scope<'_>, loops: &mut bool) -> Result<(), String> {
    let path = |node: &IdedExpr| {
        let mut at = node;
        loop {
            at = match &at.expr {
                Expr::Ident(_) | Expr::List(_) | Expr::Comprehension(_) => return true,
                Expr::Select(select) => &select.operand,
                Expr::Call(call) if call.func_name == operators::INDEX => match call.args.first() {
                    Some(first) => first,
                    None => return false,
                },
                _ => return false,
            };
        }
    };
    if !path(node) {
        return Err("it loops over something computed; loop over a list of the event".to_owned());
    }
    walk(node, scope, loops)
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
