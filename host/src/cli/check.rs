//! `signalbox check`: what a component is and asks for, or why it will not load.
//!
//! Not the judgement (`plugin::Engine::inspect`).

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::Value;

use super::context::Context;
use super::exit::NotFound;
use super::output::{self, Format, OutputArgs};

/// Tell what a .wasm file is, what it imports and asks for, or why it will not load
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox check plugins/charge-counter.wasm
  signalbox check handler.wasm --output json | jq .imports

The exit code is 1 when the host would refuse it.")]
pub(crate) struct Args {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let bytes = read(&args.file)?;
    // WIRE(plugin): let inspection = engine.inspect(bytes).await;
    //               print(&serde_json::to_value(&inspection)?, args.output.output, cx)?;
    //               then bail!(reason) when it will not load.
    let _ = (bytes, cx);
    bail!("the plugin engine is not part of this build")
}

fn read(file: &std::path::Path) -> anyhow::Result<Bytes> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(NotFound(format!("{}: {error}", file.display())).into())
        }
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// Print what is known of a component; whatever the engine tells is shown.
#[expect(dead_code, reason = "called once the plugin engine is wired")]
pub(crate) fn print(inspection: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(inspection, format)?);
    }
    let fields = output::fields(inspection, &["object"], cx.style());
    Ok(cx.card(fields)?)
}
