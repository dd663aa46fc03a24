//! `signalbox dev`: a host for one project, which is built again after every change, and a live view of
//! what its handlers do.
//!
//! A real host in this process (`app`), on real sockets, in a directory of its own within the project.

mod place;
mod view;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::broadcast::error::RecvError;

use crate::app::{self, Host};
use crate::config::{Config, Flags};
use crate::telemetry;

use super::build::Built;
use super::build_command;
use super::context::Context;
use super::serve::LogArgs;
use super::watch::{Changes, Watch};

use super::place::Place;
use view::View;

/// How often the store is asked for events that no plugin takes.
const LOOK: Duration = Duration::from_millis(250);

/// Serve one project: build it, build it again after each change, and show what its handlers do
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox dev
  signalbox dev hello --listen 127.0.0.1:8000
  signalbox trigger charge.succeeded --config .signalbox/signalbox.toml   (in another terminal)

Everything of its own is in .signalbox/ within the project: the configuration, which is yours to change
(settings, limits, secrets), the data, the components. Deleting the directory begins anew. Without
grants in that configuration a plugin is granted what it asks for when this starts; what it sends is then
really sent. Ctrl-C ends it.")]
pub(crate) struct Args {
    /// The project
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where webhooks come in [default: 127.0.0.1:4242, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the admin API answers [default: 127.0.0.1:4243, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    #[command(flatten)]
    tools: build_command::ToolArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// A build under way.
type Building = Pin<Box<dyn Future<Output = anyhow::Result<Built>> + Send>>;

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let stop = app::stop_signal()?;
    tokio::pin!(stop);
    let dir = args.dir.display().to_string();
    let place = place::prepare(&args.dir)?;
    let watch = Watch::new(&args.dir).with_context(|| format!("cannot read {dir}"))?;
    let mut changes = watch.start();
    let mut view = View::new();
    // Nothing is served before there is something to serve: what it asks for decides how.
    loop {
        let built = tokio::select! {
            () = &mut stop => return Ok(()),
            built = start_build(&args, &place, cx) => built,
        };
        let good = built.is_ok();
        view.built(built, cx)?;
        if good {
            break;
        }
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = changes.next() => view.building(cx)?,
        }
    }
    let config = config(&args, &place, cx).await?;
    telemetry::init(&config.log, cx.colour)?;
    let host = Host::start(&config).await?;
    tell(&host, &config, &place, cx)?;
    view.follow(&host).await?;
    let mut shown = Shown {
        attempts: host.dispatch.subscribe(),
        tables: host.routes.subscribe(),
        store: std::sync::Arc::clone(&host.store),
        routes: host.routes.clone(),
    };
    view.plugins(&shown.routes, cx)?;
    let mut broken = None;
    host.run_until(async {
        tokio::select! {
            () = &mut stop => {}
            end = live(&args, &place, &mut changes, &mut shown, &mut view, cx) => broken = end.err(),
        }
    })
    .await?;
    broken.map_or(Ok(()), Err)
}

/// What is looked at.
struct Shown {
    attempts: tokio::sync::broadcast::Receiver<std::sync::Arc<crate::dispatch::Ended>>,
    tables: tokio::sync::watch::Receiver<u64>,
    store: std::sync::Arc<dyn crate::store::Store>,
    routes: crate::plugin::Routes,
}

/// Show what happens and build what changes, for as long as it is let. Ends only by a failure.
async fn live(
    args: &Args,
    place: &Place,
    changes: &mut Changes,
    shown: &mut Shown,
    view: &mut View,
    cx: &mut Context,
) -> anyhow::Result<()> {
    let mut building: Option<Building> = None;
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        let under_way = building.is_some();
        let build = async {
            match &mut building {
                Some(building) => building.as_mut().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = shown.attempts.recv() => match ended {
                Ok(ended) => view.attempt(&ended, cx)?,
                Err(RecvError::Lagged(missed)) => cx.say(format_args!("({missed} attempts not shown)")),
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = ticks.tick() => view.untaken(&*shown.store, &shown.routes, cx).await?,
            changed = shown.tables.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                view.plugins(&shown.routes, cx)?;
            }
            built = build => {
                building = None;
                view.built(built, cx)?;
            }
            // Tools that build side by side would write over one another.
            () = changes.next(), if !under_way => {
                view.building(cx)?;
                building = Some(start_build(args, place, cx));
            }
        }
    }
}

fn start_build(args: &Args, place: &Place, cx: &Context) -> Building {
    let options = args.tools.options(&args.dir, Some(place.plugins.clone()), cx);
    Box::pin(build_command::build_quietly(options))
}

/// The place's configuration, the ports that are free, and grants for what asks for them.
async fn config(args: &Args, place: &Place, cx: &Context) -> anyhow::Result<Config> {
    let mut flags = Flags::default();
    let address = |named: Option<SocketAddr>, usual: u16| {
        named.unwrap_or_else(|| place::free(SocketAddr::from(([127, 0, 0, 1], usual))))
    };
    flags.set("--listen", "server.listen", address(args.listen, 4242));
    flags.set("--admin-listen", "server.admin_listen", address(args.admin_listen, 4243));
    // The view shows what the handlers say; the log would say it again.
    flags.set("dev", "log.level", "error");
    args.log.flags(&mut flags);
    let mut config = Config::load(Some(&place.config), &cx.env, &flags)?;
    place::grant(&mut config, place, cx).await?;
    Ok(config)
}

fn tell(host: &Host, config: &Config, place: &Place, cx: &mut Context) -> anyhow::Result<()> {
    let endpoint = config.endpoints.first().context("the configuration has no endpoint")?;
    let url = format!("http://{}/webhooks/{}", host.public, endpoint.id);
    let file = place.config.display();
    let usual = host.public == config.server.listen && host.public.port() == 4242;
    let to = if usual { String::new() } else { format!(" --to {url}") };
    let text = format!(
        "Webhooks   {url}\nAdmin API  http://{}\nSend one   signalbox trigger charge.succeeded \
         --config {file}{to}\n\n",
        host.admin
    );
    cx.bytes(text.as_bytes())?;
    Ok(())
}
