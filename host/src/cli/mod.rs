//! The command line: `signalbox COMMAND`.
//!
//! Not the work itself: `serve` and `demo` call `app`, and all commands that look at or change a
//! running host talk to its admin API. Data goes to standard output, talk to standard error.
//!
//! Exit codes: 0 done, 1 failure, 2 wrong use, 3 not found, 4 not allowed, 5 conflict.

mod client;
mod connect;
mod context;
mod exit;
mod operation;
mod outcome;
mod output;
mod page;
mod place;
mod table;
mod times;
mod watch;

mod backfill;
pub mod build;
mod build_command;
mod build_watch;
mod check;
mod compact;
mod compile_component;
mod completion;
mod config_command;
mod dead;
mod deliveries;
mod demo;
mod dev;
mod dry_run;
mod effects;
mod endpoints;
mod events;
mod explain;
mod import;
mod listen;
mod new;
mod objects;
mod plugins;
mod reconcile;
mod replay;
mod requests;
mod serve;
mod shadow;
mod test_command;
mod trigger;
mod wit;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::Context;
use exit::Exit;

/// Receives webhooks, proves them, keeps them, and runs sandboxed WebAssembly handlers on them
#[derive(Debug, Parser)]
#[command(name = "signalbox", version, about, disable_help_subcommand = true)]
#[command(after_help = "Examples:
  signalbox serve --config signalbox.toml
  signalbox trigger charge.succeeded --override charge:amount=500
  signalbox events list --type charge.succeeded --status dead
  signalbox events raw evt_1Nx > event.json
  signalbox events explain evt_1Nx
  signalbox dead groups

Exit codes: 0 done, 1 failure, 2 wrong use, 3 not found, 4 not allowed, 5 conflict.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Dev(dev::Args),
    New(new::Args),
    Build(build_command::Args),
    Check(check::Args),
    Test(test_command::Args),
    Wit(wit::Args),
    Trigger(trigger::Args),
    Listen(listen::Args),
    /// Look at the events that were accepted, and have them handled again
    #[command(subcommand)]
    Events(events::Command),
    /// Look at what became of events at the plugins
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Look at deliveries that were given up, and have them run again
    #[command(subcommand)]
    Dead(dead::Command),
    /// Look at what handlers asked the world for; retry or cancel it
    #[command(subcommand)]
    Effects(effects::Command),
    /// Look at the provider's objects as the events left them
    #[command(subcommand)]
    Objects(objects::Command),
    /// Look at the plugins of a running host; pause, resume, try another version
    #[command(subcommand)]
    Plugins(plugins::Command),
    /// Manage the URLs that providers post to
    #[command(subcommand)]
    Endpoints(endpoints::Command),
    Reconcile(reconcile::Args),
    /// Take over what another receiver of webhooks has
    #[command(subcommand)]
    Import(import::Command),
    /// Look at requests that were refused; judge one again
    #[command(subcommand)]
    Requests(requests::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config_command::Command),
    Compact(compact::Args),
    #[command(hide = true)]
    CompileComponent(compile_component::Args),
    Completion(completion::Args),
}

impl Command {
    /// Whether it is a host of its own, and so wants all processors.
    const fn is_host(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Demo(_) | Self::Dev(_))
    }

    async fn run(self, cx: &mut Context) -> anyhow::Result<()> {
        match self {
            Self::Serve(args) => serve::run(args, cx).await,
            Self::Demo(args) => demo::run(args, cx).await,
            Self::Dev(args) => dev::run(args, cx).await,
            Self::New(args) => new::run(args, cx),
            Self::Build(args) => build_command::run(args, cx).await,
            Self::Check(args) => check::run(args, cx).await,
            Self::Test(args) => test_command::run(args, cx).await,
            Self::Wit(args) => wit::run(args, cx),
            Self::Trigger(args) => trigger::run(args, cx).await,
            Self::Events(command) => events::run(command, cx).await,
            Self::Deliveries(command) => deliveries::run(command, cx).await,
            Self::Dead(command) => dead::run(command, cx).await,
            Self::Effects(command) => effects::run(command, cx).await,
            Self::Objects(command) => objects::run(command, cx).await,
            Self::Plugins(command) => plugins::run(command, cx).await,
            Self::Endpoints(command) => endpoints::run(command, cx).await,
            Self::Reconcile(args) => reconcile::run(args, cx).await,
            Self::Listen(args) => listen::run(args, cx).await,
            Self::Import(command) => import::run(command, cx).await,
            Self::Requests(command) => requests::run(command, cx).await,
            Self::Config(command) => config_command::run(command, cx),
            Self::Compact(args) => compact::run(args, cx),
            Self::CompileComponent(args) => compile_component::run(args, cx),
            Self::Completion(args) => completion::run(args, cx),
        }
    }
}

/// Do what this process's arguments ask for.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader who closed the pipe wants no more of it.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let mut cx = Context::of_process();
    match execute(cli.command, &mut cx) {
        Ok(()) => Exit::Done.into(),
        Err(error) => exit::report(&error).into(),
    }
}

fn execute(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    let mut runtime = if command.is_host() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    runtime.enable_all().build()?.block_on(command.run(cx))
}
