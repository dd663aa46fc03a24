//! Values before they have a type: text, numbers, lists and tables, each with its origin.

use std::collections::BTreeMap;

use super::file;
use super::origin::Origin;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
    Text(String),
    /// As it is written, without underscores.
    Number(String),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    pub(super) const fn table(origin: Origin) -> Self {
        Self { origin, shape: Shape::Table(BTreeMap::new()) }
    }

    /// A scalar as text. Whoever cannot write types (the environment, a flag) writes text.
    pub(super) fn text(&self) -> Option<String> {
        match &self.shape {
            Shape::Text(text) | Shape::Number(text) | Shape::Date(text) => Some(text.clone()),
            Shape::Bool(value) => Some(value.to_string()),
            Shape::List(_) | Shape::Table(_) => None,
        }
    }

    /// The value in the words of its author, for an error.
    pub(super) fn shown(&self) -> String {
        match &self.shape {
            Shape::Text(text) => format!("`{text}`"),
            Shape::Number(text) | Shape::Date(text) => format!("`{text}` (without quotes)"),
            Shape::Bool(value) => format!("`{value}`"),
            Shape::List(_) => "a list".to_owned(),
            Shape::Table(_) => "a table".to_owned(),
        }
    }

    /// The entries of a list. Text of the environment or a flag is read as TOML, or between commas.
    pub(super) fn into_list(self) -> Result<Vec<Self>, Self> {
        match self.shape {
            Shape::List(list) => Ok(list),
            Shape::Text(text) if self.origin.is_caller() => {
                let origin = self.origin;
                if text.trim_start().starts_with('[') {
                    match file::value(&text, &origin) {
                        Some(Self { shape: Shape::List(list), .. }) => Ok(list),
                        _ => Err(Self { origin, shape: Shape::Text(text) }),
                    }
                } else {
                    let entry = |part: &str| Self {
                        origin: origin.clone(),
                        shape: Shape::Text(part.trim().to_owned()),
                    };
                    Ok(text.split(',').filter(|p| !p.trim().is_empty()).map(entry).collect())
                }
            }
            shape => Err(Self { origin: self.origin, shape }),
        }
    }

    /// Write `text` at `path`, making tables on the way. A part that is a number is an entry of a
    /// list where there is one (or a known list of tables could be); one past its end appends.
    pub(super) fn set(&mut self, path: &[String], text: &str, origin: &Origin) {
        let Some((first, rest)) = path.split_first() else {
            *self = Self { origin: origin.clone(), shape: Shape::Text(text.to_owned()) };
            return;
        };
        if let Shape::List(list) = &mut self.shape {
            match first.parse::<usize>() {
                Ok(index) if index < list.len() => {
                    if let Some(node) = list.get_mut(index) {
                        node.set(rest, text, origin);
                    }
                    return;
                }
                Ok(index) if index == list.len() => {
                    let mut node = Self::table(origin.clone());
                    node.set(rest, text, origin);
                    list.push(node);
                    return;
                }
                _ => {}
            }
        }
        if !matches!(self.shape, Shape::Table(_)) {
            *self = Self::table(origin.clone());
        }
        let Shape::Table(table) = &mut self.shape else { return };
        let next = table.entry(first.clone()).or_insert_with(|| {
            let first_of_list = rest.first().is_some_and(|part| part == "0");
            let shape =
                if first_of_list { Shape::List(Vec::new()) } else { Shape::Table(BTreeMap::new()) };
            Self { origin: origin.clone(), shape }
        });
        next.set(rest, text, origin);
    }
}
