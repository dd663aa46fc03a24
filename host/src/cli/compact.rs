//! `signalbox compact`: a copy of the store that takes only the space its rows need.
//!
//! Not the copying (`store::sled`). Offline: a running host has the store for itself.

use std::path::PathBuf;

use serde_json::json;

use crate::app;
use crate::config::{Config, Flags};
use crate::telemetry;

use super::context::Context;
use super::output::{Format, OutputArgs};
use super::table::Cell;

/// Copy the store into a fresh directory, without the space that retention freed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox compact data/store.new
  signalbox compact --data /var/lib/signalbox /var/lib/signalbox/store.new

Stop the host first. The store stays as it is: put the copy in its place (`mv data/store
data/store.old && mv data/store.new data/store`), start the host, then delete the old one.")]
pub(crate) struct Args {
    /// Where the copy goes: a directory that is absent or empty
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Configuration file [env: SIGNALBOX_CONFIG] [default: signalbox.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, whose `store` is copied [default: `store.path`]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let mut flags = Flags::default();
    if let Some(data) = &args.data {
        flags.set("--data", "store.path", data.display());
    }
    let config = Config::load(args.config.as_deref(), &cx.env, &flags)?;
    telemetry::init(&config.log, cx.colour)?;
    let done = app::compact(&config, &args.to)?;
    let shown = json!({
        "object": "compaction",
        "path": args.to,
        "rows": done.rows,
        "bytes_before": done.before,
        "bytes_after": done.after,
    });
    if args.output.output != Format::Table {
        return Ok(cx.json(&shown, args.output.output)?);
    }
    let cell = |name: &str| (name.to_owned(), Cell::field(&shown, name));
    let bytes = |title: &str, name| (title.to_owned(), Cell::bytes(&shown, name));
    let fields = vec![
        cell("path"),
        cell("rows"),
        bytes("before", "bytes_before"),
        bytes("after", "bytes_after"),
    ];
    Ok(cx.card(fields)?)
}
