//! `signalbox plugins`: which components are loaded, and why others are not.

use serde_json::{Value, json};

use super::connect::ConnectArgs;
use super::context::Context;
use super::output::{self, Column, Format, OutputArgs};
use super::page::{Listing, PageArgs};
use super::shadow;
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
    /// Let a plugin's deliveries wait; nothing is lost
    #[command(after_help = "Examples:
  signalbox plugins pause charge-counter --reason 'the ledger is down until noon'")]
    Pause {
        /// The plugin's name
        name: String,
        /// Why, for whoever looks
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Let a paused plugin's deliveries run again
    #[command(after_help = "Examples:
  signalbox plugins resume charge-counter")]
    Resume {
        /// The plugin's name
        name: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    Shadow(shadow::Args),
}

const COLUMNS: [Column; 7] = [
    Column { title: "NAME", cell: |plugin, _| name(plugin) },
    Column { title: "VERSION", cell: |plugin, _| Cell::field(plugin, "version") },
    Column { title: "STATUS", cell: |plugin, _| Cell::status(plugin, "status") },
    Column { title: "WAITING", cell: |plugin, _| backlog(plugin, "waiting") },
    Column { title: "OLDEST", cell: |plugin, style| oldest(plugin, style) },
    Column { title: "SUBSCRIPTIONS", cell: |plugin, _| subscriptions(plugin) },
    Column { title: "REASON", cell: |plugin, _| Cell::field(plugin, "reason") },
];

fn backlog(plugin: &Value, name: &str) -> Cell {
    Cell::field(plugin.get("backlog").unwrap_or(&Value::Null), name)
}

fn oldest(plugin: &Value, style: table::Style) -> Cell {
    Cell::time(plugin.get("backlog").unwrap_or(&Value::Null), "oldest_at", style)
}

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
            show(&plugin, output.output, cx)
        }
        Command::Pause { name, reason, output, connect } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            let plugin = connect.client(cx)?.post(&["plugins", &name, "pause"], &body).await?;
            cx.say(format_args!("{name} is paused: its deliveries wait"));
            show(&plugin, output.output, cx)
        }
        Command::Resume { name, output, connect } => {
            let path = ["plugins", &name, "resume"];
            let plugin = connect.client(cx)?.post(&path, &json!({})).await?;
            cx.say(format_args!("{name} runs again"));
            show(&plugin, output.output, cx)
        }
        Command::Shadow(args) => shadow::run(args, cx).await,
    }
}

fn show(plugin: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format != Format::Table {
        return Ok(cx.json(plugin, format)?);
    }
    let style = cx.style();
    let mut fields = output::fields(plugin, &["object", "paused", "backlog"], style);
    if let Some(paused) = plugin.get("paused").filter(|paused| paused.is_object()) {
        let text = format!(
            "{}, by {}: {}",
            Cell::time(paused, "at", style).text,
            Cell::field(paused, "by").text,
            Cell::field(paused, "reason").text,
        );
        fields.push(("paused".to_owned(), Cell::new(text)));
    }
    let waits = plugin.pointer("/backlog/waiting").and_then(Value::as_u64).unwrap_or(0);
    if waits > 0 {
        let text = format!("{waits}, the oldest {}", oldest(plugin, style).text);
        fields.push(("waiting".to_owned(), Cell::new(text)));
    }
    Ok(cx.card(fields)?)
}
