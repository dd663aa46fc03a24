//! A wall clock that is set: neither a storm of attempts nor a stall.

use super::*;
use crate::domain::clock::ManualClock;
use crate::store::contract::START;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

async fn set_to(wall: crate::domain::clock::Timestamp) {
    let clock = Arc::new(ManualClock::at(START));
    let backoff = Backoff { first: HOUR, longest: HOUR, ..Backoff::default() };
    let setup = Setup {
        delivery: DeliveryPolicy { backoff, ..quick_delivery() },
        clock: clock.clone(),
        ..Setup::default()
    };
    let later = components::retrying("a", KINDS, "not yet", None);
    let mut bench = Bench::set_up(vec![later], setup).await;
    bench.accept(&["evt_1"], &["a"]).await;
    assert_eq!(bench.next().await.status, Status::Retry);

    clock.set_wall(wall);
    for id in ["evt_2", "evt_3"] {
        bench.accept(&[id], &["a"]).await;
        let ended = bench.next().await;
        // What comes is run, and nothing that waits runs before its time.
        assert_eq!((ended.delivery.event.id.as_str(), ended.status), (id, Status::Retry));
    }
    // The hour passes; an event wakes the dispatcher, whose own timer is a real one.
    clock.advance(HOUR);
    bench.accept(&["evt_4"], &["a"]).await;
    let mut again = Vec::new();
    while again.len() < 3 {
        let ended = bench.next().await;
        assert_eq!(ended.status, Status::Retry, "nothing dies of age");
        if ended.attempt.number == 2 {
            again.push(ended.delivery.event.id.clone());
        }
    }
    again.sort();
    assert_eq!(again, ["evt_1", "evt_2", "evt_3"]);
    bench.stop().await;
}

#[tokio::test]
async fn a_year_ahead_hastens_nothing_and_kills_nothing() {
    set_to(START.plus(YEAR)).await;
}

#[tokio::test]
async fn a_year_back_stalls_nothing() {
    set_to(START.minus(YEAR)).await;
}
