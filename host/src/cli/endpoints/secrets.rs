//! `signalbox endpoints roll-secret`, `add-secret` and `retire-secret`.

use std::time::Duration;

use serde_json::json;

use super::{One, resolve, show};
use crate::cli::context::Context;

/// Give an endpoint a new secret; the old one stays valid for a time
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox endpoints roll-secret 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --replace
  signalbox endpoints roll-secret 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --secret env:NEW_SECRET
  signalbox endpoints roll-secret 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --secret file:new --old-valid-for 1h

Stripe's API rolls no secrets. Either roll it in Stripe's dashboard and give the new one here
(--secret), or have the endpoint replaced at Stripe by another with the same URL and settings
(--replace); the old one is deleted at Stripe once its secret has ended. While both post, an event
that comes twice is known for one. `signalbox endpoints show` tells when each secret last matched and
whether it is safe to retire.")]
pub(crate) struct RollArgs {
    #[command(flatten)]
    one: One,
    /// The new secret: `env:NAME`, `file:PATH` or the secret itself
    #[arg(long, value_name = "SECRET", required_unless_present = "replace")]
    secret: Option<String>,
    /// Have Stripe make another endpoint in the place of this one
    #[arg(long, conflicts_with = "secret")]
    replace: bool,
    /// How long the old secret stays valid
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    old_valid_for: Duration,
}

pub(super) async fn roll(args: RollArgs, cx: &mut Context) -> anyhow::Result<()> {
    let RollArgs { one, secret, replace, old_valid_for } = args;
    let mut body = json!({"old_valid_for": old_valid_for.as_secs(), "replace": replace});
    if let (Some(reference), Some(body)) = (secret, body.as_object_mut()) {
        body.insert("secret".to_owned(), resolve(&reference, cx)?.into());
    }
    let path = ["endpoints", &one.id, "roll-secret"];
    let endpoint = one.connect.client(cx)?.post(&path, &body).await?;
    show(&endpoint, one.output.output, cx)
}

/// Give an endpoint a secret beside those it has: one that was adopted has none
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox endpoints add-secret 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 --secret env:STRIPE_WEBHOOK_SECRET")]
pub(crate) struct AddArgs {
    #[command(flatten)]
    one: One,
    /// The secret: `env:NAME`, `file:PATH` or the secret itself
    #[arg(long, value_name = "SECRET")]
    secret: String,
}

pub(super) async fn add(args: AddArgs, cx: &mut Context) -> anyhow::Result<()> {
    let AddArgs { one, secret } = args;
    let body = json!({"secret": resolve(&secret, cx)?});
    let path = ["endpoints", &one.id, "secrets"];
    let endpoint = one.connect.client(cx)?.post(&path, &body).await?;
    show(&endpoint, one.output.output, cx)
}

/// Take a secret away from an endpoint
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox endpoints retire-secret 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 0a1b2c3d
  signalbox endpoints retire-secret 6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11 0a1b2c3d --force

It is refused while genuine requests could still be signed with it, and for the last secret.")]
pub(crate) struct RetireArgs {
    #[command(flatten)]
    one: One,
    /// The secret's fingerprint, as `signalbox endpoints show` shows it
    secret: String,
    /// Even if it is not safe yet: it leaked, say
    #[arg(long)]
    force: bool,
}

pub(super) async fn retire(args: RetireArgs, cx: &mut Context) -> anyhow::Result<()> {
    let RetireArgs { one, secret, force } = args;
    let path = ["endpoints", &one.id, "secrets", &secret];
    let query: &[(&str, String)] = if force { &[("force", "true".to_owned())] } else { &[] };
    let endpoint = one.connect.client(cx)?.delete(&path, query).await?;
    show(&endpoint, one.output.output, cx)
}
