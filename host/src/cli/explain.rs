//! `signalbox events explain`: why an event stands where it does.

use serde_json::Value;

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{Format, OutputArgs};
use super::table::{Cell, Style, Tone, painted};

/// Tell how an event came, who wanted it and why not, and what happens next
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox events explain evt_1Nx
  signalbox events explain evt_1Nx --output json | jq '.plugins[].subscriptions'")]
pub(crate) struct Args {
    /// The event's id
    id: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let explained = args.connect.client(cx)?.get(&["events", &args.id, "explain"], &[]).await?;
    if args.output.output != Format::Table {
        return Ok(cx.json(&explained, args.output.output)?);
    }
    let text = show(&explained, cx.style());
    Ok(cx.bytes(text.as_bytes())?)
}

fn text(object: &Value, name: &str) -> String {
    Cell::field(object, name).text
}

fn list<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn show(explained: &Value, style: Style) -> String {
    let mut out = format!(
        "{} {} {}\n  {}: {}\n",
        text(explained, "provider"),
        text(explained, "type"),
        text(explained, "event"),
        Cell::time(explained, "received_at", style).text,
        text(explained, "how"),
    );
    if list(explained, "plugins").next().is_none() {
        out.push_str("\nno plugin is loaded\n");
    }
    for plugin in list(explained, "plugins") {
        let flag = |name| plugin.get(name).and_then(Value::as_bool).unwrap_or(false);
        let (verdict, tone) = match (flag("matches"), flag("delivered")) {
            (true, true) => ("wants it, and got it", Tone::Good),
            (true, false) => ("wants it, and did not get it", Tone::Waiting),
            (false, true) => ("does not want it, and got it", Tone::Waiting),
            (false, false) => ("does not want it", Tone::Faint),
        };
        out.push_str(&format!("\n{}: {}\n", text(plugin, "plugin"), painted(verdict, tone, style)));
        for entry in list(plugin, "subscriptions") {
            out.push_str(&format!("  {}\n", subscription(entry)));
        }
        if let Some(note) = plugin.get("note").and_then(Value::as_str) {
            out.push_str(&format!("  {note}\n"));
        }
    }
    for delivery in list(explained, "deliveries") {
        let status = Cell::status(delivery, "status");
        out.push_str(&format!(
            "\n{}: {}\n",
            text(delivery, "id"),
            painted(&status.text, status.tone, style)
        ));
        if delivery.get("replayed_at").is_some_and(|at| !at.is_null()) {
            let at = Cell::time(delivery, "replayed_at", style).text;
            out.push_str(&format!("  an operator had it run again {at}\n"));
        }
        for attempt in list(delivery, "history") {
            let outcome = Cell::status(attempt, "outcome");
            out.push_str(&format!(
                "  attempt {} {}: {}  {}\n",
                text(attempt, "number"),
                Cell::time(attempt, "started_at", style).text,
                painted(&outcome.text, outcome.tone, style),
                Cell::first_line(attempt, "reason").text,
            ));
        }
        out.push_str(&format!("  next: {}\n", text(delivery, "next")));
        for effect in list(delivery, "effects") {
            let status = Cell::status(effect, "status");
            out.push_str(&format!(
                "  effect {}: {}  {}\n",
                text(effect, "id"),
                painted(&status.text, status.tone, style),
                super::effects::what(effect),
            ));
        }
    }
    out
}

pub(super) fn subscription(entry: &Value) -> String {
    let named = format!("{}:{}", text(entry, "provider"), text(entry, "type"));
    let filter = entry.get("filter").and_then(Value::as_str);
    let named = filter.map_or_else(|| named.clone(), |filter| format!("{named} if {filter}"));
    let said = match entry.get("verdict").and_then(Value::as_str) {
        Some("matched") => "matches".to_owned(),
        Some("provider_differs") => "another provider".to_owned(),
        Some("type_differs") => "another type".to_owned(),
        Some("filter_false") => "the filter is false".to_owned(),
        Some("filter_failed") => {
            format!("matches: the filter cannot be evaluated ({})", text(entry, "cause"))
        }
        other => other.unwrap_or("-").to_owned(),
    };
    format!("{named}  {said}")
}
