//! Random sequences of operations against a model of a few lines.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::kv::KvVersion;

use super::super::Lease;
use super::*;

/// One operation; numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Accept(Vec<(u8, u8)>),
    Claim { plugins: u8, limit: usize },
    Settle { which: usize, verdict: u8, writes: Vec<(u8, u8)>, stale: bool },
    Reopen,
    Wait(u8),
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => prop::collection::vec((0..40u8, 0..4u8), 1..5).prop_map(Op::Accept),
        3 => (1..4u8, 1..6usize).prop_map(|(plugins, limit)| Op::Claim { plugins, limit }),
        6 => (0..100usize, 0..6u8, prop::collection::vec((0..4u8, 0..3u8), 0..3), any::<bool>())
            .prop_map(|(which, verdict, writes, stale)| Op::Settle { which, verdict, writes, stale }),
        1 => Just(Op::Reopen),
        2 => (1..9u8).prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 1..60)
}

#[derive(Debug, Clone, PartialEq)]
struct Expected {
    status: Status,
    attempts: u32,
    due: Timestamp,
    lease: Option<Lease>,
}

#[derive(Debug, Default)]
struct Model {
    events: Vec<u8>,
    deliveries: BTreeMap<(usize, &'static str), Expected>,
    kv: BTreeMap<(&'static str, String), Vec<u8>>,
    now: u64,
}

fn names(bits: u8) -> Vec<&'static str> {
    ["a", "b"]
        .into_iter()
        .enumerate()
        .filter(|(n, _)| bits & (1 << n) != 0)
        .map(|(_, n)| n)
        .collect()
}

/// Run `ops` against the engine and the model; they must agree at every step.
pub(crate) async fn agrees<E: Engine>(ops: Vec<Op>) {
    let engine = E::new();
    let mut store = engine.open();
    let mut model = Model::default();
    let mut held: Vec<ClaimedDelivery> = Vec::new();
    for op in ops {
        let now = START.plus(Duration::from_secs(model.now));
        match op {
            Op::Accept(list) => {
                let events =
                    list.iter().map(|(id, plugins)| event(&id.to_string(), &names(*plugins)));
                let answers = store.accept(events.collect()).await.unwrap();
                for ((id, plugins), answer) in list.into_iter().zip(answers) {
                    let known = model.events.iter().position(|known| *known == id);
                    let (Admission::Accepted(seq) | Admission::Duplicate(seq)) = answer;
                    assert_eq!(known.is_some(), matches!(answer, Admission::Duplicate(_)));
                    let place = known.unwrap_or_else(|| {
                        model.events.push(id);
                        model.events.len() - 1
                    });
                    assert_eq!(seq.0, place as u64 + 1);
                    for name in names(plugins).into_iter().filter(|_| known.is_none()) {
                        let status = Status::Pending;
                        let due = Timestamp::default();
                        let fresh = Expected { status, attempts: 0, due, lease: None };
                        model.deliveries.insert((place, name), fresh);
                    }
                }
            }
            Op::Claim { plugins, limit } => {
                let plugins = names(plugins);
                let claim = store.claim(request(&plugins, limit, now)).await.unwrap();
                let due = model.deliveries.iter_mut().filter(|((_, name), expected)| {
                    let waits = matches!(expected.status, Status::Pending | Status::Retry);
                    plugins.contains(name)
                        && waits
                        && expected.lease.is_none()
                        && expected.due <= now
                });
                assert_eq!(claim.deliveries.len(), due.count().min(limit));
                for delivery in claim.deliveries {
                    let place = usize::try_from(delivery.event.seq.0).unwrap() - 1;
                    let name = if delivery.id.plugin == plugin("a") { "a" } else { "b" };
                    let expected = model.deliveries.get_mut(&(place, name)).unwrap();
                    assert!(expected.lease.is_none() && expected.due <= now);
                    assert_eq!(delivery.attempt, expected.attempts + 1);
                    expected.lease = Some(delivery.lease);
                    held.push(delivery);
                }
            }
            Op::Settle { which, verdict, writes, stale } => {
                let Some(at) = which.checked_rem(held.len()) else { continue };
                let delivery = held[at].clone();
                let place = usize::try_from(delivery.event.seq.0).unwrap() - 1;
                let name = if delivery.id.plugin == plugin("a") { "a" } else { "b" };
                let expected = model.deliveries.get_mut(&(place, name)).unwrap();
                let due = now.plus(Duration::from_secs(5));
                let verdict = match verdict {
                    0 => Verdict::RetryAt(due),
                    1 => Verdict::Dead,
                    2 => Verdict::Release(due),
                    _ => Verdict::Done,
                };
                let writes = writes.into_iter().map(|(key, value)| match value {
                    0 => KvWrite::Delete { key: format!("k{key}") },
                    size => put(&format!("k{key}"), noise(usize::from(size) * 40_000, 1)),
                });
                let writes: Vec<_> = writes.collect();
                let mut settlement =
                    Settlement { writes: writes.clone(), ..settlement(&delivery, verdict.clone()) };
                if stale {
                    let version = Some(KvVersion(u64::MAX));
                    settlement.reads = vec![KvRead::Key { key: "k0".to_owned(), version }];
                }
                let answer = store.settle(vec![settlement]).await.unwrap()[0];
                if expected.lease != Some(delivery.lease) {
                    assert_eq!(answer, Settled::Fenced);
                    continue;
                }
                if stale {
                    assert_eq!(answer, Settled::Conflict);
                    continue;
                }
                assert_eq!(answer, Settled::Committed);
                expected.lease = None;
                match verdict {
                    Verdict::RetryAt(due) => {
                        expected.status = Status::Retry;
                        expected.attempts += 1;
                        expected.due = due;
                    }
                    Verdict::Release(due) => expected.due = due,
                    Verdict::Dead => {
                        expected.status = Status::Dead;
                        expected.attempts += 1;
                    }
                    Verdict::Done => {
                        expected.status = Status::Done;
                        expected.attempts += 1;
                        for write in writes {
                            match write {
                                KvWrite::Put { key, value } => model.kv.insert((name, key), value),
                                KvWrite::Delete { key } => model.kv.remove(&(name, key)),
                            };
                        }
                    }
                }
            }
            Op::Reopen => {
                drop(store);
                store = engine.open();
                for expected in model.deliveries.values_mut() {
                    expected.lease = None;
                    if expected.status == Status::Pending {
                        // A release is forgotten with the process.
                        expected.due = Timestamp::default();
                    }
                }
                // A release after a retry falls back to the retry's own moment, already past or not:
                // let every wait end, so that model and store agree again.
                model.now += 10;
            }
            Op::Wait(secs) => model.now += u64::from(secs),
        }
        check(&*store, &model).await;
    }
}

async fn check(store: &dyn Store, model: &Model) {
    let waiting =
        model.deliveries.values().filter(|d| matches!(d.status, Status::Pending | Status::Retry));
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.events, stats.waiting), (model.events.len() as u64, waiting.count() as u64));
    for ((place, name), expected) in &model.deliveries {
        let id = DeliveryId { event: key(&model.events[*place].to_string()), plugin: plugin(name) };
        let found = store.delivery(&id).await.unwrap().unwrap();
        let status = if expected.lease.is_some() { Status::Running } else { expected.status };
        assert_eq!((found.status, found.attempts), (status, expected.attempts));
    }
    for name in ["a", "b"] {
        let mut usage = 0;
        for key in ["k0", "k1", "k2", "k3"] {
            let found = store.kv_get(&plugin(name), key).await.unwrap().map(|entry| entry.value);
            let expected = model.kv.get(&(name, key.to_owned()));
            assert!(found.as_ref() == expected, "{name} {key}");
            usage += expected.map_or(0, |value| value.len() + key.len());
        }
        assert_eq!(store.kv_usage(&plugin(name)).await.unwrap(), usage as u64);
    }
}
