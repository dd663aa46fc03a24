//! `signalbox build`: a plugin's source into a component.
//!
//! Not the building (`cli::build`).

use std::path::PathBuf;

use anyhow::bail;

use super::context::Context;
use super::output::OutputArgs;

/// Build a Rust plugin project into a component
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox build
  signalbox build example-plugins/charge-counter --out plugins
  signalbox build --offline

What the WebAssembly target needs is found or fetched once and cached; --offline never fetches.")]
pub(crate) struct Args {
    /// The project: the directory of its Cargo.toml
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Where the component goes [default: the project's target directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Use only what is on this machine
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    // WIRE(build): let built = super::build::build(options, progress); then print it with
    // `super::output::fields`, as `check` does.
    let _ = (args, cx);
    bail!("building is not part of this build")
}
