//! `signalbox endpoints create`: at Stripe and here, or here alone.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{pair, resolve, show};
use crate::cli::connect::{ConnectArgs, reachable};
use crate::cli::context::Context;
use crate::cli::exit::Usage;
use crate::cli::output::OutputArgs;

/// Make an endpoint: at Stripe, which makes its secret (--event), or here alone (--secret)
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox endpoints create --event 'charge.*' --event invoice.paid
  signalbox endpoints create --event '*' --live --description 'the shop' --dry-run
  signalbox endpoints create --event '*' --connect --account eu --base-url https://hooks.example.com
  signalbox endpoints create --secret env:STRIPE_WEBHOOK_SECRET
  signalbox endpoints create --secret whsec_new --secret whsec_old --tolerance 10m

With --event, everything is checked before Stripe is called, the key of the account decides between
live and test mode, and the secret that Stripe answers is stored at once. Stripe cannot reach a
loopback or private address: for local development, `stripe listen --forward-to` and its secret.
The admin API never shows a secret again. `endpoint.secrets` in the configuration is the other
way to declare an endpoint.")]
pub(crate) struct Args {
    /// Whose webhooks come in
    #[arg(long, value_name = "NAME", default_value = "stripe")]
    provider: String,
    /// A signing secret: `env:NAME`, `file:PATH` or the secret itself; any of several may sign.
    /// The endpoint is of this host alone
    #[arg(long = "secret", value_name = "SECRET")]
    secrets: Vec<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Greatest age of a signature, 0 for any [default: 300s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    tolerance: Option<Duration>,
    /// How requests become events: verify_signature, retrieve_event or none
    #[arg(long, value_name = "HOW")]
    validation: Option<String>,
    /// With `--validation none`: believe live events too
    #[arg(long)]
    force_unverified: bool,
    /// The [[stripe.account]] it belongs to [default: the one named `default`, or the only one]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Live events alone; at Stripe, with a live key
    #[arg(long, conflicts_with = "test")]
    live: bool,
    /// Test events alone; at Stripe, with a test key
    #[arg(long)]
    test: bool,
    /// Events of connected accounts, not of one's own
    #[arg(long)]
    connect: bool,
    /// Event types to be posted, patterns such as `charge.*`, or `*` for all
    #[arg(
        long = "event",
        visible_alias = "enabled-events",
        value_name = "TYPE",
        value_delimiter = ','
    )]
    #[arg(help_heading = "At Stripe")]
    events: Vec<String>,
    /// Of those, one that is newer than this version's list
    #[arg(long = "allow-unknown-event", value_name = "TYPE", help_heading = "At Stripe")]
    unknown: Vec<String>,
    /// How the world reaches this host [default: server.public_url]
    #[arg(long, value_name = "URL", help_heading = "At Stripe")]
    base_url: Option<String>,
    /// Version of Stripe's API that shapes the events [default: the account's]
    #[arg(long, value_name = "VERSION", help_heading = "At Stripe")]
    api_version: Option<String>,
    /// A fact of your own that is kept with it
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, help_heading = "At Stripe")]
    metadata: Vec<(String, String)>,
    /// Check everything, show what would be sent, and call nobody
    #[arg(long, help_heading = "At Stripe")]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    to: ConnectArgs,
}

impl Args {
    fn body(&self, cx: &Context) -> anyhow::Result<Value> {
        let believed = self.validation.as_deref().is_some_and(|how| how != "verify_signature");
        if self.secrets.is_empty() && self.events.is_empty() && !believed {
            let message = "give --event TYPE to have the endpoint made at Stripe (`--event '*'` for \
                           all events), or --secret SECRET for one of this host alone";
            return Err(Usage(message.to_owned()).into());
        }
        let mut body = Map::new();
        let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        set("provider", self.provider.clone().into());
        if !self.secrets.is_empty() {
            let secrets: anyhow::Result<Vec<_>> =
                self.secrets.iter().map(|reference| resolve(reference, cx)).collect();
            set("secrets", secrets?.into());
        }
        let texts = [
            ("description", &self.description),
            ("validation", &self.validation),
            ("account", &self.account),
            ("base_url", &self.base_url),
            ("api_version", &self.api_version),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                set(name, text.clone().into());
            }
        }
        if let Some(tolerance) = self.tolerance {
            set("tolerance", tolerance.as_secs().into());
        }
        if self.live || self.test {
            set("livemode", self.live.into());
        }
        let flags = [
            ("connect", self.connect),
            ("force_unverified", self.force_unverified),
            ("dry_run", self.dry_run),
        ];
        for (name, _) in flags.into_iter().filter(|(_, given)| *given) {
            set(name, true.into());
        }
        if !self.events.is_empty() {
            set("enabled_events", self.events.clone().into());
        }
        if !self.unknown.is_empty() {
            set("allow_unknown_events", self.unknown.clone().into());
        }
        if !self.metadata.is_empty() {
            let metadata: Map<String, Value> =
                self.metadata.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
            set("metadata", metadata.into());
        }
        Ok(body.into())
    }
}

pub(super) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let body = args.body(cx)?;
    let reading = args.to.config(cx)?;
    let client = args.to.client_for(cx, &reading)?;
    let endpoint = client.post(&["endpoints"], &body).await?;
    if args.dry_run {
        // It is what would be sent: the same in every form.
        let format = match args.output.output {
            crate::cli::output::Format::Table => crate::cli::output::Format::Json,
            other => other,
        };
        return Ok(cx.json(&endpoint, format)?);
    }
    if let Some(path) = endpoint.get("url").and_then(Value::as_str).filter(|u| u.starts_with('/')) {
        let listen = reachable(reading.config.server.listen);
        cx.say(format_args!(
            "on this machine it is http://{listen}{path}; `server.public_url` would say how the \
             world reaches it"
        ));
    }
    show(&endpoint, args.output.output, cx)
}
