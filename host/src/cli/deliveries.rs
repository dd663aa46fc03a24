//! `signalbox deliveries`: what became of events at the plugins.

use serde_json::Value;

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::table::Cell;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List deliveries, newest event first
    #[command(after_help = "Examples:
  signalbox deliveries list --status dead
  signalbox deliveries list --event evt_1Nx
  signalbox deliveries list --plugin charge-counter --status retry --output jsonl")]
    List {
        /// Only of this event
        #[arg(long, value_name = "ID")]
        event: Option<String>,
        /// Only of this plugin
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
        /// Only of this status: pending, running, done, retry, dead, parked
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Only dead ones of this group (see `signalbox dead groups`)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Show one delivery: its attempts, what the handler said, and why it stands where it does
    #[command(after_help = "Examples:
  signalbox deliveries show stripe.evt_1Nx.charge-counter")]
    Show {
        /// The delivery's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

pub(super) const COLUMNS: [Column; 7] = [
    Column { title: "ID", cell: |delivery, _| Cell::field(delivery, "id") },
    Column { title: "PLUGIN", cell: |delivery, _| Cell::field(delivery, "plugin") },
    Column { title: "STATUS", cell: |delivery, _| Cell::status(delivery, "status") },
    Column { title: "ATTEMPTS", cell: |delivery, _| Cell::field(delivery, "attempts") },
    Column { title: "OUTCOME", cell: |delivery, _| Cell::status(delivery, "outcome") },
    Column { title: "NEXT", cell: |delivery, s| Cell::time(delivery, "next_attempt_at", s) },
    Column { title: "REASON", cell: |delivery, _| Cell::first_line(delivery, "reason") },
];

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::List { event, plugin, status, group, page, output, connect } => {
            let filters =
                vec![("event", event), ("plugin", plugin), ("status", status), ("group", group)];
            let (path, columns) = (&["deliveries"], &COLUMNS);
            Listing { path, filters, page: &page, columns, noun: "deliveries" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show { id, output, connect } => {
            let delivery = connect.client(cx)?.get(&["deliveries", &id], &[]).await?;
            show(&delivery, output.output, cx)
        }
    }
}

const ATTEMPTS: [Column; 7] = [
    Column { title: "ATTEMPT", cell: |attempt, _| Cell::field(attempt, "number") },
    Column { title: "STARTED", cell: |attempt, style| Cell::time(attempt, "started_at", style) },
    Column { title: "OUTCOME", cell: |attempt, _| Cell::status(attempt, "outcome") },
    Column { title: "CPU", cell: |attempt, _| micros(attempt, "cpu_us") },
    Column { title: "WALL", cell: |attempt, _| micros(attempt, "wall_us") },
    Column { title: "MEMORY", cell: |attempt, _| Cell::bytes(attempt, "memory_bytes") },
    Column { title: "REASON", cell: |attempt, _| Cell::first_line(attempt, "reason") },
];

pub(super) fn micros(object: &Value, name: &str) -> Cell {
    match object.get(name).and_then(Value::as_u64) {
        Some(micros) if micros < 1_000 => Cell::new(format!("{micros}us")),
        Some(micros) => Cell::new(format!("{}ms", micros / 1_000)),
        None => Cell::field(object, name),
    }
}

pub(super) fn show(delivery: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(delivery, format)?);
    }
    let without = ["object", "history", "logs", "logs_dropped"];
    let fields = output::fields(delivery, &without, cx.style());
    cx.card(fields)?;
    let attempts = delivery.get("history").and_then(Value::as_array);
    if let Some(attempts) = attempts.filter(|attempts| !attempts.is_empty()) {
        cx.bytes(b"\n")?;
        cx.table(attempts, &ATTEMPTS)?;
    }
    let lines = logs(delivery);
    if !lines.is_empty() {
        cx.bytes(format!("\nThe last attempt said:\n{lines}").as_bytes())?;
    }
    Ok(())
}

/// What the guest wrote in its last attempt, a record a line.
pub(super) fn logs(delivery: &Value) -> String {
    let records = delivery.get("logs").and_then(Value::as_array);
    let mut text = String::new();
    for record in records.into_iter().flatten() {
        let part = |name| Cell::field(record, name).text;
        text.push_str(&format!("{:<5} {}", part("level"), part("message")));
        if let Some(attributes) = record.get("attributes") {
            let shown = super::table::plain(attributes);
            if !shown.is_empty() {
                text.push_str(&format!("  {shown}"));
            }
        }
        text.push('\n');
    }
    let dropped = delivery.get("logs_dropped").and_then(Value::as_u64);
    if let Some(dropped) = dropped.filter(|&count| count > 0) {
        text.push_str(&format!("({dropped} more records were over the plugin's limit)\n"));
    }
    text
}
