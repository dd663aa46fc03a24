//! The mirror: one object, its very bytes, lists with cursors, the events that showed it.

use super::*;
use crate::store::contract::objects::{TestSight, customer, shows};
use crate::store::sled::{SledConfig, SledStore};
use crate::store::{NewEvent, Store};

/// A host over an embedded store with a mirror.
async fn host(events: Vec<NewEvent>) -> (Host, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = SledConfig::new(dir.path().join("store"));
    let store =
        SledStore::open(&SledConfig { sight: Some(Arc::new(TestSight)), ..config }).unwrap();
    for event in events {
        store.accept(vec![event]).await.unwrap();
    }
    (Host::over(store).await, dir)
}

fn test_mode(mut new: NewEvent) -> NewEvent {
    new.event.livemode = false;
    new.event.account = None;
    new
}

fn events() -> Vec<NewEvent> {
    let odd = r#"{"own":{ "id":"in/1 %","object":"odd", "n":9007199254740993.10},"stage":"gone"}"#;
    vec![
        customer("evt_1", 1, "cus_1", "one", ""),
        customer("evt_2", 2, "cus_1", "two", ""),
        customer("evt_3", 2, "cus_1", "three", ""),
        test_mode(customer("evt_4", 2, "cus_1", "test", "")),
        customer("evt_5", 3, "cus_2", "other", ""),
        shows("evt_6", 4, odd),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_shown_as_the_newest_event_left_it() {
    let (host, _dir) = host(events()).await;
    let path = "/objects/stripe/customer/cus_1?account=acct_1";
    let shown = host.json(path).await;
    assert_has(
        &shown,
        json!({
            "object": "object", "id": "cus_1", "kind": "customer", "provider": "stripe",
            "account": "acct_1", "livemode": true, "as_of": 1_790_000_002, "event": "evt_3",
            "origin": "event", "deleted": false, "ambiguous": true,
            "body": {"id": "cus_1", "object": "customer", "name": "three"},
        }),
    );
    let odd = "/objects/stripe/odd/in%2F1%20%25";
    let raw = host.get(&format!("{odd}/raw?account=acct_1")).await;
    assert_eq!(raw.body, br#"{ "id":"in/1 %","object":"odd", "n":9007199254740993.10}"#);
    let reply = host.get(&format!("{odd}?account=acct_1")).await;
    let text = String::from_utf8(reply.body).unwrap();
    assert!(text.contains("9007199254740993.10") && text.contains("\"deleted\":true"), "{text}");

    // Without an account, the endpoint's own; without a mode, what is real before the test's.
    assert_eq!(host.json("/objects/stripe/customer/cus_1").await["body"]["name"], "test");
    let missing_one = host.error("/objects/stripe/customer/cus_1?livemode=true").await;
    assert_eq!(missing_one, missing("id"));
    assert_eq!(host.error("/objects/stripe/customer/cus_2").await, missing("id"));
    assert_eq!(host.error(&format!("{path}&livemode=maybe")).await, invalid("livemode"));
    assert_eq!(host.error(&format!("{path}&x=1")).await.1, "parameter_unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_listed_and_their_cursors_go_on() {
    let (host, _dir) = host(events()).await;
    let ids = async |query: &str| host.ids(&format!("/objects?{query}")).await;
    let list =
        |ids: &[&str], more| (ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(), more);
    assert_eq!(ids("limit=9").await, list(&["in/1 %", "cus_1", "cus_1", "cus_2"], false));
    assert_eq!(ids("kind=customer&account=acct_1").await, list(&["cus_1", "cus_2"], false));
    assert_eq!(ids("ambiguous=true").await, list(&["cus_1"], false));
    assert_eq!(ids("deleted=true&provider=stripe").await, list(&["in/1 %"], false));
    assert_eq!(ids("livemode=false").await, list(&["cus_1"], false));
    let first = host.json("/objects?kind=customer&provider=stripe&limit=2").await;
    assert_eq!(first["has_more"], true);
    let cursor = first["data"][1]["cursor"].as_str().unwrap();
    let rest = format!("kind=customer&provider=stripe&starting_after={cursor}");
    assert_eq!(ids(&rest).await, list(&["cus_2"], false));
    let before = format!("kind=customer&provider=stripe&ending_before={cursor}");
    assert_eq!(ids(&before).await, list(&["cus_1"], false));
    assert_eq!(host.error("/objects?starting_after=cus_1").await, invalid("starting_after"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_that_showed_an_object_are_listed() {
    let (host, _dir) = host(events()).await;
    let path = "/objects/stripe/customer/cus_1/history?account=acct_1&limit=2";
    let first = host.json(path).await;
    assert_has(
        &first["data"][0],
        json!({"id": "evt_3", "type": "charge.succeeded", "gone": false}),
    );
    assert_eq!(first["has_more"], true);
    let (rest, more) = host.ids(&format!("{path}&starting_after=evt_2")).await;
    assert_eq!((rest, more), (vec!["evt_1".to_owned()], false));
    assert_eq!(host.error(&format!("{path}&starting_after=evt_9")).await.0, 400);
    let figures = host.ask("GET", "/metrics", "", "").await;
    let text = String::from_utf8(figures.body).unwrap();
    for line in ["signalbox_objects 4", "signalbox_objects_ambiguous 1"] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn without_a_mirror_it_is_told_how_to_have_one() {
    let host = Host::start().await;
    for path in ["/objects", "/objects/stripe/customer/cus_1"] {
        assert_eq!(host.error(path).await.1, "mirror_off");
    }
}
