//! `signalbox config`: what the host would run with, and whether it could.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Map, Value, json};

use crate::config::{Config, Entry, Flags, Reading};

use super::context::Context;
use super::output::{Column, Format, OutputArgs};
use super::table::{Cell, Tone};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show every value and where it comes from; secrets as fingerprints
    #[command(after_help = "Examples:
  signalbox config show
  signalbox config show --config /etc/signalbox.toml --output json | jq '.[\"server.listen\"]'")]
    Show(Args),
    /// Check the configuration, and tell everything that is wrong with it
    #[command(after_help = "Examples:
  signalbox config validate --config /etc/signalbox.toml && systemctl restart signalbox")]
    Validate(Args),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration file [env: SIGNALBOX_CONFIG] [default: signalbox.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

const COLUMNS: [Column; 3] = [
    Column { title: "KEY", cell: |entry, _| Cell::field(entry, "key") },
    Column { title: "VALUE", cell: |entry, _| Cell::field(entry, "value") },
    Column {
        title: "ORIGIN",
        cell: |entry, _| {
            let mut cell = Cell::field(entry, "origin");
            if cell.text == "default" {
                cell.tone = Tone::Faint;
            }
            cell
        },
    },
];

pub(crate) fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::Show(args) => show(&args, cx),
        Command::Validate(args) => validate(&args, cx),
    }
}

/// Shows what there is even where something is wrong, and then says what.
fn show(args: &Args, cx: &mut Context) -> anyhow::Result<()> {
    let Reading { config, problems } =
        Config::read(args.config.as_deref(), &cx.env, &Flags::default());
    let entry = |entry: &Entry| {
        json!({
            "key": entry.key,
            "value": entry.value,
            "origin": entry.origin.to_string(),
        })
    };
    let entries: Vec<Value> = config.entries.iter().map(entry).collect();
    match args.output.output {
        Format::Table => cx.table(&entries, &COLUMNS)?,
        Format::Json => {
            let value = |entry: &Entry| {
                let value = json!({"value": entry.value, "origin": entry.origin.to_string()});
                (entry.key.clone(), value)
            };
            let all: Map<String, Value> = config.entries.iter().map(value).collect();
            cx.json(&Value::Object(all), Format::Json)?;
        }
        Format::Jsonl => entries.iter().try_for_each(|entry| cx.json(entry, Format::Jsonl))?,
    }
    if problems.is_empty() { Ok(()) } else { Err(crate::config::ConfigError { problems }.into()) }
}

fn validate(args: &Args, cx: &mut Context) -> anyhow::Result<()> {
    let Reading { config, problems } =
        Config::read(args.config.as_deref(), &cx.env, &Flags::default());
    let file = config.file.as_ref().map(|file| file.display().to_string());
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let format = args.output.output;
    if format != Format::Table {
        cx.json(&json!({"file": file, "valid": texts.is_empty(), "problems": texts}), format)?;
    } else if texts.is_empty() {
        let place = file.as_deref().unwrap_or("no file, defaults alone");
        let text = format!("the configuration is good ({place})\n");
        cx.bytes(text.as_bytes())?;
    } else {
        cx.bytes(format!("{}\n", texts.join("\n")).as_bytes())?;
    }
    match texts.len() {
        0 => Ok(()),
        1 => bail!("the configuration has a problem"),
        count => bail!("the configuration has {count} problems"),
    }
}
