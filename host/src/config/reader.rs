//! Takes typed values out of tables, noting every problem and every origin on the way.
//!
//! A key is known because it was asked for: whatever is left in a table at the end is unknown,
//! and the suggestion comes from what was asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::origin::{Entry, Origin};
use super::problem::Problem;
use super::tree::{Node, Shape};
use super::value::{Fault, Scope, Value};

/// What was found on the way.
pub(super) struct Reader<'a> {
    pub(super) scope: Scope<'a>,
    problems: RefCell<Vec<Problem>>,
    entries: RefCell<Vec<Entry>>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(scope: Scope<'a>) -> Self {
        Self { scope, problems: RefCell::new(Vec::new()), entries: RefCell::new(Vec::new()) }
    }

    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    fn note(&self, key: String, value: Option<String>, origin: Origin) {
        self.entries.borrow_mut().push(Entry { key, value, origin });
    }

    /// The whole configuration as a table.
    pub(super) fn root(&self, node: Node) -> Table<'_> {
        Table::new(self, String::new(), node)
    }

    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Entry>) {
        (self.problems.into_inner(), self.entries.into_inner())
    }

    fn refuse(&self, key: &str, node: &Node, expected: &str) {
        self.report(Problem::Invalid {
            key: key.to_owned(),
            value: node.shown(),
            expected: expected.to_owned(),
            origin: node.origin.clone(),
        });
    }

    /// Read one value; problems are noted, and so is the value.
    fn read<T: Value>(
        &self,
        key: String,
        node: &Node,
        accept: impl Fn(&T) -> Result<(), String>,
    ) -> Option<T> {
        let fault = match T::read(node, &self.scope) {
            Ok(value) => match accept(&value) {
                Ok(()) => {
                    self.note(key, value.show(), node.origin.clone());
                    return Some(value);
                }
                Err(expected) => Fault::Expected(expected),
            },
            Err(fault) => fault,
        };
        let origin = node.origin.clone();
        let value = if T::SECRET && matches!(node.shape, Shape::Text(_)) {
            "not usable".to_owned()
        } else {
            node.shown()
        };
        self.report(match fault {
            Fault::Form => {
                Problem::Invalid { key, value, expected: T::EXPECTED.to_owned(), origin }
            }
            Fault::Expected(expected) => Problem::Invalid { key, value, expected, origin },
            Fault::Secret(cause) => Problem::Secret { key, cause, origin },
        });
        None
    }
}

/// A table whose keys are taken one by one.
pub(super) struct Table<'r> {
    reader: &'r Reader<'r>,
    path: String,
    origin: Origin,
    left: BTreeMap<String, Node>,
    asked: Vec<&'static str>,
}

impl<'r> Table<'r> {
    fn new(reader: &'r Reader<'r>, path: String, node: Node) -> Self {
        let origin = node.origin.clone();
        let left = match node.shape {
            Shape::Table(table) => table,
            _ => {
                reader.refuse(&path, &node, "a table");
                BTreeMap::new()
            }
        };
        Self { reader, path, origin, left, asked: Vec::new() }
    }

    pub(super) const fn reader(&self) -> &'r Reader<'r> {
        self.reader
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key from the top.
    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Where `name` is written; where the table is when it is not.
    pub(super) fn origin_of(&self, name: &str) -> Origin {
        let key = self.key(name);
        let entries = self.reader.entries.borrow();
        let entry = entries.iter().rev().find(|entry| entry.key == key);
        entry.map_or_else(|| self.origin.clone(), |entry| entry.origin.clone())
    }

    fn take(&mut self, name: &'static str) -> Option<Node> {
        self.asked.push(name);
        self.left.remove(name)
    }

    /// A value, or its default.
    pub(super) fn value<T: Value>(&mut self, name: &'static str, default: T) -> T {
        self.checked(name, default, |_| Ok(()))
    }

    /// A value that must lie within `range`, or its default.
    pub(super) fn within<T: Value + PartialOrd>(
        &mut self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        self.checked(name, default, |value| {
            if range.contains(value) {
                return Ok(());
            }
            let shown = |bound: &T| bound.show().unwrap_or_default();
            Err(format!("{} to {}", shown(range.start()), shown(range.end())))
        })
    }

    /// A value that must pass `accept` (which otherwise says what is expected), or its default.
    pub(super) fn checked<T: Value>(
        &mut self,
        name: &'static str,
        default: T,
        accept: impl Fn(&T) -> Result<(), String>,
    ) -> T {
        let key = self.key(name);
        match self.take(name) {
            Some(node) => self.reader.read(key, &node, accept).unwrap_or(default),
            None => {
                self.reader.note(key, default.show(), Origin::Default);
                default
            }
        }
    }

    /// A value that may be absent.
    pub(super) fn optional<T: Value>(&mut self, name: &'static str) -> Option<T> {
        let key = self.key(name);
        match self.take(name) {
            Some(node) => self.reader.read(key, &node, |_| Ok(())),
            None => {
                self.reader.note(key, None, Origin::Default);
                None
            }
        }
    }

    /// A value that must be there.
    pub(super) fn required<T: Value>(&mut self, name: &'static str) -> Option<T> {
        let key = self.key(name);
        let Some(node) = self.take(name) else {
            let origin = self.origin.clone();
            self.reader.report(Problem::Missing { key, expected: T::EXPECTED.to_owned(), origin });
            return None;
        };
        self.reader.read(key, &node, |_| Ok(()))
    }

    /// A list of values, which may be empty or absent. Bad entries are noted and left out.
    pub(super) fn optional_list<T: Value>(&mut self, name: &'static str) -> Vec<T> {
        match self.left.get(name).map(|node| &node.shape) {
            Some(Shape::List(list)) if list.is_empty() => {}
            Some(_) => return self.list(name),
            None => {}
        }
        self.take(name);
        Vec::new()
    }

    /// A list of values that must be there and not be empty. Bad entries are noted and left out.
    pub(super) fn list<T: Value>(&mut self, name: &'static str) -> Vec<T> {
        let key = self.key(name);
        let expected = || format!("a list, each entry {}", T::EXPECTED);
        let Some(node) = self.take(name) else {
            let origin = self.origin.clone();
            self.reader.report(Problem::Missing { key, expected: expected(), origin });
            return Vec::new();
        };
        let origin = node.origin.clone();
        match node.into_list() {
            Ok(list) if list.is_empty() => {
                self.reader.report(Problem::Missing { key, expected: expected(), origin });
                Vec::new()
            }
            Ok(list) => {
                let read = |(index, node): (usize, &Node)| {
                    self.reader.read(format!("{key}[{index}]"), node, |_| Ok(()))
                };
                list.iter().enumerate().filter_map(read).collect()
            }
            Err(node) => {
                let expected = expected();
                let value = if T::SECRET { "not a list".to_owned() } else { node.shown() };
                self.reader.report(Problem::Invalid { key, value, expected, origin });
                Vec::new()
            }
        }
    }

    /// A table within; empty when absent.
    pub(super) fn table(&mut self, name: &'static str) -> Table<'r> {
        let node = self.take(name).unwrap_or_else(|| Node::table(Origin::Default));
        Table::new(self.reader, self.key(name), node)
    }

    /// A list of tables; empty when absent.
    pub(super) fn tables(&mut self, name: &'static str) -> Vec<Table<'r>> {
        let key = self.key(name);
        let Some(node) = self.take(name) else { return Vec::new() };
        match node.into_list() {
            Ok(list) => list
                .into_iter()
                .enumerate()
                .map(|(index, node)| Table::new(self.reader, format!("{key}[{index}]"), node))
                .collect(),
            Err(node) => {
                self.reader.refuse(&key, &node, "a list of tables");
                Vec::new()
            }
        }
    }

    /// Everything that is left: a table whose keys are the author's own.
    pub(super) fn rest(&mut self) -> BTreeMap<String, Node> {
        std::mem::take(&mut self.left)
    }

    /// A value out of this one's `rest`.
    pub(super) fn read<T: Value>(&self, name: &str, node: &Node) -> Option<T> {
        self.reader.read(self.key(name), node, |_| Ok(()))
    }

    /// A table of the author's own names out of this one's `rest`.
    pub(super) fn inner(&self, name: &str, node: Node) -> Table<'r> {
        Table::new(self.reader, self.key(name), node)
    }

    /// Note a value that was read by other means.
    pub(super) fn note(&self, name: &str, value: String, origin: Origin) {
        self.reader.note(self.key(name), Some(value), origin);
    }

    /// Note that a value read by other means is not what was expected.
    pub(super) fn refuse(&self, name: &str, node: &Node, expected: &str) {
        self.reader.refuse(&self.key(name), node, expected);
    }

    /// No other keys are known here.
    pub(super) fn finish(self) {
        for (name, node) in &self.left {
            let nearest = nearest(name, self.asked.iter().copied());
            self.reader.report(Problem::Unknown {
                key: self.key(name),
                origin: node.origin.clone(),
                nearest: nearest.map(|name| self.key(name)),
            });
        }
    }
}

/// The candidate most like `name`, unless none is much like it.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// Below this (Jaro-Winkler) a suggestion misleads more often than it helps.
    const ALIKE: f64 = 0.75;
    let alike = |candidate| (strsim::jaro_winkler(name, candidate), candidate);
    let best = candidates.into_iter().map(alike).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}
