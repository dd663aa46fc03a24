//! `signalbox endpoints sync`: what is at Stripe and what is here, brought together.

use serde_json::{Map, Value};

use crate::cli::connect::ConnectArgs;
use crate::cli::context::Context;
use crate::cli::output::{Column, Format, OutputArgs};
use crate::cli::table::Cell;

/// Compare endpoints with Stripe: take over what changed there, adopt those that are this host's,
/// finish or undo what was begun
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox endpoints sync --dry-run
  signalbox endpoints sync
  signalbox endpoints sync --account eu --adopt all

An endpoint is known by its metadata `signalbox_uuid` (or `djstripe_uuid`), or by the UUID in its URL.
One that is adopted has no secret here, for Stripe shows it in its dashboard alone; `endpoints
add-secret` takes it. Nothing that works is deleted on either side.")]
pub(crate) struct Args {
    /// Only this [[stripe.account]] [default: all]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// What to take over of what is at Stripe alone: `ours` (its URL is this host's), `all`, `none`
    #[arg(long, value_name = "WHICH", default_value = "ours", value_parser = ["ours", "all", "none"])]
    adopt: String,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

const COLUMNS: [Column; 6] = [
    Column { title: "ID", cell: |entry, _| Cell::field(entry, "id") },
    Column { title: "AT STRIPE", cell: |entry, _| Cell::field(entry, "provider_id") },
    Column { title: "ACCOUNT", cell: |entry, _| Cell::field(entry, "account") },
    Column { title: "OUTCOME", cell: |entry, _| Cell::field(entry, "outcome") },
    Column { title: "DIFFERENCES", cell: |entry, _| Cell::new(fields(entry)) },
    Column { title: "URL", cell: |entry, _| Cell::field(entry, "url") },
];

fn fields(entry: &Value) -> String {
    let differences = entry.get("differences").and_then(Value::as_array);
    let field = |one: &Value| one.get("field").and_then(Value::as_str).map(str::to_owned);
    differences.into_iter().flatten().filter_map(field).collect::<Vec<_>>().join(", ")
}

pub(super) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let mut body = Map::new();
    body.insert("adopt".to_owned(), args.adopt.into());
    body.insert("dry_run".to_owned(), args.dry_run.into());
    if let Some(account) = args.account {
        body.insert("account".to_owned(), account.into());
    }
    let report = args.connect.client(cx)?.post(&["endpoints", "sync"], &body.into()).await?;
    let empty = Vec::new();
    let entries = report.get("data").and_then(Value::as_array).unwrap_or(&empty);
    match args.output.output {
        Format::Jsonl => {
            for entry in entries {
                cx.json(entry, Format::Jsonl)?;
            }
        }
        Format::Json => cx.json(&report, Format::Json)?,
        Format::Table => {
            if entries.is_empty() {
                cx.say("no endpoint at Stripe is this host's");
            } else {
                cx.table(entries, &COLUMNS)?;
            }
            for entry in entries {
                let text = |name| entry.get(name).and_then(Value::as_str);
                if let (Some(note), Some(id)) = (text("note"), text("provider_id").or(text("id"))) {
                    cx.say(format_args!("{id}: {note}"));
                }
            }
            if args.dry_run {
                cx.say("nothing was changed (--dry-run)");
            }
        }
    }
    Ok(())
}
