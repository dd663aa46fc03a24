//! `signalbox endpoints`: the URLs that providers post to, here and at Stripe.

mod create;
mod secrets;
mod sync;
mod update;

use serde_json::{Value, json};

use super::connect::ConnectArgs;
use super::context::Context;
use super::exit::Usage;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::table::Cell;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Create(create::Args),
    /// List endpoints
    #[command(after_help = "Examples:
  signalbox endpoints list
  signalbox endpoints list --output json | jq -r '.data[].url'")]
    List {
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Show one endpoint: its secrets by fingerprint, when each last matched, and whether it is safe
    /// to retire
    #[command(after_help = "Examples:
  signalbox endpoints show 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11")]
    Show(One),
    Update(update::Args),
    /// Put an endpoint into use again, at Stripe too where it is kept there
    #[command(after_help = "Examples:
  signalbox endpoints enable 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11")]
    Enable(One),
    /// Put an endpoint out of use: Stripe posts nothing to it until it is enabled
    #[command(after_help = "Examples:
  signalbox endpoints disable 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11

Events that happen meanwhile are not posted later. An endpoint of this host alone answers 503 while
it is disabled, so that its sender tries again.")]
    Disable(One),
    /// Delete an endpoint, at Stripe too: its URL answers 404 from then on; its events stay
    #[command(after_help = "Examples:
  signalbox endpoints delete 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11
  signalbox endpoints delete 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --local-only")]
    Delete {
        #[command(flatten)]
        one: One,
        /// Leave it at Stripe, which goes on posting to it
        #[arg(long)]
        local_only: bool,
    },
    Sync(sync::Args),
    RollSecret(secrets::RollArgs),
    AddSecret(secrets::AddArgs),
    RetireSecret(secrets::RetireArgs),
}

/// One endpoint.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The UUID in its URL
    id: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

const COLUMNS: [Column; 7] = [
    Column { title: "ID", cell: |endpoint, _| Cell::field(endpoint, "id") },
    Column { title: "PROVIDER", cell: |endpoint, _| Cell::field(endpoint, "provider") },
    Column { title: "STATUS", cell: |endpoint, _| Cell::status(endpoint, "status") },
    Column { title: "AT STRIPE", cell: |endpoint, _| Cell::field(endpoint, "provider_id") },
    Column { title: "URL", cell: |endpoint, _| Cell::field(endpoint, "url") },
    Column { title: "CREATED", cell: |endpoint, style| Cell::time(endpoint, "created", style) },
    Column { title: "DESCRIPTION", cell: |endpoint, _| Cell::field(endpoint, "description") },
];

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create::run(args, cx).await,
        Command::List { page, output, connect } => {
            let (path, filters, columns) = (&["endpoints"], Vec::new(), &COLUMNS);
            Listing { path, filters, page: &page, columns, noun: "endpoints" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show(One { id, output, connect }) => {
            let endpoint = connect.client(cx)?.get(&["endpoints", &id], &[]).await?;
            show(&endpoint, output.output, cx)
        }
        Command::Update(args) => update::run(args, cx).await,
        Command::Enable(one) => one.set(&json!({"disabled": false}), cx).await,
        Command::Disable(one) => one.set(&json!({"disabled": true}), cx).await,
        Command::Delete { one, local_only } => delete(one, local_only, cx).await,
        Command::Sync(args) => sync::run(args, cx).await,
        Command::RollSecret(args) => secrets::roll(args, cx).await,
        Command::AddSecret(args) => secrets::add(args, cx).await,
        Command::RetireSecret(args) => secrets::retire(args, cx).await,
    }
}

impl One {
    /// Change it as `body` says.
    async fn set(self, body: &Value, cx: &mut Context) -> anyhow::Result<()> {
        let endpoint = self.connect.client(cx)?.post(&["endpoints", &self.id], body).await?;
        show(&endpoint, self.output.output, cx)
    }
}

async fn delete(one: One, local_only: bool, cx: &mut Context) -> anyhow::Result<()> {
    let One { id, output, connect } = one;
    let query: &[(&str, String)] =
        if local_only { &[("local_only", "true".to_owned())] } else { &[] };
    let answer = connect.client(cx)?.delete(&["endpoints", &id], query).await?;
    if output.output == Format::Table {
        cx.say(format_args!("endpoint {id} is deleted"));
        return Ok(());
    }
    let done = json!({"object": "endpoint", "id": id, "deleted": true});
    Ok(cx.json(if answer.is_null() { &done } else { &answer }, output.output)?)
}

fn show(endpoint: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(endpoint, format)?);
    }
    let fields = output::fields(endpoint, &["object"], cx.style());
    Ok(cx.card(fields)?)
}

/// `KEY=VALUE`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// The secret that a reference leads to.
fn resolve(reference: &str, cx: &Context) -> anyhow::Result<String> {
    use anyhow::Context as _;
    let secret = crate::config::SecretRef::parse(reference)
        .resolve(&cx.env, std::path::Path::new(""))
        .map_err(|error| Usage(error.to_string()))
        .context("--secret")?;
    Ok(secret.expose().to_owned())
}
