//! `signalbox requests`: what was refused, and why.

use serde_json::{Value, json};

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::table::Cell;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List refused requests, the newest first
    #[command(after_help = "Examples:
  signalbox requests list
  signalbox requests list --code signature_mismatch
  signalbox requests list --endpoint 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --output jsonl

Only requests to known endpoints are kept, at most 16 a second of each; the rest are counted.")]
    List {
        /// Only to this endpoint
        #[arg(long, value_name = "UUID")]
        endpoint: Option<String>,
        /// Only those refused with this code
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Show one refused request: cause and remedy, headers, the beginning of its body
    #[command(after_help = "Examples:
  signalbox requests show req_42")]
    Show {
        /// The request's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Judge a refused request again, and accept its event if it is genuine
    #[command(after_help = "Examples:
  signalbox requests retry req_42

It is judged as of the moment when it came, by the secrets that the endpoint has now: after a wrong
secret was put right, what was refused meanwhile is not lost.")]
    Retry {
        /// The request's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

const COLUMNS: [Column; 6] = [
    Column { title: "ID", cell: |request, _| Cell::field(request, "id") },
    Column { title: "RECEIVED", cell: |request, style| Cell::time(request, "created", style) },
    Column { title: "ENDPOINT", cell: |request, _| Cell::field(request, "endpoint") },
    Column { title: "CODE", cell: |request, _| Cell::field(request, "code") },
    Column { title: "CLIENT", cell: |request, _| Cell::field(request, "client") },
    Column { title: "SIZE", cell: |request, _| Cell::bytes(request, "size") },
];

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::List { endpoint, code, page, output, connect } => {
            let outcome = Some("refused".to_owned());
            let filters = vec![("outcome", outcome), ("endpoint", endpoint), ("code", code)];
            let (path, columns) = (&["requests"], &COLUMNS);
            Listing { path, filters, page: &page, columns, noun: "refused requests" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show { id, output, connect } => {
            let request = connect.client(cx)?.get(&["requests", &id], &[]).await?;
            show(&request, output.output, cx)
        }
        Command::Retry { id, output, connect } => {
            let path = ["requests", &id, "retry"];
            let done = connect.client(cx)?.post(&path, &json!({})).await?;
            let text = |name| Cell::field(&done, name).text;
            cx.say(format_args!("{id} is genuine: event {} is {}", text("event"), text("status")));
            if output.output == Format::Table {
                return Ok(());
            }
            Ok(cx.json(&done, output.output)?)
        }
    }
}

fn show(request: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(request, format)?);
    }
    let style = cx.style();
    let mut fields = output::fields(request, &["object", "outcome", "body", "headers"], style);
    let headers = request.get("headers").and_then(Value::as_array).into_iter().flatten();
    let header = |header: &Value| {
        format!("{}: {}", Cell::field(header, "name").text, Cell::field(header, "value").text)
    };
    let headers: Vec<String> = headers.map(header).collect();
    fields.push(("headers".to_owned(), Cell::lines(&headers, style)));
    if let Some(body) = request.get("body") {
        fields.push(("body".to_owned(), Cell::field(body, "value")));
    }
    Ok(cx.card(fields)?)
}
