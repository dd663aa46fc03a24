//! A commit as a plain list of logical puts and deletes, and a view of the rows through it.
//!
//! Knows nothing of sled: a journal could be put in front of it by writing this list down.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::error::RowError;
use super::table::{Table, Value};

/// Puts and deletes that become durable together. Serialisable, and the same however often it is
/// applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WriteSet {
    ops: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl WriteSet {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Set `key` to `value` (its first byte is the format).
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.ops.insert(key, Some(value));
    }

    /// Remove `key`.
    pub(super) fn delete(&mut self, key: Vec<u8>) {
        self.ops.insert(key, None);
    }

    /// Each key once, ascending, with its new value.
    pub(super) fn into_ops(self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        self.ops.into_iter()
    }
}

/// The rows as they will be once `set` is applied.
#[derive(Debug)]
pub(super) struct View<'a> {
    table: &'a Table,
    /// What was added so far.
    pub(super) set: WriteSet,
}

/// A value seen through a [`View`].
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// It is in the write set.
    New(&'a [u8]),
    /// It is in the table.
    Old(Value),
}

impl Seen<'_> {
    /// What is decoded.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::New(value) => value.get(1..).unwrap_or_default(),
            Self::Old(value) => value.bytes(),
        }
    }
}

impl<'a> View<'a> {
    /// The rows of `table`, with nothing to be written yet.
    pub(super) fn new(table: &'a Table) -> Self {
        Self { table, set: WriteSet::default() }
    }

    /// The rows without the write set.
    pub(super) const fn table(&self) -> &'a Table {
        self.table
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Seen<'_>>, RowError> {
        match self.set.ops.get(key) {
            Some(new) => Ok(new.as_deref().map(Seen::New)),
            None => Ok(self.table.get(key)?.map(Seen::Old)),
        }
    }

    /// The first keys that begin with `prefix`, are above `after` and are at most `limit`.
    pub(super) fn keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, RowError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut old = self.table.range(from, Bound::Unbounded).peekable();
        let mut new = self.set.ops.range::<[u8], _>((from, Bound::Unbounded)).peekable();
        let mut out = Vec::new();
        while out.len() < limit {
            let next_old = match old.peek() {
                Some(Ok(row)) if row.key.starts_with(prefix) => Some(row.key.to_vec()),
                Some(Err(_)) => {
                    if let Some(Err(e)) = old.next() {
                        return Err(e);
                    }
                    None
                }
                _ => None,
            };
            let next_new = new.peek().filter(|(key, _)| key.starts_with(prefix));
            match (next_old, next_new) {
                (Some(old_key), new_op) if new_op.is_none_or(|(key, _)| old_key < **key) => {
                    old.next();
                    out.push(old_key);
                }
                (old_key, Some((key, value))) => {
                    if old_key.as_ref() == Some(*key) {
                        old.next();
                    }
                    if value.is_some() {
                        out.push((*key).clone());
                    }
                    new.next();
                }
                _ => break,
            }
        }
        Ok(out)
    }
}
