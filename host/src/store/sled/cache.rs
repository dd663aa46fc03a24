//! Recent events, unpacked: a delivery usually runs right after its event was accepted.
//!
//! Bounded by bytes; what came first goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::event::{EventSeq, StoredEvent};

/// Bytes an event costs beyond its body, roughly: its strings, headers and place here.
const OVERHEAD: usize = 1_024;

/// Recent events by number.
#[derive(Debug)]
pub(super) struct EventCache {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    events: HashMap<EventSeq, Arc<StoredEvent>>,
    order: VecDeque<EventSeq>,
    bytes: usize,
}

impl EventCache {
    /// A cache of about this many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { most, inner: Mutex::default() }
    }

    /// The event with this number, if it is here.
    pub(super) fn get(&self, seq: EventSeq) -> Option<Arc<StoredEvent>> {
        self.lock().events.get(&seq).cloned()
    }

    /// Keep `event` for a while.
    pub(super) fn put(&self, event: Arc<StoredEvent>) {
        let mut inner = self.lock();
        let (seq, size) = (event.seq, cost(&event));
        if inner.events.insert(seq, event).is_some() {
            return;
        }
        inner.order.push_back(seq);
        inner.bytes += size;
        while inner.bytes > self.most {
            let Some(oldest) = inner.order.pop_front() else { break };
            if let Some(gone) = inner.events.remove(&oldest) {
                inner.bytes -= cost(&gone);
            }
        }
    }

    /// The events of a block went.
    pub(super) fn forget(&self, gone: std::ops::Range<u64>) {
        let mut inner = self.lock();
        for seq in gone {
            if let Some(event) = inner.events.remove(&EventSeq(seq)) {
                inner.bytes -= cost(&event);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(event: &StoredEvent) -> usize {
    event.event.body.len() + OVERHEAD
}
