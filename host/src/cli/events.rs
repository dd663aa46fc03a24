//! `signalbox events`: what was accepted.

use serde_json::Value;

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{self, Listing, PageArgs};
use super::table::{self, Cell};
use super::{explain, replay};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List events, newest first
    #[command(after_help = "Examples:
  signalbox events list
  signalbox events list --type charge.succeeded --status dead --limit 50
  signalbox events list --all --output jsonl | jq -r .id")]
    List {
        /// Only events of this type
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only events with a delivery of this status: pending, running, done, retry, dead, parked
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Show one event and its deliveries
    #[command(after_help = "Examples:
  signalbox events show evt_1Nx
  signalbox events show evt_1Nx --output json | jq .deliveries")]
    Show {
        /// The event's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Write the very bytes that the provider sent and signed
    #[command(after_help = "Examples:
  signalbox events raw evt_1Nx > event.json
  signalbox events raw evt_1Nx | jq .data.object")]
    Raw {
        /// The event's id
        id: String,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    Replay(replay::Args),
    Explain(explain::Args),
}

const COLUMNS: [Column; 5] = [
    Column { title: "ID", cell: |event, _| Cell::field(event, "id") },
    Column { title: "TYPE", cell: |event, _| Cell::field(event, "type") },
    Column { title: "RECEIVED", cell: |event, style| Cell::time(event, "received_at", style) },
    Column { title: "MODE", cell: |event, _| mode(event) },
    Column { title: "DELIVERIES", cell: |event, _| deliveries(event) },
];

fn mode(event: &Value) -> Cell {
    match event.get("livemode").and_then(Value::as_bool) {
        Some(true) => Cell::new("live"),
        Some(false) => Cell::new("test"),
        None => Cell::value(&Value::Null),
    }
}

/// `charge-counter done, ledger retry`, coloured by the worst of them.
fn deliveries(event: &Value) -> Cell {
    use table::Tone;
    let list = list_of(event);
    let mut cell = Cell::value(&Value::Null);
    let mut words = Vec::new();
    let rank = |tone: Tone| match tone {
        Tone::Faint => 0,
        Tone::Good => 1,
        Tone::Plain => 2,
        Tone::Waiting => 3,
        Tone::Bad => 4,
    };
    for delivery in &list {
        let status = Cell::status(delivery, "status");
        words.push(format!("{} {}", Cell::field(delivery, "plugin").text, status.text));
        if rank(status.tone) > rank(cell.tone) {
            cell.tone = status.tone;
        }
    }
    if !words.is_empty() {
        cell.text = words.join(", ");
    }
    cell
}

/// An event's deliveries, as a list or as a list object.
fn list_of(event: &Value) -> Vec<Value> {
    match event.get("deliveries") {
        Some(Value::Array(list)) => list.clone(),
        Some(list) => page::entries(list.clone()).0,
        None => Vec::new(),
    }
}

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::List { kind, status, page, output, connect } => {
            let filters = vec![("type", kind), ("status", status)];
            Listing { path: &["events"], filters, page: &page, columns: &COLUMNS, noun: "events" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show { id, output, connect } => {
            let event = connect.client(cx)?.get(&["events", &id], &[]).await?;
            show(&event, output.output, cx)
        }
        Command::Raw { id, connect } => {
            let bytes = connect.client(cx)?.bytes(&["events", &id, "raw"]).await?;
            Ok(cx.bytes(&bytes)?)
        }
        Command::Replay(args) => replay::run(args, cx).await,
        Command::Explain(args) => explain::run(args, cx).await,
    }
}

fn show(event: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(event, format)?);
    }
    let fields = output::fields(event, &["object", "deliveries"], cx.style());
    cx.card(fields)?;
    let list = list_of(event);
    if !list.is_empty() {
        cx.bytes(b"\n")?;
        cx.table(&list, &super::deliveries::COLUMNS)?;
    }
    Ok(())
}
