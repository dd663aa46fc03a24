//! The mirror in the store: objects are packed on the caller's thread and folded in transaction A.
//!
//! Not the rules (`domain::mirror`) and not the reading (`read`). A row that cannot be read never
//! keeps an event out: the object begins anew with what the event shows.

pub(super) mod read;

use bytes::Bytes;

use crate::domain::clock::Timestamp;
use crate::domain::event::EventSeq;
use crate::domain::mirror::{Folded, Mirrored, Opened, State};
use crate::domain::object::{FetchEnd, Fetched, ObjectKey, Origin, Sighting};
use crate::store::NewEvent;
use crate::store::objects::Sight;

use super::error::RowError;
use super::layout;
use super::record::Codec;
use super::rows::{self, Counters, Object, Touched};
use super::write_set::View;

/// Events that are listed in an object's own row; earlier ones stand in rows of as many.
pub(super) const TOUCHED_HERE: usize = 32;

/// Most packed bytes of all states of one moment: one of 300 KiB packs into 50.
const STATES_BYTES: usize = 512 << 10;

/// Bytes of a row beside what is packed, about.
const ROW_BYTES: usize = 256 + 4 * TOUCHED_HERE;

/// One object that an event shows, ready to be folded.
#[derive(Debug)]
pub(super) struct Seen {
    /// The key of its row.
    key: Vec<u8>,
    state: State,
}

/// One fetched state, ready to be folded.
#[derive(Debug)]
pub(super) struct Refetch {
    key: Vec<u8>,
    began: Timestamp,
    found: Option<State>,
}

/// Make ready what `new` shows, in at most `room` bytes: the event's own object first.
pub(super) fn see(
    sight: &dyn Sight,
    codec: &Codec,
    new: &NewEvent,
    room: usize,
) -> Result<Vec<Seen>, RowError> {
    // What was made here shows no object of the provider's.
    if new.source.made().is_some() {
        return Ok(Vec::new());
    }
    let event = &new.event;
    let (mut seen, mut left) = (Vec::new(), room);
    for sighting in sight.objects(event) {
        let key = ObjectKey {
            provider: event.key.provider.clone(),
            livemode: event.livemode,
            kind: sighting.kind.clone(),
            account: event.account.clone(),
            id: sighting.id.clone(),
        };
        let Some(key) = layout::object(layout::OBJECT, &key) else { continue };
        let origin = if sighting.subject { Origin::Event } else { Origin::Embedded };
        let moments = (event.occurred_at, new.received_at);
        let whole = state(codec, &sighting, &event.key.id, moments, origin)?;
        let mut one = Seen { key, state: whole };
        if one.size() > left {
            tracing::warn!(
                event = %event.key, kind = sighting.kind, id = sighting.id, bytes = one.size(),
                "an object is too large to be mirrored in one commit with its event; it is ambiguous \
                 until it is fetched or changes again"
            );
            one.state = state(codec, &sighting.unkept(), &event.key.id, moments, origin)?;
        }
        // What is left of it is as small as its name.
        left = left.saturating_sub(one.size());
        seen.push(one);
    }
    Ok(seen)
}

impl Seen {
    /// Bytes it adds to a commit, about.
    pub(super) fn size(&self) -> usize {
        self.key.len() + self.state.packed.len() + ROW_BYTES
    }
}

impl Refetch {
    /// Make ready; `None` for what has no key.
    pub(super) fn new(codec: &Codec, fetched: Fetched) -> Result<Option<Self>, RowError> {
        let Some(key) = layout::object(layout::OBJECT, &fetched.key) else { return Ok(None) };
        let moments = (fetched.began, fetched.began);
        let found = fetched.found.map(|found| state(codec, &found, "", moments, Origin::Fetched));
        Ok(Some(Self { key, began: fetched.began, found: found.transpose()? }))
    }

    /// Bytes it adds to a commit, about.
    pub(super) fn size(&self) -> usize {
        self.key.len() + self.found.as_ref().map_or(0, |found| found.packed.len()) + ROW_BYTES
    }
}

fn state(
    codec: &Codec,
    sighting: &Sighting,
    event: &str,
    moments: (Timestamp, Timestamp),
    origin: Origin,
) -> Result<State, RowError> {
    let packed = codec.compress(&Opened::pack(sighting))?;
    Ok(State::of(sighting, event, moments, origin, packed.into()))
}

/// What [`state`] packed.
pub(super) fn open(codec: &Codec, packed: &[u8]) -> Result<Opened, RowError> {
    let raw = Bytes::from(codec.expand(packed)?);
    Opened::unpack(&raw).ok_or_else(|| RowError::damaged("an object", "its parts do not fit"))
}

/// Take in what the event `seq` shows of one object. `late`: the event's own object is held as it was
/// later. Whether this is that object, and is.
pub(super) fn fold(
    view: &mut View<'_>,
    counters: &mut Counters,
    codec: &Codec,
    seq: EventSeq,
    seen: Seen,
    late: bool,
) -> Result<bool, RowError> {
    let Seen { key, state } = seen;
    let (own, as_of) = (state.origin == Origin::Event, state.as_of);
    let row = match held(view, &key) {
        Ok(row) => row,
        Err(e @ RowError::Damaged { .. }) => {
            tracing::error!(cause = %e, event = state.event, "an object begins anew with this event");
            None
        }
        Err(e) => return Err(e),
    };
    let was = row.as_ref().map(|(held, _)| held.ambiguous);
    let (held, mut touched) = match row {
        None => (Mirrored::begin(state), Vec::new()),
        Some((mut held, touched)) => {
            let open = |packed: &Bytes| open(codec, packed).ok();
            let folded =
                if own { held.fold(state, &open) } else { held.fold_contained(state, late, &open) };
            if folded == Folded::Unchanged && !own {
                return Ok(false);
            }
            bound(&mut held);
            (held, touched)
        }
    };
    touch(view, &key, &mut touched, seq)?;
    put(view, counters, key, &held, &touched, was)?;
    Ok(own && held.is_past(as_of))
}

/// Take in a fetched state.
pub(super) fn refetch(
    view: &mut View<'_>,
    counters: &mut Counters,
    fetch: Refetch,
) -> Result<FetchEnd, RowError> {
    let Refetch { key, began, found } = fetch;
    let row = held(view, &key)?;
    let was = row.as_ref().map(|(held, _)| held.ambiguous);
    let (held, touched) = match (row, found) {
        (Some((mut held, touched)), found) => match held.fetched(began, found) {
            FetchEnd::Held => (held, touched),
            other => return Ok(other),
        },
        (None, Some(found)) => (Mirrored::begin_fetched(began, found), Vec::new()),
        (None, None) => return Ok(FetchEnd::Nothing),
    };
    put(view, counters, key, &held, &touched, was)?;
    Ok(FetchEnd::Held)
}

/// What is held, and the events in its row.
fn held(view: &View<'_>, key: &[u8]) -> Result<Option<(Mirrored, Vec<u64>)>, RowError> {
    let Some(value) = view.get(key)? else { return Ok(None) };
    show(value.bytes()).map(Some)
}

fn show(bytes: &[u8]) -> Result<(Mirrored, Vec<u64>), RowError> {
    let row: Object<'_> = rows::decode("an object", bytes)?;
    row.show().ok_or_else(|| RowError::damaged("an object", "no build of this version wrote it"))
}

/// Many large states of one second must not grow a row without end.
fn bound(held: &mut Mirrored) {
    let bytes: usize = held.states.iter().map(|state| state.packed.len()).sum();
    if bytes > STATES_BYTES && held.states.len() > 1 {
        let current = held.state().clone();
        held.states = vec![current];
        held.current = 0;
        held.full = true;
        held.ambiguous = true;
    }
}

/// Add `seq` to the events of an object's row; when there are too many, move all to a row of their own,
/// and drop a row of events that are all gone.
fn touch(
    view: &mut View<'_>,
    key: &[u8],
    touched: &mut Vec<u64>,
    seq: EventSeq,
) -> Result<(), RowError> {
    touched.push(seq.0);
    if touched.len() <= TOUCHED_HERE {
        return Ok(());
    }
    let last = touched.split_off(TOUCHED_HERE);
    let moved = std::mem::replace(touched, last);
    let first = EventSeq(moved.first().copied().unwrap_or_default());
    let row = rows::encode(&Touched(rows::distances(&moved)))?;
    view.set.put(layout::touched(key, first), row);

    let oldest = view.table().prefix(&[layout::START]).next().transpose()?;
    let oldest = oldest.and_then(|row| layout::parse_numbered(layout::START, &row.key));
    let prefix = layout::retag(layout::TOUCHED, key);
    // One goes for each that comes, so that no commit has much to do.
    let rows: Vec<_> = view.table().prefix(&prefix).take(2).collect::<Result<_, _>>()?;
    if let (Some(oldest), [gone, next]) = (oldest, rows.as_slice())
        && layout::parse_touched(&next.key).is_some_and(|first| first <= oldest)
    {
        view.set.delete(gone.key.to_vec());
    }
    Ok(())
}

fn put(
    view: &mut View<'_>,
    counters: &mut Counters,
    key: Vec<u8>,
    held: &Mirrored,
    touched: &[u64],
    was: Option<bool>,
) -> Result<(), RowError> {
    if was.is_none() {
        counters.objects += 1;
    }
    let index = layout::retag(layout::AMBIGUOUS, &key);
    match (was.unwrap_or(false), held.ambiguous) {
        (false, true) => {
            counters.ambiguous += 1;
            view.set.put(index, rows::encode(&())?);
        }
        (true, false) => {
            counters.ambiguous = counters.ambiguous.saturating_sub(1);
            view.set.delete(index);
        }
        _ => {}
    }
    view.set.put(key, rows::encode(&Object::of(held, touched))?);
    Ok(())
}
