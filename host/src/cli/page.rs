//! Lists of the admin API, a page or many.

use serde_json::{Value, json};

use super::client::{Client, ClientError};
use super::context::Context;
use super::output::{Column, Format};

/// Most entries the admin API gives at once, as Stripe's does.
const MOST: usize = 100;

/// Which part of a list.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Pages")]
pub(crate) struct PageArgs {
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = limit)]
    pub(crate) limit: usize,
    /// All there are, page by page
    #[arg(long, conflicts_with_all = ["limit", "ending_before"])]
    pub(crate) all: bool,
    /// Only what comes after this one in the list (older)
    #[arg(long, value_name = "ID")]
    pub(crate) starting_after: Option<String>,
    /// Only what comes before this one in the list (newer)
    #[arg(long, value_name = "ID", conflicts_with = "starting_after")]
    pub(crate) ending_before: Option<String>,
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// A list to be printed.
pub(crate) struct Listing<'a> {
    pub(crate) path: &'a [&'a str],
    pub(crate) filters: Vec<(&'a str, Option<String>)>,
    pub(crate) page: &'a PageArgs,
    pub(crate) columns: &'a [Column],
    /// What is listed, in the plural.
    pub(crate) noun: &'a str,
}

impl Listing<'_> {
    /// Fetch and print. JSON lines leave as their page arrives.
    pub(crate) async fn print(
        &self,
        client: &Client,
        format: Format,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        let mut wanted = if self.page.all { usize::MAX } else { self.page.limit };
        let mut after = self.page.starting_after.clone();
        let mut kept: Vec<Value> = Vec::new();
        let mut printed = 0_usize;
        let has_more = loop {
            let page = self.fetch(client, wanted.min(MOST), after.as_deref()).await?;
            let (data, more) = entries(page);
            wanted = wanted.saturating_sub(data.len());
            after = data.last().and_then(cursor);
            let ended = data.is_empty() || after.is_none() || self.page.ending_before.is_some();
            if format == Format::Jsonl {
                for entry in &data {
                    cx.json(entry, format)?;
                }
                printed = printed.saturating_add(data.len());
            } else {
                kept.extend(data);
            }
            if !more || wanted == 0 || ended {
                break more;
            }
        };
        match format {
            Format::Jsonl => {}
            Format::Json => {
                let url = format!("/api/v1/{}", self.path.join("/"));
                let list =
                    json!({"object": "list", "url": url, "has_more": has_more, "data": kept});
                cx.json(&list, format)?;
            }
            Format::Table if kept.is_empty() => {}
            Format::Table => cx.table(&kept, self.columns)?,
        }
        if format == Format::Table && kept.is_empty() && printed == 0 {
            cx.say(format_args!("no {}", self.noun));
        }
        if format == Format::Table && has_more {
            cx.say(format_args!("there are more {}: use --limit or --all", self.noun));
        }
        Ok(())
    }

    async fn fetch(
        &self,
        client: &Client,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Value, ClientError> {
        let mut query: Vec<(&str, String)> = vec![("limit", limit.to_string())];
        for (name, value) in &self.filters {
            if let Some(value) = value {
                query.push((name, value.clone()));
            }
        }
        if let Some(after) = after {
            query.push(("starting_after", after.to_owned()));
        }
        if let Some(before) = &self.page.ending_before {
            query.push(("ending_before", before.clone()));
        }
        client.get(self.path, &query).await
    }
}

/// Where a list goes on after `entry`: its `id`, or a `cursor` where identifiers repeat.
fn cursor(entry: &Value) -> Option<String> {
    let cursor = entry.get("cursor").or_else(|| entry.get("id"))?.as_str()?;
    (!cursor.is_empty()).then(|| cursor.to_owned())
}

/// Entries of a list object, and whether there are more.
pub(crate) fn entries(mut list: Value) -> (Vec<Value>, bool) {
    let more = list.get("has_more").and_then(Value::as_bool).unwrap_or(false);
    match list.get_mut("data").map(Value::take) {
        Some(Value::Array(data)) => (data, more),
        _ => (Vec::new(), false),
    }
}
