//! TOML into values with their lines.

use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::origin::Origin;
use super::problem::Problem;
use super::tree::{Node, Shape};

/// Read a whole file. What is good of it is returned beside what is not.
pub(super) fn parse(text: &str, path: PathBuf) -> (Node, Vec<Problem>) {
    let place = Place { text, path: Arc::new(path) };
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = errors.iter().map(|error| place.syntax(error)).collect();
    let origin = place.at(0);
    (Node { origin, shape: place.table(table.into_inner()) }, problems)
}

/// One value written in TOML somewhere else than in a file.
pub(super) fn value(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let place = Place { text, path: Arc::new(PathBuf::new()) };
    let mut node = place.node(0, value.into_inner());
    stamp(&mut node, origin);
    Some(node)
}

fn stamp(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.shape {
        Shape::List(list) => list.iter_mut().for_each(|node| stamp(node, origin)),
        Shape::Table(table) => table.values_mut().for_each(|node| stamp(node, origin)),
        Shape::Text(_) | Shape::Number(_) | Shape::Bool(_) | Shape::Date(_) => {}
    }
}

struct Place<'t> {
    text: &'t str,
    path: Arc<PathBuf>,
}

impl Place<'_> {
    fn at(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        Origin::File { path: Arc::clone(&self.path), line }
    }

    fn syntax(&self, error: &Error) -> Problem {
        let origin = self.at(error.span().map_or(0, |span| span.start));
        Problem::Syntax { origin, cause: error.message().to_owned() }
    }

    /// `offset` is the key's for an entry of a table: the line an author looks for.
    fn node(&self, offset: usize, value: DeValue<'_>) -> Node {
        let shape = match value {
            DeValue::String(text) => Shape::Text(text.into_owned()),
            DeValue::Integer(number) => Shape::Number(number.to_string()),
            DeValue::Float(number) => Shape::Number(number.as_str().to_owned()),
            DeValue::Boolean(value) => Shape::Bool(value),
            DeValue::Datetime(date) => Shape::Date(date.to_string()),
            DeValue::Array(array) => Shape::List(
                array
                    .into_iter()
                    .map(|entry| self.node(entry.span().start, entry.into_inner()))
                    .collect(),
            ),
            DeValue::Table(table) => self.table(table),
        };
        Node { origin: self.at(offset), shape }
    }

    fn table(&self, table: DeTable<'_>) -> Shape {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let start = key.span().start;
            let name: std::borrow::Cow<'_, str> = key.into_inner();
            (name.into_owned(), self.node(start, value.into_inner()))
        };
        Shape::Table(table.into_iter().map(entry).collect())
    }
}
