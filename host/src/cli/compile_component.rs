//! `signalbox compile-component`: what the host runs to compile in a process of its own.
//!
//! Not for people, and not the compiling (`plugin::compile`).

use std::io;

use crate::plugin::compile;

use super::context::Context;

/// Turn the component on standard input into machine code for this very program
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox compile-component < handler.wasm > handler.code

`signalbox serve` runs this by itself. Nothing else takes what it writes: a host never loads
machine code from its plugins directory.")]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, cx: &mut Context) -> anyhow::Result<()> {
    match compile::serve(io::stdin().lock(), &mut cx.out, io::stderr().lock())? {
        0 => Ok(()),
        // Only the host reads it, and it tells by the code whose fault it was.
        fault => std::process::exit(fault),
    }
}
