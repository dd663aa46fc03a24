//! Tables and cards for people.
//!
//! Not JSON (`output`).

use comfy_table::{
    Attribute, Cell as Box, Color, ColumnConstraint, ContentArrangement, Table, presets,
};
use serde_json::Value;

use crate::domain::clock::Timestamp;

use super::times;

/// Whom a table is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) terminal: bool,
    pub(crate) colour: bool,
    pub(crate) now: Timestamp,
}

/// What a cell's content means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
    Waiting,
    Faint,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    /// A field as it is; a dash when it is absent, null or empty.
    pub(crate) fn field(object: &Value, name: &str) -> Self {
        Self::value(object.get(name).unwrap_or(&Value::Null))
    }

    pub(crate) fn value(value: &Value) -> Self {
        let text = plain(value);
        if text.is_empty() {
            Self { text: "-".to_owned(), tone: Tone::Faint }
        } else {
            Self::new(text)
        }
    }

    /// The first line of a field: what follows it is a guest's stack, and no table's.
    pub(crate) fn first_line(object: &Value, name: &str) -> Self {
        let text = object.get(name).and_then(Value::as_str).and_then(|text| text.lines().next());
        Self::value(&Value::from(text))
    }

    /// Several things: a line each for a person, between commas for a program.
    pub(crate) fn lines(lines: &[String], style: Style) -> Self {
        Self::value(&Value::from(lines.join(if style.terminal { "\n" } else { ", " })))
    }

    /// A field that is a number of bytes.
    pub(crate) fn bytes(object: &Value, name: &str) -> Self {
        let bytes = object.get(name).and_then(Value::as_u64);
        bytes.map_or_else(
            || Self::field(object, name),
            |bytes| Self::new(indicatif::BinaryBytes(bytes).to_string()),
        )
    }

    /// A field that is a time; to the millisecond where the field beside it (`created_ms`) is.
    pub(crate) fn time(object: &Value, name: &str, style: Style) -> Self {
        let precise = object.get(format!("{name}_ms")).and_then(Value::as_u64);
        let time = precise.map(Timestamp::from_millis);
        let time = time.or_else(|| object.get(name).and_then(times::parse));
        time.map_or_else(
            || Self::field(object, name),
            |time| Self::new(times::show(time, style.now, style.terminal)),
        )
    }

    /// A field that is a delivery's or a plugin's status, or an attempt's outcome.
    pub(crate) fn status(object: &Value, name: &str) -> Self {
        let mut cell = Self::field(object, name);
        cell.tone = match cell.text.as_str() {
            "done" | "loaded" | "ok" | "accepted" | "queued" => Tone::Good,
            "dead" | "refused" | "failed" | "reject" | "crashed" | "out_of_time"
            | "out_of_memory" => Tone::Bad,
            "retry" | "parked" | "paused" | "absent" | "stale" | "host_fault" | "saturated" => {
                Tone::Waiting
            }
            "cancelled" => Tone::Faint,
            _ => cell.tone,
        };
        cell
    }
}

/// A value in a line: lists with commas, tables as `name=value`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(table) => {
            let field = |(name, value): (&String, &Value)| format!("{name}={}", plain(value));
            table.iter().filter(|(_, v)| !v.is_null()).map(field).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Rows under titles.
pub(crate) fn rows(titles: &[&str], rows: Vec<Vec<Cell>>, style: Style) -> String {
    let mut table = bare(style);
    table.set_header(titles.iter().map(|title| {
        let title = Box::new(title);
        if style.terminal && style.colour { title.add_attribute(Attribute::Bold) } else { title }
    }));
    for row in rows {
        table.add_row(row.into_iter().map(|cell| boxed(cell, style)));
    }
    finish(&mut table)
}

/// Names and values of one thing.
pub(crate) fn card(fields: Vec<(String, Cell)>, style: Style) -> String {
    let mut table = bare(style);
    for (name, cell) in fields {
        let name = Cell { text: name, tone: Tone::Faint };
        table.add_row([boxed(name, style), boxed(cell, style)]);
    }
    finish(&mut table)
}

fn bare(style: Style) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    /// A terminal narrower than this is none that cells could be broken for; some say 0.
    const NARROWEST: u16 = 40;
    if style.terminal && table.width().is_some_and(|width| width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        // A program, or a person with a pager: a row is a line, however long.
        table.force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
    }
    if style.terminal && style.colour {
        table.enforce_styling();
        table.style_text_only();
    }
    table
}

/// A line in its tone, where colours are used.
pub(crate) fn painted(text: &str, tone: Tone, style: Style) -> String {
    if !(style.terminal && style.colour) {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => 32,
        Tone::Bad => 31,
        Tone::Waiting => 33,
        Tone::Faint => 2,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

fn boxed(cell: Cell, style: Style) -> Box {
    let text = if style.terminal { cell.text } else { cell.text.replace('\n', " ") };
    let boxed = Box::new(text);
    if !(style.terminal && style.colour) {
        return boxed;
    }
    match cell.tone {
        Tone::Plain => boxed,
        Tone::Good => boxed.fg(Color::Green),
        Tone::Bad => boxed.fg(Color::Red),
        Tone::Waiting => boxed.fg(Color::Yellow),
        Tone::Faint => boxed.add_attribute(Attribute::Dim),
    }
}

fn finish(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // An id in two pieces cannot be copied.
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    let mut out = String::new();
    for line in table.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
