//! The test host's mirror: what a test puts there.
//!
//! Unlike the real one it is not fed by the events that are delivered.

use std::collections::BTreeMap;

use crate::objects::{Object, Unread};

#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    /// By provider, kind and identifier.
    kept: BTreeMap<[String; 3], Object<Vec<u8>>>,
    reads: usize,
    bytes: usize,
}

impl Objects {
    pub(crate) fn put(&mut self, provider: &str, object: Object<Vec<u8>>) {
        let key = [provider.to_owned(), object.kind.clone(), object.id.clone()];
        self.kept.insert(key, object);
    }

    /// The run is over.
    pub(crate) fn end(&mut self) {
        (self.reads, self.bytes) = (0, 0);
    }

    pub(crate) fn get(
        &mut self,
        [provider, kind, id]: [&str; 3],
        granted: bool,
        (most, bytes): (usize, usize),
    ) -> Result<Option<Object<Vec<u8>>>, Unread> {
        if !granted {
            return Err(Unread::NotGranted { grant: format!("objects `{provider} {kind}`") });
        }
        if self.reads >= most {
            return Err(Unread::Operations);
        }
        self.reads += 1;
        let found = self.kept.get(&[provider, kind, id].map(str::to_owned));
        let size = self.bytes + found.map_or(0, |object| object.body.len());
        if size > bytes {
            return Err(Unread::Operations);
        }
        self.bytes = size;
        Ok(found.cloned())
    }
}
