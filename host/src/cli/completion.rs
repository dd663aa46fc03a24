//! `signalbox completion`: what a shell needs to complete our commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use super::context::Context;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(signalbox completion bash)
  signalbox completion zsh > ~/.zfunc/_signalbox
  signalbox completion fish > ~/.config/fish/completions/signalbox.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    // Into memory first: the generator panics on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "signalbox", &mut script);
    Ok(cx.bytes(&script)?)
}
