//! `signalbox dead`: deliveries that were given up, and what they died of.

use serde_json::{Map, Value, json};

use super::connect::ConnectArgs;
use super::context::Context;
use super::deliveries;
use super::output::{Column, OutputArgs};
use super::page::{Listing, PageArgs};
use super::replay::Work;
use super::table::Cell;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List dead deliveries, newest event first
    #[command(after_help = "Examples:
  signalbox dead list --plugin charge-counter
  signalbox dead list --group 0f3a9c0d5e6b7a81 --output jsonl")]
    List {
        /// Only of this plugin
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
        /// Only those that died of this
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// List what deliveries died of, the most frequent first
    #[command(after_help = "Examples:
  signalbox dead groups
  signalbox dead groups --plugin charge-counter")]
    Groups {
        /// Only of this plugin
        #[arg(long, value_name = "NAME")]
        plugin: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Show one dead delivery with all its attempts
    #[command(after_help = "Examples:
  signalbox dead show stripe.evt_1Nx.charge-counter")]
    Show {
        /// The delivery's id
        id: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Have dead deliveries run again: some, a group, a plugin's, or all
    #[command(after_help = "Examples:
  signalbox dead replay stripe.evt_1Nx.charge-counter
  signalbox dead replay --group 0f3a9c0d5e6b7a81
  signalbox dead replay --plugin charge-counter --dry-run
  signalbox dead replay --all --yes")]
    Replay {
        /// Deliveries' ids
        #[arg(value_name = "ID", required_unless_present_any = ["group", "plugin", "all"])]
        ids: Vec<String>,
        /// Those that died of this
        #[arg(long, value_name = "GROUP", conflicts_with_all = ["ids", "plugin", "all"])]
        group: Option<String>,
        /// Those of this plugin
        #[arg(long, value_name = "NAME", conflicts_with = "ids")]
        plugin: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Show what the handlers would do, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

const GROUPS: [Column; 6] = [
    Column { title: "GROUP", cell: |group, _| Cell::field(group, "id") },
    Column { title: "COUNT", cell: |group, _| Cell::field(group, "count") },
    Column { title: "PLUGIN", cell: |group, _| Cell::field(group, "plugin") },
    Column { title: "OUTCOME", cell: |group, _| Cell::status(group, "outcome") },
    Column { title: "DIED OF", cell: |group, _| Cell::first_line(group, "reason") },
    Column { title: "OLDEST", cell: |group, style| Cell::time(group, "oldest_at", style) },
];

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::List { plugin, group, page, output, connect } => {
            let filters = vec![("plugin", plugin), ("group", group)];
            let (path, columns) = (&["dead"], &deliveries::COLUMNS);
            Listing { path, filters, page: &page, columns, noun: "dead deliveries" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Groups { plugin, page, output, connect } => {
            let (path, filters) = (&["dead", "groups"], vec![("plugin", plugin)]);
            Listing { path, filters, page: &page, columns: &GROUPS, noun: "dead deliveries" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show { id, output, connect } => {
            let delivery = connect.client(cx)?.get(&["deliveries", &id], &[]).await?;
            deliveries::show(&delivery, output.output, cx)
        }
        Command::Replay { ids, group, plugin, all: _, dry_run, yes, output, connect } => {
            let mut body = Map::new();
            if !ids.is_empty() {
                body.insert("deliveries".to_owned(), json!(ids));
            } else {
                body.insert("status".to_owned(), Value::from("dead"));
            }
            if let Some(group) = group {
                body.insert("group".to_owned(), group.into());
            }
            if let Some(plugin) = plugin {
                body.insert("plugin".to_owned(), plugin.into());
            }
            let work = Work { dry_run, yes, format: output.output };
            work.run(body, &connect, cx).await
        }
    }
}
