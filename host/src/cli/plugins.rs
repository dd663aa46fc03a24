//! `signalbox plugins`: which components are loaded, and why others are not.

use serde_json::Value;

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::table::{self, Cell};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the components of the plugins directory
    #[command(after_help = "Examples:
  signalbox plugins list
  signalbox plugins list --output json | jq '.data[] | select(.status != \"loaded\")'")]
    List {
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Show one plugin: subscriptions, grants, limits, and the reason when it is not loaded
    #[command(after_help = "Examples:
  signalbox plugins show charge-counter")]
    Show {
        /// The plugin's name
        name: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

const COLUMNS: [Column; 5] = [
    Column { title: "NAME", cell: |plugin, _| name(plugin) },
    Column { title: "VERSION", cell: |plugin, _| Cell::field(plugin, "version") },
    Column { title: "STATUS", cell: |plugin, _| Cell::status(plugin, "status") },
    Column { title: "SUBSCRIPTIONS", cell: |plugin, _| subscriptions(plugin) },
    Column { title: "REASON", cell: |plugin, _| Cell::field(plugin, "reason") },
];

/// A refused file may have no name.
fn name(plugin: &Value) -> Cell {
    let named = ["name", "file", "id"].iter().find_map(|field| plugin.get(field)?.as_str());
    named.map_or_else(|| Cell::value(&Value::Null), Cell::new)
}

/// `stripe:charge.succeeded`, with a mark where a filter narrows it.
fn subscriptions(plugin: &Value) -> Cell {
    let list = plugin.get("subscriptions").and_then(Value::as_array);
    let word = |subscription: &Value| {
        let text = |names: [&str; 2]| {
            names.iter().find_map(|name| subscription.get(name)?.as_str()).map(str::to_owned)
        };
        let (Some(provider), Some(kind)) = (text(["provider", "source"]), text(["type", "kind"]))
        else {
            return table::plain(subscription);
        };
        let filtered = subscription.get("filter").is_some_and(Value::is_string);
        format!("{provider}:{kind}{}", if filtered { " (filtered)" } else { "" })
    };
    let words: Vec<String> = list.into_iter().flatten().map(word).collect();
    Cell::value(&Value::from(words.join(", ")))
}

pub(crate) async fn run(command: Command, cx: &mut Context) -> anyhow::Result<()> {
    match command {
        Command::List { page, output, connect } => {
            let (path, filters, columns) = (&["plugins"], Vec::new(), &COLUMNS);
            Listing { path, filters, page: &page, columns, noun: "plugins" }
                .print(&connect.client(cx)?, output.output, cx)
                .await
        }
        Command::Show { name, output, connect } => {
            let plugin = connect.client(cx)?.get(&["plugins", &name], &[]).await?;
            if output.output != Format::Table {
                return Ok(cx.json(&plugin, output.output)?);
            }
            let fields = output::fields(&plugin, &["object"], cx.style());
            Ok(cx.card(fields)?)
        }
    }
}
