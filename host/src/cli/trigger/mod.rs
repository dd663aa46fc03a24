//! `signalbox trigger`: signs realistic events and posts them to an endpoint, as Stripe would.

pub(super) mod change;
pub(super) mod fixtures;
pub(super) mod fresh;
pub(super) mod sign;
mod target;

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header;
use serde_json::{Value, json};

use super::client;
use super::connect::ConnectArgs;
use super::context::Context;
use super::exit::{NotFound, Usage};
use super::output::{Column, Format, OutputArgs};
use super::table::Cell;

use change::{Change, Changed};
use fixtures::Fixture;
use fresh::{Identity, SystemLetters};
use target::{Target, TargetArgs};

/// Sign a realistic event and post it to an endpoint
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  signalbox trigger charge.succeeded
  signalbox trigger charge.succeeded --override charge:amount=500 --override charge:customer=cus_9
  signalbox trigger 'customer.subscription.*' --count 10
  signalbox trigger invoice.paid --add data.object.metadata.order=7 --print
  signalbox trigger charge.succeeded --endpoint UUID --secret env:STRIPE_WEBHOOK_SECRET
  signalbox trigger --list

Each event has an id and a time of its own. So has the object it is about, wherever the event
repeats its id; the ids of other objects, a charge's customer for one, stay the same. Choose the
object with --override data.object.id=ID. RESOURCE:path is short for data.object.path of events
about that resource. A value is JSON where it reads as JSON, text elsewhere.")]
pub(crate) struct Args {
    /// Type of the event, or a pattern: charge.succeeded, 'customer.*', '*'
    #[arg(value_name = "TYPE", required_unless_present = "list")]
    kind: Option<String>,
    /// List the types there are
    #[arg(long, conflicts_with = "kind")]
    list: bool,
    /// Replace a value
    #[arg(long = "override", value_name = "PATH=VALUE", value_parser = Change::overriding)]
    overrides: Vec<Change>,
    /// Put a value, with whatever leads to it
    #[arg(long = "add", value_name = "PATH=VALUE", value_parser = Change::adding)]
    additions: Vec<Change>,
    /// Take a value away
    #[arg(long = "remove", value_name = "PATH", value_parser = Change::removing)]
    removals: Vec<Change>,
    /// How many of each type
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// The event's id, instead of a fresh one; sending one twice shows what a duplicate does
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Make it an event of live mode
    #[arg(long)]
    livemode: bool,
    /// Print the request instead of sending it
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// One event, signed.
struct Request {
    id: String,
    kind: String,
    body: Vec<u8>,
    signature: String,
}

const COLUMNS: [Column; 4] = [
    Column { title: "ID", cell: |sent, _| Cell::field(sent, "id") },
    Column { title: "TYPE", cell: |sent, _| Cell::field(sent, "type") },
    Column { title: "HTTP", cell: |sent, _| Cell::field(sent, "http_status") },
    Column { title: "STATUS", cell: |sent, _| Cell::status(sent, "status") },
];

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let Some(kind) = args.kind.as_deref().filter(|_| !args.list) else {
        return list(args.output.output, cx);
    };
    let chosen = fixtures::find(kind)?;
    args.check(&chosen, cx)?;
    let target = args.target.find(&args.connect, cx).await?;
    if args.print {
        return print(&args, &chosen, &target, cx);
    }
    let mut sent = Vec::new();
    let result = send_all(&args, &chosen, &target, cx, &mut sent).await;
    // What was sent is told even when the rest failed.
    if args.output.output == Format::Table && !sent.is_empty() {
        cx.table(&sent, &COLUMNS)?;
    } else if args.output.output == Format::Json {
        cx.json(&json!({"object": "list", "data": sent, "has_more": false}), Format::Json)?;
    }
    result
}

fn list(format: Format, cx: &mut Context) -> anyhow::Result<()> {
    let kinds = fixtures::kinds();
    match format {
        Format::Table => cx.bytes(format!("{}\n", kinds.join("\n")).as_bytes())?,
        Format::Json => cx.json(&json!(kinds), format)?,
        Format::Jsonl => kinds.iter().try_for_each(|kind| cx.json(&json!(kind), format))?,
    }
    Ok(())
}

impl Args {
    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.overrides.iter().chain(&self.additions).chain(&self.removals)
    }

    /// Make all changes once, so that a wrong one is told before anything is sent.
    fn check(&self, chosen: &[Fixture], cx: &Context) -> anyhow::Result<()> {
        if self.id.is_some() && chosen.len() > 1 {
            return Err(Usage("--id is one event's, and the pattern names several".into()).into());
        }
        for change in self.changes() {
            let path = change.path().written();
            let mut somewhere = false;
            for fixture in chosen {
                let mut event = fixture.event.clone();
                match change.apply(&mut event).map_err(|error| Usage(error.to_string()))? {
                    Changed::Replaced => somewhere = true,
                    Changed::Added => {
                        somewhere = true;
                        if self.overrides.contains(change) && chosen.len() == 1 {
                            cx.say(format_args!("note: `{path}` was not there; it is added"));
                        }
                    }
                    Changed::Elsewhere => {}
                }
            }
            if !somewhere {
                let object = chosen.first().and_then(|f| f.event.pointer("/data/object/object"));
                let object = object.and_then(Value::as_str).unwrap_or("nothing with a name");
                let text = format!("`{path}`: the event is about another resource ({object})");
                return Err(Usage(text).into());
            }
        }
        Ok(())
    }

    /// One event of one's own, changed and signed.
    fn request(&self, fixture: &Fixture, target: &Target, cx: &Context) -> anyhow::Result<Request> {
        let now = cx.clock.now();
        let mut event = fixture.event.clone();
        let chosen = |place: &[&str]| {
            self.changes().filter_map(|change| change.text_at(&fixture.event, place)).last()
        };
        let object = chosen(&["data", "object", "id"]).map(str::to_owned);
        let identity = Identity { event: self.id.clone(), object, livemode: self.livemode };
        fresh::freshen(&mut event, &identity, now, &mut SystemLetters);
        for change in self.changes() {
            change.apply(&mut event)?;
        }
        let body = fresh::bytes(&event)?;
        let signature = sign::header(&body, &target.secrets, now);
        let id = event.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Request { id, kind: fixture.kind.clone(), body, signature })
    }
}

const CONTENT_TYPE: &str = "application/json; charset=utf-8";

fn print(args: &Args, chosen: &[Fixture], target: &Target, cx: &mut Context) -> anyhow::Result<()> {
    for fixture in chosen {
        for _ in 0..args.count {
            let request = args.request(fixture, target, cx)?;
            let body = String::from_utf8_lossy(&request.body);
            if args.output.output == Format::Table {
                let text = format!(
                    "POST {}\nContent-Type: {CONTENT_TYPE}\n{}: {}\n\n{body}\n",
                    target.url,
                    sign::HEADER,
                    request.signature
                );
                cx.bytes(text.as_bytes())?;
            } else {
                let value = json!({
                    "object": "request",
                    "url": target.url.as_str(),
                    "headers": {"Content-Type": CONTENT_TYPE, sign::HEADER: request.signature},
                    "body": body,
                });
                cx.json(&value, args.output.output)?;
            }
        }
    }
    Ok(())
}

async fn send_all(
    args: &Args,
    chosen: &[Fixture],
    target: &Target,
    cx: &mut Context,
    sent: &mut Vec<Value>,
) -> anyhow::Result<()> {
    let http = client::plain_http()?;
    let total = u64::from(args.count).saturating_mul(u64::try_from(chosen.len())?);
    // JSON lines that leave for the same terminal show the progress themselves.
    let lines = args.output.output == Format::Jsonl && cx.terminal;
    let bar = if total > 1 && !lines { ProgressBar::new(total) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} events  {per_sec}")?);
    for fixture in chosen {
        for _ in 0..args.count {
            let request = args.request(fixture, target, cx)?;
            let answer = post(&http, target, request).await;
            let answer = answer.inspect_err(|_| bar.abandon())?;
            let failure = failure(&answer);
            if args.output.output == Format::Jsonl {
                cx.json(&answer, Format::Jsonl)?;
            } else {
                sent.push(answer);
            }
            if let Some(failure) = failure {
                bar.abandon();
                return Err(failure);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Post it, and tell what was answered.
async fn post(http: &reqwest::Client, target: &Target, request: Request) -> anyhow::Result<Value> {
    let url = &target.url;
    let response = http
        .post(url.clone())
        .header(header::CONTENT_TYPE, CONTENT_TYPE)
        .header(sign::HEADER, &request.signature)
        .body(request.body)
        .send()
        .await
        .map_err(|error| client::failed(url, &error))?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.map_err(|error| client::failed(url, &error))?;
    let answer = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
    Ok(json!({
        "object": "trigger",
        "id": request.id,
        "type": request.kind,
        "endpoint": target.endpoint,
        "url": url.as_str(),
        "http_status": status,
        "status": answer.get("status"),
        "answer": answer,
    }))
}

/// What an answer other than 2xx means.
fn failure(sent: &Value) -> Option<anyhow::Error> {
    let status = u16::try_from(sent.get("http_status")?.as_u64()?).ok()?;
    if (200..300).contains(&status) {
        return None;
    }
    let answer = sent.get("answer")?;
    let said = answer
        .pointer("/error/message")
        .or_else(|| answer.get("message"))
        .and_then(Value::as_str)
        .map_or_else(|| answer.to_string(), str::to_owned);
    let hint = match status {
        400 => "; is it the endpoint's own secret (--secret)?",
        404 => "; is it the right endpoint (--endpoint) of the right host?",
        _ => "",
    };
    let text = format!("the endpoint answered {status}: {said}{hint}");
    Some(if status == 404 { NotFound(text).into() } else { anyhow!(text) })
}
