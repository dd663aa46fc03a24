//! Transaction A: dedupe records, blocks of events, their pending deliveries, the type index.
//!
//! [`Prepared`] is made on the caller's thread; the rest runs in the committer.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::event::{EventKey, EventSeq, StoredEvent};
use crate::domain::plugin::PluginName;
use crate::store::objects::Sight;
use crate::store::{Admission, NewEvent};

use super::committer::COMMIT_BYTES;
use super::error::RowError;
use super::line::Entry;
use super::mirror::{self, Seen};
use super::names::Names;
use super::queue::DeliveryKey;
use super::record::Codec;
use super::rows::{
    self, Block, Bytes, Counters, Dedupe, Pending, PendingEvent, RESERVED, Start, WHOLE,
};
use super::table::MAX_ROW;
use super::write_set::View;
use super::{lane, layout};

/// Most events in a block, so that the pending row of a block stays small and a claim that needs
/// one event of a block unpacks few others.
const BLOCK_EVENTS: usize = 256;

/// Most bytes of records in a block of more than one event: the block then stands in one row.
const BLOCK_BYTES: usize = MAX_ROW - 4_096;

/// Rows of blocks are made ahead, empty, this many at a time, and filled later.
///
/// A leaf of sled's splits when it has 17 rows, writing all of them anew: blocks added at the end
/// would be written three times each, and two thirds of the disk would be dead. Eight empty rows
/// split off an old half of eight; filling those eight adds eight links to a leaf that sled
/// rewrites only at ten. So every block is written once.
pub(super) const RESERVE: u64 = 8;

/// Empty rows that stay ahead of the next block: more than one leaf, so that no block is put where
/// empty rows are still being added.
const RESERVE_LEAD: u64 = 64;

/// An event packed and measured, off the committer's thread.
#[derive(Debug)]
pub(super) struct Prepared {
    new: NewEvent,
    dedupe: Vec<u8>,
    record: Vec<u8>,
    objects: Vec<Seen>,
    /// The other event of its change, and the key of its dedupe record.
    twin: Option<(EventKey, Vec<u8>)>,
}

impl Prepared {
    /// Pack `new`.
    pub(super) fn new(codec: &Codec, new: NewEvent) -> Result<Self, RowError> {
        let key = &new.event.key;
        let dedupe = layout::dedupe(key).ok_or({
            let id = key.id.len() > layout::MAX_EVENT_ID;
            RowError::TooLarge {
                what: if id { "an event's identifier" } else { "a provider's name" },
                size: if id { key.id.len() } else { key.provider.len() } as u64,
                limit: if id { layout::MAX_EVENT_ID } else { layout::MAX_PROVIDER } as u64,
            }
        })?;
        let record = codec.pack(&new)?;
        Ok(Self { new, dedupe, record, objects: Vec::new(), twin: None })
    }

    /// Make ready the objects it shows, as far as they fit into its commit.
    pub(super) fn see(&mut self, sight: &dyn Sight, codec: &Codec) -> Result<(), RowError> {
        let twin = sight.twin(&self.new.event);
        self.twin = twin.and_then(|twin| layout::dedupe(&twin).map(|dedupe| (twin, dedupe)));
        if !sight.mirrors() {
            return Ok(());
        }
        let room = COMMIT_BYTES.saturating_sub(self.size());
        self.objects = mirror::see(sight, codec, &self.new, room)?;
        Ok(())
    }

    /// The objects it shows.
    pub(super) fn take_objects(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.objects)
    }

    /// What makes it one event.
    pub(super) fn key(&self) -> &EventKey {
        &self.new.event.key
    }

    /// The other event of its change, and the key of its dedupe record.
    pub(super) fn twin(&self) -> Option<&(EventKey, Vec<u8>)> {
        self.twin.as_ref()
    }

    /// Have only these plugins get it.
    pub(super) fn only(&mut self, gets: impl FnMut(&PluginName) -> bool) {
        self.new.plugins.retain(gets);
    }

    /// The key of its dedupe record.
    pub(super) fn dedupe(&self) -> &[u8] {
        &self.dedupe
    }

    /// Bytes it adds to a commit, about.
    pub(super) fn size(&self) -> usize {
        let objects: usize = self.objects.iter().map(Seen::size).sum();
        self.record.len() + self.dedupe.len() + 48 + 8 * self.new.plugins.len() + objects
    }
}

/// The types seen in the newest range of the type index.
#[derive(Debug, Default)]
pub(super) struct TypesSeen {
    range: u64,
    kinds: HashSet<String>,
}

/// The events of one commit on their way into blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    first: u64,
    newest: u64,
    bytes: usize,
    records: Vec<Vec<u8>>,
    pending: Pending,
    /// What joins the queue once the commit is durable.
    pub(super) queued: Vec<(DeliveryKey, Entry)>,
    /// What the deliveries among those will want to read.
    pub(super) recent: Vec<Arc<StoredEvent>>,
}

impl Blocks {
    /// Take `event` in, unless it is known already.
    pub(super) fn admit(
        &mut self,
        view: &mut View<'_>,
        counters: &mut Counters,
        names: &Names,
        types: &mut TypesSeen,
        event: Prepared,
    ) -> Result<Admission, RowError> {
        if let Some(known) = view.get(&event.dedupe)? {
            let row: Dedupe = rows::decode("a dedupe record", known.bytes())?;
            return Ok(Admission::Duplicate(EventSeq(row.seq)));
        }
        let full = self.records.len() >= BLOCK_EVENTS
            || self.bytes + event.record.len() > BLOCK_BYTES && !self.records.is_empty();
        if full {
            self.close(view, counters)?;
        }
        let Prepared { new, dedupe, record, objects: _, twin: _ } = event;
        let seq = EventSeq(counters.next_seq);
        view.set.put(dedupe, rows::encode(&Dedupe { seq: seq.0 })?);
        types.note(view, seq, &new.event.kind)?;
        if self.records.is_empty() {
            self.first = seq.0;
        }
        if !new.plugins.is_empty() {
            let plugins: Vec<_> = new.plugins.iter().map(|p| names.plugin(view, p)).collect();
            self.pending.events.push(PendingEvent {
                index: u32::try_from(self.records.len()).unwrap_or(u32::MAX),
                received_at: new.received_at.as_millis(),
                plugins: plugins.iter().map(|id| id.0).collect(),
            });
            let lane = lane::of(&new.event);
            self.pending.lanes.push(lane.unwrap_or(0));
            let entry = Entry::new(EventSeq(self.first), new.received_at, lane);
            self.queued.extend(plugins.into_iter().map(|plugin| ((seq, plugin), entry.clone())));
            let NewEvent { event, endpoint, received_at, source, plugins: _ } = new;
            self.newest = self.newest.max(received_at.as_millis());
            self.recent.push(Arc::new(StoredEvent { seq, endpoint, received_at, source, event }));
        } else {
            self.newest = self.newest.max(new.received_at.as_millis());
        }
        self.bytes += record.len();
        self.records.push(record);
        counters.next_seq += 1;
        Ok(Admission::Accepted(seq))
    }

    /// Write the block that is open, if there is one.
    pub(super) fn close(
        &mut self,
        view: &mut View<'_>,
        counters: &mut Counters,
    ) -> Result<(), RowError> {
        if self.records.is_empty() {
            return Ok(());
        }
        let first = EventSeq(self.first);
        let records = self.records.iter().map(|record| Bytes(record)).collect();
        let mut value = Vec::with_capacity(self.bytes + 4 * self.records.len() + 16);
        value.push(WHOLE);
        let value = postcard::to_extend(&Block { newest: self.newest, records }, value)
            .map_err(|e| RowError::Unencodable(e.to_string()))?;
        counters.events += self.records.len() as u64;
        counters.block_bytes += value.len() as u64;
        let block = counters.next_block;
        counters.next_block += 1;
        while counters.next_reserved < counters.next_block + RESERVE_LEAD {
            for _ in 0..RESERVE {
                view.set.put(layout::block(counters.next_reserved), vec![RESERVED]);
                counters.next_reserved += 1;
            }
        }
        view.set.put(layout::block(block), value);
        view.set.put(layout::start(first), rows::encode(&Start { block })?);
        if !self.pending.events.is_empty() {
            view.set.put(layout::pending(first), rows::encode(&self.pending)?);
        }
        self.newest = 0;
        self.bytes = 0;
        self.records.clear();
        self.pending.events.clear();
        self.pending.lanes.clear();
        Ok(())
    }
}

impl TypesSeen {
    /// Write that the range of `seq` holds an event of type `kind`, at first sight.
    fn note(&mut self, view: &mut View<'_>, seq: EventSeq, kind: &str) -> Result<(), RowError> {
        let range = layout::type_range(seq);
        if self.range != range {
            self.range = range;
            self.kinds.clear();
        }
        if !self.kinds.contains(kind) {
            // A kind that was long ago in this very range may be written twice: no harm.
            if self.kinds.len() < layout::TYPE_RANGE as usize {
                self.kinds.insert(kind.to_owned());
            }
            view.set.put(layout::type_entry(range, kind), rows::encode(&())?);
        }
        Ok(())
    }
}
