//! `signalbox build --watch`: build, and build again after each change.
//!
//! Not the watching (`watch`) and not the building (`cli::build`).

use anyhow::Context as _;

use crate::app;

use super::build::BuildOptions;
use super::build_command;
use super::context::Context;
use super::output::Format;
use super::watch::Watch;

/// Build until the process is asked to end.
pub(super) async fn run(
    options: BuildOptions,
    format: Format,
    cx: &mut Context,
) -> anyhow::Result<()> {
    let stop = app::stop_signal()?;
    tokio::pin!(stop);
    let told = || format!("cannot read {}", options.project.display());
    let mut changes = Watch::new(&options.project).with_context(told)?.start();
    loop {
        let built = tokio::select! {
            () = &mut stop => return Ok(()),
            built = build_command::build_plugins(options.clone()) => built,
        };
        match built {
            Ok(built) => build_command::print(built, format, cx)?,
            Err(error) => cx.say(format_args!("error: {error:#}")),
        }
        cx.say("watching; Ctrl-C ends it");
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = changes.next() => {}
        }
    }
}
