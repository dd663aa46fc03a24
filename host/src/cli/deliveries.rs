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
    Column { title: "REASON", cell: |delivery, _| Cell::field(delivery, "reason") },
];

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::List { event, plugin, status, page, output, connect } => {
            let filters = vec![("event", event), ("plugin", plugin), ("status", status)];
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

fn show(delivery: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(delivery, format)?);
    }
    let fields = output::fields(delivery, &["object", "logs"], cx.style());
    cx.card(fields)?;
    let lines = logs(delivery);
    if !lines.is_empty() {
        cx.bytes(format!("\n{lines}").as_bytes())?;
    }
    Ok(())
}

/// What the guest wrote, a record a line; `logs` is a list, or `{records, dropped}`.
fn logs(delivery: &Value) -> String {
    let Some(logs) = delivery.get("logs") else { return String::new() };
    let records = logs.as_array().or_else(|| logs.get("records")?.as_array());
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
    if let Some(dropped) = logs.get("dropped").and_then(Value::as_u64).filter(|&count| count > 0) {
        text.push_str(&format!("({dropped} more records were over the plugin's limit)\n"));
    }
    text
}
