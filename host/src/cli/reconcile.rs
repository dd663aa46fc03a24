//! `signalbox reconcile`: looking for events that no webhook brought.

use serde_json::{Map, Value};

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{Column, Format, OutputArgs};
use super::table::Cell;
use super::{operation, times};

/// Fetch the events that no webhook brought, from the provider's own list
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox reconcile
  signalbox reconcile --since 2h --dry-run
  signalbox reconcile --account default --since 7d
  signalbox reconcile status

A running host does this by itself, on start and every few minutes. Stripe lists the events of the last
30 days. What is taken is handled as if its webhook had come; what is known already is left alone.")]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this account ([[stripe.account]]), and those connected to it
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Look back to: `2h` ago, RFC 3339, or seconds since the epoch; without, on from the last look
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only count what is missed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show how each account stands
    #[command(after_help = "Examples:
  signalbox reconcile status
  signalbox reconcile status --output json")]
    Status {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

const STATUS: [Column; 7] = [
    Column { title: "ACCOUNT", cell: |entry, _| Cell::field(entry, "account") },
    Column { title: "STATUS", cell: |entry, _| Cell::status(entry, "status") },
    Column { title: "LOOKED AT UP TO", cell: |entry, style| Cell::time(entry, "upto", style) },
    Column {
        title: "LAST SUCCESS",
        cell: |entry, style| Cell::time(entry, "last_success_at", style),
    },
    Column { title: "MISSED FOUND", cell: |entry, _| Cell::field(entry, "missed_found") },
    Column { title: "LOST GROUND", cell: |entry, _| Cell::field(entry, "lost_ground") },
    Column { title: "ERROR", cell: |entry, _| Cell::field(entry, "error") },
];

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    if let Some(Command::Status { output, connect }) = args.command {
        let status = connect.client(cx)?.get(&["reconcile"], &[]).await?;
        return show(&status, output.output, cx);
    }
    let mut body = Map::new();
    if let Some(account) = args.account {
        body.insert("account".to_owned(), account.into());
    }
    if let Some(since) = args.since {
        let since = times::moment(&since, cx.clock.now())?;
        body.insert("since".to_owned(), since.to_string().into());
    }
    if args.dry_run {
        body.insert("dry_run".to_owned(), true.into());
    }
    let client = args.connect.client(cx)?;
    let started = client.post(&["reconcile"], &Value::Object(body)).await?;
    let ended = operation::finish(&client, started, cx).await?;
    if args.output.output != Format::Table {
        return Ok(cx.json(&ended, args.output.output)?);
    }
    let accounts = ended.pointer("/result/accounts").and_then(Value::as_array);
    let verb = if args.dry_run { "missed" } else { "missed and taken" };
    for entry in accounts.into_iter().flatten() {
        let account = entry.get("account").and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| {
            entry.pointer(&format!("/found/{name}")).and_then(Value::as_u64).unwrap_or(0)
        };
        let (listed, missed, known) = (number("listed"), number("missed"), number("known"));
        let mut text = format!("{account}: {missed} {verb}, {known} known, of {listed} listed");
        for (name, words) in [("young", "left to their webhook"), ("unusable", "not usable")] {
            if number(name) > 0 {
                text.push_str(&format!(", {} {words}", number(name)));
            }
        }
        text.push('\n');
        cx.bytes(text.as_bytes())?;
        for id in entry.pointer("/found/events").and_then(Value::as_array).into_iter().flatten() {
            cx.bytes(format!("  {}\n", id.as_str().unwrap_or_default()).as_bytes())?;
        }
        if let Some(lost) = entry.pointer("/found/lost").filter(|lost| !lost.is_null()) {
            let moment = |name: &str| {
                let seconds = lost.get(name).cloned().unwrap_or_default();
                times::parse(&seconds).map(|time| time.to_string()).unwrap_or_default()
            };
            let (from, until) = (moment("from"), moment("until"));
            cx.say(format_args!(
                "LOST GROUND: nobody looked from {from} on, and Stripe lists nothing before {until}; \
                 compare that time with Stripe's dashboard"
            ));
        }
    }
    Ok(())
}

fn show(status: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    let accounts = status.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default();
    match format {
        Format::Json => return Ok(cx.json(status, format)?),
        Format::Jsonl => {
            for account in &accounts {
                cx.json(account, format)?;
            }
            return Ok(());
        }
        Format::Table => {}
    }
    if status.get("enabled").and_then(Value::as_bool) == Some(false) {
        cx.say("nothing is looked for: no account with a key is configured, or it is turned off");
    }
    Ok(cx.table(&accounts, &STATUS)?)
}
