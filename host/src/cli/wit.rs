//! `signalbox wit`: the contract that this version speaks, to build plugins against.
//!
//! Not the contract itself (`plugin::contract`).

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::plugin::contract;

use super::context::Context;

/// Print the contract between the host and its plugins, or write its files into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox wit
  signalbox wit wit
  signalbox wit --version

Without a directory it is one file, on standard output. Generators of bindings take the
directory: `wit-bindgen c wit`, `componentize-py -d wit -w plugin bindings .`")]
pub(crate) struct Args {
    /// Where its files go; made if it is not there
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print the name and version of the package alone
    #[arg(long, conflicts_with = "dir")]
    version: bool,
}

pub(crate) fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    match args {
        Args { version: true, .. } => Ok(cx.bytes(format!("{}\n", contract::id()).as_bytes())?),
        Args { dir: None, .. } => Ok(cx.bytes(contract::text().as_bytes())?),
        Args { dir: Some(dir), .. } => write(&dir, cx),
    }
}

fn write(dir: &Path, cx: &Context) -> anyhow::Result<()> {
    let shown = dir.display();
    contract::write(dir).with_context(|| format!("cannot write the contract to {shown}"))?;
    cx.say(format!("{shown}: {} in {} files", contract::id(), contract::FILES.len()));
    for entry in dir.read_dir().with_context(|| format!("cannot read {shown}"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".wit") && contract::FILES.iter().all(|(known, _)| *known != name) {
            cx.say(format!(
                "{} is not of this contract and was left as it is; generators read every .wit file \
                 of a directory, so remove it unless it is yours",
                path.display()
            ));
        }
    }
    Ok(())
}
