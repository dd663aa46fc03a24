//! `signalbox objects backfill`: taking the objects of Stripe's lists into the mirror.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::refresh::kinds;

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{Column, Format, OutputArgs};
use super::table::Cell;
use super::{operation, times};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this kind, e.g. `customer`; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only this account ([[stripe.account]]), and those connected to it that it names
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only objects made since, of kinds that Stripe lists by time: `30d` ago, RFC 3339, or seconds since the epoch
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Begin with the newest, even where a run before was stopped
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What stands below the flags.
pub(crate) fn help() -> String {
    let mut why: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (kind, reason) in kinds::UNLISTED.into_iter().chain(kinds::ELSEWHERE) {
        why.entry(reason).or_default().push(kind);
    }
    let why = why.iter().map(|(reason, kinds)| format!("\n  {}: {reason}", kinds.join(", ")));
    format!(
        "Examples:
  signalbox objects backfill
  signalbox objects backfill --kind customer --kind subscription
  signalbox objects backfill --account default --since 90d

Handlers are not told of what is found. A run that was stopped is gone on with by the next; what
Stripe's webhooks bring meanwhile is newer and stays.

Kinds that Stripe lists by time:
  {}
Kinds that it lists without: they are read whole, whatever --since says:
  {}
Kinds that are in no list of an account's, and come with their events alone:{}
  Any other kind lives below another object (card, bank_account, discount, line_item, ...)",
        kinds::BY_TIME.join(", "),
        kinds::BY_PAGE.join(", "),
        why.collect::<String>(),
    )
}

const COLUMNS: [Column; 6] = [
    Column { title: "ACCOUNT", cell: |list, _| Cell::field(list, "account") },
    Column { title: "KIND", cell: |list, _| Cell::field(list, "kind") },
    Column { title: "LISTED", cell: |list, _| Cell::field(list, "listed") },
    Column { title: "HELD", cell: |list, _| Cell::field(list, "held") },
    Column { title: "NEWER HELD", cell: |list, _| Cell::field(list, "newer") },
    Column { title: "NOT USABLE", cell: |list, _| Cell::field(list, "unusable") },
];

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let mut body = Map::new();
    if !args.kinds.is_empty() {
        body.insert("kinds".to_owned(), args.kinds.into());
    }
    if let Some(account) = args.account {
        body.insert("account".to_owned(), account.into());
    }
    if let Some(since) = args.since {
        let since = times::moment(&since, cx.clock.now())?;
        body.insert("since".to_owned(), since.to_string().into());
    }
    if args.restart {
        body.insert("restart".to_owned(), true.into());
    }
    let client = args.connect.client(cx)?;
    let started = client.post(&["objects", "backfill"], &Value::Object(body)).await?;
    let ended = operation::finish(&client, started, cx).await?;
    if args.output.output != Format::Table {
        return Ok(cx.json(&ended, args.output.output)?);
    }
    let lists = ended.pointer("/result/lists").and_then(Value::as_array);
    let (out, read): (Vec<_>, Vec<_>) = lists
        .into_iter()
        .flatten()
        .cloned()
        .partition(|list| list.get("left_out").is_some_and(Value::is_string));
    for list in &out {
        let text = |name| list.get(name).and_then(Value::as_str).unwrap_or_default();
        let (account, kind, why) = (text("account"), text("kind"), text("left_out"));
        cx.say(format_args!("{account}: left out {kind}: {why}"));
    }
    Ok(cx.table(&read, &COLUMNS)?)
}
