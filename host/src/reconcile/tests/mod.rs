//! Reconciliation against a stand-in for Stripe's list, with clocks that are set by hand.

mod outages;
mod stand_in;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stand_in::{Fault, NOW, Setup};

use super::*;
use crate::domain::event::{ObjectRef, Source};
use crate::domain::proof::Proved;
use crate::store::NewEvent;

fn secs(ago: u64) -> u64 {
    NOW.as_secs() - ago
}

#[tokio::test]
async fn missed_events_are_taken_oldest_first_as_stripe_wrote_them() {
    let mut setup = Setup::new();
    setup.mark("default", secs(3_600));
    for ago in [100, 3_000, 2_000] {
        setup.list.event(&format!("evt_{ago}"), secs(ago));
    }
    // Before the mark, and within the overlap.
    setup.list.event("evt_4100", secs(4_100));
    let found = setup.look().await.unwrap();
    assert_eq!((found.listed, found.missed, found.known), (4, 4, 0));
    assert_eq!(found.events, ["evt_4100", "evt_3000", "evt_2000", "evt_100"]);

    let kept = setup.store.kept();
    let first = &kept[0];
    assert_eq!(first.source, Source::Reconcile);
    assert_eq!((first.event.livemode, &first.event.account), (false, &None));
    assert_eq!(first.event.body, setup.list.body("evt_4100"));
    assert!(first.event.body.windows(5).any(|w| w == b"1.50,"), "byte for byte");
    assert_eq!(first.event.occurred_at.as_secs(), secs(4_100));
    let object = ObjectRef { kind: "customer".to_owned(), id: "cus_1".to_owned() };
    assert_eq!(first.event.object, Some(object));
    let proved = Proved::Retrieved {
        account: "default".to_owned(),
        on_behalf_of: None,
        at: NOW.as_millis(),
    };
    assert_eq!(Proved::of(&first.event), Some(proved));
    assert_eq!(first.endpoint, setup.home);

    let again = setup.look().await.unwrap();
    assert_eq!((again.missed, setup.store.kept().len()), (0, 4));
    // An event within the grace is left to its webhook, and found by a later look.
    setup.list.event("evt_young", secs(0));
    assert_eq!(setup.look().await.unwrap().young, 1);
    setup.pass(Duration::from_secs(300));
    assert_eq!(setup.look().await.unwrap().events, ["evt_young"]);
}

#[tokio::test]
async fn the_first_look_begins_at_the_first_start_unless_told_otherwise() {
    let mut setup = Setup::new();
    setup.list.event("evt_before", secs(30));
    assert_eq!(setup.look().await.unwrap().listed, 0);
    // What happens while Stripe is out of reach at the very first start is found all the same.
    let mut setup = Setup::new();
    setup.list.fail(Fault::Status(500));
    assert_eq!(setup.look().await.unwrap_err().kind(), "server");
    setup.list.event("evt_meanwhile", secs(0));
    setup.pass(Duration::from_secs(3 * 3_600));
    assert_eq!(setup.look().await.unwrap().events, ["evt_meanwhile"]);

    let mut setup = Setup::new();
    setup.config(|config| config.first_since = Duration::from_secs(7_200));
    setup.list.event("evt_3h", secs(10_800));
    setup.list.event("evt_1h", secs(3_600));
    assert_eq!(setup.look().await.unwrap().events, ["evt_1h"]);
}

#[tokio::test]
async fn the_second_of_the_mark_is_read_again_even_without_an_overlap() {
    let mut setup = Setup::new();
    setup.config(|config| (config.overlap, config.grace) = (Duration::ZERO, Duration::ZERO));
    setup.mark("default", secs(100));
    setup.look().await.unwrap();
    // The same second as the mark's, made a moment after the look.
    setup.list.event("evt_same_second", secs(0));
    setup.pass(Duration::from_secs(5));
    assert_eq!(setup.look().await.unwrap().events, ["evt_same_second"]);
}

#[tokio::test]
async fn a_backlog_is_taken_in_stretches_that_fit_into_memory_in_order() {
    let mut setup = Setup::new();
    setup.config(|config| config.held_events = 20);
    setup.mark("default", secs(20 * 86_400));
    let mut expected = Vec::new();
    for n in 0..600_u64 {
        // Days of quiet, and a burst within few seconds, more in one of them than is held.
        let ago = if n < 100 { 19 * 86_400 - n * 7_000 } else { 5_000 - (n - 100) / 70 };
        let id = format!("evt_{n:04}");
        setup.list.event(&id, secs(ago));
        expected.push(id);
    }
    let found = setup.look().await.unwrap();
    assert_eq!(found.missed, 600);
    let order: Vec<_> = setup.store.kept().iter().map(|e| e.event.key.id.clone()).collect();
    assert_eq!(order, expected);
    assert!(setup.list.largest_answer() <= 100);
    // A look that fails half-way has moved its mark as far as it came.
    setup.mark("default", secs(20 * 86_400));
    setup.list.fail_after(30, Fault::Status(500));
    setup.look().await.unwrap_err();
    let upto = setup.upto("default");
    assert!(upto > secs(20 * 86_400) && upto < secs(5_000), "{upto}");
}

#[tokio::test]
async fn whatever_stripe_answers_nothing_is_lost_and_the_account_says_what_is_wrong() {
    let faults = [
        (Fault::Status(429), "rate_limited"),
        (Fault::Status(503), "server"),
        (Fault::Status(401), "unauthorised"),
        (Fault::Status(403), "forbidden"),
        (Fault::Garbage, "malformed"),
        (Fault::Loop, "loop"),
        (Fault::Timeout, "timeout"),
    ];
    for (fault, kind) in faults {
        let mut setup = Setup::new();
        setup.mark("default", secs(3_600));
        for n in 0..7 {
            setup.list.event(&format!("evt_{n}"), secs(2_000 - n));
        }
        setup.list.fail(fault);
        assert_eq!(setup.look().await.unwrap_err().kind(), kind);
        assert_eq!(setup.upto("default"), secs(3_600), "{kind}: the mark stays");
        let [status] = &setup.handle.status()[..] else { panic!("one account") };
        assert_eq!(status.error.as_ref().unwrap().kind, kind);
        assert_eq!((status.failures, status.errors[kind]), (1, 1));
        assert_eq!(status.last_success, None);
        setup.pass(Duration::from_secs(30));
        setup.look().await.unwrap();
        assert_eq!(setup.store.kept().len(), 7, "{kind}");
        let [status] = &setup.handle.status()[..] else { panic!("one account") };
        assert_eq!((status.failures, &status.error), (0, &None));
        assert_eq!(setup.handle.figures()["default"].errors[kind], 1);
        assert_eq!(setup.handle.figures()["default"].age, Duration::ZERO);
    }
}

#[tokio::test]
async fn a_list_without_an_end_still_gives_what_it_shows() {
    let mut setup = Setup::new();
    setup.mark("default", secs(3_600));
    setup.list.event("evt_1", secs(2_000));
    setup.list.always(Fault::Loop);
    assert_eq!(setup.look().await.unwrap_err().kind(), "loop");
    assert_eq!(setup.store.kept().len(), 1);
}

#[tokio::test]
async fn a_gap_that_stripe_no_longer_lists_is_told_loudly_and_once() {
    let day = 86_400;
    let mut setup = Setup::new();
    setup.mark("default", secs(40 * day));
    setup.list.event("evt_lost", secs(35 * day));
    setup.list.event("evt_found", secs(29 * day));
    let found = setup.look().await.unwrap();
    assert_eq!(found.events, ["evt_found"]);
    let lost = found.lost.unwrap();
    assert_eq!((lost.from.as_secs(), lost.until.as_secs()), (secs(40 * day), secs(30 * day)));
    let kept = setup.store.kept();
    let told: Vec<_> = kept.iter().filter(|e| e.event.key.provider == "signalbox").collect();
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told.event.kind, "signalbox.reconcile.lost_ground");
    let body: Value = serde_json::from_slice(&told.event.body).unwrap();
    assert_eq!(body["data"]["object"]["account"], "default");
    assert_eq!(body["data"]["object"]["until"], secs(30 * day));
    assert_eq!(setup.handle.figures()["default"].lost, 1);
    assert_eq!(setup.look().await.unwrap().lost, None);

    // Told once, however often the look that finds it fails later on.
    let mut setup = Setup::new();
    setup.mark("default", secs(40 * day));
    setup.config(|config| config.held_events = 1);
    setup.list.page = 1;
    (0..3).for_each(|n| setup.list.event(&format!("evt_{n}"), secs(day - n)));
    for _ in 0..2 {
        setup.list.fail_after(1, Fault::Status(500));
        setup.look().await.unwrap_err();
        setup.pass(Duration::from_secs(7));
    }
    assert_eq!(setup.store.kept().len(), 1);
    assert_eq!(setup.handle.figures()["default"].lost, 1);
    // Thirty days to the second are no lost ground.
    let mut setup = Setup::new();
    setup.mark("default", secs(30 * day));
    assert_eq!(setup.look().await.unwrap().lost, None);
}

#[tokio::test]
async fn clocks_that_are_wrong_hide_nothing() {
    // The host's is ahead: Stripe's moves the mark.
    let mut setup = Setup::new();
    setup.look().await.unwrap();
    setup.clock.advance(Duration::from_secs(5 * 86_400));
    setup.look().await.unwrap();
    assert!(setup.upto("default") <= NOW.as_secs());
    assert_eq!(setup.handle.status()[0].skew, Some(-5 * 86_400));
    setup.list.event("evt_1", secs(0));
    setup.clock.set(NOW.plus(Duration::from_secs(3_600)));
    setup.list.now = setup.clock.now();
    setup.renew();
    assert_eq!(setup.look().await.unwrap().events, ["evt_1"]);

    // It was ahead when it looked for the first time, and Stripe was out of reach.
    let mut setup = Setup::new();
    setup.clock.advance(Duration::from_secs(86_400));
    setup.list.fail(Fault::Status(500));
    setup.look().await.unwrap_err();
    setup.list.event("evt_2", secs(0));
    setup.clock.set(NOW.plus(Duration::from_secs(7_200)));
    setup.list.now = setup.clock.now();
    setup.renew();
    assert_eq!(setup.look().await.unwrap().events, ["evt_2"]);
    // From then on it looks back no further than usual.
    setup.list.event("evt_old", secs(20 * 86_400));
    assert_eq!(setup.look().await.unwrap().listed, 0);

    // Stripe's says nothing, and the host's is ahead: no mark is moved by it.
    let mut setup = Setup::new();
    setup.mark("default", secs(100));
    setup.list.dateless = true;
    setup.clock.advance(Duration::from_secs(86_400));
    setup.look().await.unwrap();
    assert_eq!(setup.upto("default"), secs(100));
}

#[tokio::test]
async fn a_dry_run_counts_and_since_looks_further_back_and_neither_moves_the_mark() {
    let mut setup = Setup::new();
    setup.mark("default", secs(600));
    setup.list.event("evt_old", secs(20 * 86_400));
    setup.list.event("evt_new", secs(300));
    let since = Some(NOW.minus(Duration::from_secs(25 * 86_400)));
    let dry = Wish { since, dry_run: true };
    let found = setup.look_with(dry).await.unwrap();
    assert_eq!(found.events, ["evt_old", "evt_new"]);
    assert!(setup.store.kept().is_empty());
    assert_eq!(setup.upto("default"), secs(600));
    let found = setup.look_with(Wish { since, dry_run: false }).await.unwrap();
    assert_eq!((found.missed, setup.store.kept().len()), (2, 2));
    assert_eq!(setup.upto("default"), secs(600));
    assert_eq!(setup.look_with(dry).await.unwrap().known, 2);
    // A dry run of an account nobody looked at leaves no mark.
    let mut setup = Setup::new();
    setup.look_with(Wish { since: None, dry_run: true }).await.unwrap();
    assert_eq!(setup.marks(), 0);
}

#[tokio::test]
async fn connected_accounts_are_looked_at_with_their_own_marks() {
    let mut setup = Setup::new();
    setup.connected(Connected::All);
    setup.list.connected = vec!["acct_1".to_owned(), "acct_2".to_owned()];
    for name in ["default", "default/acct_1", "default/acct_2"] {
        setup.mark(name, secs(3_600));
    }
    setup.list.event("evt_own", secs(500));
    setup.list.event_of("acct_2", "evt_connected", secs(500));
    setup.publish();
    let looked = setup.handle.look(None, Wish::default(), &|_| true).await.unwrap();
    let names: Vec<_> = looked.iter().map(|looked| looked.account.as_str()).collect();
    assert_eq!(names, ["default", "default/acct_1", "default/acct_2"]);
    let kept = setup.store.kept();
    let accounts: Vec<_> = kept.iter().map(|e| e.event.account.as_deref()).collect();
    assert_eq!(accounts, [None, Some("acct_2")]);
    assert_eq!(setup.handle.figures()["default"].missed, 2);
    assert_eq!(setup.handle.status().len(), 3);
    // While the list of accounts cannot be had, those known are looked at.
    setup.list.event_of("acct_1", "evt_later", secs(400));
    setup.list.fail(Fault::Status(500));
    setup.publish();
    let looked = setup.handle.look(Some("default"), Wish::default(), &|_| true).await.unwrap();
    assert_eq!(looked[1].found.events, ["evt_later"]);
    let nobody = setup.handle.look(Some("other"), Wish::default(), &|_| true).await;
    assert_eq!(nobody.unwrap_err(), NoSuchAccount("other".to_owned()));
}

#[tokio::test]
async fn a_webhook_in_the_same_moment_is_the_same_event() {
    for _ in 0..50 {
        let mut setup = Setup::new();
        setup.mark("default", secs(3_600));
        setup.list.event("evt_1", secs(500));
        let posted = NewEvent {
            event: crate::store::memory::event("evt_1", "customer.updated"),
            endpoint: setup.home,
            received_at: NOW,
            source: Source::Webhook,
            plugins: Vec::new(),
        };
        let store = Arc::clone(&setup.store);
        let webhook = tokio::spawn(async move { store.accept(vec![posted]).await.unwrap() });
        let found = setup.look().await.unwrap();
        webhook.await.unwrap();
        assert_eq!(setup.store.kept().len(), 1);
        assert_eq!(found.missed + found.known, 1);
    }
}

#[tokio::test]
async fn what_is_no_event_holds_up_no_other() {
    let mut setup = Setup::new();
    setup.mark("default", secs(3_600));
    setup.list.event("evt_1", secs(500));
    setup.list.raw(r#"{"id":"evt_odd","object":"event","created":1,"type":7}"#, secs(400));
    setup.list.event("evt_2", secs(300));
    let found = setup.look().await.unwrap();
    assert_eq!((found.missed, found.unusable), (2, 1));
    assert_eq!(setup.handle.status()[0].unusable, 1);
}

#[tokio::test]
async fn the_part_looks_at_once_and_ends_when_told() {
    let mut setup = Setup::new();
    setup.mark("default", secs(3_600));
    setup.list.event("evt_1", secs(500));
    let (part, handle) = setup.part();
    let stop = CancellationToken::new();
    let running = tokio::spawn(part.run(stop.clone()));
    while handle.status()[0].last_success.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.store.kept().len(), 1);
    stop.cancel();
    running.await.unwrap();
}
