//! Every value of the embedded store, as it is encoded.
//!
//! Not the keys (`layout`) and not the events inside a block (`record`). The shapes here are the
//! store's own, so that a change of the domain cannot change what is on disk unnoticed. The first
//! byte of each value says how the rest is to be read; the rest is postcard.

mod object;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::RowError;

pub(super) use object::{Object, Touched, distances, numbers};

/// First byte of a value of format 1 that stands whole in its row. The high four bits are the
/// format version, the low four say whether the value is whole (0) or chunked (1).
pub(super) const WHOLE: u8 = 0x10;

/// First byte of a row that says where the chunks of a value of format 1 are.
pub(super) const CHUNKED: u8 = 0x11;

/// Bytes that are encoded at once rather than one by one; the encoding is that of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&'a [u8]>::deserialize(from).map(Self)
    }
}

/// The whole value of a block's row that was made ahead of the block (see `accept`).
pub(super) const RESERVED: u8 = 0x12;

/// What every commit brings up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// How many commits there were; the high-water mark is compared with it.
    pub(super) commits: u64,
    /// How often the store was opened. Leases of different openings never meet.
    pub(super) opens: u64,
    /// Number of the next event.
    pub(super) next_seq: u64,
    /// Version of the next kv write.
    pub(super) next_version: u64,
    /// Number of the next block.
    pub(super) next_block: u64,
    /// Number of the next block whose row is to be made ahead.
    pub(super) next_reserved: u64,
    /// Events kept.
    pub(super) events: u64,
    /// Bytes of the blocks kept.
    pub(super) block_bytes: u64,
    /// Dead deliveries kept; `None` in a store that did not count them yet. Grown.
    pub(super) dead: Option<u64>,
    /// Objects held. Grown.
    pub(super) objects: u64,
    /// Those of them that are ambiguous. Grown.
    pub(super) ambiguous: u64,
}

impl Counters {
    /// Those of an empty store.
    pub(super) const NEW: Self = Self {
        commits: 0,
        opens: 0,
        next_seq: 1,
        next_version: 1,
        next_block: 0,
        next_reserved: 0,
        events: 0,
        block_bytes: 0,
        dead: Some(0),
        objects: 0,
        ambiguous: 0,
    };

    /// Read them, as they were ever written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        decode_grown("the counters", bytes, 3)
    }
}

/// The dedupe record of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dedupe {
    /// The event's number.
    pub(super) seq: u64,
}

/// Where a block begins: the key holds its first event's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    /// The block's number.
    pub(super) block: u64,
}

/// Events that were committed together, with consecutive numbers from that of its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block<'a> {
    /// When the latest of them came, in milliseconds.
    pub(super) newest: u64,
    /// One `record` each.
    #[serde(borrow)]
    pub(super) records: Vec<Bytes<'a>>,
}

/// The deliveries a block began with. Written once; goes with the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Events with deliveries, in order.
    pub(super) events: Vec<PendingEvent>,
    /// What each of them is about, as a number (see `lane`); 0 for no object. Grown.
    pub(super) lanes: Vec<u64>,
}

impl Pending {
    /// Read one, as it was ever written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        decode_grown("a pending row", bytes, 1)
    }
}

/// The deliveries of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PendingEvent {
    /// Place in the block.
    pub(super) index: u32,
    /// When it came, in milliseconds.
    pub(super) received_at: u64,
    /// Plugins, by number.
    pub(super) plugins: Vec<u32>,
}

/// How a delivery stands after its last attempt. `Pending` and `Running` have no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stand {
    /// Committed.
    Done,
    /// Given up.
    Dead,
    /// To be attempted again, not before this moment in milliseconds.
    Retry(u64),
    /// Replayed, and not attempted since.
    Again,
}

/// A delivery that was attempted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delivery {
    /// How it stands.
    pub(super) stand: Stand,
    /// Attempts that counted.
    pub(super) attempts: u32,
    /// The last ones, oldest first.
    pub(super) history: Vec<Attempt>,
    /// When a wait was written, in milliseconds. Grown.
    pub(super) written: u64,
    /// When it was last replayed, in milliseconds. Grown.
    pub(super) replayed: Option<u64>,
}

impl Delivery {
    /// Read one, as it was ever written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        decode_grown("a delivery", bytes, 2)
    }
}

/// A dead delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dead {
    /// What it died of; 0 where it was not kept yet. Grown.
    pub(super) group: u64,
}

impl Dead {
    /// Read one, as it was ever written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        decode_grown("a dead delivery", bytes, 1)
    }
}

/// An unfinished delivery that was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Again {
    /// First event of its block.
    pub(super) block: u64,
    /// When its event came, in milliseconds.
    pub(super) received_at: u64,
    /// As in [`Pending`].
    pub(super) lane: u64,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) started_at: u64,
    /// The code, by number.
    pub(super) digest: u32,
    pub(super) outcome: Outcome,
    pub(super) reason: String,
    pub(super) cpu_micros: u64,
    pub(super) wall_micros: u64,
    pub(super) memory: u64,
    pub(super) kv_operations: u32,
    pub(super) logs: Vec<LogRecord>,
    pub(super) dropped: u64,
}

/// The domain's outcomes, by their place here: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Ok,
    Retry,
    Reject,
    Crashed,
    OutOfTime,
    OutOfMemory,
    HostFault,
    Saturated,
}

/// One log record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogRecord {
    /// 0 trace, 1 debug, 2 info, 3 warn, 4 error.
    pub(super) level: u8,
    pub(super) message: String,
    pub(super) attributes: Vec<(String, String)>,
}

/// A value of a plugin's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kv<'a> {
    pub(super) version: u64,
    #[serde(borrow)]
    pub(super) value: Bytes<'a>,
}

/// Bytes a plugin's state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) bytes: u64,
}

/// What an effect does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Action<'a> {
    Http {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        #[serde(borrow)]
        body: Bytes<'a>,
        reply: Option<String>,
    },
    Emit {
        kind: String,
        content_type: String,
        body: Bytes<'a>,
    },
}

/// The domain's standings of an effect but `Running`, by their place here: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum EffectStand {
    Pending,
    Retry,
    Done,
    Dead,
    Cancelled,
}

/// How an effect stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Effect {
    pub(super) stand: EffectStand,
    /// First event of the block of its event.
    pub(super) block: u64,
    pub(super) depth: u8,
    /// When its delivery committed, in milliseconds.
    pub(super) created_at: u64,
    /// From when its age counts, in milliseconds.
    pub(super) since: u64,
    /// Tries that counted, since then.
    pub(super) attempts: u32,
    /// Not before this moment in milliseconds.
    pub(super) due: u64,
    /// When that wait was written, in milliseconds.
    pub(super) written: u64,
    /// The last tries, oldest first.
    pub(super) history: Vec<EffectAttempt>,
}

/// One try at an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EffectAttempt {
    pub(super) number: u32,
    pub(super) started_at: u64,
    pub(super) took_micros: u64,
    pub(super) status: Option<u16>,
    pub(super) reason: String,
}

/// A plugin's pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pause {
    /// Since when, in milliseconds.
    pub(super) at: u64,
    pub(super) reason: String,
    /// The code whose failures caused it; `None` for an operator.
    pub(super) code: Option<[u8; 32]>,
}

/// What stays of a block that went, until its identifiers may be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ghost {
    /// When the latest of its events came, in milliseconds.
    pub(super) newest: u64,
    /// Provider and identifier of each.
    pub(super) keys: Vec<(String, String)>,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) provider: String,
    /// Each with the moment from which it proves nothing, in milliseconds.
    pub(super) secrets: Vec<(String, Option<u64>)>,
    pub(super) tolerance_millis: u64,
    pub(super) description: Option<String>,
    pub(super) created_at: u64,
    /// 0 configuration, 1 admin API.
    pub(super) origin: u8,
    /// 0 signature, 1 retrieval, 2 none. Grown, as all that follows.
    pub(super) validation: u8,
    pub(super) force_unverified: bool,
    pub(super) account: Option<String>,
    pub(super) livemode: Option<bool>,
    pub(super) connect: Option<bool>,
    /// 0 enabled, 1 disabled, 2 creating.
    pub(super) status: u8,
    pub(super) at_provider: Option<AtProvider>,
    /// Fingerprint of a secret, and when it last proved a request, in milliseconds.
    pub(super) matched: Vec<(String, u64)>,
}

impl Endpoint {
    /// Read one, as it was ever written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        decode_grown("an endpoint", bytes, 8)
    }
}

/// What is kept of an endpoint at its provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AtProvider {
    pub(super) id: Option<String>,
    pub(super) url: String,
    pub(super) enabled_events: Vec<String>,
    pub(super) api_version: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    /// Identifiers that were replaced, each with the moment from which it may go, in milliseconds.
    pub(super) retiring: Vec<(String, u64)>,
}

/// How far something was read; both in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Everything before was read.
    pub(super) upto: u64,
    /// Nothing before is wanted.
    pub(super) floor: u64,
}

/// The name of what was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place<'a>(pub(super) &'a str);

/// A row that says where the chunks of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunks {
    /// Bytes of the whole value, its first byte excepted.
    pub(super) bytes: u64,
    /// How many chunks.
    pub(super) count: u16,
}

/// The value of a row: format, then content.
pub(super) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>, RowError> {
    encode_as(WHOLE, row)
}

/// As [`encode`], with another first byte.
pub(super) fn encode_as<T: Serialize>(first: u8, row: &T) -> Result<Vec<u8>, RowError> {
    postcard::to_extend(row, vec![first]).map_err(|e| RowError::Unencodable(e.to_string()))
}

/// Read a value whose first byte was [`WHOLE`] (and is no longer there).
pub(super) fn decode<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, RowError> {
    match postcard::take_from_bytes(bytes) {
        Ok((row, [])) => Ok(row),
        Ok((_, rest)) => Err(RowError::damaged(what, format!("{} bytes too many", rest.len()))),
        Err(e) => Err(RowError::damaged(what, e.to_string())),
    }
}

/// As [`decode`], for a shape that has grown by up to `fields` fields at its end since it was first
/// written. A field that a row was written without reads as 0, empty, `None` or `false`: what a
/// byte of zero stands for in any field.
pub(super) fn decode_grown<T: DeserializeOwned>(
    what: &str,
    bytes: &[u8],
    fields: usize,
) -> Result<T, RowError> {
    let whole = decode(what, bytes);
    if whole.is_ok() || fields == 0 {
        return whole;
    }
    let longer = |by: usize| {
        let longer = [bytes, &vec![0; by]].concat();
        match postcard::take_from_bytes(&longer) {
            Ok((row, [])) => Some(row),
            _ => None,
        }
    };
    (1..=fields).find_map(longer).map_or(whole, Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes as they were first written.
    #[derive(Serialize)]
    struct FirstPending {
        events: Vec<PendingEvent>,
    }

    #[test]
    fn rows_written_before_their_shapes_grew_are_readable() {
        let event = PendingEvent { index: 3, received_at: 1 << 40, plugins: vec![0, 300] };
        let old = postcard::to_allocvec(&FirstPending { events: vec![event.clone()] }).unwrap();
        let expected = Pending { events: vec![event.clone()], lanes: vec![] };
        assert_eq!(Pending::decode(&old).unwrap(), expected);
        let new = Pending { lanes: vec![u64::MAX], ..expected };
        assert_eq!(Pending::decode(&postcard::to_allocvec(&new).unwrap()).unwrap(), new);
        assert!(Pending::decode(&old[..old.len() - 1]).is_err(), "half a row is no older row");
        // A delivery that waits for another attempt, as it was first written.
        let old = postcard::to_allocvec(&(2_u8, 90_u64, 4_u32, Vec::<Attempt>::new())).unwrap();
        let row = Delivery {
            stand: Stand::Retry(90),
            attempts: 4,
            history: vec![],
            written: 0,
            replayed: None,
        };
        assert_eq!(Delivery::decode(&old).unwrap(), row);
        let row = Delivery { stand: Stand::Again, written: 7, replayed: Some(7), ..row };
        assert_eq!(Delivery::decode(&postcard::to_allocvec(&row).unwrap()).unwrap(), row);
        assert_eq!(Dead::decode(&[]).unwrap(), Dead { group: 0 });
        let secrets = vec![("whsec_1", Some(9_u64))];
        let old = ("stripe", secrets, 300_000_u64, Some("shop"), 7_u64, 1_u8);
        let row = Endpoint::decode(&postcard::to_allocvec(&old).unwrap()).unwrap();
        assert_eq!((row.provider.as_str(), row.origin, row.status), ("stripe", 1, 0));
        assert_eq!(
            (row.validation, row.livemode, row.at_provider, row.matched),
            (0, None, None, vec![])
        );
        let old = postcard::to_allocvec(&[[7_u64; 4], [7; 4]]).unwrap();
        assert_eq!(Counters::decode(&old).unwrap().dead, None);
        let new = postcard::to_allocvec(&Counters::NEW).unwrap();
        assert_eq!(Counters::decode(&new).unwrap(), Counters::NEW);
    }
}
