//! One event as it is kept inside a block: packed, then compressed with a numbered dictionary.
//!
//! Exact: body and proof headers read back byte for byte. Not the block (`rows`).

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{EndpointId, SecretId};
use crate::domain::event::{
    EventKey, EventSeq, Header, Made, ObjectRef, Source, StoredEvent, VerifiedEvent,
};
use crate::store::NewEvent;

use super::error::RowError;

/// Every dictionary there ever was, by its number minus one; number 0 means "not compressed".
/// Append only: a record names the dictionary it was written with. `LAYOUT.md` tells how one is
/// trained.
const DICTIONARIES: &[&[u8]] = &[include_bytes!("dict/1.zdict")];

/// zstd's default, and the best trade measured for events: 6 times smaller in 4 us.
const LEVEL: i32 = 3;

/// Most bytes one event may unpack to: a record cannot make the host allocate more. A commit holds
/// at most 2 MiB compressed, and the webhook listener's body cap is far below.
pub(super) const MAX_RAW: usize = 16 << 20;

/// Hexadecimal digits that are worth storing as bytes: signatures have 40 to 128.
const HEX_RUN: usize = 32;

/// A record's head; the stored bytes follow.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Number of the dictionary; 0 when the bytes are stored as they are.
    dictionary: u16,
    /// Bytes after decompression.
    raw: u32,
}

/// An event without its body, which follows.
#[derive(Debug, Serialize, Deserialize)]
struct Packed {
    provider: String,
    id: String,
    kind: String,
    account: Option<String>,
    livemode: bool,
    api_version: Option<String>,
    request_id: Option<String>,
    occurred_at: u64,
    object: Option<(String, String)>,
    content_type: String,
    proof: Vec<(String, Vec<Part>)>,
    secret: String,
    endpoint: [u8; 16],
    received_at: u64,
    source: PackedSource,
}

/// The domain's sources, by their place here: append only.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum PackedSource {
    Webhook,
    Emitted(PackedMade),
    Reply(PackedMade),
    Host(PackedMade),
    Reconcile,
}

/// What is known of an event that was made here.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PackedMade {
    effect: Option<String>,
    depth: u8,
    attributes: Vec<(String, String)>,
}

impl PackedMade {
    fn of(made: &Made) -> Self {
        let effect = made.effect.as_ref().map(ToString::to_string);
        Self { effect, depth: made.depth, attributes: made.attributes.clone() }
    }

    fn show(self) -> Result<Made, RowError> {
        let effect = self.effect.map(|text| text.parse().map_err(|e| damaged(format!("{e}"))));
        Ok(Made { effect: effect.transpose()?, depth: self.depth, attributes: self.attributes })
    }
}

/// A piece of a header's value.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// As it came.
    Text(Vec<u8>),
    /// What lower-case hexadecimal digits stand for.
    Hex(Vec<u8>),
}

/// Packs and unpacks records. Keeps compression contexts for reuse: making one costs more than
/// using it.
pub(super) struct Codec {
    current: u16,
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Vec<Mutex<Vec<Decompressor<'static>>>>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").field("dictionary", &self.current).finish_non_exhaustive()
    }
}

/// Contexts kept for reuse; more callers at once make their own and drop them.
const KEPT_CONTEXTS: usize = 16;

impl Codec {
    /// Writes with the newest dictionary, reads with all.
    pub(super) fn new() -> Self {
        Self::with_dictionary(u16::try_from(DICTIONARIES.len()).unwrap_or(0))
    }

    /// Writes with the dictionary of this number (0: none).
    pub(super) fn with_dictionary(current: u16) -> Self {
        let decompressors = DICTIONARIES.iter().map(|_| Mutex::default()).collect();
        Self { current, compressors: Mutex::default(), decompressors }
    }

    /// The record of `event`.
    pub(super) fn pack(&self, new: &NewEvent) -> Result<Vec<u8>, RowError> {
        let event = &new.event;
        let packed = Packed {
            provider: event.key.provider.clone(),
            id: event.key.id.clone(),
            kind: event.kind.clone(),
            account: event.account.clone(),
            livemode: event.livemode,
            api_version: event.api_version.clone(),
            request_id: event.request_id.clone(),
            occurred_at: event.occurred_at.as_millis(),
            object: event.object.as_ref().map(|o| (o.kind.clone(), o.id.clone())),
            content_type: event.content_type.clone(),
            proof: event.proof.iter().map(|h| (h.name.clone(), split(&h.value))).collect(),
            secret: event.secret.0.clone(),
            endpoint: *new.endpoint.0.as_bytes(),
            received_at: new.received_at.as_millis(),
            source: match &new.source {
                Source::Webhook => PackedSource::Webhook,
                Source::Emitted(made) => PackedSource::Emitted(PackedMade::of(made)),
                Source::Reply(made) => PackedSource::Reply(PackedMade::of(made)),
                Source::Host(made) => PackedSource::Host(PackedMade::of(made)),
                Source::Reconcile => PackedSource::Reconcile,
            },
        };
        let buffer = Vec::with_capacity(event.body.len() + 512);
        let mut raw = postcard::to_extend(&packed, buffer)
            .map_err(|e| RowError::Unencodable(e.to_string()))?;
        raw.extend_from_slice(&event.body);
        if raw.len() > MAX_RAW {
            return Err(RowError::TooLarge {
                what: "an event",
                size: raw.len() as u64,
                limit: MAX_RAW as u64,
            });
        }
        self.store(&raw)
    }

    /// The event in `record`, which has the number `seq`.
    pub(super) fn unpack(&self, seq: EventSeq, record: &[u8]) -> Result<StoredEvent, RowError> {
        let raw = self.load(record)?;
        let (packed, body): (Packed, _) =
            postcard::take_from_bytes(&raw).map_err(|e| damaged(e.to_string()))?;
        let body = raw.len() - body.len();
        let object = packed.object.map(|(kind, id)| ObjectRef { kind, id });
        let proof = packed.proof.into_iter();
        Ok(StoredEvent {
            seq,
            endpoint: EndpointId(uuid::Uuid::from_bytes(packed.endpoint)),
            received_at: Timestamp::from_millis(packed.received_at),
            source: match packed.source {
                PackedSource::Webhook => Source::Webhook,
                PackedSource::Emitted(made) => Source::Emitted(made.show()?),
                PackedSource::Reply(made) => Source::Reply(made.show()?),
                PackedSource::Host(made) => Source::Host(made.show()?),
                PackedSource::Reconcile => Source::Reconcile,
            },
            event: VerifiedEvent {
                key: EventKey { provider: packed.provider, id: packed.id },
                kind: packed.kind,
                account: packed.account,
                livemode: packed.livemode,
                api_version: packed.api_version,
                request_id: packed.request_id,
                occurred_at: Timestamp::from_millis(packed.occurred_at),
                object,
                content_type: packed.content_type,
                proof: proof.map(|(name, parts)| Header { name, value: join(&parts) }).collect(),
                secret: SecretId(packed.secret),
                body: Bytes::from(raw).slice(body..),
            },
        })
    }

    fn store(&self, raw: &[u8]) -> Result<Vec<u8>, RowError> {
        let failed = |e: std::io::Error| RowError::Unencodable(e.to_string());
        let size = u32::try_from(raw.len()).unwrap_or(u32::MAX);
        let head = |dictionary| {
            postcard::to_extend(&Head { dictionary, raw: size }, Vec::with_capacity(8))
                .map_err(|e| RowError::Unencodable(e.to_string()))
        };
        if let Some(dictionary) = dictionary(self.current) {
            let kept = lock(&self.compressors).pop();
            let mut compressor = match kept {
                Some(compressor) => compressor,
                None => compressor(dictionary).map_err(failed)?,
            };
            let packed = compressor.compress(raw).map_err(failed)?;
            give_back(&self.compressors, compressor);
            if packed.len() < raw.len() {
                let mut out = head(self.current)?;
                out.extend_from_slice(&packed);
                return Ok(out);
            }
        }
        let mut out = head(0)?;
        out.extend_from_slice(raw);
        Ok(out)
    }

    fn load(&self, record: &[u8]) -> Result<Vec<u8>, RowError> {
        let (head, bytes): (Head, _) =
            postcard::take_from_bytes(record).map_err(|e| damaged(e.to_string()))?;
        let size = usize::try_from(head.raw).unwrap_or(usize::MAX);
        if size > MAX_RAW {
            return Err(damaged(format!("it claims {size} bytes, over {MAX_RAW}")));
        }
        let raw = if head.dictionary == 0 {
            bytes.to_vec()
        } else {
            let unknown = || {
                damaged(format!(
                    "it was written with dictionary {}, and this build has {}",
                    head.dictionary,
                    DICTIONARIES.len()
                ))
            };
            let dictionary = dictionary(head.dictionary).ok_or_else(unknown)?;
            let slot = usize::from(head.dictionary) - 1;
            let pool = self.decompressors.get(slot).ok_or_else(unknown)?;
            let kept = lock(pool).pop();
            let mut decompressor = match kept {
                Some(decompressor) => decompressor,
                None => {
                    Decompressor::with_dictionary(dictionary).map_err(|e| damaged(e.to_string()))?
                }
            };
            let raw = decompressor.decompress(bytes, size).map_err(|e| damaged(e.to_string()))?;
            give_back(pool, decompressor);
            raw
        };
        if raw.len() == size {
            Ok(raw)
        } else {
            Err(damaged(format!("it holds {} bytes and claims {size}", raw.len())))
        }
    }
}

fn damaged(cause: String) -> RowError {
    RowError::Damaged { what: "an event".to_owned(), cause }
}

fn dictionary(number: u16) -> Option<&'static [u8]> {
    DICTIONARIES.get(usize::from(number).checked_sub(1)?).copied()
}

fn compressor(dictionary: &[u8]) -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_dictionary(LEVEL, dictionary)?;
    // The record says both already.
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
    // zstd's own 4-byte checksum per event: sled's CRC covers every page it stands in.
    compressor.set_parameter(CParameter::ChecksumFlag(false))?;
    Ok(compressor)
}

fn lock<T>(pool: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give_back<T>(pool: &Mutex<Vec<T>>, context: T) {
    let mut pool = lock(pool);
    if pool.len() < KEPT_CONTEXTS {
        pool.push(context);
    }
}

/// Cut long runs of lower-case hexadecimal digits out of a header's value.
fn split(value: &[u8]) -> Vec<Part> {
    let is_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let mut parts = Vec::new();
    let (mut text, mut at) = (0, 0);
    while let Some(rest) = value.get(at..).filter(|rest| !rest.is_empty()) {
        let run = rest.iter().take_while(|b| is_hex(b)).count();
        let even = run & !1;
        if even >= HEX_RUN
            && let Some(Ok(bytes)) = rest.get(..even).map(hex::decode)
        {
            if let Some(before) = value.get(text..at).filter(|before| !before.is_empty()) {
                parts.push(Part::Text(before.to_vec()));
            }
            parts.push(Part::Hex(bytes));
            text = at + even;
        }
        at += run.max(1);
    }
    if let Some(rest) = value.get(text..).filter(|rest| !rest.is_empty()) {
        parts.push(Part::Text(rest.to_vec()));
    }
    parts
}

fn join(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Text(bytes) => out.extend_from_slice(bytes),
            Part::Hex(bytes) => out.extend_from_slice(hex::encode(bytes).as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::store::contract::{event, noise};

    use super::*;

    #[test]
    fn every_dictionary_stays_readable() {
        let reader = Codec::new();
        let mut sizes = Vec::new();
        for number in 0..=u16::try_from(DICTIONARIES.len()).unwrap() {
            let mut new = event("evt_1", &[]);
            new.event.body = include_str!("record.rs").repeat(2).into();
            let record = Codec::with_dictionary(number).pack(&new).unwrap();
            assert_eq!(postcard::take_from_bytes::<Head>(&record).unwrap().0.dictionary, number);
            let read = reader.unpack(EventSeq(3), &record).unwrap();
            assert_eq!((read.seq, read.event), (EventSeq(3), new.event));
            sizes.push(record.len());
        }
        assert!(sizes.iter().skip(1).all(|size| size * 2 < sizes[0]), "{sizes:?}");
    }

    #[test]
    fn a_record_cannot_make_the_host_allocate() {
        let codec = Codec::new();
        let mut new = event("evt_1", &[]);
        new.event.body = vec![b'x'; 100_000].into();
        let record = codec.pack(&new).unwrap();
        let (head, bytes) = postcard::take_from_bytes::<Head>(&record).unwrap();
        for claimed in [head.raw - 1, head.raw + 1, 10, u32::MAX] {
            let lie = Head { dictionary: head.dictionary, raw: claimed };
            let mut record = postcard::to_extend(&lie, Vec::new()).unwrap();
            record.extend_from_slice(bytes);
            assert!(codec.unpack(EventSeq(1), &record).is_err(), "{claimed}");
        }
        let unknown = postcard::to_extend(&Head { dictionary: 999, raw: 1 }, Vec::new()).unwrap();
        assert!(codec.unpack(EventSeq(1), &unknown).unwrap_err().to_string().contains("999"));
    }

    #[test]
    fn what_does_not_compress_is_kept_as_it_is() {
        let codec = Codec::new();
        let mut new = event("evt_1", &[]);
        new.event.body = noise(50_000, 1).into();
        let record = codec.pack(&new).unwrap();
        assert!(record.len() < 50_400, "{}", record.len());
        assert_eq!(codec.unpack(EventSeq(1), &record).unwrap().event, new.event);
    }

    #[test]
    fn sources_keep_their_places_in_a_record() {
        let made = PackedMade { effect: None, depth: 1, attributes: vec![] };
        let all = [
            PackedSource::Webhook,
            PackedSource::Emitted(made.clone()),
            PackedSource::Reply(made.clone()),
            PackedSource::Host(made),
            PackedSource::Reconcile,
        ];
        let places = all.map(|source| postcard::to_allocvec(&source).unwrap()[0]);
        assert_eq!(places, [0, 1, 2, 3, 4]);
        let codec = Codec::new();
        let mut new = event("evt_1", &[]);
        new.source = Source::Reconcile;
        let record = codec.pack(&new).unwrap();
        assert_eq!(codec.unpack(EventSeq(1), &record).unwrap().source, Source::Reconcile);
    }

    proptest! {
        #[test]
        fn header_values_are_exact(value in "[0-9a-fA-F=,t]{0,140}", raw in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(join(&split(value.as_bytes())), value.as_bytes());
            prop_assert_eq!(join(&split(&raw)), raw);
        }

        #[test]
        fn noise_is_an_error_and_no_panic(record in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Codec::new().unpack(EventSeq(1), &record);
        }
    }
}
