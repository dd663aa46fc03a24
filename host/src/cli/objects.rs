//! `signalbox objects`: the mirror of the providers' objects.

use serde_json::Value;

use super::backfill;
use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::table::{Cell, Tone};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show one object as the newest event left it
    #[command(after_help = "Examples:
  signalbox objects get customer cus_1Nx
  signalbox objects get customer cus_1Nx --account acct_1Nx --test
  signalbox objects get subscription sub_1Nx --raw | jq .status")]
    Get {
        #[command(flatten)]
        name: NameArgs,
        /// Write the very bytes of the object and nothing else
        #[arg(long, conflicts_with = "output")]
        raw: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// List objects by provider, kind and identifier
    #[command(after_help = "Examples:
  signalbox objects list --kind customer
  signalbox objects list --kind price --deleted true
  signalbox objects list --kind invoice --all --output jsonl | jq .body.total")]
    List {
        /// Only objects of this kind, e.g. `customer`
        #[arg(long)]
        kind: Option<String>,
        /// Only those that are deleted (or are not)
        #[arg(long, value_name = "true|false")]
        deleted: Option<bool>,
        #[command(flatten)]
        which: WhichArgs,
    },
    /// List objects whose last state is not sure: two events of one second, and nothing tells which
    /// is the later
    #[command(after_help = "Examples:
  signalbox objects ambiguous
  signalbox objects ambiguous --kind subscription --output jsonl | jq -r .id")]
    Ambiguous {
        /// Only objects of this kind
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        which: WhichArgs,
    },
    /// Take in the objects that Stripe lists: those of before signalbox was there
    #[command(after_help = backfill::help())]
    Backfill(backfill::Args),
    /// List the events that showed an object, newest first
    #[command(after_help = "Examples:
  signalbox objects history customer cus_1Nx
  signalbox objects history customer cus_1Nx --all --output jsonl | jq -r .id")]
    History {
        #[command(flatten)]
        name: NameArgs,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// Which one.
#[derive(Debug, clap::Args)]
pub(crate) struct NameArgs {
    /// The provider's name of its type, e.g. `customer`
    kind: String,
    /// The provider's identifier
    id: String,
    /// Whose object it is
    #[arg(long, default_value = "stripe")]
    provider: String,
    /// The connected account it belongs to
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    mode: ModeArgs,
}

/// Which mode; without, the real object before the test's.
#[derive(Debug, clap::Args)]
pub(crate) struct ModeArgs {
    /// Only live mode
    #[arg(long, conflicts_with = "test")]
    live: bool,
    /// Only test mode
    #[arg(long)]
    test: bool,
}

/// Which ones, and where from.
#[derive(Debug, clap::Args)]
pub(crate) struct WhichArgs {
    /// Only objects of this provider
    #[arg(long, default_value = "stripe")]
    provider: String,
    /// Only objects of this connected account
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    mode: ModeArgs,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

impl ModeArgs {
    fn livemode(&self) -> Option<String> {
        (self.live || self.test).then(|| self.live.to_string())
    }
}

impl NameArgs {
    fn path<'a>(&'a self, more: &'a [&'a str]) -> Vec<&'a str> {
        let own = ["objects", &self.provider, &self.kind, &self.id];
        own.into_iter().chain(more.iter().copied()).collect()
    }

    fn filters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("account", self.account.clone()), ("livemode", self.mode.livemode())]
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let given = |(name, value): (_, Option<String>)| value.map(|value| (name, value));
        self.filters().into_iter().filter_map(given).collect()
    }
}

const COLUMNS: [Column; 6] = [
    Column { title: "ID", cell: |object, _| Cell::field(object, "id") },
    Column { title: "KIND", cell: |object, _| Cell::field(object, "kind") },
    Column { title: "ACCOUNT", cell: |object, _| Cell::field(object, "account") },
    Column { title: "MODE", cell: |object, _| mode(object) },
    Column { title: "AS OF", cell: |object, style| Cell::time(object, "as_of", style) },
    Column { title: "STATE", cell: |object, _| state(object) },
];

const EVENTS: [Column; 4] = [
    Column { title: "ID", cell: |event, _| id_or_gone(event) },
    Column { title: "TYPE", cell: |event, _| Cell::field(event, "type") },
    Column { title: "CREATED", cell: |event, style| Cell::time(event, "created", style) },
    Column { title: "RECEIVED", cell: |event, style| Cell::time(event, "received_at", style) },
];

fn is(object: &Value, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn mode(object: &Value) -> Cell {
    Cell::new(if is(object, "livemode") { "live" } else { "test" })
}

fn state(object: &Value) -> Cell {
    let (text, tone) = match (is(object, "deleted"), is(object, "ambiguous")) {
        (true, _) => ("deleted", Tone::Faint),
        (false, true) => ("ambiguous", Tone::Bad),
        (false, false) => ("held", Tone::Good),
    };
    Cell { text: text.to_owned(), tone }
}

fn id_or_gone(event: &Value) -> Cell {
    if is(event, "gone") {
        return Cell { text: "(no longer kept)".to_owned(), tone: Tone::Faint };
    }
    Cell::field(event, "id")
}

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::Get { name, raw, output, connect } => {
            let client = connect.client(cx)?;
            if raw {
                let bytes = client.bytes_of(&name.path(&["raw"]), &name.query()).await?;
                return Ok(cx.bytes(&bytes)?);
            }
            let object = client.get(&name.path(&[]), &name.query()).await?;
            show(&object, output.output, cx)
        }
        Command::List { kind, deleted, which } => {
            let deleted = ("deleted", deleted.map(|deleted| deleted.to_string()));
            list(vec![("kind", kind), deleted], &which, cx).await
        }
        Command::Ambiguous { kind, which } => {
            let ambiguous = ("ambiguous", Some("true".to_owned()));
            list(vec![("kind", kind), ambiguous], &which, cx).await
        }
        Command::Backfill(args) => backfill::run(args, cx).await,
        Command::History { name, page, output, connect } => {
            let path = name.path(&["history"]);
            let listing = Listing {
                path: &path,
                filters: name.filters(),
                page: &page,
                columns: &EVENTS,
                noun: "events",
            };
            listing.print(&connect.client(cx)?, output.output, cx).await
        }
    }
}

async fn list(
    mut filters: Vec<(&str, Option<String>)>,
    which: &WhichArgs,
    cx: &mut Context,
) -> anyhow::Result<()> {
    filters.push(("provider", Some(which.provider.clone())));
    filters.push(("account", which.account.clone()));
    filters.push(("livemode", which.mode.livemode()));
    let listing = Listing {
        path: &["objects"],
        filters,
        page: &which.page,
        columns: &COLUMNS,
        noun: "objects",
    };
    listing.print(&which.connect.client(cx)?, which.output.output, cx).await
}

fn show(object: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(object, format)?);
    }
    let fields = output::fields(object, &["object", "body", "cursor"], cx.style());
    cx.card(fields)?;
    if let Some(body) = object.get("body") {
        cx.bytes(b"\n")?;
        cx.json(body, Format::Json)?;
    }
    Ok(())
}
