//! Plugins' names and components' digests as small numbers: a delivery's row holds two numbers
//! instead of a hundred bytes.
//!
//! Numbers are given out by the committer, in the commit that first uses them, and never change.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::domain::plugin::{CodeDigest, PluginName};

use super::error::RowError;
use super::layout::{self, NameClass, PluginId};
use super::rows::WHOLE;
use super::table::Table;
use super::write_set::View;

/// All numbered names.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    plugins: Class<PluginName>,
    digests: Class<CodeDigest>,
}

#[derive(Debug)]
struct Class<T> {
    by_name: HashMap<T, u32>,
    by_number: HashMap<u32, T>,
    next: u32,
}

impl<T> Default for Class<T> {
    fn default() -> Self {
        Self { by_name: HashMap::new(), by_number: HashMap::new(), next: 0 }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Class<T> {
    fn insert(&mut self, number: u32, name: T) {
        self.next = self.next.max(number.saturating_add(1));
        self.by_name.insert(name.clone(), number);
        self.by_number.insert(number, name);
    }
}

impl Names {
    /// Those in `table`.
    pub(super) fn load(table: &Table) -> Result<Self, RowError> {
        let mut inner = Inner::default();
        for row in table.prefix(&[layout::NAME]) {
            let row = row?;
            let bad = || RowError::damaged("a name", format!("its key is {:02x?}", &*row.key));
            let (class, number) = layout::parse_name(&row.key).ok_or_else(bad)?;
            match class {
                NameClass::Plugin => {
                    let text = std::str::from_utf8(row.value.bytes()).map_err(|_| bad())?;
                    inner.plugins.insert(number, text.parse().map_err(|_| bad())?);
                }
                NameClass::Digest => {
                    let bytes = row.value.bytes().try_into().map_err(|_| bad())?;
                    inner.digests.insert(number, CodeDigest(bytes));
                }
            }
        }
        Ok(Self(RwLock::new(inner)))
    }

    /// The number of a plugin that has one.
    pub(super) fn find(&self, plugin: &PluginName) -> Option<PluginId> {
        self.read().plugins.by_name.get(plugin).copied().map(PluginId)
    }

    /// The number of a plugin; given out in `view` when it is new.
    pub(super) fn plugin(&self, view: &mut View<'_>, plugin: &PluginName) -> PluginId {
        if let Some(known) = self.find(plugin) {
            return known;
        }
        let mut inner = self.write();
        let number = inner.plugins.next;
        inner.plugins.insert(number, plugin.clone());
        put(view, NameClass::Plugin, number, plugin.as_str().as_bytes());
        PluginId(number)
    }

    /// The number of a digest; given out in `view` when it is new.
    pub(super) fn digest(&self, view: &mut View<'_>, digest: CodeDigest) -> u32 {
        if let Some(known) = self.read().digests.by_name.get(&digest) {
            return *known;
        }
        let mut inner = self.write();
        let number = inner.digests.next;
        inner.digests.insert(number, digest);
        put(view, NameClass::Digest, number, &digest.0);
        number
    }

    /// The plugin with this number.
    pub(super) fn plugin_name(&self, id: PluginId) -> Result<PluginName, RowError> {
        let name = self.read().plugins.by_number.get(&id.0).cloned();
        name.ok_or_else(|| {
            RowError::damaged("a plugin's name", format!("none has number {}", id.0))
        })
    }

    /// The digest with this number.
    pub(super) fn code_digest(&self, number: u32) -> Result<CodeDigest, RowError> {
        let digest = self.read().digests.by_number.get(&number).copied();
        digest.ok_or_else(|| RowError::damaged("a digest", format!("none has number {number}")))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(view: &mut View<'_>, class: NameClass, number: u32, name: &[u8]) {
    let mut value = Vec::with_capacity(name.len() + 1);
    value.push(WHOLE);
    value.extend_from_slice(name);
    view.set.put(layout::name(class, number), value);
}
