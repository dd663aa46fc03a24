//! `signalbox demo`: the whole way of a webhook, shown as it goes.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;

use super::context::Context;
use super::serve::LogArgs;

/// Build the example plugins, start a host, send it signed events, and show what the handlers do
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox demo
  signalbox demo --no-wait
  signalbox trigger charge.succeeded --config demo-data/signalbox.toml   (in another terminal)

The demo keeps everything of its own in its data directory, the configuration and the endpoint's
secret included, so that the other commands find both with --config.")]
pub(crate) struct Args {
    /// Where webhooks come in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4242")]
    pub(crate) listen: SocketAddr,
    /// Where the admin API answers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4243")]
    pub(crate) admin_listen: SocketAddr,
    /// Data directory of the demo; what an earlier demo left there is kept
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    pub(crate) data: PathBuf,
    /// Use the components of this directory instead of building the examples
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins_dir: Option<PathBuf>,
    /// End after the first round of events, with exit code 1 unless all went as it should
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    // WIRE(app): crate::app::demo(args, cx).await
    let _ = (args, cx);
    bail!("the demo is not part of this build")
}
