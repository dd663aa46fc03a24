//! `signalbox plugins shadow`: a candidate beside the version that is loaded.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::app;
use crate::config::Config;
use crate::plugin::{Engine, EngineConfig};

use super::check::read;
use super::connect::ConnectArgs;
use super::context::Context;
use super::exit::Usage;
use super::output::{Column, Format, OutputArgs};
use super::table::Cell;
use super::{dry_run, operation};

/// Run a candidate .wasm over the last events, beside the version that is loaded; commits nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox plugins shadow target/charge-counter.wasm
  signalbox plugins shadow new.wasm --last 500 --output json | jq .result.differences

Both run on the plugin's state of now, each event by itself. The candidate receives nothing.")]
pub(crate) struct Args {
    /// The candidate
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Over this many of the last events that either subscribes to, at most 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: u64,
    /// The plugin it is a candidate for [default: what it calls itself]
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let bytes = read(&args.file)?;
    let name = match args.plugin {
        Some(name) => name,
        None => name_of(bytes.clone(), cx).await?,
    };
    let client = args.connect.client(cx)?;
    let query = [("last", args.last.to_string())];
    let started = client.post_bytes(&["plugins", &name, "shadow"], &query, bytes).await?;
    let ended = operation::finish(&client, started, cx).await?;
    if args.output.output != Format::Table {
        return Ok(cx.json(&ended, args.output.output)?);
    }
    show(ended.get("result").unwrap_or(&Value::Null), cx)
}

/// What the component calls itself. Grants and limits are the host's to judge.
async fn name_of(bytes: bytes::Bytes, cx: &Context) -> anyhow::Result<String> {
    let config = EngineConfig { pool: 0, ..EngineConfig::default() };
    let engine = Engine::new(&config, Arc::clone(&cx.clock))?;
    let config = Config::default();
    let policy = app::policy(&config, &app::providers(&config));
    let inspection = serde_json::to_value(engine.inspect(bytes, &policy).await)?;
    let name = inspection.pointer("/manifest/name").and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(|| {
        let why = inspection.pointer("/refusal/cause").and_then(Value::as_str).unwrap_or_default();
        Usage(format!("the file does not tell its plugin's name ({why}); give it with --plugin"))
            .into()
    })
}

const SIDES: [Column; 7] = [
    Column { title: "", cell: |side, _| Cell::field(side, "side") },
    Column { title: "VERSION", cell: |side, _| Cell::field(side, "version") },
    Column { title: "RUNS", cell: |side, _| Cell::field(side, "runs") },
    Column { title: "OK", cell: |side, _| Cell::field(side, "ok") },
    Column { title: "CPU", cell: |side, _| super::deliveries::micros(side, "cpu_us") },
    Column { title: "WALL", cell: |side, _| super::deliveries::micros(side, "wall_us") },
    Column { title: "MEMORY", cell: |side, _| Cell::bytes(side, "memory_bytes") },
];

fn show(found: &Value, cx: &mut Context) -> anyhow::Result<()> {
    let text = |object: &Value, name| Cell::field(object, name).text;
    cx.say(text(found, "note"));
    let side = |name: &str| {
        let mut side = found.get(name).cloned().unwrap_or_default();
        if let Some(side) = side.as_object_mut() {
            side.insert("side".to_owned(), Value::from(name));
        }
        side
    };
    cx.table(&[side("current"), side("candidate")], &SIDES)?;
    let mut out = format!(
        "\n{} events: {} the same, {} different\n",
        text(found, "events"),
        text(found, "same"),
        text(found, "different"),
    );
    let differences = found.get("differences").and_then(Value::as_array);
    for difference in differences.into_iter().flatten() {
        out.push_str(&format!(
            "\n{} {}: {}\n",
            text(difference, "event"),
            text(difference, "type"),
            text(difference, "parts"),
        ));
        for name in ["current", "candidate"] {
            match difference.get(name).filter(|run| run.is_object()) {
                Some(run) => out.push_str(&format!("{name}: {}", dry_run::show(run, cx))),
                None => out.push_str(&format!("{name}: does not receive it\n")),
            }
        }
    }
    Ok(cx.bytes(out.as_bytes())?)
}
