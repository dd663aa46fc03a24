//! `signalbox events replay`: events handled again, or only a look at what that would do.

use serde_json::{Map, Value, json};

use super::connect::ConnectArgs;
use super::context::Context;
use super::exit::Usage;
use super::output::{Format, OutputArgs};
use super::table::plain;
use super::{dry_run, operation, times};

/// Have events handled again: by id, or all that pass a filter
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox events replay evt_1Nx
  signalbox events replay evt_1Nx --plugin charge-counter --dry-run
  signalbox events replay --status dead --since 2h
  signalbox events replay --type 'invoice.*' --where 'event.data.object.amount_due > 100000' --limit 50
  signalbox events replay --all --plugin new-plugin --yes

Without --status, plugins get the events too that were not loaded when they came. The count is shown
first; where nobody can be asked, more than one delivery needs --yes. A dry run commits nothing and shows
at most 100 deliveries, 20 without --limit.")]
pub(crate) struct Args {
    /// Events' ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only events of this type: `invoice.paid`, `invoice.*`
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only deliveries of this status: pending, running, done, retry, dead
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only at this plugin; may be given several times
    #[arg(long, value_name = "NAME")]
    plugin: Vec<String>,
    /// Only events accepted since: `2h` ago, RFC 3339, or seconds since the epoch
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events accepted before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only events for which this CEL expression over `event` is true
    #[arg(long = "where", value_name = "CEL")]
    condition: Option<String>,
    /// At most this many deliveries, of the newest events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Everything kept, where nothing narrows it
    #[arg(long)]
    all: bool,
    /// Show what the handlers would do, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let now = cx.clock.now();
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.map(|value| body.insert(name.to_owned(), value));
    };
    let moment = |text: &Option<String>| -> Result<Option<Value>, Usage> {
        let moment = text.as_deref().map(|text| times::moment(text, now)).transpose()?;
        Ok(moment.map(|moment| Value::from(moment.to_string())))
    };
    put("ids", Some(json!(args.ids)).filter(|_| !args.ids.is_empty()));
    put("type", args.kind.map(Value::from));
    put("status", args.status.map(Value::from));
    put("plugin", Some(json!(args.plugin)).filter(|_| !args.plugin.is_empty()));
    put("since", moment(&args.since)?);
    put("until", moment(&args.until)?);
    put("where", args.condition.map(Value::from));
    put("limit", args.limit.map(Value::from));
    put("all", args.all.then_some(Value::Bool(true)));
    let work = Work { dry_run: args.dry_run, yes: args.yes, format: args.output.output };
    work.run(body, &args.connect, cx).await
}

/// How a replay is gone about.
pub(super) struct Work {
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) format: Format,
}

impl Work {
    /// Count what `body` selects, ask, and have it run again.
    pub(super) async fn run(
        &self,
        mut body: Map<String, Value>,
        connect: &ConnectArgs,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        if body.is_empty() {
            let text = "name events, or narrow which ones: --type, --status, --plugin, --since, \
                        --until, --where, --limit; or say --all";
            return Err(Usage(text.to_owned()).into());
        }
        let client = connect.client(cx)?;
        if self.dry_run {
            body.insert("dry_run".to_owned(), Value::Bool(true));
            let started = client.post(&["replays"], &Value::Object(body)).await?;
            let ended = operation::finish(&client, started, cx).await?;
            return dry_run::print(&ended, self.format, cx);
        }
        let body = Value::Object(body);
        if !self.yes {
            let count = client.post(&["replays", "count"], &body).await?;
            if !self.go_ahead(&count, cx)? {
                return Ok(());
            }
        }
        let started = client.post(&["replays"], &body).await?;
        let ended = operation::finish(&client, started, cx).await?;
        if self.format != Format::Table {
            return Ok(cx.json(&ended, self.format)?);
        }
        let done = ended.get("done").and_then(Value::as_u64).unwrap_or(0);
        let left = match operation::skipped(&ended) {
            0 => String::new(),
            _ => format!("; left alone: {}", ended.get("skipped").map(plain).unwrap_or_default()),
        };
        Ok(cx.bytes(format!("{done} run again{left}\n").as_bytes())?)
    }

    /// Whether what was counted is to be done.
    fn go_ahead(&self, count: &Value, cx: &mut Context) -> anyhow::Result<bool> {
        let number = |name| count.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (events, deliveries) = (number("events"), number("deliveries"));
        if deliveries == 0 {
            cx.say("there is nothing to run again");
            return Ok(false);
        }
        let complete = count.get("complete").and_then(Value::as_bool).unwrap_or(true);
        let at_least = if complete { "" } else { "at least " };
        let plugins = count.get("plugins").map(plain).unwrap_or_default();
        let text = format!("{at_least}{deliveries} deliveries of {events} events ({plugins})");
        if cx.interactive {
            return Ok(cx.ask(format_args!("{text} will run again. Go ahead?"))?);
        }
        if deliveries > 1 {
            return Err(Usage(format!("{text} would run again; say --yes")).into());
        }
        cx.say(format_args!("{text}"));
        Ok(true)
    }
}
