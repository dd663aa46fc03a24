//! Values of the mirror's rows, and how they stand for the domain's.

use bytes::Bytes as Blob;
use serde::{Deserialize, Serialize};

use super::Bytes;
use crate::domain::clock::Timestamp;
use crate::domain::json::ContentDigest;
use crate::domain::mirror::{Anchor, Mirrored, State};
use crate::domain::object::{Before, Origin, Stage};

/// An object as it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Object<'a> {
    #[serde(borrow)]
    states: Vec<ObjectState<'a>>,
    current: u32,
    until: u64,
    born: Option<u64>,
    arrived_at: u64,
    ambiguous: bool,
    full: bool,
    /// Moment and content of the state right before.
    anchor: Option<(u64, Option<[u8; 16]>)>,
    /// The last events that showed it, oldest first, each as its distance from the one before.
    touched: Vec<u64>,
}

/// One state of the newest moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ObjectState<'a> {
    event: &'a str,
    as_of: u64,
    received_at: u64,
    /// 0 created, 1 live, 2 ended, 3 gone.
    stage: u8,
    /// 0 event, 1 embedded, 2 fetched.
    origin: u8,
    stub: bool,
    born: Option<u64>,
    before: RowBefore,
    content: [u8; 16],
    #[serde(borrow)]
    packed: Bytes<'a>,
}

/// The first two are written as an option would be, which they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum RowBefore {
    Silent,
    Was([u8; 16]),
    Untold,
}

/// Earlier events that showed an object, each as its distance from the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Touched(pub(in super::super) Vec<u64>);

/// Numbers in ascending order as distances.
pub(in super::super) fn distances(numbers: &[u64]) -> Vec<u64> {
    let before = std::iter::once(&0).chain(numbers);
    numbers.iter().zip(before).map(|(number, before)| number.saturating_sub(*before)).collect()
}

/// The numbers again.
pub(in super::super) fn numbers(distances: &[u64]) -> Vec<u64> {
    let sum = |sum: &mut u64, distance: &u64| {
        *sum = sum.saturating_add(*distance);
        Some(*sum)
    };
    distances.iter().scan(0, sum).collect()
}

impl<'a> Object<'a> {
    /// As it is kept.
    pub(in super::super) fn of(held: &'a Mirrored, touched: &[u64]) -> Self {
        Self {
            states: held.states.iter().map(ObjectState::of).collect(),
            current: u32::try_from(held.current).unwrap_or(u32::MAX),
            until: held.until.as_millis(),
            born: held.born.map(Timestamp::as_millis),
            arrived_at: held.arrived_at.as_millis(),
            ambiguous: held.ambiguous,
            full: held.full,
            anchor: held.anchor.map(|a| (a.as_of.as_millis(), a.content.map(|digest| digest.0))),
            touched: distances(touched),
        }
    }

    /// As the rules know it, with the events that showed it; `None` if no build wrote such a row.
    pub(in super::super) fn show(self) -> Option<(Mirrored, Vec<u64>)> {
        let states: Option<Vec<_>> = self.states.into_iter().map(ObjectState::show).collect();
        let states = states?;
        let current = usize::try_from(self.current).ok()?;
        let held = Mirrored {
            held: states.get(current)?.clone(),
            states,
            current,
            until: Timestamp::from_millis(self.until),
            born: self.born.map(Timestamp::from_millis),
            arrived_at: Timestamp::from_millis(self.arrived_at),
            ambiguous: self.ambiguous,
            full: self.full,
            anchor: self.anchor.map(|(as_of, content)| Anchor {
                as_of: Timestamp::from_millis(as_of),
                content: content.map(ContentDigest),
            }),
        };
        Some((held, numbers(&self.touched)))
    }
}

impl<'a> ObjectState<'a> {
    fn of(state: &'a State) -> Self {
        Self {
            event: &state.event,
            as_of: state.as_of.as_millis(),
            received_at: state.received_at.as_millis(),
            stage: match state.stage {
                Stage::Created => 0,
                Stage::Live => 1,
                Stage::Ended => 2,
                Stage::Gone => 3,
            },
            origin: match state.origin {
                Origin::Event => 0,
                Origin::Embedded => 1,
                Origin::Fetched => 2,
            },
            stub: state.stub,
            born: state.born.map(Timestamp::as_millis),
            before: match state.before {
                Before::Silent => RowBefore::Silent,
                Before::Was(digest) => RowBefore::Was(digest.0),
                Before::Untold => RowBefore::Untold,
            },
            content: state.content.0,
            packed: Bytes(&state.packed),
        }
    }

    fn show(self) -> Option<State> {
        Some(State {
            event: self.event.to_owned(),
            as_of: Timestamp::from_millis(self.as_of),
            received_at: Timestamp::from_millis(self.received_at),
            stage: match self.stage {
                0 => Stage::Created,
                1 => Stage::Live,
                2 => Stage::Ended,
                3 => Stage::Gone,
                _ => return None,
            },
            origin: match self.origin {
                0 => Origin::Event,
                1 => Origin::Embedded,
                2 => Origin::Fetched,
                _ => return None,
            },
            stub: self.stub,
            born: self.born.map(Timestamp::from_millis),
            before: match self.before {
                RowBefore::Silent => Before::Silent,
                RowBefore::Was(digest) => Before::Was(ContentDigest(digest)),
                RowBefore::Untold => Before::Untold,
            },
            content: ContentDigest(self.content),
            packed: Blob::copy_from_slice(self.packed.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;

    #[test]
    fn an_object_reads_back() {
        let state = |event: &str, stage, origin, before| State {
            event: event.to_owned(),
            as_of: Timestamp::from_millis(1 << 40),
            received_at: Timestamp::from_millis(7),
            stage,
            origin,
            stub: stage == Stage::Gone,
            born: Some(Timestamp::from_secs(3)),
            before,
            content: ContentDigest([0xfe; 16]),
            packed: Blob::from_static(b"\x00\xffpacked"),
        };
        let was = Before::Was(ContentDigest([9; 16]));
        let held = Mirrored {
            held: state("evt_3", Stage::Ended, Origin::Embedded, Before::Silent),
            states: vec![
                state("evt_1", Stage::Created, Origin::Event, was),
                state("", Stage::Live, Origin::Fetched, Before::Silent),
                state("evt_3", Stage::Ended, Origin::Embedded, Before::Silent),
                state("evt_4", Stage::Gone, Origin::Event, Before::Untold),
            ],
            current: 2,
            until: Timestamp::from_millis(u64::MAX),
            born: None,
            arrived_at: Timestamp::from_millis(1),
            ambiguous: true,
            full: true,
            anchor: Some(Anchor { as_of: Timestamp::from_millis(5), content: None }),
        };
        let touched = vec![3, 900, 901, 1 << 50];
        let row = encode(&Object::of(&held, &touched)).unwrap();
        let read: Object<'_> = decode("an object", &row[1..]).unwrap();
        assert_eq!(read.show(), Some((held.clone(), touched)));
        // None of a build to come, and none without a state.
        let odd = Object { states: vec![], ..Object::of(&held, &[]) };
        assert_eq!(odd.show(), None);
    }

    #[test]
    fn what_was_written_as_an_option_reads_back() {
        for (old, new) in [(None, RowBefore::Silent), (Some([7; 16]), RowBefore::Was([7; 16]))] {
            let bytes = postcard::to_allocvec::<Option<[u8; 16]>>(&old).unwrap();
            assert_eq!(postcard::from_bytes::<RowBefore>(&bytes).unwrap(), new);
        }
    }
}
