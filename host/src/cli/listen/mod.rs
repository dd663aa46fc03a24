//! `signalbox listen`: follows a host's events and hands them on to an application.
//!
//! What comes while it does not run is handed on only if `--resume` keeps, or `--after` says, where
//! it left off. It follows the host's stream by the id of the last event, so that a host that was
//! restarted, or gone for a while, leaves no gap and repeats nothing.

mod follow;
mod forward;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;
use crate::domain::pattern::TypePattern;

use super::connect::ConnectArgs;
use super::context::Context;
use super::exit::Usage;
use follow::{Event, Follower};
use forward::{Forwarder, Target};

/// Follow events as they come in, and hand them on to an application
#[derive(Debug, clap::Args)]
#[command(visible_alias = "tail")]
#[command(after_help = "Examples:
  signalbox listen
  signalbox listen --forward-to http://127.0.0.1:8000/stripe/webhook/
  signalbox listen --events 'invoice.*,charge.succeeded' --forward-to 127.0.0.1:8000/hooks
  signalbox listen --forward-to https://127.0.0.1:8443/hooks --skip-verify --headers 'X-Stage: dev'
  signalbox listen --print-json --limit 1
  signalbox listen --forward-to 127.0.0.1:8000/hooks --resume bridge.last --retries 1000000

Each event is posted as the provider posted it, byte for byte, signed anew by a secret of this
listener's own: the one for a URL stays the same, so that it can stand in the application's
configuration. Stripe's events carry `Stripe-Signature`, those of other providers the headers of
Standard Webhooks. Events are handed on one after another; one that is not taken (no 2xx) is tried
again, then left.")]
pub(crate) struct Args {
    /// Where to post each event
    #[arg(long, short = 'f', value_name = "URL")]
    forward_to: Option<String>,
    /// Only events of these types or patterns: invoice.paid,'customer.*'
    #[arg(long, short = 'e', value_name = "TYPES", value_delimiter = ',')]
    events: Vec<TypePattern>,
    /// Only events that came in at this endpoint
    #[arg(long, value_name = "UUID")]
    endpoint: Option<Uuid>,
    /// Headers to send as well: 'NAME: VALUE'
    #[arg(long, short = 'H', value_name = "HEADER", value_delimiter = ',', value_parser = header)]
    headers: Vec<(String, String)>,
    /// Take any certificate of the application's
    #[arg(long, requires = "forward_to")]
    skip_verify: bool,
    /// Print each event's body too
    #[arg(long, short = 'j')]
    print_json: bool,
    /// Sign by this secret, instead of the listener's own
    #[arg(long, value_name = "SECRET", requires = "forward_to")]
    secret: Option<String>,
    /// How often an event that is not taken is tried again
    #[arg(long, value_name = "N", default_value_t = 5, requires = "forward_to")]
    retries: u32,
    /// Begin after this event, instead of now
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Keep in this file which event was handed on last, and go on after it at the next start
    #[arg(long, value_name = "FILE", conflicts_with = "after")]
    resume: Option<PathBuf>,
    /// End after this many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    connect: ConnectArgs,
}

fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let fits = |name: &str, value: &str| {
        reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && reqwest::header::HeaderValue::from_str(value).is_ok()
    };
    match parts {
        Some((name, value)) if fits(name, value) => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write a header as `NAME: VALUE`".to_owned()),
    }
}

/// Waits after a look that failed: doubled from the first to the last.
const LOST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

impl Args {
    fn target(&self) -> Result<Option<Url>, Usage> {
        let Some(text) = &self.forward_to else { return Ok(None) };
        let whole = if text.contains("://") { text.clone() } else { format!("http://{text}") };
        let url = Url::parse(&whole).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let wrong = || Usage(format!("`{text}` is no URL to post to; write http://HOST:PORT/PATH"));
        url.map(Some).ok_or_else(wrong)
    }

    /// Keep which event was handed on last; whole or not at all, whenever this process is ended.
    fn keep(&self, last: Option<&str>) -> anyhow::Result<()> {
        let Some(file) = &self.resume else { return Ok(()) };
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, last.unwrap_or_default())
            .and_then(|()| std::fs::rename(&fresh, file))
            .with_context(|| format!("cannot keep the place in {}", file.display()))
    }

    fn wants(&self, event: &Event) -> bool {
        let kind = self.events.is_empty() || self.events.iter().any(|p| p.matches(&event.kind));
        let here = self.endpoint.is_none_or(|id| event.endpoint == id.hyphenated().to_string());
        kind && here && event.from_outside
    }
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let url = args.target()?;
    let client = args.connect.client(cx)?;
    let forwarder = match url {
        None => None,
        Some(url) => {
            let secret = match &args.secret {
                Some(text) => crate::config::SecretRef::parse(text)
                    .resolve(&cx.env, Path::new(""))
                    .map_err(|error| Usage(format!("--secret: {error}")))?,
                None => Secret::new(&forward::own_secret(client.token(), &url))?,
            };
            let target = Target {
                url,
                headers: args.headers.clone(),
                retries: args.retries,
                skip_verify: args.skip_verify,
            };
            Some(Forwarder::new(target, secret)?)
        }
    };
    let kept = args.resume.as_deref().map(kept).transpose()?.flatten();
    let after = kept.as_deref().or(args.after.as_deref());
    let mut follower = Follower::start(&client, after).await?;
    args.keep(follower.last())?;
    match &forwarder {
        Some(forwarder) => cx.say(format_args!(
            "Ready! Your webhook signing secret is {} (^C to quit)",
            forwarder.secret().expose()
        )),
        None => cx.say("Ready! (^C to quit)"),
    }
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut lost: Option<Duration> = None;
    while left > 0 {
        let events = match follower.next(&client).await {
            Ok(events) => {
                if lost.take().is_some() {
                    cx.say("the host is back; nothing was missed");
                }
                events
            }
            Err(error) if error.may_pass() => {
                if lost.is_none() {
                    cx.say(format_args!("lost the host, trying again: {error}"));
                }
                let wait = lost.map_or(LOST.0, |wait| (wait * 2).min(LOST.1));
                lost = Some(wait);
                tokio::time::sleep(wait).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for event in events {
            if left == 0 {
                break;
            }
            if args.wants(&event) {
                left -= 1;
                hand_on(&event, (&args, &client, forwarder.as_ref()), cx).await?;
            }
            args.keep(Some(&event.key))?;
        }
    }
    Ok(())
}

/// The event that `file` says was handed on last; empty where there was none yet.
fn kept(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

type Means<'a> = (&'a Args, &'a super::client::Client, Option<&'a Forwarder>);

/// Print an event, and post it on.
async fn hand_on(
    event: &Event,
    (args, client, forwarder): Means<'_>,
    cx: &mut Context,
) -> anyhow::Result<()> {
    let Event { kind, id, .. } = event;
    line(cx, format_args!("  --> {kind} [{id}]"))?;
    if forwarder.is_none() && !args.print_json {
        return Ok(());
    }
    let (media, body) = loop {
        match client.bytes_and_media(&["events", &event.key, "raw"]).await {
            Ok(found) => break found,
            Err(error) if error.may_pass() => tokio::time::sleep(LOST.0).await,
            Err(error) => {
                cx.say(format_args!("{id} cannot be read: {error}"));
                return Ok(());
            }
        }
    };
    if args.print_json {
        cx.bytes(body.trim_ascii_end())?;
        cx.bytes(b"\n")?;
    }
    let Some(forwarder) = forwarder else { return Ok(()) };
    let mut attempt = 0;
    loop {
        let now = cx.clock.now();
        let url = forwarder.url();
        let (taken, told) = match forwarder.post(event, &media, body.clone(), now).await {
            Ok(status) => {
                ((200..300).contains(&status), format!(" <--  [{status}] POST {url} [{id}]"))
            }
            Err(cause) => (false, format!(" <--  [ERROR] POST {url} [{id}]: {cause}")),
        };
        let wait = (!taken && attempt < forwarder.retries()).then(|| forward::wait(attempt));
        match wait {
            Some(wait) => line(cx, format_args!("{told}; again in {}s", wait.as_secs_f32()))?,
            None => line(cx, format_args!("{told}"))?,
        }
        let Some(wait) = wait else { return Ok(()) };
        attempt += 1;
        tokio::time::sleep(wait).await;
    }
}

/// A line that begins with the time, as the `stripe` CLI's do.
fn line(cx: &mut Context, text: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    let line = format!("{} {text}\n", clock_time(cx.clock.now()));
    cx.bytes(line.as_bytes())
}

/// `2026-11-23 13:50:10`, in UTC.
fn clock_time(now: Timestamp) -> String {
    let text = now.to_string();
    text.get(..19).map_or(text.clone(), |text| text.replace('T', " "))
}
