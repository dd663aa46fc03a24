//! `signalbox demo`: the whole way of a webhook, shown as it goes.
//!
//! A real host in this process, on real sockets; nothing here is simulated but Stripe.

mod setup;
mod show;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::app::Host;
use crate::config::{Config, Flags};
use crate::dispatch::Ended;
use crate::domain::delivery::Status;
use crate::domain::endpoint::Secret;
use crate::telemetry;

use super::build_command;
use super::client;
use super::context::Context;
use super::place::Place;
use super::serve::LogArgs;
use super::trigger::fixtures;
use super::trigger::fresh::{self, Identity, SystemLetters};
use super::trigger::sign;

/// Where the example plugins are, in a clone of the project.
const EXAMPLES: &str = "example-plugins";

/// What is sent, and where its delivery must end: two handlers that work, one that needs three
/// attempts, one that gives up.
const ROUND: [(&str, Status); 5] = [
    ("charge.succeeded", Status::Done),
    ("charge.succeeded", Status::Done),
    ("payment_method.attached", Status::Done),
    ("charge.dispute.created", Status::Dead),
    ("invoice.payment_failed", Status::Done),
];

/// Longest wait for the round to end: the retries take some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Build the example plugins, start a host, send it signed events, and show what the handlers do
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox demo
  signalbox demo --no-wait
  signalbox trigger charge.succeeded --config demo-data/signalbox.toml   (in another terminal)

The demo keeps everything of its own in its data directory, the configuration and the endpoint's
secret included, so that the other commands find both with --config.")]
pub(crate) struct Args {
    /// Where webhooks come in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4242")]
    listen: SocketAddr,
    /// Where the admin API answers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4243")]
    admin_listen: SocketAddr,
    /// Data directory of the demo; what an earlier demo left there is kept
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    data: PathBuf,
    /// End after the first round of events, with exit code 1 unless all went as it should
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let place = setup::prepare(&args.data)?;
    build_examples(&place.plugins, cx).await?;
    let config = config(&args, &place, cx)?;
    telemetry::init(&config.log, cx.colour)?;
    let host = Host::start(&config).await?;
    let mut attempts = host.dispatch.subscribe();
    line(cx, format_args!("2. The host runs, in {}", args.data.display()))?;
    let endpoint = config.endpoints.first().context("the demo's configuration has no endpoint")?;
    let url = format!("http://{}/webhooks/{}", host.public, endpoint.id);
    line(cx, format_args!("    webhooks    {url}\n    admin API   http://{}", host.admin))?;

    line(cx, "3. Signed Stripe events, and what each handler does with them")?;
    let sent = send_round(&url, &endpoint.secrets, cx).await?;
    let good = tokio::time::timeout(PATIENCE, watch_round(sent, &mut attempts, cx)).await;
    if args.no_wait {
        host.run_until(std::future::ready(())).await?;
        ensure!(good.context("the round did not end")??, "not every delivery ended as it should");
        return Ok(());
    }
    good.context("the round did not end; see the log above")??;
    line(cx, "")?;
    line(cx, "The host stays up. In another terminal:")?;
    let file = place.config.display();
    line(cx, format_args!("    signalbox trigger charge.succeeded --config {file}"))?;
    line(cx, format_args!("    signalbox deliveries list --config {file}"))?;
    line(cx, "Ctrl-C ends it. What comes in is shown here:")?;
    host.run_until(async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = watch(&mut attempts, cx) => {}
        }
    })
    .await
}

fn config(args: &Args, place: &Place, cx: &Context) -> anyhow::Result<Config> {
    let mut flags = Flags::default();
    flags.set("--listen", "server.listen", args.listen);
    flags.set("--admin-listen", "server.admin_listen", args.admin_listen);
    // The demo shows what the handlers say; the log would say it again.
    flags.set("demo", "log.level", "error");
    args.log.flags(&mut flags);
    Ok(Config::load(Some(&place.config), &cx.env, &flags)?)
}

/// Say something on standard output at once: a reader follows it line by line.
fn line(cx: &mut Context, text: impl std::fmt::Display) -> anyhow::Result<()> {
    cx.bytes(format!("{text}\n").as_bytes())?;
    Ok(())
}

async fn build_examples(out: &Path, cx: &mut Context) -> anyhow::Result<()> {
    line(cx, "1. The example plugins, built from source")?;
    if !Path::new(EXAMPLES).join("Cargo.toml").is_file() {
        bail!("{EXAMPLES}/ is not here: start the demo in a clone of the project");
    }
    for example in setup::EXAMPLES {
        let project = Path::new(EXAMPLES).join(example);
        for component in build_command::build_into(&project, out, cx).await?.components {
            let (package, kilobytes) = (component.package, component.size.div_ceil(1_000));
            line(cx, format_args!("    {package:<26} {kilobytes} KB"))?;
        }
    }
    Ok(())
}

/// Post the round. Answers each event's id and where its delivery must end.
async fn send_round(
    url: &str,
    secrets: &[Secret],
    cx: &mut Context,
) -> anyhow::Result<HashMap<String, Status>> {
    let client = client::plain_http()?;
    let mut sent = HashMap::new();
    for (kind, end) in ROUND {
        let fixture =
            fixtures::find(kind)?.into_iter().next().context("the fixture is built in")?;
        let mut event = fixture.event;
        let now = cx.clock.now();
        fresh::freshen(&mut event, &Identity::default(), now, &mut SystemLetters);
        let object = event.pointer_mut("/data/object").and_then(|o| o.as_object_mut());
        if let (Some(object), "charge.succeeded") = (object, kind) {
            object.insert("customer".to_owned(), json!("cus_demo"));
        }
        let id = event.get("id").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
        let body = fresh::bytes(&event)?;
        let signature = sign::header(&body, secrets, now);
        let request = client.post(url).header(sign::HEADER, signature).body(body);
        let status = request.send().await?.status();
        ensure!(status.is_success(), "{kind} was answered {status}");
        line(cx, format_args!("    {kind:<26} {id}  answered {status}"))?;
        sent.insert(id, end);
    }
    Ok(sent)
}

/// Show attempts until every event of `open` has ended. Whether each ended as it must.
async fn watch_round(
    mut open: HashMap<String, Status>,
    attempts: &mut Receiver<Arc<Ended>>,
    cx: &mut Context,
) -> anyhow::Result<bool> {
    let mut good = true;
    while !open.is_empty() {
        let ended = attempts.recv().await?;
        line(cx, show::attempt(&ended))?;
        if matches!(ended.status, Status::Done | Status::Dead) {
            let end = open.remove(&ended.delivery.event.id);
            good &= end.is_none_or(|end| end == ended.status);
        }
    }
    Ok(good)
}

/// Show attempts for as long as there are any.
async fn watch(attempts: &mut Receiver<Arc<Ended>>, cx: &mut Context) {
    loop {
        match attempts.recv().await {
            Ok(ended) => {
                if line(cx, show::attempt(&ended)).is_err() {
                    // The reader has closed the pipe; the host goes on until it is stopped.
                    return std::future::pending().await;
                }
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "attempts not shown"),
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}
