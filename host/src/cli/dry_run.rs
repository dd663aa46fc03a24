//! A dry run as people read it: what would change, line by line.
//!
//! `+` is added, `-` goes, `~` changes.

use serde_json::Value;

use super::context::Context;
use super::output::Format;
use super::table::{Cell, Style, Tone, painted};

/// Print the runs that an operation found.
pub(crate) fn print(operation: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    let runs = operation.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
    match format {
        Format::Json => return Ok(cx.json(operation, format)?),
        Format::Jsonl => {
            for run in &runs {
                cx.json(run, format)?;
            }
        }
        Format::Table => {
            for run in &runs {
                let text = show(run, cx);
                cx.bytes(text.as_bytes())?;
            }
        }
    }
    if runs.is_empty() {
        cx.say("there is nothing to run");
    }
    let skipped = super::operation::skipped(operation);
    if skipped > 0 {
        let reasons = operation.get("skipped").map(super::table::plain).unwrap_or_default();
        cx.say(format_args!("left alone: {reasons}"));
    }
    cx.say("nothing was committed");
    Ok(())
}

fn list<'a>(run: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    run.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text(object: &Value, name: &str) -> String {
    Cell::field(object, name).text
}

/// One run.
pub(super) fn show(run: &Value, cx: &Context) -> String {
    let mut out = format!(
        "{}  would be {} ({}), {} and {}\n",
        text(run, "delivery"),
        text(run, "verdict"),
        text(run, "outcome"),
        super::deliveries::micros(run, "cpu_us").text,
        Cell::bytes(run, "memory_bytes").text,
    );
    if let Some(reason) = run.get("reason").and_then(Value::as_str) {
        out.push_str(&format!("  {}\n", reason.replace('\n', "\n  ")));
    }
    if run.get("steady").and_then(Value::as_bool) == Some(false) {
        out.push_str("  its state changed while it ran: what it saw is not of one moment\n");
    }
    out.push_str(&details(run, Bodies::Sized, cx.style()));
    out
}

/// How much is shown of what effects carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// Its size.
    Sized,
    /// Headers and body, as far as they are told.
    Whole,
}

/// What a run changes, asks for and says, a line each.
pub(super) fn details(run: &Value, bodies: Bodies, style: Style) -> String {
    let mut out = String::new();
    let mut line = |tone, sign: &str, text: &str| {
        out.push_str(&painted(&format!("  {sign} {text}"), tone, style));
        out.push('\n');
    };
    for change in list(run, "changes") {
        let (key, before, after) =
            (text(change, "key"), side(change, "before"), side(change, "after"));
        match (before, after) {
            (None, Some(after)) => line(Tone::Good, "+", &format!("{key} = {after}")),
            (Some(before), None) => line(Tone::Bad, "-", &format!("{key} = {before}")),
            (Some(before), Some(after)) => {
                line(Tone::Waiting, "~", &format!("{key} = {before} -> {after}"));
            }
            (None, None) => {}
        }
    }
    let more = run.get("changes_more").and_then(Value::as_u64).unwrap_or(0);
    if more > 0 {
        line(Tone::Faint, "~", &format!("and {more} more keys"));
    }
    for effect in list(run, "effects") {
        line(Tone::Good, "+", &wanted(effect));
        if bodies == Bodies::Whole {
            carried(effect).iter().for_each(|text| line(Tone::Faint, "  >", text));
        }
    }
    for cancel in list(run, "cancels") {
        let waits = cancel.get("waiting").and_then(Value::as_bool).unwrap_or(false);
        let id = text(cancel, "id");
        if waits {
            line(Tone::Bad, "-", &format!("cancels {id}"));
        } else {
            line(Tone::Faint, " ", &format!("would cancel {id}, which no longer waits"));
        }
    }
    let said = super::deliveries::logs(run);
    for record in said.lines() {
        line(Tone::Faint, "|", record);
    }
    out
}

/// A value on one side of a change.
fn side(change: &Value, name: &str) -> Option<String> {
    let value = change.get(name).filter(|value| value.is_object())?;
    let shown = value.get("value").and_then(Value::as_str).unwrap_or_default();
    let shown = match value.get("encoding").and_then(Value::as_str) {
        Some("base64") => format!("base64:{shown}"),
        _ => shown.escape_debug().to_string(),
    };
    let cut = value.get("truncated").and_then(Value::as_bool).unwrap_or(false);
    let size = value.get("size").and_then(Value::as_u64).unwrap_or(0);
    Some(if cut { format!("{shown}... ({size} bytes)") } else { shown })
}

/// Headers and body of an effect.
fn carried(effect: &Value) -> Vec<String> {
    let mut lines: Vec<String> = list(effect, "headers")
        .map(|header| format!("{}: {}", text(header, "name"), text(header, "value")))
        .collect();
    let body = effect.get("body").and_then(|body| body.get("value")).and_then(Value::as_str);
    lines.extend(body.unwrap_or_default().lines().map(str::to_owned));
    lines
}

/// An effect it would ask for.
fn wanted(effect: &Value) -> String {
    let size = effect.pointer("/body/size").and_then(Value::as_u64).unwrap_or(0);
    let delay = effect.get("delay_ms").and_then(Value::as_u64).unwrap_or(0);
    let what = match effect.get("type").and_then(Value::as_str) {
        Some("emit") => format!("emits {}", text(effect, "event_type")),
        _ => format!("{} {}", text(effect, "method"), text(effect, "url")),
    };
    let when = match delay {
        0 => String::new(),
        _ => format!(" in {}", humantime::format_duration(std::time::Duration::from_millis(delay))),
    };
    format!("{what} ({size} bytes){when}")
}
