//! What a handler did with an event, as people read it: its verdict, and below it what it changed, asked
//! for and said.
//!
//! Not the changes themselves, which are shown as those of a dry run (`dry_run`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::delivery::Outcome;
use crate::domain::plugin::Subscription;
use crate::plugin::explain::{Explanation, Said};

use super::deliveries::micros;
use super::dry_run::{Bodies, details};
use super::explain::subscription;
use super::table::{Cell, Style, Tone, painted};

/// An outcome in a word or two.
pub(crate) fn word(outcome: Outcome, retry_after: Option<Duration>) -> String {
    let word = match outcome {
        Outcome::Ok => "done",
        Outcome::Retry => "retry",
        Outcome::Reject => "reject",
        Outcome::Crashed => "crashed",
        Outcome::OutOfTime => "out of time",
        Outcome::OutOfMemory => "out of memory",
        Outcome::HostFault => "host fault",
        Outcome::Saturated => "saturated",
    };
    match retry_after {
        Some(after) => format!("{word} after {}", humantime::format_duration(after)),
        None => word.to_owned(),
    }
}

/// What each subscription of a plugin says to an event.
pub(crate) fn subscriptions(said: &Explanation) -> Vec<Value> {
    let entry = |(wanted, said): &(Subscription, Said)| {
        let mut entry = json!({
            "provider": wanted.provider,
            "type": wanted.kind.to_string(),
            "filter": wanted.filter,
        });
        if let (Value::Object(entry), Ok(Value::Object(said))) =
            (&mut entry, serde_json::to_value(said))
        {
            entry.extend(said);
        }
        entry
    };
    said.entries.iter().map(entry).collect()
}

/// For whom a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// A person who looks at this run.
    Reader,
    /// The record: nothing that another run or another machine would measure otherwise.
    Record,
}

/// What one plugin did: its name, how it `ended`, its `run` as that of a dry run; without one, its
/// `subscriptions`.
pub(crate) fn of_plugin(plugin: &Value, to: For, style: Style) -> String {
    let name = Cell::field(plugin, "plugin").text;
    let Some(run) = plugin.get("run").filter(|run| !run.is_null()) else {
        return match to {
            For::Record => format!("  {name}: not for it\n"),
            For::Reader => not_for(plugin, &name, style),
        };
    };
    let ended = Cell::field(plugin, "ended").text;
    let tone = Cell::status(run, "verdict").tone;
    let mut out = format!("  {name}: {}", painted(&ended, tone, style));
    if to == For::Reader {
        let micros = |field| micros(run, field).text;
        let memory = Cell::bytes(run, "memory_bytes").text;
        let used = format!("  cpu {}, wall {}, {memory}", micros("cpu_us"), micros("wall_us"));
        out.push_str(&painted(&used, Tone::Faint, style));
    }
    out.push('\n');
    // What follows the first line is a guest's stack, which tells of the build.
    let lines = if to == For::Record { 1 } else { usize::MAX };
    let reason = run.get("reason").and_then(Value::as_str).unwrap_or_default();
    for line in reason.lines().take(lines) {
        out.push_str(&format!("      {line}\n"));
    }
    for line in details(run, Bodies::Whole, style).lines() {
        out.push_str(&format!("  {line}\n"));
    }
    out
}

/// Which subscription came near, and what it says; where none did, what the plugin wants.
fn not_for(plugin: &Value, name: &str, style: Style) -> String {
    let all = plugin.get("subscriptions").and_then(Value::as_array).cloned().unwrap_or_default();
    let verdict = |entry: &Value| Cell::field(entry, "verdict").text;
    let near: Vec<&Value> = all.iter().filter(|entry| verdict(entry) == "filter_false").collect();
    let mut out = format!("  {name}: {}", painted("not for it", Tone::Faint, style));
    if near.is_empty() {
        let part = |entry, name| Cell::field(entry, name).text;
        let wants = all.iter();
        let wants =
            wants.map(|entry| format!("{}:{}", part(entry, "provider"), part(entry, "type")));
        let wants = wants.collect::<Vec<_>>().join(", ");
        out.push_str(&painted(&format!("; it wants {wants}"), Tone::Faint, style));
    }
    out.push('\n');
    for entry in near {
        out.push_str(&format!("      {}\n", subscription(entry)));
    }
    out
}
