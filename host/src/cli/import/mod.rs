//! `signalbox import`: takes over what another receiver of webhooks has.

mod djstripe;

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::client::ClientError;
use super::connect::ConnectArgs;
use super::context::Context;
use super::exit::Conflict;
use super::output::{Column, Format, OutputArgs};
use super::page;
use super::table::Cell;
use djstripe::Row;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Take over dj-stripe's webhook endpoints, with their UUIDs and secrets
    #[command(after_help = "Examples:
  python manage.py dumpdata djstripe.WebhookEndpoint > endpoints.json
  signalbox import djstripe endpoints.json --dry-run
  signalbox import djstripe endpoints.json
  python manage.py dumpdata djstripe.WebhookEndpoint | signalbox import djstripe -

The dump holds secrets: delete it afterwards. Endpoints keep their UUIDs, so that the URLs at Stripe
stay as they are once `server.aliases` names dj-stripe's path. What is there already stays as it is.")]
    Djstripe(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `manage.py dumpdata djstripe.WebhookEndpoint` wrote; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Take those over that are disabled at Stripe, too
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

const COLUMNS: [Column; 6] = [
    Column { title: "ID", cell: |row, _| Cell::field(row, "id") },
    Column { title: "URL AT STRIPE", cell: |row, _| Cell::field(row, "url_at_stripe") },
    Column { title: "MODE", cell: |row, _| Cell::field(row, "mode") },
    Column { title: "SECRET", cell: |row, _| Cell::field(row, "secret") },
    Column { title: "RESULT", cell: |row, _| Cell::field(row, "result") },
    Column { title: "NOTE", cell: |row, _| Cell::field(row, "note") },
];

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    let Command::Djstripe(args) = command;
    let rows = djstripe::read(&text_of(&args, cx)?)?;
    let client = args.connect.client(cx)?;
    let mut there = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = vec![("limit", "100".to_owned())];
        query.extend(after.map(|id| ("starting_after", id)));
        let (data, more) = page::entries(client.get(&["endpoints"], &query).await?);
        after = data.last().and_then(|last| last.get("id")?.as_str().map(str::to_owned));
        there.extend(data);
        if !more || after.is_none() {
            break;
        }
    }
    let mut shown = Vec::with_capacity(rows.len());
    let mut refused = 0_usize;
    for (at, row) in rows.iter().enumerate() {
        let twice = rows.iter().take(at).any(|other| other.id == row.id);
        let plan = plan(row, &there, twice, args.disabled);
        let (result, note) = match plan {
            Plan::Create if args.dry_run => ("would be made", None),
            Plan::Create => match client.post(&["endpoints"], &row.request()).await {
                Ok(_) => ("made", None),
                Err(ClientError::Api { message, .. }) => ("refused", Some(message)),
                Err(error) => return Err(error.into()),
            },
            Plan::There => ("there already", None),
            Plan::Skip(why) => ("skipped", Some(why)),
            Plan::Refuse(why) => ("refused", Some(why)),
        };
        refused += usize::from(result == "refused");
        shown.push(row.shown(result, note));
    }
    match args.output.output {
        Format::Table => cx.table(&shown, &COLUMNS)?,
        Format::Json => {
            cx.json(&json!({"object": "list", "data": shown, "has_more": false}), Format::Json)?;
        }
        Format::Jsonl => {
            for row in &shown {
                cx.json(row, Format::Jsonl)?;
            }
        }
    }
    if refused > 0 {
        let text =
            format!("{refused} of {} could not be taken over; the notes say why", rows.len());
        return Err(Conflict(text).into());
    }
    Ok(())
}

fn text_of(args: &Args, cx: &mut Context) -> anyhow::Result<String> {
    let mut text = String::new();
    if args.file.as_os_str() == "-" {
        cx.input.read_to_string(&mut text).context("standard input")?;
        return Ok(text);
    }
    let told = || format!("cannot read {}", args.file.display());
    std::fs::File::open(&args.file)
        .and_then(|mut file| file.read_to_string(&mut text))
        .with_context(told)?;
    Ok(text)
}

/// What is to be done about one row.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Create,
    There,
    Skip(String),
    Refuse(String),
}

fn plan(row: &Row, there: &[Value], twice: bool, disabled: bool) -> Plan {
    if twice {
        return Plan::Refuse("its UUID stands twice in the dump".to_owned());
    }
    if row.is_disabled() && !disabled {
        return Plan::Skip("it is disabled at Stripe; --disabled takes it over".to_owned());
    }
    let Some(secret) = &row.secret else {
        return Plan::Refuse(
            "dj-stripe holds no secret for it: it was not made by dj-stripe; reveal the secret at \
             Stripe and make it by `signalbox endpoints create`"
                .to_owned(),
        );
    };
    let known = there.iter().find(|endpoint| {
        endpoint.get("id").and_then(Value::as_str) == Some(row.id.hyphenated().to_string().as_str())
    });
    let Some(known) = known else { return Plan::Create };
    let fingerprint = secret.id().0;
    let secrets = known.get("secrets").and_then(Value::as_array).into_iter().flatten();
    let same =
        secrets.into_iter().any(|s| s.get("id").and_then(Value::as_str) == Some(&fingerprint));
    if same {
        Plan::There
    } else {
        Plan::Refuse(
            "an endpoint of this UUID is there with another secret; delete it first".into(),
        )
    }
}

#[cfg(test)]
mod tests;
