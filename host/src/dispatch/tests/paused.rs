//! Pauses: by an operator, by failures, and what ends each.

use super::*;
use crate::domain::plugin::PausedBy;
use crate::plugin::PluginStatus;
use crate::store::{EventQuery, PageRequest};

/// A handler that traps, attempted for as long as it takes, paused after so many events.
async fn trapping(pause_after: u32) -> Bench {
    let setup = Setup { delivery: patient(pause_after), ..Setup::default() };
    Bench::set_up(vec![components::trap("a", KINDS, "oh")], setup).await
}

fn patient(pause_after: u32) -> DeliveryPolicy {
    let backoff = Backoff {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(10),
        attempts: 1_000,
        ..Backoff::default()
    };
    DeliveryPolicy { backoff, pause_after, ..DeliveryPolicy::default() }
}

impl Bench {
    fn paused_by(&self) -> Option<PausedBy> {
        self.routes.current().paused().get(&plugin("a")).map(|pause| pause.by)
    }

    /// Until `a` is paused, or no longer.
    async fn until_paused(&self, paused: bool) {
        let mut generation = self.routes.subscribe();
        soon(async {
            while self.paused_by().is_some() != paused {
                generation.changed().await.unwrap();
            }
        })
        .await;
    }

    /// Events of this type that are kept.
    pub(super) async fn told(&self, kind: &str) -> usize {
        let page = PageRequest { limit: 100, from: None };
        let query = EventQuery { kind: Some(kind.to_owned()), status: None, page };
        self.store.events(query).await.unwrap().data.len()
    }
}

#[tokio::test]
async fn failures_on_different_events_pause_and_other_code_resumes() {
    let mut bench = trapping(3).await;
    bench.accept(&["evt_1", "evt_2"], &["a"]).await;
    for _ in 0..20 {
        assert_eq!(bench.next().await.attempt.outcome, Outcome::Crashed);
    }
    assert_eq!(bench.paused_by(), None, "two events, however often they fail");
    bench.accept(&["evt_3", "evt_4"], &["a"]).await;
    bench.until_paused(true).await;
    let digest = bench.routes.current().get(&plugin("a")).unwrap().digest();
    assert_eq!(bench.paused_by(), Some(PausedBy::Failures(digest)));
    let table = bench.routes.current();
    assert_eq!(table.reports()[0].status, PluginStatus::Paused);
    assert!(table.reports()[0].reason.as_ref().unwrap().contains("3 different events"));
    assert_eq!(bench.told("signalbox.plugin.paused").await, 1);

    // It lasts: over a restart, and while the same code comes back.
    let dir = bench.halt().await;
    let setup = || Setup { delivery: patient(3), ..Setup::default() };
    let trap = components::trap("a", KINDS, "oh");
    let bench = Bench::set_up(vec![trap.clone()], Setup { dir, ..setup() }).await;
    assert_eq!(bench.paused_by(), Some(PausedBy::Failures(digest)));
    bench.route(vec![trap]).await;
    assert!(bench.routes.current().runnable().is_empty());
    for id in ["evt_1", "evt_2", "evt_3", "evt_4"] {
        let status = bench.delivery(id, "a").await.status;
        assert!(matches!(status, Status::Pending | Status::Retry), "{id} {status:?}");
    }

    // Other code, at a start even.
    let dir = bench.halt().await;
    let counter = components::counter("a", KINDS);
    let mut bench = Bench::set_up(vec![counter], Setup { dir, ..setup() }).await;
    for _ in 0..4 {
        assert_eq!(bench.next().await.status, Status::Done);
    }
    assert_eq!((bench.paused_by(), bench.count("a").await), (None, Some(4)));
    assert_eq!(bench.told("signalbox.plugin.resumed").await, 1);
    bench.stop().await;
}

#[tokio::test]
async fn an_operators_pause_outlasts_code_and_an_operator_ends_it() {
    let mut bench = Bench::start(vec![components::noop("a", KINDS)]).await;
    let name = plugin("a");
    assert!(bench.pauses.pause(&name, "maintenance".to_owned()).await.unwrap());
    assert!(!bench.pauses.pause(&name, "maintenance".to_owned()).await.unwrap());
    let both = vec![components::counter("a", KINDS), components::counter("b", KINDS)];
    bench.route(both.clone()).await;
    bench.accept(&["evt_1"], &["a"]).await;
    bench.accept(&["evt_2"], &["b"]).await;
    assert_eq!(bench.next().await.delivery.plugin, plugin("b"));
    let dir = bench.halt().await;

    let mut bench = Bench::set_up(both, Setup { dir, ..Setup::default() }).await;
    assert_eq!(bench.paused_by(), Some(PausedBy::Operator));
    assert_eq!(bench.delivery("evt_1", "a").await.status, Status::Pending);
    assert!(bench.pauses.resume(&name).await.unwrap());
    assert!(!bench.pauses.resume(&name).await.unwrap());
    let ended = bench.next().await;
    assert_eq!((ended.delivery.plugin.as_str(), ended.status), ("a", Status::Done));
    bench.stop().await;
}

#[tokio::test]
async fn what_runs_finishes_and_what_has_not_begun_waits() {
    let config = DispatchConfig { concurrency: 1, ..quick() };
    let mut bench = Bench::start_with(vec![components::counter("a", KINDS)], config, 8).await;
    bench.store.shut();
    bench.accept(&["evt_1", "evt_2", "evt_3"], &["a"]).await;
    bench.store.reached(1).await;
    bench.pauses.pause(&plugin("a"), "a look".to_owned()).await.unwrap();
    bench.store.open();
    assert_eq!(bench.next().await.status, Status::Done);
    bench.store.given_back(2).await;
    assert_eq!(bench.count("a").await, Some(1));
    bench.pauses.resume(&plugin("a")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(bench.next().await.status, Status::Done);
    }
    bench.stop().await;
}
