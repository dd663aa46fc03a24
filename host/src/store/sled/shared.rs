//! What readers and the committer share, and how one event is found.
//!
//! Listings are in `list`; nothing here writes.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::domain::clock::Clock;
use crate::domain::event::{EventKey, EventSeq, StoredEvent};

use super::cache::EventCache;
use super::directory::Directory;
use super::effect_queue::EffectQueue;
use super::error::RowError;
use super::layout;
use super::names::Names;
use super::queue::Queue;
use super::record::Codec;
use super::rows::{self, Block, Dedupe, Start};
use super::table::{Row, Table, Value};
use super::twins::Twins;

/// An open store.
#[derive(Debug)]
pub(super) struct Shared {
    // Dropped first: sled lets go of its file before the directory's lock is let go.
    pub(super) table: Table,
    pub(super) codec: Codec,
    pub(super) names: Names,
    pub(super) twins: Twins,
    pub(super) cache: EventCache,
    pub(super) work: Work,
    pub(super) effect_work: Work,
    /// The number of the next event, once all before it are durable.
    pub(super) arrived: watch::Sender<u64>,
    pub(super) clock: Arc<dyn Clock>,
    queue: Mutex<Queue>,
    effects: Mutex<EffectQueue>,
    pub(super) directory: Directory,
}

impl Shared {
    /// Put an open store together.
    pub(super) fn new(
        table: Table,
        names: Names,
        queues: (Queue, EffectQueue),
        cache_bytes: usize,
        clock: Arc<dyn Clock>,
        directory: Directory,
    ) -> Self {
        Self {
            twins: Twins::load(&table),
            table,
            codec: Codec::new(),
            names,
            cache: EventCache::new(cache_bytes),
            work: Work::default(),
            effect_work: Work::default(),
            arrived: watch::Sender::default(),
            clock,
            queue: Mutex::new(queues.0),
            effects: Mutex::new(queues.1),
            directory,
        }
    }

    /// The unfinished deliveries. Held for moments, never across I/O.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The unfinished effects. As [`Self::queue`]; never held together with it.
    pub(super) fn effects(&self) -> MutexGuard<'_, EffectQueue> {
        self.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first event of the block that holds `seq`, if it is kept.
    pub(super) fn first_of_block(&self, seq: EventSeq) -> Result<Option<EventSeq>, RowError> {
        Ok(self.block_of(seq)?.map(|(first, _)| first))
    }

    /// The number of an event that was ever accepted and is not forgotten.
    pub(super) fn find(&self, key: &EventKey) -> Result<Option<EventSeq>, RowError> {
        let Some(key) = layout::dedupe(key) else { return Ok(None) };
        let Some(value) = self.table.get(&key)? else { return Ok(None) };
        let row: Dedupe = rows::decode("a dedupe record", value.bytes())?;
        Ok(Some(EventSeq(row.seq)))
    }

    /// The event with this number, unless it went.
    pub(super) fn event(&self, seq: EventSeq) -> Result<Option<Arc<StoredEvent>>, RowError> {
        if let Some(event) = self.cache.get(seq) {
            return Ok(Some(event));
        }
        let Some((first, value)) = self.block_of(seq)? else { return Ok(None) };
        let block: Block<'_> = rows::decode("a block of events", value.bytes())?;
        let place = usize::try_from(seq.0 - first.0).unwrap_or(usize::MAX);
        let Some(record) = block.records.get(place) else { return Ok(None) };
        Ok(Some(Arc::new(self.codec.unpack(seq, record.0)?)))
    }

    /// Unpack the events of one block for which `wanted`, in ascending order.
    pub(super) fn unpack_block(
        &self,
        first: EventSeq,
        wanted: impl Fn(EventSeq) -> bool,
        mut each: impl FnMut(Arc<StoredEvent>),
    ) -> Result<(), RowError> {
        let Some((_, value)) = self.block_of(first)? else { return Ok(()) };
        let block: Block<'_> = rows::decode("a block of events", value.bytes())?;
        for (seq, record) in (first.0..).map(EventSeq).zip(&block.records) {
            if wanted(seq) {
                each(Arc::new(self.codec.unpack(seq, record.0)?));
            }
        }
        Ok(())
    }

    /// Visit events below `below`, newest first, or from `from` upwards; until told to stop.
    pub(super) fn visit(
        &self,
        range: Direction,
        mut each: impl FnMut(Arc<StoredEvent>) -> Result<ControlFlow<()>, RowError>,
    ) -> Result<(), RowError> {
        let mut at = range;
        loop {
            let found = match at {
                Direction::Below(EventSeq(0)) => None,
                Direction::Below(seq) => self.block_at_or_before(EventSeq(seq.0 - 1))?,
                Direction::From(seq) => match self.block_of(seq)? {
                    Some(found) => Some(found),
                    None => self.block_after(seq)?,
                },
            };
            let Some((first, value)) = found else { return Ok(()) };
            let block: Block<'_> = rows::decode("a block of events", value.bytes())?;
            let end = first.0 + block.records.len() as u64;
            let mut visit = |seq: u64| {
                let place = usize::try_from(seq - first.0).unwrap_or(usize::MAX);
                let Some(record) = block.records.get(place) else {
                    return Ok(ControlFlow::Continue(()));
                };
                let seq = EventSeq(seq);
                let event = match self.cache.get(seq) {
                    Some(event) => event,
                    None => Arc::new(self.codec.unpack(seq, record.0)?),
                };
                each(event)
            };
            match at {
                Direction::Below(below) => {
                    for seq in (first.0..below.0.min(end)).rev() {
                        if visit(seq)?.is_break() {
                            return Ok(());
                        }
                    }
                    at = Direction::Below(first);
                }
                Direction::From(from) => {
                    for seq in from.0.max(first.0)..end {
                        if visit(seq)?.is_break() {
                            return Ok(());
                        }
                    }
                    at = Direction::From(EventSeq(end));
                }
            }
        }
    }

    /// The block that holds `seq`, if it is kept.
    fn block_of(&self, seq: EventSeq) -> Result<Option<(EventSeq, Value)>, RowError> {
        let Some((first, value)) = self.block_at_or_before(seq)? else { return Ok(None) };
        let block: Block<'_> = rows::decode("a block of events", value.bytes())?;
        let holds = seq.0 - first.0 < block.records.len() as u64;
        Ok(holds.then_some((first, value)))
    }

    fn block_at_or_before(&self, seq: EventSeq) -> Result<Option<(EventSeq, Value)>, RowError> {
        let row = self.table.at_or_before(layout::START, &layout::start(seq))?;
        row.map_or(Ok(None), |row| self.block_at(&row))
    }

    fn block_after(&self, seq: EventSeq) -> Result<Option<(EventSeq, Value)>, RowError> {
        use std::ops::Bound::Excluded;
        let end = layout::after_prefix(&[layout::START]);
        let mut range = self.table.range(Excluded(&layout::start(seq)), Excluded(&end));
        range.next().transpose()?.map_or(Ok(None), |row| self.block_at(&row))
    }

    /// The block that begins at `row`; none if retention took it between the two looks.
    fn block_at(&self, row: &Row) -> Result<Option<(EventSeq, Value)>, RowError> {
        let (first, number) = start(row)?;
        Ok(self.table.get(&layout::block(number))?.map(|value| (first, value)))
    }
}

/// The first event and the number of the block that begins at `row`.
pub(super) fn start(row: &Row) -> Result<(EventSeq, u64), RowError> {
    let first = layout::parse_numbered(layout::START, &row.key)
        .ok_or_else(|| RowError::damaged("a block of events", "its key is malformed"))?;
    let Start { block } = rows::decode("the start of a block", row.value.bytes())?;
    Ok((first, block))
}

/// Where a visit of events begins and where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// Older and older, beginning below this one.
    Below(EventSeq),
    /// Newer and newer, beginning with this one.
    From(EventSeq),
}

/// Tells claimers that there may be something to claim.
#[derive(Debug, Default)]
pub(super) struct Work {
    there: AtomicBool,
    notify: Notify,
}

impl Work {
    /// Something became claimable.
    pub(super) fn announce(&self) {
        self.there.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    /// A claim begins: it sees everything announced before.
    pub(super) fn begin_claim(&self) {
        self.there.store(false, Ordering::SeqCst);
    }

    /// Something was announced since the last claim began.
    pub(super) async fn wait(&self) {
        let notified = self.notify.notified();
        tokio::pin!(notified);
        // Registered before the look, so that nothing announced between the two is missed.
        notified.as_mut().enable();
        if !self.there.load(Ordering::SeqCst) {
            notified.await;
        }
    }
}
