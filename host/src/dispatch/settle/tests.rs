//! The rules by themselves: what becomes of effects, which ends are told, what a clock may do.

use std::sync::Arc;

use super::*;
use crate::domain::clock::ManualClock;
use crate::domain::delivery::DeliveryId;
use crate::domain::effect::{Action, Cancel, EffectId};
use crate::domain::event::{EventSeq, Made, StoredEvent};
use crate::store::Lease;
use crate::store::contract::{START, event, key, plugin};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

fn rules() -> Rules {
    Rules { routes: Routes::default(), faults: Faults::new(Duration::from_secs(1)) }
}

fn now() -> Moment {
    Moment { wall: START, steady: START }
}

fn claimed(source: Source) -> ClaimedDelivery {
    let new = event("evt_1", &["a"]);
    ClaimedDelivery {
        id: DeliveryId { event: key("evt_1"), plugin: plugin("a") },
        event: Arc::new(StoredEvent {
            seq: EventSeq(1),
            endpoint: new.endpoint,
            received_at: START,
            source,
            event: new.event,
        }),
        attempt: 1,
        replay: false,
        since: START,
        lease: Lease(1),
    }
}

fn at_depth(depth: u8) -> Source {
    Source::Emitted(Made { depth, ..Made::default() })
}

fn asks(ordinal: u32, delay: Duration) -> EffectRequest {
    let delivery = claimed(Source::Webhook).id;
    let action = Action::Emit { kind: "x".into(), content_type: "text/plain".into(), body: vec![] };
    EffectRequest { id: EffectId { delivery, ordinal }, action, delay }
}

/// A run that asked for two effects and withdrew one, and ended like this.
fn ended(outcome: Outcome) -> Execution {
    let mut waits = asks(7, Duration::ZERO).id;
    waits.delivery.event = key("evt_0");
    Execution {
        outcome,
        reason: "because".into(),
        retry_after: None,
        reads: vec![],
        writes: vec![],
        effects: vec![asks(0, Duration::from_secs(59)), asks(1, BEGINS_ANEW)],
        cancels: vec![Cancel { id: waits, waiting: true }],
        usage: Usage::default(),
        logs: Logs::default(),
        digest: CodeDigest([1; 32]),
        started_at: START,
    }
}

fn settled(source: Source, outcome: Outcome) -> Settlement {
    rules().settlement(&claimed(source), ended(outcome), &Backoff::default(), now())
}

#[test]
fn effects_become_real_with_done_alone() {
    let done = settled(at_depth(3), Outcome::Ok);
    assert_eq!(done.verdict, Verdict::Done);
    let effects: Vec<_> = done.effects.iter().map(|e| (e.id.ordinal, e.due, e.depth)).collect();
    // A long delay begins anew: what sets itself again each day is no runaway loop.
    let expected = [(0, START.plus(Duration::from_secs(59)), 3), (1, START.plus(BEGINS_ANEW), 0)];
    assert_eq!(effects, expected);
    assert_eq!((done.cancels.len(), done.now), (1, START));
    for outcome in [Outcome::Retry, Outcome::Reject, Outcome::Crashed, Outcome::HostFault] {
        let other = settled(Source::Webhook, outcome);
        assert!(other.effects.is_empty(), "{outcome:?}");
        assert_eq!(other.cancels.len(), 1, "what it was told is checked whatever came of it");
    }
}

#[test]
fn a_dead_delivery_is_told_unless_that_could_go_on_for_ever() {
    let told = settled(at_depth(2), Outcome::Reject).then;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event.kind, "signalbox.delivery.dead");
    assert_eq!((told[0].endpoint, told[0].received_at), (EndpointId::NONE, START));
    assert!(matches!(&told[0].source, Source::Host(made) if made.depth == 3));
    let body: serde_json::Value = serde_json::from_slice(&told[0].event.body).unwrap();
    assert_eq!(body["data"]["object"]["id"], "stripe.evt_1.a");
    assert_eq!(body["data"]["object"]["reason"], "because");

    for silent in [Source::Host(Made::default()), at_depth(MAX_DEPTH)] {
        assert!(settled(silent, Outcome::Reject).then.is_empty());
    }
    assert_eq!(settled(at_depth(MAX_DEPTH - 1), Outcome::Reject).then.len(), 1);
    for outcome in [Outcome::Ok, Outcome::Retry, Outcome::HostFault] {
        assert!(settled(Source::Webhook, outcome).then.is_empty(), "{outcome:?}");
    }
}

#[test]
fn what_cannot_be_committed_is_dead_and_told() {
    let (rules, claimed) = (rules(), claimed(Source::Webhook));
    let done = rules.settlement(&claimed, ended(Outcome::Ok), &Backoff::default(), now());
    let error = StoreError::TooLarge { what: "a commit", size: 2, limit: 1 };
    let dead = rules.too_large(&claimed, done, &error, now());
    assert_eq!((dead.verdict, dead.attempt.outcome), (Verdict::Dead, Outcome::Crashed));
    assert!(dead.effects.is_empty());
    assert_eq!(dead.then.len(), 1);
}

#[test]
fn a_clock_that_is_set_neither_ages_nor_hastens() {
    let day = Duration::from_secs(24 * 3_600);
    let backoff = Backoff { age: day * 3, ..Backoff::default() };
    for wall in [START.plus(YEAR), START.minus(YEAR)] {
        let rules = rules();
        // Accepted before the clock was set, and after.
        for since in [START, wall] {
            let now = Moment { wall, steady: START };
            let claimed = ClaimedDelivery { since, ..claimed(Source::Webhook) };
            let settled = rules.settlement(&claimed, ended(Outcome::Retry), &backoff, now);
            let Verdict::RetryAt(at) = settled.verdict else { panic!("{settled:?}") };
            let wait = at.since(START);
            assert!(wait >= backoff.first / 2 && wait <= backoff.first, "{wait:?}");
        }
    }
    // Time that passes does age.
    let clock = ManualClock::at(START);
    clock.advance(day * 3);
    let (rules, claimed) = (rules(), claimed(Source::Webhook));
    let late = rules.settlement(&claimed, ended(Outcome::Retry), &backoff, Moment::of(&clock));
    assert_eq!(late.verdict, Verdict::Dead);
    assert!(late.attempt.reason.contains("too old"));
}
