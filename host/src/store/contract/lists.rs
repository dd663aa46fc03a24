//! Pages of events and deliveries.

use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::event::StoredEvent;

use super::super::{Cursor, DeliveryQuery, EventQuery, Page, PageRequest, StoreError};
use super::*;

fn query(limit: usize, from: Option<Cursor<EventKey>>) -> EventQuery {
    EventQuery { kind: None, status: None, page: PageRequest { limit, from } }
}

fn ids(page: &Page<Arc<StoredEvent>>) -> Vec<&str> {
    page.data.iter().map(|event| event.event.key.id.as_str()).collect()
}

async fn ten(store: &dyn Store) {
    for n in 0..10 {
        let kind = if n % 3 == 0 { "invoice.paid" } else { "charge.succeeded" };
        let plugins: &[&str] = if n % 2 == 0 { &["a", "b"] } else { &[] };
        store.accept(vec![of_kind(event(&n.to_string(), plugins), kind)]).await.unwrap();
    }
}

pub(crate) async fn events_page_both_ways<E: Engine>() {
    let store = E::new().open();
    let after = |id: &str| Some(Cursor::After(key(id)));
    let before = |id: &str| Some(Cursor::Before(key(id)));
    assert!(store.events(query(5, None)).await.unwrap().data.is_empty());
    ten(&*store).await;
    type Case = (usize, Option<Cursor<EventKey>>, &'static [&'static str], bool);
    let cases: [Case; 9] = [
        (3, None, &["9", "8", "7"], true),
        (10, None, &["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"], false),
        (3, after("7"), &["6", "5", "4"], true),
        (4, after("4"), &["3", "2", "1", "0"], false),
        (4, after("0"), &[], false),
        (2, before("4"), &["6", "5"], true),
        (5, before("4"), &["9", "8", "7", "6", "5"], false),
        (5, before("9"), &[], false),
        (0, None, &[], true),
    ];
    for (limit, from, expected, more) in cases {
        let page = store.events(query(limit, from.clone())).await.unwrap();
        assert_eq!((ids(&page), page.has_more), (expected.to_vec(), more), "{limit} {from:?}");
    }
}

pub(crate) async fn events_by_type<E: Engine>() {
    let store = E::new().open();
    ten(&*store).await;
    let of =
        |limit, from, kind: &str| EventQuery { kind: Some(kind.to_owned()), ..query(limit, from) };
    let page = store.events(of(3, None, "invoice.paid")).await.unwrap();
    assert_eq!((ids(&page), page.has_more), (vec!["9", "6", "3"], true));
    let page = store.events(of(3, Some(Cursor::After(key("3"))), "invoice.paid")).await.unwrap();
    assert_eq!((ids(&page), page.has_more), (vec!["0"], false));
    let page = store.events(of(1, Some(Cursor::Before(key("1"))), "invoice.paid")).await.unwrap();
    assert_eq!((ids(&page), page.has_more), (vec!["3"], true));
    assert!(store.events(of(3, None, "invoice")).await.unwrap().data.is_empty());
    // Enough events that those of the rare type are far apart.
    for chunk in 0..40 {
        let events = (0..250).map(|n| event(&format!("bulk_{chunk}_{n}"), &[]));
        store.accept(events.collect()).await.unwrap();
    }
    store.accept(vec![of_kind(event("last", &[]), "invoice.paid")]).await.unwrap();
    let long = "x".repeat(600);
    store.accept(vec![of_kind(event("long", &[]), &long)]).await.unwrap();
    let page = store.events(of(9, None, "invoice.paid")).await.unwrap();
    assert_eq!((ids(&page), page.has_more), (vec!["last", "9", "6", "3", "0"], false));
    let page = store.events(of(2, Some(Cursor::Before(key("6"))), "invoice.paid")).await.unwrap();
    assert_eq!((ids(&page), page.has_more), (vec!["last", "9"], false));
    assert_eq!(ids(&store.events(of(9, None, &long)).await.unwrap()), ["long"]);
    assert!(store.events(of(9, None, &long[..599])).await.unwrap().data.is_empty());
}

pub(crate) async fn events_by_status<E: Engine>() {
    let store = E::new().open();
    ten(&*store).await;
    let claimed = claim(&*store, &["a"]).await;
    settle(&*store, &claimed[0], Verdict::Done).await;
    settle(&*store, &claimed[1], Verdict::Dead).await;
    settle(&*store, &claimed[2], Verdict::RetryAt(START)).await;
    let cases: [(Status, &[&str]); 6] = [
        (Status::Done, &["0"]),
        (Status::Dead, &["2"]),
        (Status::Retry, &["4"]),
        (Status::Running, &["8", "6"]),
        (Status::Pending, &["8", "6", "4", "2", "0"]),
        (Status::Parked, &[]),
    ];
    for (status, expected) in cases {
        let all = EventQuery { status: Some(status), ..query(9, None) };
        assert_eq!(ids(&store.events(all).await.unwrap()), expected, "{status:?}");
    }
    let pending =
        EventQuery { status: Some(Status::Pending), ..query(2, Some(Cursor::Before(key("0")))) };
    let page = store.events(pending.clone()).await.unwrap();
    assert_eq!((ids(&page), page.has_more), (vec!["4", "2"], true));
    let invoices = EventQuery {
        kind: Some("invoice.paid".to_owned()),
        page: PageRequest { limit: 9, from: None },
        ..pending
    };
    assert_eq!(ids(&store.events(invoices).await.unwrap()), ["6", "0"]);
}

pub(crate) async fn deliveries_by_everything<E: Engine>() {
    let store = E::new().open();
    ten(&*store).await;
    let claimed = claim(&*store, &["b"]).await;
    settle(&*store, &claimed[0], Verdict::Done).await;
    settle(&*store, &claimed[3], Verdict::Dead).await;
    let all = || DeliveryQuery {
        group: None,
        event: None,
        plugin: None,
        status: None,
        page: PageRequest { limit: 100, from: None },
    };
    let list = async |query: DeliveryQuery| {
        let page = store.deliveries(query).await.unwrap();
        let ids = page.data.iter().map(|d| d.id.to_string().replace("stripe.", ""));
        (ids.collect::<Vec<_>>(), page.has_more)
    };
    let (everything, more) = list(all()).await;
    assert_eq!((everything.len(), more), (10, false));
    assert!(everything[0].starts_with("8.") && everything[9].starts_with("0."));
    let of_b = DeliveryQuery { plugin: Some(plugin("b")), ..all() };
    assert_eq!(list(of_b.clone()).await.0, ["8.b", "6.b", "4.b", "2.b", "0.b"]);
    let id = DeliveryId { event: key("6"), plugin: plugin("b") };
    let paged =
        |from| DeliveryQuery { page: PageRequest { limit: 1, from: Some(from) }, ..of_b.clone() };
    assert_eq!(list(paged(Cursor::After(id.clone()))).await, (vec!["4.b".to_owned()], true));
    assert_eq!(list(paged(Cursor::Before(id))).await, (vec!["8.b".to_owned()], false));
    for (status, expected) in [
        (Status::Done, vec!["0.b"]),
        (Status::Dead, vec!["6.b"]),
        (Status::Running, vec!["8.b", "4.b", "2.b"]),
        (Status::Pending, vec!["8.a", "6.a", "4.a", "2.a", "0.a"]),
        (Status::Retry, vec![]),
    ] {
        let found = list(DeliveryQuery { status: Some(status), ..all() }).await.0;
        assert_eq!(found, expected, "{status:?}");
    }
    let of_six = DeliveryQuery { event: Some(key("6")), ..all() };
    let mut found = list(of_six.clone()).await.0;
    found.sort();
    assert_eq!(found, ["6.a", "6.b"]);
    let done = DeliveryQuery { status: Some(Status::Done), ..of_six };
    assert!(list(done).await.0.is_empty());
    assert!(list(DeliveryQuery { event: Some(key("none")), ..all() }).await.0.is_empty());
    assert!(list(DeliveryQuery { plugin: Some(plugin("none")), ..all() }).await.0.is_empty());
    // Page by page, both ways, nothing twice and nothing missing.
    let (mut forth, mut from) = (Vec::new(), None);
    loop {
        let page = DeliveryQuery { page: PageRequest { limit: 3, from }, ..all() };
        let page = store.deliveries(page).await.unwrap();
        forth.extend(page.data.iter().map(|d| d.id.to_string().replace("stripe.", "")));
        from = page.data.last().map(|d| Cursor::After(d.id.clone()));
        if !page.has_more {
            break;
        }
    }
    assert_eq!(forth, everything);
}

pub(crate) async fn an_unknown_cursor_is_told<E: Engine>() {
    let store = E::new().open();
    ten(&*store).await;
    let told = store.events(query(3, Some(Cursor::After(key("none"))))).await;
    assert!(matches!(told, Err(StoreError::NoSuchCursor { .. })), "{told:?}");
}
