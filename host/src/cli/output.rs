//! The three forms in which data is printed.

use std::io::{self, Write as _};

use clap::ValueEnum;
use serde_json::Value;

use super::context::Context;
use super::table::{self, Cell, Style};

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON value
    Json,
    /// One JSON object a line
    Jsonl,
}

/// How data is printed.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct OutputArgs {
    /// Form of the data on standard output
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t)]
    pub(crate) output: Format,
}

/// A column of a list: its title and what it shows of an entry.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) cell: fn(&Value, Style) -> Cell,
}

impl Context {
    pub(crate) fn style(&self) -> Style {
        Style { terminal: self.terminal, colour: self.colour, now: self.clock.now() }
    }

    /// Print the very bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Print one JSON value: indented, or in a line.
    pub(crate) fn json(&mut self, value: &Value, format: Format) -> io::Result<()> {
        let mut text =
            if format == Format::Jsonl { value.to_string() } else { format!("{value:#}") };
        text.push('\n');
        self.bytes(text.as_bytes())
    }

    /// Print entries as a table.
    pub(crate) fn table(&mut self, entries: &[Value], columns: &[Column]) -> io::Result<()> {
        let style = self.style();
        let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
        let row = |entry| columns.iter().map(|column| (column.cell)(entry, style)).collect();
        let text = table::rows(&titles, entries.iter().map(row).collect(), style);
        self.bytes(text.as_bytes())
    }

    /// Print names and values.
    pub(crate) fn card(&mut self, fields: Vec<(String, Cell)>) -> io::Result<()> {
        let text = table::card(fields, self.style());
        self.bytes(text.as_bytes())
    }
}

/// Every field of an object but `without`, the telling ones first: what a newer host adds is shown
/// as well. Lists of objects are shown an entry a line.
pub(crate) fn fields(object: &Value, without: &[&str], style: Style) -> Vec<(String, Cell)> {
    let Value::Object(table) = object else { return Vec::new() };
    const FIRST: [&str; 5] = ["id", "name", "type", "version", "status"];
    let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    // `received_at_ms` is `received_at` again, to the millisecond, and shown in its place.
    let twin = |name: &str| name.strip_suffix("_ms").is_some_and(|name| table.contains_key(name));
    let wanted = |name: &str| !without.contains(&name) && !twin(name);
    let mut shown: Vec<_> = table.iter().filter(|(name, _)| wanted(name)).collect();
    shown.sort_by_key(|(name, _)| rank(name));
    shown
        .into_iter()
        .map(|(name, value)| (name.clone(), field(object, name, value, style)))
        .collect()
}

fn field(object: &Value, name: &str, value: &Value, style: Style) -> Cell {
    match name {
        "status" | "outcome" => Cell::status(object, name),
        "created" | "as_of" => Cell::time(object, name, style),
        _ if name.ends_with("_at") => Cell::time(object, name, style),
        _ => match value {
            Value::Array(list) if list.iter().any(Value::is_object) => {
                let lines: Vec<String> = list.iter().map(table::plain).collect();
                Cell::lines(&lines, style)
            }
            _ => Cell::value(value),
        },
    }
}
