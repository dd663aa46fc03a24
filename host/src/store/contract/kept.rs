//! Effects that are kept: in pages, however large, for as long as something of them is unfinished.

use std::time::Duration;

use crate::domain::delivery::Status;
use crate::domain::effect::EffectStatus;

use super::super::{
    Cursor, EffectChange, EffectChanged, EffectClaimRequest, EffectQuery, EffectVerdict, NewEffect,
    PageRequest, RetentionPolicy, StoreError,
};
use super::effects::{asked, asks, effect_id, http, later, shown, take, tell};
use super::*;

pub(crate) async fn effects_page_both_ways<E: Engine>() {
    let store = E::new().open();
    for n in 0..3 {
        asks(&*store, &n.to_string(), "a", 2, START).await;
        asks(&*store, &format!("{n}b"), "b", 1, START).await;
    }
    for (at, effect) in take(&*store, START).await.iter().enumerate().skip(1) {
        let verdicts = [EffectVerdict::Done, EffectVerdict::Dead, EffectVerdict::RetryAt(START)];
        tell(&*store, effect, verdicts[at % 3]).await;
    }
    let all = || EffectQuery {
        event: None,
        plugin: None,
        status: None,
        page: PageRequest { limit: 100, from: None },
    };
    let list = async |query: EffectQuery| {
        let page = store.effects(query).await.unwrap();
        let ids = page.data.iter().map(|effect| effect.id.to_string().replace("stripe.", ""));
        (ids.collect::<Vec<_>>(), page.has_more)
    };
    let everything =
        ["2b.b.0", "2.a.1", "2.a.0", "1b.b.0", "1.a.1", "1.a.0", "0b.b.0", "0.a.1", "0.a.0"];
    assert_eq!(list(all()).await, (everything.map(str::to_owned).to_vec(), false));
    let of_b = EffectQuery { plugin: Some(plugin("b")), ..all() };
    assert_eq!(list(of_b).await.0, ["2b.b.0", "1b.b.0", "0b.b.0"]);
    let of_one = EffectQuery { event: Some(key("1")), ..all() };
    assert_eq!(list(of_one).await.0, ["1.a.1", "1.a.0"]);
    let none = EffectQuery { event: Some(key("none")), ..all() };
    assert!(list(none).await.0.is_empty());
    let mut by_status = 0;
    for (status, expected) in [
        (EffectStatus::Running, 1),
        (EffectStatus::Done, 2),
        (EffectStatus::Dead, 3),
        (EffectStatus::Retry, 3),
        (EffectStatus::Pending, 0),
        (EffectStatus::Cancelled, 0),
    ] {
        let found = list(EffectQuery { status: Some(status), ..all() }).await.0.len();
        assert_eq!(found, expected, "{status:?}");
        by_status += found;
    }
    assert_eq!(by_status, 9);
    let page = |limit, from| EffectQuery { page: PageRequest { limit, from: Some(from) }, ..all() };
    let at = effect_id("1", "a", 1);
    assert_eq!(
        list(page(2, Cursor::After(at.clone()))).await,
        (vec!["1.a.0".to_owned(), "0b.b.0".to_owned()], true)
    );
    assert_eq!(
        list(page(2, Cursor::Before(at))).await,
        (vec!["2.a.0".to_owned(), "1b.b.0".to_owned()], true)
    );
    let unknown = store.effects(page(2, Cursor::After(effect_id("9", "a", 1)))).await;
    assert!(matches!(unknown, Err(StoreError::NoSuchCursor { .. })), "{unknown:?}");
}

pub(crate) async fn large_effects_are_kept<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    accept(&*store, "1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let body = noise(1 << 19, 3);
    let effects =
        (0..2).map(|n| NewEffect { action: http(body.clone()), ..asked(&claimed, n, START) });
    // As much again in kv: both are at their most.
    let writes = vec![put("k", noise(1 << 20, 4))];
    let done =
        Settlement { effects: effects.collect(), writes, ..settlement(&claimed, Verdict::Done) };
    assert_eq!(store.settle(vec![done]).await.unwrap(), [Settled::Committed]);
    drop(store);
    let store = engine.open();
    for effect in take(&*store, START).await {
        assert!(effect.action == http(body.clone()));
        tell(&*store, &effect, EffectVerdict::Done).await;
    }
    accept(&*store, "2", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let effects = vec![NewEffect { action: http(noise(4 << 20, 1)), ..asked(&claimed, 0, START) }];
    let done = Settlement { effects, ..settlement(&claimed, Verdict::Done) };
    let refused = store.settle(vec![done]).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(settle(&*store, &claimed, Verdict::Dead).await, Settled::Committed);
}

pub(crate) async fn unfinished_effects_hold_their_block<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    asks(&*store, "1", "a", 2, START).await;
    let policy = RetentionPolicy { age: None, bytes: Some(0), dedupe_age: Duration::ZERO };
    let sweep = async || while store.retain(&policy, later(5)).await.unwrap().more {};
    sweep().await;
    let claimed = take(&*store, START).await;
    assert_eq!(claimed.len(), 2, "its event is kept");
    tell(&*store, &claimed[0], EffectVerdict::Done).await;
    sweep().await;
    assert!(store.event(&key("1")).await.unwrap().is_some());
    tell(&*store, &claimed[1], EffectVerdict::Dead).await;
    let again = effect_id("1", "a", 1);
    let changed = store.change_effect(&again, EffectChange::Perform, START).await.unwrap();
    assert_eq!(changed, EffectChanged::Changed);
    sweep().await;
    let last = take(&*store, START).await.remove(0);
    tell(&*store, &last, EffectVerdict::Done).await;
    sweep().await;
    assert_eq!(store.stats().await.unwrap().events, 0);
    assert!(shown(&*store, "1", 0).await.is_none());
    let changed = store.change_effect(&again, EffectChange::Perform, START).await.unwrap();
    assert_eq!(changed, EffectChanged::Unknown);
    drop(store);
    let store = engine.open();
    while store.retain(&policy, later(5)).await.unwrap().more {}
    // Forgotten, and so accepted anew: no row of before may be found under its new number.
    accept(&*store, "1", &["a"]).await;
    let found = store.delivery(&again.delivery).await.unwrap().unwrap();
    assert_eq!((found.status, found.history.len()), (Status::Pending, 0));
    assert!(shown(&*store, "1", 0).await.is_none());
}

pub(crate) async fn a_delay_outlives_a_clock_set_back<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    accept(&*store, "1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let wrong = later(31_536_000);
    let effects = vec![asked(&claimed, 0, wrong.plus(Duration::from_secs(60)))];
    let done = Settlement { effects, now: wrong, ..settlement(&claimed, Verdict::Done) };
    assert_eq!(store.settle(vec![done]).await.unwrap(), [Settled::Committed]);
    drop(store);
    let store = engine.open_at(START);
    let request = EffectClaimRequest { limit: 9, per_plugin: 9, now: START };
    assert_eq!(store.claim_effects(request).await.unwrap().next_due, Some(later(60)));
    assert_eq!(shown(&*store, "1", 0).await.unwrap().next_attempt_at, Some(later(60)));
}
