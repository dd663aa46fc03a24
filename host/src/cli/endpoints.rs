//! `signalbox endpoints`: the URLs that providers post to.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::config::SecretRef;

use super::connect::{ConnectArgs, reachable};
use super::context::Context;
use super::exit::Usage;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::table::Cell;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make an endpoint: a new URL, proved by the secrets given here
    #[command(after_help = "Examples:
  signalbox endpoints create --secret env:STRIPE_WEBHOOK_SECRET
  signalbox endpoints create --secret file:whsec --description 'the shop' --tolerance 10m
  signalbox endpoints create --secret whsec_new --secret whsec_old
  signalbox endpoints create --provider github --secret env:GITHUB_WEBHOOK_SECRET

The admin API never shows a secret again. `endpoint.secrets` in the configuration is the other
way to declare an endpoint.")]
    Create(CreateArgs),
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
    /// Show one endpoint
    #[command(after_help = "Examples:
  signalbox endpoints show 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11")]
    Show {
        /// The UUID in its URL
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Delete an endpoint: its URL answers 404 from then on; its events stay
    #[command(after_help = "Examples:
  signalbox endpoints delete 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11")]
    Delete {
        /// The UUID in its URL
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Whose webhooks come in: stripe, standardwebhooks, svix, github, shopify, slack, or the name of
    /// a `[[provider]]` of the configuration
    #[arg(long, value_name = "NAME", default_value = "stripe")]
    provider: String,
    /// A signing secret: `env:NAME`, `file:PATH` or the secret itself; any of several may sign
    #[arg(long = "secret", value_name = "SECRET", required = true)]
    secrets: Vec<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Greatest age of a signature, 0 for any [default: 300s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    tolerance: Option<Duration>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

const COLUMNS: [Column; 5] = [
    Column { title: "ID", cell: |endpoint, _| Cell::field(endpoint, "id") },
    Column { title: "PROVIDER", cell: |endpoint, _| Cell::field(endpoint, "provider") },
    Column { title: "URL", cell: |endpoint, _| Cell::field(endpoint, "url") },
    Column { title: "CREATED", cell: |endpoint, style| Cell::time(endpoint, "created", style) },
    Column { title: "DESCRIPTION", cell: |endpoint, _| Cell::field(endpoint, "description") },
];

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create(args, cx).await,
        Command::List { page, output, connect } => {
            let (path, filters, columns) = (&["endpoints"], Vec::new(), &COLUMNS);
            Listing { path, filters, page: &page, columns, noun: "endpoints" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show { id, output, connect } => {
            let endpoint = connect.client(cx)?.get(&["endpoints", &id], &[]).await?;
            show(&endpoint, output.output, cx)
        }
        Command::Delete { id, output, connect } => {
            let answer = connect.client(cx)?.delete(&["endpoints", &id]).await?;
            if output.output == Format::Table {
                cx.say(format_args!("endpoint {id} is deleted"));
                return Ok(());
            }
            let done = json!({"object": "endpoint", "id": id, "deleted": true});
            Ok(cx.json(if answer.is_null() { &done } else { &answer }, output.output)?)
        }
    }
}

async fn create(args: CreateArgs, cx: &mut Context) -> anyhow::Result<()> {
    let mut secrets = Vec::new();
    for reference in &args.secrets {
        let secret = SecretRef::parse(reference)
            .resolve(&cx.env, Path::new(""))
            .map_err(|error| Usage(error.to_string()))
            .context("--secret")?;
        secrets.push(secret.expose().to_owned());
    }
    let mut body = json!({"provider": args.provider, "secrets": secrets});
    if let Value::Object(body) = &mut body {
        if let Some(description) = args.description {
            body.insert("description".to_owned(), description.into());
        }
        if let Some(tolerance) = args.tolerance {
            body.insert("tolerance".to_owned(), tolerance.as_secs().into());
        }
    }
    let reading = args.connect.config(cx)?;
    let client = args.connect.client_for(cx, &reading)?;
    let endpoint = client.post(&["endpoints"], &body).await?;
    if let Some(path) = endpoint.get("url").and_then(Value::as_str).filter(|u| u.starts_with('/')) {
        let listen = reachable(reading.config.server.listen);
        cx.say(format_args!(
            "on this machine it is http://{listen}{path}; `server.public_url` would say how the \
             world reaches it"
        ));
    }
    show(&endpoint, args.output.output, cx)
}

fn show(endpoint: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(endpoint, format)?);
    }
    let fields = output::fields(endpoint, &["object"], cx.style());
    Ok(cx.card(fields)?)
}
