//! Reading the mirror: one object, lists, the events that showed an object.

use std::ops::{Bound, ControlFlow};

use crate::domain::event::{EventKey, EventSeq};
use crate::domain::object::{ObjectKey, ObjectState};
use crate::store::objects::{ObjectFigures, ObjectQuery, Touch};
use crate::store::{Cursor, Page, PageRequest, StoreError};

use super::super::error::RowError;
use super::super::layout;
use super::super::list::{Collector, Way};
use super::super::open::read_counters;
use super::super::rows::{self, Touched};
use super::super::shared::Shared;
use super::super::table::Row;
use super::{open, show};

/// One object.
pub(in super::super) fn object(
    shared: &Shared,
    key: &ObjectKey,
) -> Result<Option<ObjectState>, StoreError> {
    let Some(row) = layout::object(layout::OBJECT, key) else { return Ok(None) };
    let Some(value) = shared.table.get(&row)? else { return Ok(None) };
    Ok(Some(state(shared, key.clone(), value.bytes())?))
}

fn state(shared: &Shared, key: ObjectKey, bytes: &[u8]) -> Result<ObjectState, RowError> {
    let (held, _) = show(bytes)?;
    let state = held.state();
    let body = open(&shared.codec, &state.packed)?.body;
    let id = state.event.clone();
    let event = (!id.is_empty()).then(|| EventKey { provider: key.provider.clone(), id });
    Ok(ObjectState {
        body,
        as_of: state.as_of,
        event,
        received_at: state.received_at,
        arrived_at: held.arrived_at,
        origin: state.origin,
        deleted: held.deleted(),
        ambiguous: held.ambiguous,
        key,
    })
}

/// A page of objects.
pub(in super::super) fn objects(
    shared: &Shared,
    query: &ObjectQuery,
) -> Result<Page<ObjectState>, StoreError> {
    let tag = if query.ambiguous == Some(true) { layout::AMBIGUOUS } else { layout::OBJECT };
    let ObjectQuery { provider, kind, livemode, account, .. } = query;
    let prefix =
        layout::objects(tag, provider.as_deref(), kind.as_deref(), *livemode, account.as_deref());
    let Some(prefix) = prefix else { return Ok(Page { data: Vec::new(), has_more: false }) };
    let at = |key: &ObjectKey| {
        let row = layout::object(tag, key);
        row.ok_or_else(|| StoreError::NoSuchCursor { cursor: key.to_string() })
    };
    let end = layout::after_prefix(&prefix);
    let to = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end.as_slice()) };
    // Ascending, unlike other lists: `Older` is onwards here.
    let (way, first) = match &query.page.from {
        None => (Way::Older(None), None),
        Some(Cursor::After(key)) => (Way::Older(Some(())), Some(at(key)?)),
        Some(Cursor::Before(key)) => (Way::Newer(()), Some(at(key)?)),
    };
    let mut page = Collector::new(query.page.limit);
    let mut look = |row: Result<Row, RowError>| {
        let found = wanted(shared, query, tag, &row?)?;
        Ok::<_, RowError>(page.offer(found))
    };
    match (way, first) {
        (Way::Newer(()), Some(first)) => {
            let rows = shared.table.range(Bound::Included(&prefix), Bound::Excluded(&first));
            for row in rows.rev() {
                if look(row)?.is_break() {
                    break;
                }
            }
        }
        (_, first) => {
            let from = first.as_deref().filter(|first| *first >= prefix.as_slice());
            let from = from.map_or(Bound::Included(prefix.as_slice()), Bound::Excluded);
            for row in shared.table.range(from, to) {
                if look(row)?.is_break() {
                    break;
                }
            }
        }
    }
    Ok(page.page(way))
}

/// The object of a row, if it is asked for.
fn wanted(
    shared: &Shared,
    query: &ObjectQuery,
    tag: u8,
    row: &Row,
) -> Result<Option<ObjectState>, RowError> {
    let key = layout::parse_object(tag, &row.key)
        .ok_or_else(|| RowError::damaged("an object", "its key is malformed"))?;
    let named = query.kind.as_ref().is_none_or(|kind| key.kind == *kind)
        && query.livemode.is_none_or(|livemode| key.livemode == livemode)
        && query.account.as_ref().is_none_or(|account| key.account.as_ref() == Some(account));
    if !named {
        return Ok(None);
    }
    let found = if tag == layout::OBJECT {
        Some(state(shared, key, row.value.bytes())?)
    } else {
        // It may have been settled between the two looks.
        let value = shared.table.get(&layout::retag(layout::OBJECT, &row.key))?;
        value.map(|value| state(shared, key, value.bytes())).transpose()?
    };
    Ok(found.filter(|object| {
        query.deleted.is_none_or(|deleted| object.deleted == deleted)
            && query.ambiguous.is_none_or(|ambiguous| object.ambiguous == ambiguous)
    }))
}

/// Events that showed an object, newest first.
pub(in super::super) fn history(
    shared: &Shared,
    key: &ObjectKey,
    page: &PageRequest<EventKey>,
) -> Result<Page<Touch>, StoreError> {
    let seq = |key: &EventKey| {
        shared.find(key)?.ok_or_else(|| StoreError::NoSuchCursor { cursor: key.to_string() })
    };
    let way = match &page.from {
        None => Way::Older(None),
        Some(Cursor::After(key)) => Way::Older(Some(seq(key)?)),
        Some(Cursor::Before(key)) => Way::Newer(seq(key)?),
    };
    let mut found = Collector::new(page.limit);
    let mut look = |seq: u64| {
        let seq = EventSeq(seq);
        let wanted = match way {
            Way::Older(from) => from.is_none_or(|from| seq < from),
            Way::Newer(from) => seq > from,
        };
        let touch = if wanted { Some(Touch { seq, event: shared.event(seq)? }) } else { None };
        Ok::<_, RowError>(found.offer(touch))
    };
    let Some(row) = layout::object(layout::OBJECT, key) else {
        return Ok(found.page(way));
    };
    // The row first: what moves out of it between the two looks is seen twice, never missed.
    let latest = match shared.table.get(&row)? {
        Some(value) => show(value.bytes())?.1,
        None => return Ok(found.page(way)),
    };
    let oldest_here = latest.first().copied().unwrap_or(u64::MAX);
    let moved = shared.table.prefix(&layout::retag(layout::TOUCHED, &row)).map(|row| {
        let row = row?;
        let Touched(distances) = rows::decode("earlier events of an object", row.value.bytes())?;
        let mut numbers = rows::numbers(&distances);
        numbers.retain(|seq| *seq < oldest_here);
        Ok::<_, RowError>(numbers)
    });
    let groups: Box<dyn Iterator<Item = Result<Vec<u64>, RowError>>> = match way {
        Way::Older(_) => Box::new(std::iter::once(Ok(latest)).chain(moved.rev())),
        Way::Newer(_) => Box::new(moved.chain(std::iter::once(Ok(latest)))),
    };
    'pages: for group in groups {
        let mut group = group?;
        if matches!(way, Way::Older(_)) {
            group.reverse();
        }
        for seq in group {
            if look(seq)? == ControlFlow::Break(()) {
                break 'pages;
            }
        }
    }
    Ok(found.page(way))
}

/// Figures.
pub(in super::super) fn figures(shared: &Shared) -> Result<ObjectFigures, StoreError> {
    let counters = read_counters(&shared.table)?;
    Ok(counters.map_or_else(ObjectFigures::default, |counters| ObjectFigures {
        held: counters.objects,
        ambiguous: counters.ambiguous,
    }))
}
