//! Replays over a store in memory, with components made from text.

use std::sync::Arc;

use super::*;
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::delivery::{Attempt, DeliveryId, Logs, Outcome, Status, Usage};
use crate::domain::endpoint::EndpointId;
use crate::domain::event::{EventKey, Made, Source};
use crate::domain::plugin::CodeDigest;
use crate::plugin::filter::Filter;
use crate::plugin::tests::{NOW, components, engine, load};
use crate::plugin::{Loaded, RoutingTable};
use crate::store::memory::{MemoryStore, event};
use crate::store::{NewEvent, Store as _};

struct World {
    store: Arc<MemoryStore>,
    replay: Replay,
}

impl World {
    async fn new(plugins: Vec<Vec<u8>>) -> Self {
        let store = Arc::new(MemoryStore::default());
        let engine = engine();
        let routes = Routes::default();
        let mut loaded = Vec::new();
        for bytes in plugins {
            loaded.push(Arc::new(load(&engine, bytes).await.unwrap()));
        }
        routes.swap(RoutingTable::new(loaded, vec![]));
        let clock = Arc::new(ManualClock::at(NOW));
        let replay = Replay::new(ReplayDeps { store: store.clone(), routes, engine, clock });
        Self { store, replay }
    }

    /// An event accepted `minutes` before now.
    async fn accept(&self, id: &str, kind: &str, minutes: u64, plugins: &[&str]) {
        self.accept_from(Source::Webhook, id, kind, minutes, plugins).await;
    }

    async fn accept_from(
        &self,
        source: Source,
        id: &str,
        kind: &str,
        minutes: u64,
        plugins: &[&str],
    ) {
        let new = NewEvent {
            event: event(id, kind),
            endpoint: EndpointId::NONE,
            received_at: at(minutes),
            source,
            plugins: plugins.iter().map(|name| name.parse().unwrap()).collect(),
        };
        self.store.accept(vec![new]).await.unwrap();
    }

    fn dies(&self, id: &str, reason: &str) {
        self.store.change_delivery(id, |delivery| {
            delivery.status = Status::Dead;
            delivery.history = vec![Attempt {
                number: 1,
                started_at: NOW,
                digest: CodeDigest([0; 32]),
                outcome: Outcome::Reject,
                reason: reason.to_owned(),
                usage: Usage::default(),
                logs: Logs::default(),
            }];
        });
    }

    /// What a selection holds, by `event.plugin`.
    async fn chosen(&self, selection: &Selection) -> Vec<String> {
        let progress = Progress::default();
        let mut walk =
            select::Walk::new(selection, self.replay.deps.store.clone(), &self.replay.deps.routes);
        let mut found = Vec::new();
        while let Some(chosen) = walk.next(&progress).await.unwrap() {
            for id in chosen.into_iter().flat_map(|one| one.deliveries) {
                found.push(format!("{}.{}", id.event.id, id.plugin));
            }
        }
        let count = self.replay.count(selection, &progress, |_| ()).await.unwrap();
        assert_eq!(count.deliveries, found.len() as u64);
        found
    }

    fn loaded(&self, name: &str) -> Arc<Loaded> {
        self.replay.deps.routes.current().get(&name.parse().unwrap()).unwrap().clone()
    }
}

fn at(minutes: u64) -> Timestamp {
    NOW.minus(std::time::Duration::from_secs(minutes * 60))
}

fn key(id: &str) -> EventKey {
    EventKey { provider: "stripe".to_owned(), id: id.to_owned() }
}

#[tokio::test]
async fn a_selection_narrows_by_each_of_its_parts() {
    let world = World::new(vec![components::noop("a", &["charge.*"])]).await;
    world.accept("evt_1", "charge.failed", 50, &[]).await;
    world.accept("evt_2", "charge.failed", 40, &["a", "gone"]).await;
    world.accept("evt_3", "invoice.paid", 30, &["gone"]).await;
    world.accept("evt_4", "invoice.paid", 20, &[]).await;
    let made = Made::default();
    world.accept_from(Source::Reply(made), "evt_5", "charge.answer", 10, &["gone"]).await;
    world.dies("stripe.evt_2.gone", "no customer cus_1");
    world.dies("stripe.evt_3.gone", "no customer cus_2");
    let all = Selection::default();
    // A delivery that was never made is among them; nobody wants evt_4; an answer is not for all.
    let everything = ["evt_5.gone", "evt_3.gone", "evt_2.a", "evt_2.gone", "evt_1.a"];
    assert_eq!(world.chosen(&all).await, everything);
    let name = || vec!["gone".parse().unwrap()];
    let group = world.store.dead_groups(None).await.unwrap()[0].id;
    let condition = || Some(Filter::new("event.id != 'evt_3'").unwrap());
    let dead = || Selection { status: Some(Status::Dead), ..Selection::default() };
    let delivery = |id: &str| id.parse::<DeliveryId>().unwrap();
    for (selection, expected) in [
        (
            Selection { kind: Some("charge.*".parse().unwrap()), ..Selection::default() },
            &["evt_5.gone", "evt_2.a", "evt_2.gone", "evt_1.a"][..],
        ),
        (
            Selection { kind: Some("invoice.paid".parse().unwrap()), ..Selection::default() },
            &["evt_3.gone"],
        ),
        (
            Selection { plugins: name(), ..Selection::default() },
            &["evt_5.gone", "evt_3.gone", "evt_2.gone"],
        ),
        (
            Selection { since: Some(at(40)), until: Some(at(30)), ..Selection::default() },
            &["evt_2.a", "evt_2.gone"],
        ),
        (Selection { condition: condition(), ..dead() }, &["evt_2.gone"]),
        (dead(), &["evt_3.gone", "evt_2.gone"]),
        (Selection { since: Some(at(35)), ..dead() }, &["evt_3.gone"]),
        (Selection { group: Some(group), ..Selection::default() }, &["evt_3.gone", "evt_2.gone"]),
        (
            Selection { limit: Some(3), ..Selection::default() },
            &["evt_5.gone", "evt_3.gone", "evt_2.a"],
        ),
        (
            Selection { events: vec![key("evt_2"), key("evt_9")], ..Selection::default() },
            &["evt_2.a", "evt_2.gone"],
        ),
        (
            Selection { deliveries: vec![delivery("stripe.evt_3.gone")], ..Selection::default() },
            &["evt_3.gone"],
        ),
    ] {
        assert_eq!(world.chosen(&selection).await, expected, "{selection:?}");
    }
}

#[tokio::test]
async fn an_event_that_a_condition_cannot_judge_is_left_alone() {
    let world = World::new(vec![components::noop("a", &["*"])]).await;
    world.accept("evt_1", "charge.failed", 1, &["a"]).await;
    let condition = Some(Filter::new("event.data.object.nothing > 1").unwrap());
    let progress = Progress::default();
    let selection = Selection { condition, ..Selection::default() };
    let count = world.replay.count(&selection, &progress, |_| ()).await.unwrap();
    assert_eq!((count.deliveries, progress.figures().skipped["where_failed"]), (0, 1));
}

#[tokio::test]
async fn a_long_walk_goes_by_pages_and_queues_each_once() {
    let world = World::new(vec![components::noop("a", &["*"])]).await;
    for n in 0..250 {
        world.accept(&format!("evt_{n}"), "charge.failed", 1, &["a"]).await;
        world.dies(&format!("stripe.evt_{n}.a"), "no");
    }
    world.store.change_delivery("stripe.evt_7.a", |d| d.status = Status::Running);
    world.store.change_delivery("stripe.evt_8.a", |d| d.status = Status::Retry);
    for (selection, expected) in [
        (Selection { status: Some(Status::Dead), ..Selection::default() }, 248),
        (Selection::default(), 1),
    ] {
        let progress = Progress::default();
        world.replay.run(&selection, &progress).await.unwrap();
        let figures = progress.figures();
        assert_eq!(figures.done, expected, "{figures:?}");
        let skipped = figures.skipped.get("waiting").copied().unwrap_or_default();
        assert_eq!(figures.counted, Some(figures.done + skipped));
    }
    let delivery = world.store.delivery(&"stripe.evt_9.a".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((delivery.status, delivery.replayed_at), (Status::Pending, Some(NOW)));
}

#[tokio::test]
async fn what_is_cancelled_stops_and_says_so() {
    let world = World::new(vec![]).await;
    world.accept("evt_1", "a", 1, &["p"]).await;
    let progress = Progress::default();
    progress.cancel();
    let ended = world.replay.run(&Selection::default(), &progress).await;
    assert!(matches!(ended, Err(ReplayError::Cancelled)), "{ended:?}");
    assert_eq!(progress.figures().done, 0);
}

#[tokio::test]
async fn a_dry_run_tells_what_would_change_and_changes_nothing() {
    let world = World::new(vec![
        components::counter("a", &["*"]),
        components::rejecting("b", &["*"], "never"),
    ])
    .await;
    world.store.put_kv("a", "count", &7_u64.to_le_bytes());
    world.accept("evt_1", "charge.failed", 1, &["a"]).await;
    let event = world.store.event(&key("evt_1")).await.unwrap().unwrap();
    let run = world.replay.dry_run(event.clone(), world.loaded("a")).await.unwrap();
    assert_eq!((run.execution.outcome, run.steady), (Outcome::Ok, true));
    let change = Change {
        key: "count".to_owned(),
        before: Some(7_u64.to_le_bytes().to_vec()),
        after: Some(8_u64.to_le_bytes().to_vec()),
    };
    assert_eq!(run.changes, [change]);
    let kept = world.store.kv_get(&"a".parse().unwrap(), "count").await.unwrap().unwrap();
    assert_eq!(kept.value, 7_u64.to_le_bytes());
    let run = world.replay.dry_run(event, world.loaded("b")).await.unwrap();
    assert_eq!((run.execution.outcome, run.execution.reason.as_str()), (Outcome::Reject, "never"));
    assert_eq!(world.store.delivery(&run.delivery).await.unwrap(), None);
    let delivery = world.store.delivery(&"stripe.evt_1.a".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((delivery.status, delivery.history.len()), (Status::Pending, 0));
}

#[tokio::test]
async fn a_shadow_run_finds_where_two_versions_differ() {
    let world = World::new(vec![components::counter("a", &["charge.*"])]).await;
    let candidate =
        load(&world.replay.deps.engine, components::recorder("a", &["charge.failed", "invoice.*"]));
    let candidate = Arc::new(candidate.await.unwrap());
    for n in 0..120 {
        world.accept(&format!("evt_{n}"), "customer.created", 9, &[]).await;
    }
    world.accept("evt_a", "charge.failed", 3, &[]).await;
    world.accept("evt_b", "charge.captured", 2, &[]).await;
    world.accept("evt_c", "invoice.paid", 1, &[]).await;
    for n in 200..320 {
        world.accept(&format!("evt_{n}"), "customer.created", 0, &[]).await;
    }
    let shadow = Shadow { candidate, current: Some(world.loaded("a")), last: 100 };
    let progress = Progress::default();
    let report = world.replay.shadow(&shadow, &progress).await.unwrap();
    let parts: Vec<_> =
        report.differences.iter().map(|d| (d.event.id.as_str(), d.parts.clone())).collect();
    let one = |part| vec![part];
    assert_eq!(
        parts,
        [("evt_c", one("subscription")), ("evt_b", one("subscription")), ("evt_a", one("state"))]
    );
    assert_eq!((report.events, report.same, report.different), (3, 0, 3));
    assert_eq!((report.candidate.runs, report.current.runs), (2, 2));
    assert_eq!(progress.figures().counted, Some(3));
    // The same code does the same.
    let shadow = Shadow { candidate: world.loaded("a"), ..shadow };
    let report = world.replay.shadow(&shadow, &Progress::default()).await.unwrap();
    assert_eq!((report.same, report.different), (2, 0));
    let shadow = Shadow { last: 1, ..shadow };
    assert_eq!(world.replay.shadow(&shadow, &Progress::default()).await.unwrap().events, 1);
}
