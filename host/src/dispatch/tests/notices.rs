//! What is given up is told, in the same commit, and what is told of leads to no more.

use super::*;
use crate::domain::event::Source;

/// Subscribed to signalbox's own events, and otherwise like `spec`.
fn listening(spec: components::Spec) -> Vec<u8> {
    components::build(&components::Spec {
        subscriptions: vec![("signalbox".to_owned(), "signalbox.*".to_owned(), None)],
        ..spec
    })
}

#[tokio::test]
async fn a_dead_delivery_reaches_who_listens() {
    let rejects = components::rejecting("a", KINDS, "no such thing");
    let alerts = listening(components::spec("alerts", &[]));
    let mut bench = Bench::start(vec![rejects, alerts]).await;
    bench.accept(&["evt_1"], &["a"]).await;
    assert_eq!(bench.next().await.status, Status::Dead);
    let told = bench.next().await;
    assert_eq!((told.delivery.plugin.as_str(), told.status), ("alerts", Status::Done));
    assert_eq!(told.event.event.kind, "signalbox.delivery.dead");
    assert!(matches!(&told.event.source, Source::Host(made) if made.depth == 1));
    let body = String::from_utf8(told.event.event.body.to_vec()).unwrap();
    assert!(body.contains("stripe.evt_1.a") && body.contains("no such thing"), "{body}");
    bench.stop().await;
}

#[tokio::test]
async fn a_notice_that_dies_leads_to_no_other() {
    let rejects = components::rejecting("a", KINDS, "never");
    let traps = components::Spec { handle: "unreachable".to_owned(), ..components::spec("b", &[]) };
    let mut bench = Bench::start(vec![rejects, listening(traps)]).await;
    bench.accept(&["evt_1"], &["a"]).await;
    let mut dead = Vec::new();
    while dead.len() < 2 {
        let ended = bench.next().await;
        if ended.status == Status::Dead {
            dead.push(ended.event.event.kind.clone());
        }
    }
    assert_eq!(dead, ["charge.succeeded", "signalbox.delivery.dead"]);
    assert_eq!(bench.told("signalbox.delivery.dead").await, 1);
    bench.stop().await;
}
