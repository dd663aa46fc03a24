//! `signalbox effects`: what handlers asked the world for.

use serde_json::{Value, json};

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::table::Cell;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List effects, newest event first
    #[command(after_help = "Examples:
  signalbox effects list --status dead
  signalbox effects list --plugin notifier --status retry
  signalbox effects list --event evt_1Nx --output jsonl")]
    List {
        /// Only of this event
        #[arg(long, value_name = "ID")]
        event: Option<String>,
        /// Only of this plugin
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
        /// Only of this status: pending, running, done, retry, dead, cancelled
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Show one effect: what is to be sent, and each try
    #[command(after_help = "Examples:
  signalbox effects show stripe.evt_1Nx.notifier.0")]
    Show {
        /// The effect's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Perform an effect now: one that waits, or again one that ended
    #[command(after_help = "Examples:
  signalbox effects retry stripe.evt_1Nx.notifier.0

The receiver is sent the same idempotency key as before.")]
    Retry {
        /// The effect's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Withdraw an effect that waits
    #[command(after_help = "Examples:
  signalbox effects cancel stripe.evt_1Nx.notifier.0")]
    Cancel {
        /// The effect's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

const COLUMNS: [Column; 6] = [
    Column { title: "ID", cell: |effect, _| Cell::field(effect, "id") },
    Column { title: "WHAT", cell: |effect, _| Cell::new(what(effect)) },
    Column { title: "STATUS", cell: |effect, _| Cell::status(effect, "status") },
    Column { title: "ATTEMPTS", cell: |effect, _| Cell::field(effect, "attempts") },
    Column { title: "NEXT", cell: |effect, style| Cell::time(effect, "next_attempt_at", style) },
    Column { title: "REASON", cell: |effect, _| Cell::first_line(effect, "reason") },
];

const TRIES: [Column; 5] = [
    Column { title: "TRY", cell: |attempt, _| Cell::field(attempt, "number") },
    Column { title: "STARTED", cell: |attempt, style| Cell::time(attempt, "started_at", style) },
    Column { title: "ANSWER", cell: |attempt, _| Cell::field(attempt, "status") },
    Column { title: "TOOK_MS", cell: |attempt, _| Cell::field(attempt, "took_ms") },
    Column { title: "REASON", cell: |attempt, _| Cell::first_line(attempt, "reason") },
];

/// `POST https://...`, or `emit TYPE`.
pub(super) fn what(effect: &Value) -> String {
    let text = |name| Cell::field(effect, name).text;
    match effect.get("type").and_then(Value::as_str) {
        Some("emit") => format!("emit {}", text("event_type")),
        _ => format!("{} {}", text("method"), text("url")),
    }
}

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::List { event, plugin, status, page, output, connect } => {
            let filters = vec![("event", event), ("plugin", plugin), ("status", status)];
            let (path, columns) = (&["effects"], &COLUMNS);
            Listing { path, filters, page: &page, columns, noun: "effects" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show { id, output, connect } => {
            let effect = connect.client(cx)?.get(&["effects", &id], &[]).await?;
            show(&effect, output.output, cx)
        }
        Command::Retry { id, output, connect } => {
            let path = ["effects", &id, "retry"];
            let effect = connect.client(cx)?.post(&path, &json!({})).await?;
            cx.say(format_args!("{id} is performed now"));
            show(&effect, output.output, cx)
        }
        Command::Cancel { id, output, connect } => {
            let path = ["effects", &id, "cancel"];
            let effect = connect.client(cx)?.post(&path, &json!({})).await?;
            cx.say(format_args!("{id} is withdrawn"));
            show(&effect, output.output, cx)
        }
    }
}

fn show(effect: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(effect, format)?);
    }
    let style = cx.style();
    let mut fields = output::fields(effect, &["object", "history", "body", "headers"], style);
    let headers = effect.get("headers").and_then(Value::as_array).into_iter().flatten();
    let header = |header: &Value| {
        format!("{}: {}", Cell::field(header, "name").text, Cell::field(header, "value").text)
    };
    let headers: Vec<String> = headers.map(header).collect();
    fields.push(("headers".to_owned(), Cell::lines(&headers, style)));
    if let Some(body) = effect.get("body") {
        fields.push(("body".to_owned(), Cell::field(body, "value")));
        fields.push(("body_size".to_owned(), Cell::bytes(body, "size")));
    }
    cx.card(fields)?;
    let tries = effect.get("history").and_then(Value::as_array);
    if let Some(tries) = tries.filter(|tries| !tries.is_empty()) {
        cx.bytes(b"\n")?;
        cx.table(tries, &TRIES)?;
    }
    Ok(())
}
