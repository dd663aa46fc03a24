//! A store that stops at any of its durable steps: what was acknowledged is there afterwards, and
//! nothing is half there.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::effect::{Cancel, EffectStatus};
use crate::domain::event::EventSeq;
use crate::domain::plugin::{Pause, PausedBy};
use crate::store::contract::effects::{asked, effect_id, tried};
use crate::store::contract::{START, claim, event, key, plugin, put, request, settlement};
use crate::store::{
    EffectClaimRequest, EffectVerdict, RetentionPolicy, Settlement, StoreError, Verdict,
};

use super::super::write_set::WriteSet;
use super::super::{layout, rows};
use super::*;

/// What the store acknowledged, step by step.
const STEPS: [&str; 9] = [
    "accept",
    "settle with kv, effects and events",
    "retry",
    "perform an effect",
    "withdraw an effect",
    "die",
    "replay",
    "pause",
    "hasten",
];

async fn take(store: &dyn Store) -> Result<Vec<crate::store::ClaimedEffect>, StoreError> {
    let request = EffectClaimRequest { limit: 1, per_plugin: 9, now: START };
    Ok(store.claim_effects(request).await?.effects)
}

/// One after another until the store stops. Answers how many it acknowledged.
async fn run(store: &dyn Store) -> usize {
    let mut done = 0;
    let mut told = async || -> Result<(), StoreError> {
        store.accept(vec![event("1", &["a"]), event("2", &["a"]), event("3", &["a"])]).await?;
        done = 1;
        let claimed = store.claim(request(&["a"], 9, START)).await?.deliveries;
        let first = claimed[0].clone();
        let effects = (0..2).map(|n| asked(&first, n, START)).collect();
        let settled = Settlement {
            effects,
            writes: vec![put("k", "v")],
            then: vec![event("then", &["b"])],
            ..settlement(&first, Verdict::Done)
        };
        store.settle(vec![settled]).await?;
        done = 2;
        let retry = Verdict::RetryAt(START.plus(Duration::from_secs(60)));
        store.settle(vec![settlement(&claimed[1], retry)]).await?;
        done = 3;
        let effect = take(store).await?.remove(0);
        let mut end = tried(&effect, EffectVerdict::Done);
        end.then = vec![event("answer", &["b"])];
        store.settle_effects(vec![end]).await?;
        done = 4;
        let of_b = store.claim(request(&["b"], 9, START)).await?.deliveries;
        let mut withdraw = settlement(&of_b[0], Verdict::Done);
        withdraw.writes = vec![put("k", "b")];
        withdraw.cancels = vec![Cancel { id: effect_id("1", "a", 1), waiting: false }];
        store.settle(vec![withdraw]).await?;
        let id = effect_id("1", "a", 1);
        store.change_effect(&id, crate::store::EffectChange::Cancel, START).await?;
        done = 5;
        store.settle(vec![settlement(&claimed[2], Verdict::Dead)]).await?;
        done = 6;
        let list = ["1", "3"].map(|id| DeliveryId { event: key(id), plugin: plugin("a") });
        store.replay(list.to_vec(), START).await?;
        done = 7;
        let pause = Pause { at: START, reason: "x".to_owned(), by: PausedBy::Operator };
        store.set_pause(&plugin("a"), Some(pause), vec![event("paused", &["b"])]).await?;
        done = 8;
        store.replay(vec![DeliveryId { event: key("2"), plugin: plugin("a") }], START).await?;
        done = 9;
        Ok(())
    };
    let _ = told().await;
    done
}

/// What holds of each step: before it, or after it, and never something between.
async fn holds(store: &dyn Store) -> [bool; 9] {
    let there = async |id: &str| store.event(&key(id)).await.unwrap().is_some();
    let shown = async |id: &str, name: &str| {
        let id = DeliveryId { event: key(id), plugin: plugin(name) };
        store.delivery(&id).await.unwrap()
    };
    let effect = async |n| store.effect(&effect_id("1", "a", n)).await.unwrap().map(|e| e.status);
    let same = |all: &[bool], what: &str| {
        assert!(all.iter().all(|one| *one == all[0]), "half of `{what}`: {all:?}");
        all[0]
    };
    let kv = async |name| store.kv_get(&plugin(name), "k").await.unwrap().is_some();
    let tries = async |id: &str| shown(id, "a").await.map_or(0, |d| d.history.len());
    let accepted =
        [there("1").await, there("2").await, there("3").await, shown("3", "a").await.is_some()];
    let ended = [
        tries("1").await == 1,
        kv("a").await,
        there("then").await,
        shown("then", "b").await.is_some(),
        effect(0).await.is_some(),
        effect(1).await.is_some(),
    ];
    let second = shown("2", "a").await;
    let retried = second.as_ref().is_some_and(|d| d.status == Status::Retry && d.attempts == 1);
    let performed = [
        effect(0).await == Some(EffectStatus::Done),
        there("answer").await,
        shown("answer", "b").await.is_some(),
    ];
    let withdrawn = effect(1).await == Some(EffectStatus::Cancelled);
    assert!(!withdrawn || kv("b").await, "what was acknowledged before is lost");
    let stats = store.stats().await.unwrap();
    let dead = tries("3").await == 1;
    let listed: u64 = store.dead_groups(None).await.unwrap().iter().map(|g| g.count).sum();
    let replayed = [shown("1", "a").await, shown("3", "a").await];
    let replayed = replayed.map(|d| d.is_some_and(|d| d.replayed_at.is_some() && d.attempts == 0));
    let replayed = same(&replayed, "replay");
    assert_eq!((stats.dead, listed), (u64::from(dead && !replayed), stats.dead), "half of `die`");
    let paused = [!store.pauses().await.unwrap().is_empty(), there("paused").await];
    let hastened = second.is_some_and(|d| d.next_attempt_at == Some(START));
    [
        same(&accepted, STEPS[0]),
        same(&ended, STEPS[1]),
        retried,
        same(&performed, STEPS[3]),
        withdrawn,
        dead,
        replayed,
        same(&paused, STEPS[7]),
        hastened,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_at_any_step_loses_nothing_and_halves_nothing() {
    let all = {
        let store = Place::new().open_sled();
        store.shared().unwrap().table.fail_after(1_000);
        assert_eq!(run(&*store).await, STEPS.len());
        1_000 - store.shared().unwrap().table.steps_left()
    };
    assert!(all >= 20, "{all} steps");
    for stop in 0..=all {
        let place = Place::new();
        let store = place.open_sled();
        store.shared().unwrap().table.fail_after(stop);
        let acknowledged = run(&*store).await;
        assert_eq!(acknowledged == STEPS.len(), stop == all);
        drop(store);
        for _ in 0..2 {
            let store = place.open_at(START);
            let holds = holds(&*store).await;
            let kept = holds.iter().take_while(|holds| **holds).count();
            // What was not acknowledged may be there whole.
            assert!(
                kept == acknowledged || kept == acknowledged + 1,
                "{stop}: {acknowledged} {holds:?}"
            );
            assert!(holds.iter().skip(kept).all(|holds| !holds), "{stop}: {holds:?}");
        }
        // And it goes on from there.
        let store = place.open_at(START);
        if acknowledged > 0 {
            assert_eq!(
                store.stats().await.unwrap().waiting > 0,
                !claim(&*store, &["a", "b"]).await.is_empty()
            );
        }
    }
}

#[tokio::test]
async fn a_damaged_block_does_not_stop_retention() {
    let place = Place::new();
    let store = place.open_sled();
    for n in 0..4 {
        store.accept(vec![event(&n.to_string(), &[])]).await.unwrap();
    }
    let shared = store.shared().unwrap();
    let row = shared.table.get(&layout::start(EventSeq(2))).unwrap().unwrap();
    let rows::Start { block } = rows::decode("", row.bytes()).unwrap();
    let good = shared.table.get(&layout::block(block)).unwrap().unwrap();
    let write = |value: Vec<u8>| {
        let mut set = WriteSet::default();
        set.put(layout::block(block), value);
        shared.table.apply(set).unwrap();
    };
    write(vec![rows::WHOLE, 0xff, 0xff]);
    let policy = RetentionPolicy { age: None, bytes: Some(0), dedupe_age: Duration::from_secs(9) };
    let now: Timestamp = START;
    while store.retain(&policy, now).await.unwrap().more {}
    assert_eq!(store.stats().await.unwrap().events, 1, "all others went");
    // Mended: the next sweep takes it.
    write([&[rows::WHOLE], good.bytes()].concat());
    while store.retain(&policy, now).await.unwrap().more {}
    assert_eq!(store.stats().await.unwrap().events, 0);
}
