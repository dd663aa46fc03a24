//! `signalbox endpoints update`: change an endpoint, at Stripe too where it is kept there.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{One, pair};
use crate::cli::context::Context;
use crate::cli::exit::Usage;

/// Change an endpoint, at Stripe too where it is kept there; what is not named stays as it is
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox endpoints update 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --event 'charge.*'
  signalbox endpoints update 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --base-url https://new.example.com
  signalbox endpoints update 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --metadata team=billing
  signalbox endpoints update 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --metadata team= --tolerance 10m

A disabled endpoint stays disabled. An API version, or whether it is for connected accounts, cannot
be changed at Stripe: make another endpoint.")]
pub(crate) struct Args {
    #[command(flatten)]
    one: One,
    /// For people; empty text takes it away
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Greatest age of a signature, 0 for any
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    tolerance: Option<Duration>,
    /// How requests become events: verify_signature, retrieve_event or none
    #[arg(long, value_name = "HOW")]
    validation: Option<String>,
    /// With `--validation none`: whether to believe live events too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    force_unverified: Option<bool>,
    /// Event types to be posted, in the place of those until now
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
    /// How the world reaches this host
    #[arg(long, value_name = "URL", help_heading = "At Stripe")]
    base_url: Option<String>,
    /// A fact of your own; `KEY=` takes it away, others stay
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, help_heading = "At Stripe")]
    metadata: Vec<(String, String)>,
}

pub(super) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    let texts = [
        ("description", args.description),
        ("validation", args.validation),
        ("base_url", args.base_url),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            set(name, text.into());
        }
    }
    if let Some(tolerance) = args.tolerance {
        set("tolerance", tolerance.as_secs().into());
    }
    if let Some(force) = args.force_unverified {
        set("force_unverified", force.into());
    }
    if !args.events.is_empty() {
        set("enabled_events", args.events.into());
    }
    if !args.unknown.is_empty() {
        set("allow_unknown_events", args.unknown.into());
    }
    if !args.metadata.is_empty() {
        let metadata: Map<String, Value> =
            args.metadata.into_iter().map(|(key, value)| (key, value.into())).collect();
        set("metadata", metadata.into());
    }
    if body.is_empty() {
        return Err(Usage("nothing is to change; name what is".to_owned()).into());
    }
    args.one.set(&body.into(), cx).await
}
