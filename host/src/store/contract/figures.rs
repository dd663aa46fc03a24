//! Dead groups, pauses, backlogs and figures.

use std::time::Duration;

use crate::domain::dead::DeadGroupId;
use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::plugin::{Pause, PausedBy};

use super::super::{Backlog, DeliveryQuery, EffectClaimRequest, PageRequest, RetentionPolicy};
use super::effects::asked;
use super::order::{BLOCK, about, ordered};
use super::*;

fn later(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

pub(crate) async fn the_dead_fall_into_groups<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    for n in 0..6 {
        accept(&*store, &n.to_string(), &["a", "b"]).await;
    }
    for delivery in claim(&*store, &["a", "b"]).await {
        let n: u32 = delivery.id.event.id.parse().unwrap();
        let mut dead = settlement(&delivery, Verdict::Dead);
        dead.attempt.reason =
            if n < 4 { format!("no customer cus_{n}") } else { "no charge".to_owned() };
        store.settle(vec![dead]).await.unwrap();
    }
    let id = |name: &str, reason: &str| DeadGroupId::of(&plugin(name), Outcome::Reject, reason);
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = engine.open();
        }
        let groups = store.dead_groups(Some(plugin("a"))).await.unwrap();
        let told: Vec<_> = groups.iter().map(|g| (g.id, g.count, g.newest.to_string())).collect();
        let expected = [
            (id("a", "no customer cus_9"), 4, "stripe.3.a".to_owned()),
            (id("a", "no charge"), 2, "stripe.5.a".to_owned()),
        ];
        assert_eq!(told, expected);
        assert_eq!(groups[0].oldest, START);
        assert_eq!(store.dead_groups(None).await.unwrap().len(), 4);
        assert!(store.dead_groups(Some(plugin("none"))).await.unwrap().is_empty());
        let of = async |status| {
            let query = DeliveryQuery {
                event: None,
                plugin: None,
                status,
                group: Some(id("a", "no charge")),
                page: PageRequest { limit: 9, from: None },
            };
            let found = store.deliveries(query).await.unwrap().data;
            found.iter().map(|d| d.id.to_string()).collect::<Vec<_>>()
        };
        for status in [None, Some(Status::Dead)] {
            assert_eq!(of(status).await, ["stripe.5.a", "stripe.4.a"]);
        }
        assert!(of(Some(Status::Done)).await.is_empty());
    }
    let again = DeliveryId { event: key("5"), plugin: plugin("a") };
    store.replay(vec![again], START).await.unwrap();
    let groups = store.dead_groups(Some(plugin("a"))).await.unwrap();
    assert_eq!((groups[1].count, groups[1].newest.to_string().as_str()), (1, "stripe.4.a"));
}

pub(crate) async fn pauses_are_kept<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    assert!(store.pauses().await.unwrap().is_empty());
    let pause = |by| Pause { at: START, reason: "not now".to_owned(), by };
    let (by_host, by_hand) =
        (pause(PausedBy::Failures(CodeDigest([7; 32]))), pause(PausedBy::Operator));
    store.set_pause(&plugin("b"), Some(by_hand.clone()), vec![]).await.unwrap();
    let told = vec![event("paused", &["c"])];
    store.set_pause(&plugin("a"), Some(by_hand.clone()), told).await.unwrap();
    store.set_pause(&plugin("a"), Some(by_host.clone()), vec![]).await.unwrap();
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = engine.open();
        }
        let expected = [(plugin("a"), by_host.clone()), (plugin("b"), by_hand.clone())];
        assert_eq!(store.pauses().await.unwrap(), expected);
    }
    assert_eq!(claim(&*store, &["c"]).await[0].id.event, key("paused"), "told with the pause");
    store.set_pause(&plugin("a"), None, vec![]).await.unwrap();
    store.set_pause(&plugin("none"), None, vec![]).await.unwrap();
    assert_eq!(store.pauses().await.unwrap(), [(plugin("b"), by_hand)]);
}

pub(crate) async fn what_waits_by_plugin<E: Engine>() {
    let store = E::new().open();
    assert!(store.backlog(START).await.unwrap().is_empty());
    for (n, customer) in [(0, "x"), (1, "x"), (2, "x"), (3, "y")] {
        let mut new = about(&n.to_string(), customer, if n == 3 { &["a", "b"] } else { &["a"] });
        new.received_at = later(n);
        store.accept(vec![new]).await.unwrap();
    }
    let row = |name: &str, waiting, oldest, ready| Backlog {
        plugin: plugin(name),
        waiting,
        oldest: later(oldest),
        ready,
    };
    // No order was told yet: the default holds.
    let expected = [row("a", 4, 0, Some(later(0))), row("b", 1, 3, Some(later(3)))];
    assert_eq!(store.backlog(later(9)).await.unwrap(), expected);
    let claimed = store.claim(ordered(BLOCK, 9, later(9))).await.unwrap().deliveries;
    assert_eq!(claimed.len(), 2);
    assert_eq!(store.backlog(later(9)).await.unwrap()[0], row("a", 4, 0, None), "all run or wait");
    let done = Settlement { now: later(20), ..settlement(&claimed[0], Verdict::Done) };
    store.settle(vec![done]).await.unwrap();
    let ready = Some(later(20));
    assert_eq!(
        store.backlog(later(30)).await.unwrap()[0],
        row("a", 3, 1, ready),
        "since it was freed"
    );
    let retry =
        Settlement { now: later(25), ..settlement(&claimed[1], Verdict::RetryAt(later(40))) };
    store.settle(vec![retry]).await.unwrap();
    let next = store.claim(ordered(BLOCK, 9, later(30))).await.unwrap().deliveries;
    assert_eq!(next.len(), 1);
    assert_eq!(store.backlog(later(39)).await.unwrap()[0].ready, None, "not due yet");
    assert_eq!(store.backlog(later(50)).await.unwrap()[0].ready, Some(later(40)));
}

pub(crate) async fn the_store_counts<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    for n in 0..3 {
        accept(&*store, &n.to_string(), &["a"]).await;
    }
    let claimed = claim(&*store, &["a"]).await;
    let effects = vec![
        asked(&claimed[0], 0, later(5)),
        asked(&claimed[0], 1, LATE.plus(Duration::from_secs(1))),
    ];
    let done = Settlement { effects, ..settlement(&claimed[0], Verdict::Done) };
    store.settle(vec![done]).await.unwrap();
    settle(&*store, &claimed[1], Verdict::Dead).await;
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = engine.open();
        }
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.events, stats.waiting, stats.dead, stats.effects_waiting), (3, 1, 1, 2));
        assert_eq!(stats.effects_due, Some(later(5)));
    }
    let request = EffectClaimRequest { limit: 9, per_plugin: 9, now: later(5) };
    assert_eq!(store.claim_effects(request).await.unwrap().effects.len(), 1);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.effects_waiting, stats.effects_due), (2, None), "none waits that is due");
    let policy = RetentionPolicy { age: None, bytes: Some(0), dedupe_age: Duration::ZERO };
    while store.retain(&policy, START).await.unwrap().more {}
    assert_eq!(store.stats().await.unwrap().dead, 0, "retention counts too");
}
