//! `signalbox serve`: the host.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use crate::app::{self, Host};
use crate::config::{Config, ConfigError, Environment, Flags};
use crate::telemetry;

use super::context::Context;
use super::output::{Format, OutputArgs};

/// `--log-format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Flags that set what a host says on its standard error stream.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogArgs {
    /// error, warn, info, debug, trace, off, or directives (`info,signalbox::dispatch=debug`)
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Form of the log on standard error
    #[arg(long, value_enum, value_name = "FORM")]
    log_format: Option<LogForm>,
}

impl LogArgs {
    pub(crate) fn flags(&self, flags: &mut Flags) {
        if let Some(level) = &self.log_level {
            flags.set("--log-level", "log.level", level);
        }
        if let Some(form) = self.log_format {
            let form = match form {
                LogForm::Text => "text",
                LogForm::Json => "json",
            };
            flags.set("--log-format", "log.format", form);
        }
    }
}

/// Run the host: receive webhooks, keep them, deliver them to the plugins
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  signalbox serve
  signalbox serve --config /etc/signalbox.toml --log-format json
  signalbox serve --listen 127.0.0.1:8000 --data /var/lib/signalbox --plugins ./plugins

A flag wins over the environment (SIGNALBOX_SERVER__LISTEN), the environment over the file.
Stop it with Ctrl-C or SIGTERM: what was accepted is finished first.")]
pub(crate) struct Args {
    /// Configuration file [env: SIGNALBOX_CONFIG] [default: signalbox.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where webhooks come in [default: 127.0.0.1:4242]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the admin API answers [default: 127.0.0.1:4243]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Data directory [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Directory of plugins [default: plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    /// The configuration with these flags on top.
    ///
    /// # Errors
    /// [`ConfigError`] with everything that is wrong.
    pub(crate) fn load(&self, env: &Environment) -> Result<Config, ConfigError> {
        let mut flags = Flags::default();
        if let Some(address) = self.listen {
            flags.set("--listen", "server.listen", address);
        }
        if let Some(address) = self.admin_listen {
            flags.set("--admin-listen", "server.admin_listen", address);
        }
        if let Some(path) = &self.data {
            flags.set("--data", "store.path", path.display());
        }
        if let Some(path) = &self.plugins {
            flags.set("--plugins", "plugins.dir", path.display());
        }
        self.log.flags(&mut flags);
        Config::load(self.config.as_deref(), env, &flags)
    }
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let config = args.load(&cx.env)?;
    telemetry::init(&config.log, cx.colour)?;
    let format = args.output.output;
    app::serve(&config, |host| {
        if let Err(error) = tell(host, &config, format, cx) {
            // Nobody listens on standard output; the host serves all the same.
            tracing::debug!(%error, "cannot say that the host is ready");
        }
    })
    .await
}

/// Say that the host serves, and where.
fn tell(host: &Host, config: &Config, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    let public = format!("http://{}", host.public);
    let admin = format!("http://{}", host.admin);
    if format != Format::Table {
        let ready = json!({"object": "ready", "public_url": public, "admin_url": admin});
        return Ok(cx.json(&ready, Format::Jsonl)?);
    }
    let mut text = format!("signalbox serves. Webhooks: {public}/webhooks/ID\n");
    for endpoint in &config.endpoints {
        text.push_str(&format!("  {}  {}\n", endpoint.provider, endpoint.id));
    }
    if config.endpoints.is_empty() {
        text.push_str("  no endpoint is configured; `signalbox endpoints create` makes one\n");
    }
    text.push_str(&format!("Admin API:  {admin}\n"));
    if let Some((file, token)) = &host.new_token {
        let (file, token) = (file.display(), token.expose());
        text.push_str(&format!("Admin token: {token} (shown once; kept in {file})\n"));
    }
    cx.bytes(text.as_bytes())?;
    Ok(())
}
