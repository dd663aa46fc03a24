//! Pages, filters and cursors.

use super::*;
use crate::domain::delivery::Status;

#[tokio::test]
async fn events_page_both_ways_newest_first() {
    let host = Host::start().await;
    for n in 1..=25 {
        host.accept(&format!("evt_{n}"), "charge.succeeded", &[]).await;
    }
    let ids = |range: std::ops::RangeInclusive<i32>| -> Vec<String> {
        range.rev().map(|n| format!("evt_{n}")).collect()
    };
    assert_eq!(host.ids("/events").await, (ids(16..=25), true));
    assert_eq!(host.ids("/events?limit=100").await, (ids(1..=25), false));
    assert_eq!(host.ids("/events?limit=2&starting_after=evt_20").await, (ids(18..=19), true));
    assert_eq!(host.ids("/events?starting_after=stripe:evt_2").await, (ids(1..=1), false));
    assert_eq!(host.ids("/events?limit=2&ending_before=evt_20").await, (ids(21..=22), true));
    assert_eq!(host.ids("/events?ending_before=evt_24").await, (ids(25..=25), false));
    let list = host.json("/events?limit=1").await;
    assert_eq!(list["url"], "/api/v1/events");
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let host = Host::start().await;
    host.accept("evt_1", "a", &["p"]).await;
    for (path, param) in [
        ("/events?limit=0", "limit"),
        ("/events?limit=101", "limit"),
        ("/events?limit=-1", "limit"),
        ("/events?limit=ten", "limit"),
        ("/events?limit=1&limit=2", "limit"),
        ("/events?type=", "type"),
        ("/events?status=odd", "status"),
        ("/events?starting_after=evt_9", "starting_after"),
        ("/events?starting_after=github:evt_1", "starting_after"),
        ("/events?starting_after=evt_1&ending_before=evt_1", "ending_before"),
        ("/events?status=parked&ending_before=evt_1", "ending_before"),
        ("/events?type=charge.*", "type"),
        ("/deliveries?starting_after=odd", "starting_after"),
        ("/deliveries?ending_before=stripe.evt_1.q", "ending_before"),
        ("/deliveries?plugin=Not_a_name", "plugin"),
        ("/plugins?starting_after=nobody", "starting_after"),
        ("/endpoints?ending_before=x", "ending_before"),
    ] {
        assert_eq!(host.error(path).await, invalid(param), "{path}");
    }
    for (path, param) in [
        ("/events?kind=a", "kind"),
        ("/deliveries?type=a", "type"),
        ("/events/evt_1?x=1", "x"),
        ("/plugins/charge-counter/kv?ending_before=a", "ending_before"),
        ("/endpoints?status=a", "status"),
    ] {
        let expected = (400, "parameter_unknown".into(), json!(param));
        assert_eq!(host.error(path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn filters_narrow() {
    let host = Host::start().await;
    host.accept("evt_1", "charge.succeeded", &["a", "b"]).await;
    host.accept("evt_2", "invoice.paid", &["a"]).await;
    host.store.change_delivery("stripe.evt_1.b", |d| d.status = Status::Done);
    let one = |id: &str| (vec![id.to_owned()], false);
    assert_eq!(host.ids("/events?type=invoice.paid").await, one("evt_2"));
    assert_eq!(host.ids("/events?status=done").await, one("evt_1"));
    assert_eq!(host.ids("/events?type=invoice.paid&status=done").await, (vec![], false));
    assert_eq!(host.ids("/deliveries?event=evt_2").await, one("stripe.evt_2.a"));
    assert_eq!(host.ids("/deliveries?event=stripe:evt_2").await, one("stripe.evt_2.a"));
    assert_eq!(host.ids("/deliveries?plugin=b").await, one("stripe.evt_1.b"));
    assert_eq!(host.ids("/deliveries?status=done").await, one("stripe.evt_1.b"));
    assert_eq!(host.ids("/deliveries?event=evt_9").await, (vec![], false));
    assert!(host.ids("/deliveries?limit=1").await.1);
}

/// No plugin can run here, so whatever waits is parked.
#[tokio::test]
async fn what_waits_for_an_absent_plugin_is_parked() {
    let host = Host::start().await;
    for n in 1..=6 {
        host.accept(&format!("evt_{n}"), "a", &["gone", "other"]).await;
    }
    for n in [1, 2, 5] {
        let id = format!("stripe.evt_{n}.gone");
        host.store.change_delivery(&id, |d| d.status = Status::Retry);
    }
    for n in 1..=6 {
        let id = format!("stripe.evt_{n}.other");
        host.store.change_delivery(&id, |d| d.status = Status::Done);
    }
    let all = ["6", "4", "3", "5", "2", "1"];
    let ids =
        |all: &[&str]| -> Vec<_> { all.iter().map(|n| format!("stripe.evt_{n}.gone")).collect() };
    for filter in ["", "&plugin=gone"] {
        let path = format!("/deliveries?status=parked{filter}");
        assert_eq!(host.ids(&path).await, (ids(&all), false));
        assert_eq!(host.ids(&format!("{path}&limit=2")).await, (ids(&all[..2]), true));
        for (at, n) in all.iter().enumerate() {
            let path = format!("{path}&limit=2&starting_after=stripe.evt_{n}.gone");
            let rest = &all[at + 1..];
            let expected = (ids(&rest[..rest.len().min(2)]), rest.len() > 2);
            assert_eq!(host.ids(&path).await, expected, "{path}");
        }
    }
    let events: Vec<_> = all.iter().map(|n| format!("evt_{n}")).collect();
    assert_eq!(host.ids("/events?status=parked").await, (events.clone(), false));
    let after = host.ids("/events?status=parked&limit=2&starting_after=evt_3").await;
    assert_eq!(after, (events[3..5].to_vec(), true));
    for path in ["/deliveries?status=pending", "/events?status=retry", "/deliveries?status=retry"] {
        assert_eq!(host.ids(path).await, (vec![], false), "{path}");
    }
    let shown = host.json("/deliveries/stripe.evt_1.gone").await;
    assert_eq!(shown["status"], "parked");
    assert_eq!(host.json("/events/evt_1").await["deliveries"][1]["status"], "parked");
}

#[tokio::test]
async fn an_event_parked_twice_is_listed_once() {
    let host = Host::start().await;
    for n in 1..=3 {
        host.accept(&format!("evt_{n}"), "a", &["p", "q"]).await;
    }
    host.store.change_delivery("stripe.evt_2.q", |d| d.status = Status::Retry);
    for plugin in ["p", "q"] {
        let id = format!("stripe.evt_1.{plugin}");
        host.store.change_delivery(&id, |d| d.status = Status::Retry);
    }
    let ids: Vec<_> = ["evt_3", "evt_2", "evt_1"].map(str::to_owned).into();
    assert_eq!(host.ids("/events?status=parked").await, (ids.clone(), false));
    for (at, id) in ids.iter().enumerate() {
        let path = format!("/events?status=parked&starting_after={id}");
        assert_eq!(host.ids(&path).await, (ids[at + 1..].to_vec(), false), "{path}");
    }
}
