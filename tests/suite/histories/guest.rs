//! The guests of a history: what a handler does is a function of event, plugin, version and
//! attempt, and of the state it reads.
//!
//! Not a sandbox; see `signalbox::plugin` for that.

use std::time::Duration;

use signalbox::domain::delivery::{DeliveryId, Outcome};
use signalbox::domain::effect::{
    Action, Cancel, EffectId, EffectRequest, EffectStatus, HttpRequest,
};
use signalbox::domain::kv::{KvRead, KvWrite};
use signalbox::domain::plugin::CodeDigest;
use signalbox::store::{ClaimedDelivery, Store};
use signalbox_tests::dice::Dice;

/// Events led to one another this often at most.
pub(super) const MAX_DEPTH: u8 = 3;

/// A run that ended and is not settled.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) claimed: ClaimedDelivery,
    pub(super) outcome: Outcome,
    pub(super) digest: CodeDigest,
    pub(super) reads: Vec<KvRead>,
    pub(super) writes: Vec<KvWrite>,
    pub(super) effects: Vec<EffectRequest>,
    pub(super) cancels: Vec<Cancel>,
    /// The keys it read, and the number of the commit that had written each.
    pub(super) saw: Vec<(String, Option<u64>)>,
}

pub(super) fn digest(version: u8) -> CodeDigest {
    CodeDigest([version; 32])
}

/// What this handler will do with this delivery.
fn script(id: &DeliveryId, version: u8) -> Dice {
    Dice::new(id.seed() ^ u64::from(version).wrapping_mul(0x9E37_79B9))
}

/// What is asked for in the `ordinal`-th place; its body says so, so that the world outside can
/// tell one wish from another.
fn effect(id: &DeliveryId, ordinal: u32, dice: &mut Dice, depth: u8) -> EffectRequest {
    let body = format!("{id}#{ordinal}").into_bytes();
    let delay = [0, 0, 0, 30, 3 * 24 * 3_600][usize::try_from(dice.below(5)).unwrap()];
    let emits = dice.below(3) == 0 && depth < MAX_DEPTH;
    let action = if emits {
        let content_type = "application/json".to_owned();
        Action::Emit { kind: "told".to_owned(), content_type, body }
    } else {
        let url = "https://example.com/hook".to_owned();
        let request = HttpRequest { method: "POST".to_owned(), url, headers: Vec::new(), body };
        Action::Http { request, reply: None }
    };
    let id = EffectId { delivery: id.clone(), ordinal };
    EffectRequest { id, action, delay: Duration::from_secs(delay) }
}

/// Run the handler. `faulty`: the host cannot do its part this time.
pub(super) async fn run(
    store: &dyn Store,
    claimed: ClaimedDelivery,
    version: u8,
    faulty: bool,
    stamp: impl Fn(&str) -> Option<u64>,
) -> Run {
    let mut dice = script(&claimed.id, version);
    let mut run = Run {
        outcome: Outcome::Ok,
        digest: digest(version),
        reads: Vec::new(),
        writes: Vec::new(),
        effects: Vec::new(),
        cancels: Vec::new(),
        saw: Vec::new(),
        claimed,
    };
    let id = run.claimed.id.clone();
    let mut seen = Vec::new();
    for key in ["total".to_owned(), format!("e.{}", id.event), "last".to_owned()] {
        let entry = store.kv_get(&id.plugin, &key).await.unwrap();
        let version = entry.as_ref().map(|entry| entry.version);
        run.saw.push((key.clone(), stamp(&key)));
        run.reads.push(KvRead::Key { key: key.clone(), version });
        seen.push((key, entry.map(|entry| entry.value)));
    }
    let failures = [0, 0, 0, 1, 2, 6][usize::try_from(dice.below(6)).unwrap()];
    if faulty {
        run.outcome = Outcome::HostFault;
    } else if run.claimed.attempt <= failures {
        run.outcome = if dice.below(2) == 0 { Outcome::Retry } else { Outcome::Crashed };
    } else if dice.below(10) == 0 {
        run.outcome = Outcome::Reject;
    }
    for (key, value) in &seen[..2] {
        let number = value.as_ref().map_or(0, |value| super::world::number(value));
        let value = (number + 1).to_le_bytes().to_vec();
        run.writes.push(KvWrite::Put { key: key.clone(), value });
    }
    let depth = run.claimed.event.source.depth();
    for ordinal in 0..u32::try_from(dice.below(3)).unwrap() {
        run.effects.push(effect(&id, ordinal, &mut dice, depth));
    }
    let last = seen[2].1.as_ref().and_then(|value| String::from_utf8(value.clone()).ok());
    let last: Option<EffectId> = last.and_then(|last| last.parse().ok());
    if let Some(last) = last.filter(|last| last.delivery != id && dice.below(2) == 0) {
        let status = store.effect(&last).await.unwrap().map(|effect| effect.status);
        run.cancels.push(Cancel { id: last, waiting: status.is_some_and(EffectStatus::waits) });
    }
    if let Some(first) = run.effects.first() {
        let value = first.id.to_string().into_bytes();
        run.writes.push(KvWrite::Put { key: "last".to_owned(), value });
    }
    run
}
