//! Settlements made ready on the caller's thread: events and bodies packed, everything measured.
//!
//! Not the judging of them (`settle`, `effects`).

use crate::domain::effect::{Action, HttpRequest};
use crate::domain::kv::KvWrite;
use crate::store::{EffectSettlement, NewEffect, NewEvent, Settlement, StoreError};

use super::accept::Prepared;
use super::attempts::HISTORY_LOG_BYTES;
use super::committer::COMMIT_BYTES;
use super::error::RowError;
use super::record::Codec;
use super::rows::{self, Bytes};

/// Most bytes of one settlement, a commit of its own if it is larger than [`COMMIT_BYTES`]: the most
/// a plugin may write (1 MiB by default), as much again in effects, and the attempt's history.
pub(super) const SETTLEMENT_BYTES: usize = 3 << 20;

/// The end of one attempt, ready to be judged.
#[derive(Debug)]
pub(super) struct Ending {
    /// Without its effects and events.
    pub(super) settlement: Settlement,
    pub(super) effects: Vec<PreparedEffect>,
    pub(super) then: Vec<Prepared>,
    pub(super) size: usize,
}

/// The end of one try at an effect, ready to be judged.
#[derive(Debug)]
pub(super) struct EffectEnding {
    /// Without its events.
    pub(super) settlement: EffectSettlement,
    pub(super) then: Vec<Prepared>,
    pub(super) size: usize,
}

/// An effect whose action is packed.
#[derive(Debug)]
pub(super) struct PreparedEffect {
    /// The rest of it; its action is empty.
    pub(super) ordinal: u32,
    pub(super) depth: u8,
    pub(super) due: u64,
    /// The value of its row.
    pub(super) action: Vec<u8>,
}

/// Pack events.
pub(super) fn events(codec: &Codec, events: Vec<NewEvent>) -> Result<Vec<Prepared>, RowError> {
    events.into_iter().map(|new| Prepared::new(codec, new)).collect()
}

/// Bytes that events add to a commit, about.
pub(super) fn events_size(events: &[Prepared]) -> usize {
    events.iter().map(Prepared::size).sum()
}

/// Refuse what is larger than `limit`.
pub(super) fn within(what: &'static str, size: usize, limit: usize) -> Result<usize, StoreError> {
    if size <= limit {
        return Ok(size);
    }
    Err(StoreError::TooLarge { what, size: size as u64, limit: limit as u64 })
}

impl Ending {
    /// Make a settlement ready.
    pub(super) fn new(codec: &Codec, mut settlement: Settlement) -> Result<Self, StoreError> {
        let asked = std::mem::take(&mut settlement.effects).into_iter();
        let effects = asked.map(PreparedEffect::new).collect::<Result<Vec<_>, _>>()?;
        let then = events(codec, std::mem::take(&mut settlement.then))?;
        let bodies = effects.iter().map(|effect| effect.action.len() + 128).sum::<usize>();
        let size = size(&settlement) + bodies + events_size(&then) + 64 * settlement.cancels.len();
        let size = within("what one delivery commits", size, SETTLEMENT_BYTES)?;
        Ok(Self { settlement, effects, then, size })
    }
}

impl EffectEnding {
    /// Make a settlement ready.
    pub(super) fn new(codec: &Codec, mut settlement: EffectSettlement) -> Result<Self, StoreError> {
        let then = events(codec, std::mem::take(&mut settlement.then))?;
        let size = 1_024 + settlement.attempt.reason.len() + events_size(&then);
        let size = within("what one effect leads to", size, COMMIT_BYTES)?;
        Ok(Self { settlement, then, size })
    }
}

impl PreparedEffect {
    fn new(effect: NewEffect) -> Result<Self, RowError> {
        let action = match &effect.action {
            Action::Http { request, reply } => rows::Action::Http {
                method: request.method.clone(),
                url: request.url.clone(),
                headers: request.headers.clone(),
                body: Bytes(&request.body),
                reply: reply.clone(),
            },
            Action::Emit { kind, content_type, body } => rows::Action::Emit {
                kind: kind.clone(),
                content_type: content_type.clone(),
                body: Bytes(body),
            },
        };
        Ok(Self {
            ordinal: effect.id.ordinal,
            depth: effect.depth,
            due: effect.due.as_millis(),
            action: rows::encode(&action)?,
        })
    }
}

/// An action as the domain knows it.
pub(super) fn action(bytes: &[u8]) -> Result<Action, RowError> {
    Ok(match rows::decode("what an effect does", bytes)? {
        rows::Action::Http { method, url, headers, body, reply } => {
            let request = HttpRequest { method, url, headers, body: body.0.to_vec() };
            Action::Http { request, reply }
        }
        rows::Action::Emit { kind, content_type, body } => {
            Action::Emit { kind, content_type, body: body.0.to_vec() }
        }
    })
}

/// Bytes a settlement adds to a commit, at most; effects and events not counted.
fn size(settlement: &Settlement) -> usize {
    let write = |write: &KvWrite| match write {
        KvWrite::Put { key, value } => key.len() + value.len() + 64,
        KvWrite::Delete { key } => key.len() + 64,
    };
    let logs = settlement.attempt.logs.records.iter().map(|record| {
        let attributes = record.attributes.iter().map(|(name, value)| name.len() + value.len() + 4);
        record.message.len() + attributes.sum::<usize>() + 8
    });
    let history = if settlement.attempt.number > 1 { HISTORY_LOG_BYTES } else { 0 };
    let writes = settlement.writes.iter().map(write).sum::<usize>();
    256 + history + settlement.attempt.reason.len() + logs.sum::<usize>() + writes
}

/// `all` in parts that fit a commit each: every one stands for itself.
pub(super) fn parts<T>(all: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<(Vec<T>, usize)> {
    let mut parts: Vec<(Vec<T>, usize)> = Vec::new();
    for one in all {
        let size = size(&one);
        match parts.last_mut() {
            Some((part, sum)) if *sum + size <= COMMIT_BYTES => {
                part.push(one);
                *sum += size;
            }
            _ => parts.push((vec![one], size)),
        }
    }
    parts
}
