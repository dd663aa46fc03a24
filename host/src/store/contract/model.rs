//! Random histories against a model of a few lines: deliveries in order, replays, effects and what
//! withdraws them, pauses, kv, and the store closed and opened in between.

mod effects;
mod state;

use std::time::Duration;

use proptest::prelude::*;

use crate::domain::effect::Cancel;
use crate::domain::kv::KvVersion;
use crate::domain::plugin::{Pause, PausedBy};

use super::super::{ClaimedEffect, NewEffect};
use super::effects::http;
use super::order::about;
use super::*;
use state::{Model, names};

/// One operation; numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Accept(Vec<(u8, u8)>),
    Claim { plugins: u8, limit: usize, order: u8 },
    Settle { which: usize, verdict: u8, writes: Vec<(u8, u8)>, stale: bool, asks: Asks },
    Replay { which: usize },
    ClaimEffects { limit: usize, per_plugin: usize },
    SettleEffect { which: usize, verdict: u8 },
    ChangeEffect { which: usize, perform: bool },
    Pause { plugin: u8, on: bool },
    Reopen,
    Wait(u8),
}

/// What a delivery asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asks {
    effects: u32,
    later: bool,
    /// Which effect it withdraws, and whether it was told the truth about it.
    cancel: Option<(usize, bool)>,
    leads_to: Option<u8>,
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let asks = (0..4u32, any::<bool>(), prop::option::of((0..100usize, prop::bool::weighted(0.8))));
    let asks = (asks, prop::option::weighted(0.2, 40..60u8));
    let asks = asks.prop_map(|((effects, later, cancel), leads_to)| Asks {
        effects,
        later,
        cancel,
        leads_to,
    });
    let settle = (
        0..100usize,
        0..7u8,
        prop::collection::vec((0..4u8, 0..3u8), 0..3),
        prop::bool::weighted(0.1),
        asks,
    );
    let op = prop_oneof![
        4 => prop::collection::vec((0..40u8, 0..4u8), 1..5).prop_map(Op::Accept),
        5 => (1..4u8, 1..6usize, 0..4u8)
            .prop_map(|(plugins, limit, order)| Op::Claim { plugins, limit, order }),
        8 => settle.prop_map(|(which, verdict, writes, stale, asks)| Op::Settle {
            which, verdict, writes, stale, asks,
        }),
        3 => (0..200usize).prop_map(|which| Op::Replay { which }),
        3 => (1..6usize, 1..4usize)
            .prop_map(|(limit, per_plugin)| Op::ClaimEffects { limit, per_plugin }),
        4 => (0..100usize, 0..5u8)
            .prop_map(|(which, verdict)| Op::SettleEffect { which, verdict }),
        2 => (0..100usize, any::<bool>())
            .prop_map(|(which, perform)| Op::ChangeEffect { which, perform }),
        1 => (0..2u8, any::<bool>()).prop_map(|(plugin, on)| Op::Pause { plugin, on }),
        1 => Just(Op::Reopen),
        2 => (1..9u8).prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 1..70)
}

/// The event with this number: about one of two objects, or about none.
fn made(id: u8, plugins: &[&str]) -> NewEvent {
    let mut new = about(&id.to_string(), ["x", "y"][usize::from(id % 2)], plugins);
    if id % 5 == 4 {
        new.event.object = None;
    }
    new
}

const fn order(number: u8) -> Order {
    match number {
        0 => Order::None,
        1 => Order::Object { skip_after: Some(1) },
        _ => Order::Object { skip_after: None },
    }
}

/// Run `ops` against the engine and the model; they must agree at every step.
pub(crate) async fn agrees<E: Engine>(ops: Vec<Op>) {
    let engine = E::new();
    let mut store = engine.open();
    let mut model = Model::default();
    let mut held: Vec<ClaimedDelivery> = Vec::new();
    let mut performed: Vec<ClaimedEffect> = Vec::new();
    for op in ops {
        let now = model.now();
        match op {
            Op::Accept(list) => {
                let events = list.iter().map(|(id, plugins)| made(*id, &names(*plugins)));
                let answers = store.accept(events.collect()).await.unwrap();
                for ((id, plugins), answer) in list.into_iter().zip(answers) {
                    assert_eq!(answer, model.accept(id, plugins));
                }
            }
            Op::Claim { plugins, limit, order: number } => {
                let mut request = request(&names(plugins), limit, now);
                request.plugins.iter_mut().for_each(|demand| demand.order = order(number));
                let claim = store.claim(request).await.unwrap();
                model.claim(&names(plugins), order(number), limit, &claim.deliveries);
                held.extend(claim.deliveries);
            }
            Op::Settle { which, verdict, writes, stale, asks } => {
                let Some(at) = which.checked_rem(held.len()) else { continue };
                let delivery = held[at].clone();
                let due = now.plus(Duration::from_secs(5));
                let verdict = match verdict {
                    0 | 1 => Verdict::RetryAt(due),
                    2 => Verdict::Dead,
                    3 => Verdict::Release(due),
                    _ => Verdict::Done,
                };
                let writes = writes.into_iter().map(|(key, value)| match value {
                    0 => KvWrite::Delete { key: format!("k{key}") },
                    size => put(&format!("k{key}"), noise(usize::from(size) * 40_000, 1)),
                });
                let mut settlement =
                    Settlement { writes: writes.collect(), now, ..settlement(&delivery, verdict) };
                if stale {
                    let version = Some(KvVersion(u64::MAX));
                    settlement.reads = vec![KvRead::Key { key: "k0".to_owned(), version }];
                }
                let due = if asks.later { due } else { now };
                settlement.effects = (0..asks.effects)
                    .map(|ordinal| NewEffect {
                        id: crate::domain::effect::EffectId {
                            delivery: delivery.id.clone(),
                            ordinal,
                        },
                        action: http(format!("{}", now.as_millis())),
                        due,
                        depth: 0,
                    })
                    .collect();
                let told = asks.cancel.and_then(|(which, truth)| {
                    let (id, waits) = model.told(which, &delivery.id.plugin)?;
                    settlement.cancels = vec![Cancel { id, waiting: waits == truth }];
                    Some(truth)
                });
                settlement.then = asks.leads_to.map(|id| made(id, &["b"])).into_iter().collect();
                let expected = model.settle(&settlement, stale || told == Some(false));
                let answer = store.settle(vec![settlement]).await.unwrap()[0];
                assert_eq!(answer, expected);
                if answer == Settled::Committed {
                    // An old lease stays, to be tried again at times.
                    held.truncate(40);
                }
            }
            Op::Replay { which } => {
                let Some((id, expected)) = model.replay(which) else { continue };
                assert_eq!(store.replay(vec![id], now).await.unwrap(), [expected]);
            }
            Op::ClaimEffects { limit, per_plugin } => {
                performed.extend(model.claim_effects(&*store, limit, per_plugin).await);
            }
            Op::SettleEffect { which, verdict } => {
                let Some(at) = which.checked_rem(performed.len()) else { continue };
                model.settle_effect(&*store, &performed[at], verdict).await;
            }
            Op::ChangeEffect { which, perform } => {
                model.change_effect(&*store, which, perform).await;
            }
            Op::Pause { plugin: number, on } => {
                let name = ["a", "b"][usize::from(number)];
                let reason = now.to_string();
                let pause = on.then_some(Pause { at: now, reason, by: PausedBy::Operator });
                store.set_pause(&plugin(name), pause.clone(), vec![]).await.unwrap();
                model.known.insert(name);
                model.pauses.retain(|(paused, _)| *paused != plugin(name));
                model.pauses.extend(pause.map(|pause| (plugin(name), pause)));
                model.pauses.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            Op::Reopen => {
                drop(store);
                store = engine.open();
                model.reopen();
            }
            Op::Wait(secs) => model.wait(secs),
        }
        model.check(&*store).await;
    }
}
