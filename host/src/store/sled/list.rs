//! Listings: newest first, in pages, both ways.
//!
//! Work per call is bounded: after [`BUDGET`] rows a page that has something ends early and says
//! that there is more. Only a filter that matches nothing at all makes a call go further.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::domain::clock::Timestamp;
use crate::domain::delivery::{Delivery, DeliveryId, Status};
use crate::domain::event::{EventKey, EventSeq, StoredEvent};
use crate::store::{Cursor, DeliveryQuery, EventQuery, Page, StoreError};

use super::attempts;
use super::error::RowError;
use super::figures;
use super::layout::{self, PluginId};
use super::line::Entry;
use super::queue::DeliveryKey;
use super::rows::{self, Stand};
use super::shared::{Direction, Shared};

/// Rows a call looks at before it is content with a page that is not full.
const BUDGET: usize = 20_000;

/// Keys fetched at once.
pub(super) const CHUNK: usize = 256;

/// Which way a listing goes from where.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<K> {
    Older(Option<K>),
    Newer(K),
}

/// Collects a page.
#[derive(Debug)]
pub(super) struct Collector<T> {
    limit: usize,
    data: Vec<T>,
    looked: usize,
    more: bool,
}

impl<T> Collector<T> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, data: Vec::new(), looked: 0, more: false }
    }

    /// Look at one candidate; it is in the page if it is `Some`.
    pub(super) fn offer(&mut self, item: Option<T>) -> ControlFlow<()> {
        self.looked += 1;
        match item {
            Some(_) if self.data.len() >= self.limit => {
                self.more = true;
                return ControlFlow::Break(());
            }
            Some(item) => self.data.push(item),
            None => {}
        }
        if self.looked >= BUDGET && !self.data.is_empty() {
            self.more = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// What was collected, newest first.
    pub(super) fn page<K>(mut self, way: Way<K>) -> Page<T> {
        if matches!(way, Way::Newer(_)) {
            self.data.reverse();
        }
        Page { data: self.data, has_more: self.more }
    }
}

/// A page of events.
pub(super) fn events(
    shared: &Shared,
    query: &EventQuery,
) -> Result<Page<Arc<StoredEvent>>, StoreError> {
    let seq = |key: &EventKey| {
        shared.find(key)?.ok_or_else(|| StoreError::NoSuchCursor { cursor: key.to_string() })
    };
    let way = match &query.page.from {
        None => Way::Older(None),
        Some(Cursor::After(key)) => Way::Older(Some(seq(key)?)),
        Some(Cursor::Before(key)) => Way::Newer(seq(key)?),
    };
    let mut page = Collector::new(query.page.limit);
    match query.status {
        None | Some(Status::Done) => scan(shared, query, way, &mut page)?,
        Some(Status::Parked) => {}
        Some(status) => with_status(shared, query, status, way, &mut page)?,
    }
    Ok(page.page(way))
}

fn of_kind(event: &StoredEvent, query: &EventQuery) -> bool {
    query.kind.as_ref().is_none_or(|kind| event.event.kind == *kind)
}

/// Events one after another; by type, only the ranges that hold it.
fn scan(
    shared: &Shared,
    query: &EventQuery,
    way: Way<EventSeq>,
    page: &mut Collector<Arc<StoredEvent>>,
) -> Result<(), RowError> {
    let mut visit = |direction, range: Option<u64>| {
        let mut ended = ControlFlow::Continue(());
        shared.visit(direction, |event| {
            if range.is_some_and(|range| layout::type_range(event.seq) != range) {
                return Ok(ControlFlow::Break(()));
            }
            let wanted =
                of_kind(&event, query) && (query.status.is_none() || has_done(shared, event.seq)?);
            ended = page.offer(wanted.then_some(event));
            Ok(ended)
        })?;
        Ok::<_, RowError>(ended)
    };
    let start = match way {
        Way::Older(from) => Direction::Below(from.unwrap_or(EventSeq(u64::MAX))),
        Way::Newer(from) => Direction::From(EventSeq(from.0.saturating_add(1))),
    };
    let Some(kind) = &query.kind else {
        return visit(start, None).map(|_| ());
    };
    let mut at = start;
    while let Some(range) = next_range(shared, kind, at)? {
        let first = EventSeq(range.saturating_mul(layout::TYPE_RANGE));
        let end = EventSeq(first.0.saturating_add(layout::TYPE_RANGE));
        let (from, next) = match at {
            Direction::Below(below) => (Direction::Below(below.min(end)), Direction::Below(first)),
            Direction::From(from) => (Direction::From(from.max(first)), Direction::From(end)),
        };
        if visit(from, Some(range))?.is_break() {
            break;
        }
        at = next;
    }
    Ok(())
}

/// The next range, going on from `at`, that holds an event of type `kind`.
fn next_range(shared: &Shared, kind: &str, at: Direction) -> Result<Option<u64>, RowError> {
    let table = &shared.table;
    let edge = match at {
        Direction::Below(_) => table.prefix(&[layout::TYPE]).next(),
        Direction::From(_) => table.prefix(&[layout::TYPE]).next_back(),
    };
    let Some(edge) = edge
        .transpose()?
        .and_then(|row| layout::parse_type_entry(&row.key).map(|(range, _)| range))
    else {
        return Ok(None);
    };
    let newest = table.prefix(&[layout::TYPE]).next_back().transpose()?;
    let newest = newest.and_then(|row| layout::parse_type_entry(&row.key).map(|(range, _)| range));
    let has = |range: u64| table.contains(&layout::type_entry(range, kind));
    match at {
        Direction::Below(below) => {
            let Some(last) = below.0.checked_sub(1) else { return Ok(None) };
            let from = layout::type_range(EventSeq(last)).min(newest.unwrap_or(0));
            for range in (edge..=from).rev() {
                if has(range)? {
                    return Ok(Some(range));
                }
            }
        }
        Direction::From(from) => {
            for range in layout::type_range(from)..=edge {
                if has(range)? {
                    return Ok(Some(range));
                }
            }
        }
    }
    Ok(None)
}

fn has_done(shared: &Shared, seq: EventSeq) -> Result<bool, RowError> {
    let (from, to) =
        (layout::delivery(seq, PluginId(0)), layout::delivery(seq, PluginId(u32::MAX)));
    for row in shared.table.range(Bound::Included(&from), Bound::Included(&to)) {
        let row = rows::Delivery::decode(row?.value.bytes())?;
        if row.stand == Stand::Done {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Events by the status of a delivery of theirs, from what is kept by status.
fn with_status(
    shared: &Shared,
    query: &EventQuery,
    status: Status,
    way: Way<EventSeq>,
    page: &mut Collector<Arc<StoredEvent>>,
) -> Result<(), RowError> {
    let mut at = match way {
        Way::Older(from) => Way::Older(from.map(|seq| (seq, PluginId(0)))),
        Way::Newer(from) => Way::Newer((from, PluginId(u32::MAX))),
    };
    let mut last = None;
    loop {
        let keys = keys(shared, Some(status), at)?;
        let Some(end) = keys.last().copied() else { return Ok(()) };
        for (seq, _) in keys {
            if last.replace(seq) == Some(seq) {
                continue;
            }
            let event = shared.event(seq)?.filter(|event| of_kind(event, query));
            if page.offer(event).is_break() {
                return Ok(());
            }
        }
        at = beyond(at, end);
    }
}

const fn beyond(way: Way<DeliveryKey>, key: DeliveryKey) -> Way<DeliveryKey> {
    match way {
        Way::Older(_) => Way::Older(Some(key)),
        Way::Newer(_) => Way::Newer(key),
    }
}

/// The next few deliveries (perhaps of one status), going on from `at`.
fn keys(
    shared: &Shared,
    status: Option<Status>,
    at: Way<DeliveryKey>,
) -> Result<Vec<DeliveryKey>, RowError> {
    let mut found = Vec::new();
    let tag = match status {
        Some(Status::Dead) => Some(layout::DEAD),
        Some(Status::Done) | None => Some(layout::DELIVERY),
        Some(_) => None,
    };
    if let Some(tag) = tag {
        let key = |(seq, plugin)| {
            let mut key = layout::delivery(seq, plugin);
            if let Some(first) = key.first_mut() {
                *first = tag;
            }
            key
        };
        let parse = |row: Result<super::table::Row, RowError>| {
            let key = row?.key;
            layout::parse_pair(tag, &key)
                .ok_or_else(|| RowError::damaged("a delivery", "its key is malformed"))
        };
        let (first, end) = ([tag], layout::after_prefix(&[tag]));
        let older = |to| shared.table.range(Bound::Included(&first), Bound::Excluded(to));
        let rows: Result<Vec<_>, _> = match at {
            Way::Older(None) => older(&end).rev().take(CHUNK).map(parse).collect(),
            Way::Older(Some(from)) => older(&key(from)).rev().take(CHUNK).map(parse).collect(),
            Way::Newer(from) => {
                let from = key(from);
                let rows = shared.table.range(Bound::Excluded(&from), Bound::Excluded(&end));
                rows.take(CHUNK).map(parse).collect()
            }
        };
        found.extend(rows?);
    }
    if !matches!(status, Some(Status::Dead | Status::Done)) {
        let queue = shared.queue();
        let wanted = |entry: &Entry| status.is_none_or(|s| entry.status() == s);
        found.extend(match at {
            Way::Older(from) => queue.below(from, wanted, CHUNK),
            Way::Newer(from) => queue.above(from, wanted, CHUNK),
        });
    }
    found.sort_unstable();
    found.dedup();
    if matches!(at, Way::Older(_)) {
        found.reverse();
    }
    found.truncate(CHUNK);
    Ok(found)
}

/// A page of deliveries.
pub(super) fn deliveries(
    shared: &Shared,
    query: &DeliveryQuery,
) -> Result<Page<Delivery>, StoreError> {
    let number = |id: &DeliveryId| {
        let missing = || StoreError::NoSuchCursor { cursor: id.to_string() };
        let seq = shared.find(&id.event)?.ok_or_else(missing)?;
        let plugin = shared.names.find(&id.plugin).ok_or_else(missing)?;
        Ok::<_, StoreError>((seq, plugin))
    };
    let way = match &query.page.from {
        None => Way::Older(None),
        Some(Cursor::After(id)) => Way::Older(Some(number(id)?)),
        Some(Cursor::Before(id)) => Way::Newer(number(id)?),
    };
    let mut page = Collector::new(query.page.limit);
    let empty = || Ok(Collector::new(0).page(way));
    let event = match &query.event {
        None => None,
        Some(key) => match shared.find(key)? {
            Some(seq) => Some(seq),
            None => return empty(),
        },
    };
    let plugin = match &query.plugin {
        None => None,
        Some(name) => match shared.names.find(name) {
            Some(id) => Some(id),
            None => return empty(),
        },
    };
    let mut at = match (way, event) {
        // Begin at the event's end that lies in the listing's way.
        (Way::Older(from), Some(seq)) => {
            let end = (EventSeq(seq.0.saturating_add(1)), PluginId(0));
            Way::Older(Some(from.map_or(end, |from| from.min(end))))
        }
        (Way::Newer(from), Some(seq)) => {
            let before = (EventSeq(seq.0.saturating_sub(1)), PluginId(u32::MAX));
            Way::Newer(from.max(before))
        }
        (way, None) => way,
    };
    let status = match (query.group, query.status) {
        (None, status) => status,
        (Some(_), None | Some(Status::Dead)) => Some(Status::Dead),
        (Some(_), Some(_)) => return empty(),
    };
    loop {
        let keys = keys(shared, status, at)?;
        let Some(end) = keys.last().copied() else { break };
        for key in keys {
            if event.is_some_and(|seq| key.0 != seq) {
                return Ok(page.page(way));
            }
            let of_group = match query.group {
                Some(group) => figures::group(shared, key)? == Some(group),
                None => true,
            };
            let wanted = of_group && plugin.is_none_or(|id| key.1 == id);
            let found = if wanted { delivery(shared, key)? } else { None };
            let found = found.filter(|d| status.is_none_or(|status| d.status == status));
            if page.offer(found).is_break() {
                return Ok(page.page(way));
            }
        }
        at = beyond(at, end);
    }
    Ok(page.page(way))
}

/// One delivery by its numbers.
pub(super) fn delivery(shared: &Shared, key: DeliveryKey) -> Result<Option<Delivery>, RowError> {
    // The queue first: a delivery that ends between the two looks has its row by then.
    let (waiting, behind) = {
        let queue = shared.queue();
        (queue.get(key).map(|entry| (entry.status(), entry.due)), queue.behind(key))
    };
    let row = match shared.table.get(&layout::delivery(key.0, key.1))? {
        Some(value) => Some(rows::Delivery::decode(value.bytes())?),
        None => None,
    };
    let (status, next_attempt_at) = match (waiting, &row) {
        (Some((Status::Running, _)), _) => (Status::Running, None),
        (Some((status, due)), _) => (status, due),
        (None, Some(row)) => match row.stand {
            Stand::Done => (Status::Done, None),
            Stand::Dead => (Status::Dead, None),
            Stand::Retry(due) => (Status::Retry, Some(Timestamp::from_millis(due))),
            Stand::Again => (Status::Pending, None),
        },
        (None, None) => return Ok(None),
    };
    let Some(event) = shared.event(key.0)? else { return Ok(None) };
    let plugin = shared.names.plugin_name(key.1)?;
    let behind = match behind {
        Some((seq, _)) => shared
            .event(seq)?
            .map(|event| DeliveryId { event: event.event.key.clone(), plugin: plugin.clone() }),
        None => None,
    };
    let replayed_at = row.as_ref().and_then(|row| row.replayed).map(Timestamp::from_millis);
    let (attempts, history) = row.map_or((0, Vec::new()), |row| (row.attempts, row.history));
    let history = history.into_iter().map(|row| attempts::show(&shared.names, row));
    Ok(Some(Delivery {
        id: DeliveryId { event: event.event.key.clone(), plugin },
        status,
        attempts,
        next_attempt_at,
        replayed_at,
        behind,
        history: history.collect::<Result<_, _>>()?,
    }))
}
