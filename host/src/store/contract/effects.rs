//! Effects: asked for with a delivery's commit, performed afterwards, withdrawn, tried again.

use std::time::Duration;

use crate::domain::delivery::DeliveryId;
use crate::domain::effect::{
    Action, Cancel, Effect, EffectAttempt, EffectId, EffectStatus, HttpRequest,
};

use super::super::{
    ClaimedEffect, EffectChange, EffectChanged, EffectClaimRequest, EffectSettlement,
    EffectVerdict, Lease, NewEffect, Replayed,
};
use super::*;

pub(crate) fn effect_id(event: &str, name: &str, ordinal: u32) -> EffectId {
    EffectId { delivery: DeliveryId { event: key(event), plugin: plugin(name) }, ordinal }
}

pub(super) fn http(body: impl Into<Vec<u8>>) -> Action {
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: "https://example.com/{{secret:PATH}}".to_owned(),
        headers: vec![("x-a".to_owned(), "1".to_owned())],
        body: body.into(),
    };
    Action::Http { request, reply: Some("answer".to_owned()) }
}

pub(crate) fn asked(claimed: &ClaimedDelivery, ordinal: u32, due: Timestamp) -> NewEffect {
    let id = EffectId { delivery: claimed.id.clone(), ordinal };
    NewEffect { id, action: http(format!("body {ordinal}")), due, depth: 2 }
}

/// Accept an event for `name` and settle its delivery with `count` effects.
pub(super) async fn asks(store: &dyn Store, event: &str, name: &str, count: u32, due: Timestamp) {
    accept(store, event, &[name]).await;
    let claimed = claim(store, &[name]).await.remove(0);
    let effects = (0..count).map(|ordinal| asked(&claimed, ordinal, due)).collect();
    let done = Settlement { effects, ..settlement(&claimed, Verdict::Done) };
    assert_eq!(store.settle(vec![done]).await.unwrap(), [Settled::Committed]);
}

pub(super) async fn take(store: &dyn Store, now: Timestamp) -> Vec<ClaimedEffect> {
    let request = EffectClaimRequest { limit: 100, per_plugin: 100, now };
    store.claim_effects(request).await.unwrap().effects
}

pub(crate) fn tried(claimed: &ClaimedEffect, verdict: EffectVerdict) -> EffectSettlement {
    let attempt = EffectAttempt {
        number: claimed.attempt,
        started_at: START,
        took: Duration::from_millis(7),
        status: Some(503),
        reason: "the receiver said 503".to_owned(),
    };
    EffectSettlement {
        id: claimed.id.clone(),
        lease: claimed.lease,
        verdict,
        attempt,
        then: Vec::new(),
    }
}

pub(super) async fn tell(
    store: &dyn Store,
    claimed: &ClaimedEffect,
    verdict: EffectVerdict,
) -> Settled {
    store.settle_effects(vec![tried(claimed, verdict)]).await.unwrap()[0]
}

pub(super) async fn shown(store: &dyn Store, event: &str, ordinal: u32) -> Option<Effect> {
    store.effect(&effect_id(event, "a", ordinal)).await.unwrap()
}

pub(super) async fn status(store: &dyn Store, event: &str, ordinal: u32) -> EffectStatus {
    shown(store, event, ordinal).await.unwrap().status
}

pub(super) fn later(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

pub(crate) async fn an_effect_is_real_with_its_delivery<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    let waiter = Arc::clone(&store);
    let woken = tokio::spawn(async move { waiter.effect_work().await });
    asks(&*store, "1", "a", 2, later(10)).await;
    woken.await.unwrap();
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = engine.open();
        }
        let found = shown(&*store, "1", 1).await.unwrap();
        let expected = Effect {
            id: effect_id("1", "a", 1),
            action: http("body 1"),
            status: EffectStatus::Pending,
            created_at: START,
            attempts: 0,
            next_attempt_at: Some(later(10)),
            history: vec![],
        };
        assert_eq!(found, expected);
        assert!(take(&*store, later(9)).await.is_empty(), "not before its moment");
        let request = EffectClaimRequest { limit: 9, per_plugin: 9, now: START };
        assert_eq!(store.claim_effects(request).await.unwrap().next_due, Some(later(10)));
    }
    let claimed = take(&*store, later(10)).await;
    let ids: Vec<_> = claimed.iter().map(|effect| effect.id.to_string()).collect();
    assert_eq!(ids, ["stripe.1.a.0", "stripe.1.a.1"]);
    let first = &claimed[0];
    assert_eq!((first.depth, first.attempt, first.since), (2, 1, START));
    assert_eq!(first.action, http("body 0"));
    assert_eq!(status(&*store, "1", 0).await, EffectStatus::Running);
    assert!(shown(&*store, "1", 2).await.is_none());
    assert!(shown(&*store, "none", 0).await.is_none());
}

pub(crate) async fn only_done_asks<E: Engine>() {
    let store = E::new().open();
    accept(&*store, "1", &["a"]).await;
    for verdict in [Verdict::Release(START), Verdict::RetryAt(START), Verdict::Dead] {
        let claimed = claim(&*store, &["a"]).await.remove(0);
        let effects = vec![asked(&claimed, 0, START)];
        let settled = Settlement { effects, ..settlement(&claimed, verdict) };
        assert_eq!(store.settle(vec![settled]).await.unwrap(), [Settled::Committed]);
        assert!(shown(&*store, "1", 0).await.is_none());
    }
    assert!(take(&*store, LATE).await.is_empty());
}

pub(crate) async fn a_try_fails_and_succeeds<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    asks(&*store, "1", "a", 2, START).await;
    let claimed = take(&*store, START).await;
    assert_eq!(
        tell(&*store, &claimed[0], EffectVerdict::RetryAt(later(60))).await,
        Settled::Committed
    );
    assert_eq!(
        tell(&*store, &claimed[1], EffectVerdict::Release(later(30))).await,
        Settled::Committed
    );
    assert_eq!(shown(&*store, "1", 1).await.unwrap().attempts, 0);
    assert!(take(&*store, later(29)).await.is_empty());
    let released = take(&*store, later(30)).await;
    assert_eq!((released.len(), released[0].attempt), (1, 1), "as if it had not been tried");
    assert_eq!(tell(&*store, &released[0], EffectVerdict::Dead).await, Settled::Committed);
    drop(store);
    store = engine.open();
    let found = shown(&*store, "1", 0).await.unwrap();
    assert_eq!((found.status, found.attempts), (EffectStatus::Retry, 1));
    assert_eq!(found.next_attempt_at, Some(later(60)));
    assert_eq!(found.history, [tried(&claimed[0], EffectVerdict::Done).attempt]);
    assert!(take(&*store, later(59)).await.is_empty());
    let again = take(&*store, later(60)).await.remove(0);
    assert_eq!(again.attempt, 2);
    assert_eq!(tell(&*store, &again, EffectVerdict::Done).await, Settled::Committed);
    drop(store);
    store = engine.open();
    assert!(take(&*store, LATE).await.is_empty());
    let found = shown(&*store, "1", 0).await.unwrap();
    assert_eq!(
        (found.status, found.attempts, found.next_attempt_at),
        (EffectStatus::Done, 2, None)
    );
    assert_eq!((found.history.len(), status(&*store, "1", 1).await), (2, EffectStatus::Dead));
}

pub(crate) async fn only_the_lease_settles_an_effect<E: Engine>() {
    let store = E::new().open();
    asks(&*store, "1", "a", 1, START).await;
    let claimed = take(&*store, START).await.remove(0);
    let mut forged = tried(&claimed, EffectVerdict::Done);
    forged.lease = Lease(claimed.lease.0 + 1);
    let mut nobodys = tried(&claimed, EffectVerdict::Done);
    nobodys.lease = Lease(0);
    let mut other = tried(&claimed, EffectVerdict::Done);
    other.id.ordinal = 5;
    let told = store.settle_effects(vec![forged, nobodys, other]).await.unwrap();
    assert_eq!(told, [Settled::Fenced; 3]);
    let twice = vec![tried(&claimed, EffectVerdict::Done), tried(&claimed, EffectVerdict::Dead)];
    let told = store.settle_effects(twice).await.unwrap();
    assert_eq!(told, [Settled::Committed, Settled::Fenced]);
    assert_eq!(status(&*store, "1", 0).await, EffectStatus::Done);
}

pub(crate) async fn nothing_is_performed_after_reopening<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    asks(&*store, "1", "a", 1, START).await;
    let before = take(&*store, START).await.remove(0);
    drop(store);
    let store = engine.open();
    assert_eq!(status(&*store, "1", 0).await, EffectStatus::Pending);
    assert_eq!(tell(&*store, &before, EffectVerdict::Done).await, Settled::Fenced);
    let again = take(&*store, START).await.remove(0);
    assert_eq!(again.attempt, 1);
    assert_eq!(tell(&*store, &before, EffectVerdict::Done).await, Settled::Fenced);
    assert_eq!(tell(&*store, &again, EffectVerdict::Done).await, Settled::Committed);
}

pub(crate) async fn no_plugin_takes_anothers_turn<E: Engine>() {
    let store = E::new().open();
    asks(&*store, "1", "a", 6, START).await;
    asks(&*store, "2", "b", 2, later(1)).await;
    let request = |limit| EffectClaimRequest { limit, per_plugin: 3, now: later(1) };
    let claim = store.claim_effects(request(100)).await.unwrap();
    let of = |name: &str| {
        claim.effects.iter().filter(|e| e.id.delivery.plugin == plugin(name)).cloned().collect()
    };
    let (of_a, of_b): (Vec<_>, Vec<_>) = (of("a"), of("b"));
    assert_eq!((of_a.len(), of_b.len()), (3, 2));
    assert!(store.claim_effects(request(100)).await.unwrap().effects.is_empty());
    let waiter = Arc::clone(&store);
    let woken = tokio::spawn(async move { waiter.effect_work().await });
    tell(&*store, &of_a[0], EffectVerdict::Done).await;
    woken.await.unwrap();
    tell(&*store, &of_a[1], EffectVerdict::RetryAt(later(60))).await;
    assert_eq!(store.claim_effects(request(1)).await.unwrap().effects.len(), 1, "the limit of all");
    assert_eq!(store.claim_effects(request(100)).await.unwrap().effects.len(), 1);
    assert!(store.claim_effects(request(100)).await.unwrap().effects.is_empty());
}

async fn cancels(store: &dyn Store, event: &str, list: &[(&EffectId, bool)]) -> Settled {
    accept(store, event, &["a"]).await;
    let claimed = claim(store, &["a"]).await.remove(0);
    let cancels = list.iter().map(|(id, waiting)| Cancel { id: (*id).clone(), waiting: *waiting });
    let cancels: Vec<_> = cancels.collect();
    let done = Settlement { cancels, ..settlement(&claimed, Verdict::Done) };
    let told = store.settle(vec![done]).await.unwrap()[0];
    if told == Settled::Conflict {
        assert_eq!(settle(store, &claimed, Verdict::Dead).await, Settled::Committed);
    }
    told
}

pub(crate) async fn a_guest_withdraws<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    asks(&*store, "1", "a", 3, START).await;
    asks(&*store, "2", "b", 1, START).await;
    let ids: Vec<_> = (0..4).map(|ordinal| effect_id("1", "a", ordinal)).collect();
    let others = effect_id("2", "b", 0);
    assert_eq!(cancels(&*store, "3", &[(&ids[0], false)]).await, Settled::Conflict);
    assert_eq!(cancels(&*store, "4", &[(&ids[0], true), (&ids[3], true)]).await, Settled::Conflict);
    assert_eq!(status(&*store, "1", 0).await, EffectStatus::Pending, "all or nothing");
    let told = cancels(&*store, "5", &[(&ids[0], true), (&ids[3], false), (&others, false)]).await;
    assert_eq!(told, Settled::Committed);
    assert_eq!(status(&*store, "1", 0).await, EffectStatus::Cancelled);
    let claimed = take(&*store, START).await;
    assert_eq!(claimed.len(), 3, "what was withdrawn is not performed");
    assert_eq!(
        cancels(&*store, "6", &[(&ids[1], true)]).await,
        Settled::Conflict,
        "it is performed"
    );
    assert_eq!(cancels(&*store, "7", &[(&ids[1], false)]).await, Settled::Committed);
    let first = claimed.iter().find(|effect| effect.id == ids[1]).unwrap();
    assert_eq!(tell(&*store, first, EffectVerdict::RetryAt(later(60))).await, Settled::Committed);
    assert_eq!(
        cancels(&*store, "8", &[(&ids[1], true), (&ids[1], true)]).await,
        Settled::Committed
    );
    drop(store);
    store = engine.open();
    assert_eq!(status(&*store, "1", 1).await, EffectStatus::Cancelled);
    assert_eq!(take(&*store, LATE).await.len(), 2);
    assert_eq!(store.stats().await.unwrap().effects_waiting, 2);
}

pub(crate) async fn an_operator_changes_effects<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    asks(&*store, "1", "a", 3, later(600)).await;
    let change = async |store: &dyn Store, ordinal: u32, change: EffectChange| {
        store.change_effect(&effect_id("1", "a", ordinal), change, later(60)).await.unwrap()
    };
    use EffectChange::{Cancel as Withdraw, Perform};
    assert_eq!(change(&*store, 9, Perform).await, EffectChanged::Unknown);
    assert_eq!(change(&*store, 0, Withdraw).await, EffectChanged::Changed);
    assert_eq!(change(&*store, 0, Withdraw).await, EffectChanged::Unfit(EffectStatus::Cancelled));
    assert_eq!(change(&*store, 1, Perform).await, EffectChanged::Changed);
    drop(store);
    store = engine.open();
    let now = take(&*store, later(60)).await;
    assert_eq!((now.len(), now[0].id.ordinal, now[0].since), (1, 1, START), "hastened");
    for wish in [Perform, Withdraw] {
        assert_eq!(change(&*store, 1, wish).await, EffectChanged::Unfit(EffectStatus::Running));
    }
    tell(&*store, &now[0], EffectVerdict::Dead).await;
    assert_eq!(change(&*store, 1, Withdraw).await, EffectChanged::Unfit(EffectStatus::Dead));
    for ordinal in [0, 1] {
        assert_eq!(change(&*store, ordinal, Perform).await, EffectChanged::Changed);
    }
    drop(store);
    store = engine.open();
    let again = take(&*store, later(60)).await;
    let told: Vec<_> = again.iter().map(|e| (e.id.ordinal, e.attempt, e.since)).collect();
    assert_eq!(told, [(0, 1, later(60)), (1, 1, later(60))]);
    assert_eq!(shown(&*store, "1", 1).await.unwrap().history.len(), 1, "its history is kept");
}

pub(crate) async fn asking_again_under_the_same_identifier<E: Engine>() {
    let store = E::new().open();
    asks(&*store, "1", "a", 5, START).await;
    let claimed = take(&*store, START).await;
    for (at, verdict) in [
        (0, EffectVerdict::Done),
        (1, EffectVerdict::Dead),
        (2, EffectVerdict::RetryAt(later(60))),
        (3, EffectVerdict::RetryAt(later(60))),
    ] {
        tell(&*store, &claimed[at], verdict).await;
    }
    store.change_effect(&effect_id("1", "a", 3), EffectChange::Cancel, START).await.unwrap();
    let replayed = store.replay(vec![effect_id("1", "a", 0).delivery], START).await.unwrap();
    assert_eq!(replayed, [Replayed::Queued]);
    let delivery = claim(&*store, &["a"]).await.remove(0);
    let effects = (0..6)
        .map(|ordinal| NewEffect { action: http("anew"), ..asked(&delivery, ordinal, later(5)) });
    let done = Settlement { effects: effects.collect(), ..settlement(&delivery, Verdict::Done) };
    assert_eq!(store.settle(vec![done]).await.unwrap(), [Settled::Committed]);
    assert_eq!(status(&*store, "1", 0).await, EffectStatus::Done, "performed once is performed");
    assert_eq!(shown(&*store, "1", 0).await.unwrap().action, http("body 0"));
    assert_eq!(status(&*store, "1", 4).await, EffectStatus::Running);
    let again = take(&*store, later(5)).await;
    let told: Vec<_> = again.iter().map(|e| (e.id.ordinal, e.attempt)).collect();
    assert_eq!(told, [(1, 1), (2, 1), (3, 1), (5, 1)]);
    assert!(again.iter().all(|effect| effect.action == http("anew")));
    assert_eq!(tell(&*store, &claimed[4], EffectVerdict::Done).await, Settled::Committed);
}

pub(crate) async fn an_end_leads_to_events<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    accept(&*store, "known", &[]).await;
    accept(&*store, "1", &["a"]).await;
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let then = || vec![event("notice", &["b"]), event("known", &["b"])];
    let release = Settlement { then: then(), ..settlement(&claimed, Verdict::Release(START)) };
    assert_eq!(store.settle(vec![release]).await.unwrap(), [Settled::Committed]);
    assert!(store.event(&key("notice")).await.unwrap().is_none());
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let retry = Settlement { then: then(), ..settlement(&claimed, Verdict::RetryAt(START)) };
    assert_eq!(store.settle(vec![retry]).await.unwrap(), [Settled::Committed]);
    let told = claim(&*store, &["b"]).await;
    assert_eq!((told.len(), told[0].id.to_string().as_str()), (1, "stripe.notice.b"));
    let claimed = claim(&*store, &["a"]).await.remove(0);
    let effects = vec![asked(&claimed, 0, START)];
    let done = Settlement { effects, then: then(), ..settlement(&claimed, Verdict::Done) };
    assert_eq!(store.settle(vec![done]).await.unwrap(), [Settled::Committed]);
    for (verdict, events) in [(EffectVerdict::Release(START), 3), (EffectVerdict::Done, 4)] {
        let effect = take(&*store, START).await.remove(0);
        let mut end = tried(&effect, verdict);
        end.then = vec![event("answer", &["a"])];
        assert_eq!(store.settle_effects(vec![end]).await.unwrap(), [Settled::Committed]);
        assert_eq!(store.stats().await.unwrap().events, events);
    }
    drop(store);
    let store = engine.open();
    let answer = claim(&*store, &["a"]).await;
    assert_eq!((answer.len(), answer[0].id.to_string().as_str()), (1, "stripe.answer.a"));
    assert_eq!(answer[0].event.event, event("answer", &[]).event);
}
