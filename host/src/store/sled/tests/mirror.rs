//! The mirror on sled: stops, damage, copies, and rows that are left alone.

use crate::domain::object::{FetchEnd, Fetched};
use crate::store::contract::START;
use crate::store::contract::objects::{TestSight, customer, object_key, page, shows};
use crate::store::objects::{ObjectFigures, ObjectStore as _, Sight as _};

use super::super::write_set::WriteSet;
use super::super::{compact, layout};
use super::*;

async fn name(store: &SledStore, id: &str) -> Option<String> {
    let held = store.object(&object_key("customer", id)).await.unwrap()?;
    Some(String::from_utf8(held.body.to_vec()).unwrap())
}

fn row(store: &SledStore, kind: &str, id: &str) -> Vec<u8> {
    let key = layout::object(layout::OBJECT, &object_key(kind, id)).unwrap();
    store.shared().unwrap().table.get(&key).unwrap().unwrap().bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_at_any_step_halves_no_fold() {
    let list = [
        vec![customer("1", 1, "c", "one", ""), customer("2", 1, "c", "two", "")],
        vec![customer("3", 1, "c", "three", "")],
        vec![customer("4", 2, "c", "four", "")],
    ];
    let run = async |store: &SledStore| {
        let mut done = 0;
        for events in &list {
            if store.accept(events.clone()).await.is_err() {
                break;
            }
            done += 1;
        }
        done
    };
    for stop in 0..=2 * list.len() as u64 {
        let place = Place::new();
        let store = place.open_sled();
        store.shared().unwrap().table.fail_after(stop);
        let done = run(&store).await;
        drop(store);
        let store = place.open_sled();
        // What was not acknowledged may be there whole, with its event, or not at all.
        let events = store.stats().await.unwrap().events;
        let step = match events {
            0 => 0,
            2 => 1,
            3 => 2,
            4 => 3,
            other => panic!("{stop}: half of a list: {other} events"),
        };
        assert!(step == done || step == done + 1, "{stop}: {step} of {done}");
        let expected = [None, Some("two"), Some("three"), Some("four")][step];
        let name = name(&store, "c").await;
        assert!(name.as_deref().unwrap_or_default().contains(expected.unwrap_or_default()));
        assert_eq!(name.is_some(), expected.is_some(), "{stop}");
        let ambiguous = u64::from(step == 1 || step == 2);
        let figures = ObjectFigures { held: u64::from(step > 0), ambiguous };
        assert_eq!(store.object_figures().await.unwrap(), figures, "{stop}");
        assert_eq!(store.ambiguous(page(9, None)).await.unwrap().data.len() as u64, ambiguous);
        let key = object_key("customer", "c");
        let history = store.object_history(&key, page(9, None)).await.unwrap();
        assert_eq!(history.data.len() as u64, events);
    }
}

#[tokio::test]
async fn what_only_contains_the_same_is_not_written() {
    let place = Place::new();
    let store = place.open_sled();
    let inside = r#"{"inside":[{"id":"p","object":"price","n":1}]}"#;
    store.accept(vec![shows("1", 1, inside)]).await.unwrap();
    let before = row(&store, "price", "p");
    store.accept(vec![shows("2", 1, inside), shows("3", 9, inside)]).await.unwrap();
    assert_eq!(row(&store, "price", "p"), before);
    store.accept(vec![shows("4", 9, &inside.replace(":1}", ":2}"))]).await.unwrap();
    assert_ne!(row(&store, "price", "p"), before);
}

#[tokio::test]
async fn an_unreadable_object_begins_anew_and_keeps_no_event_out() {
    let place = Place::new();
    let store = place.open_sled();
    store.accept(vec![customer("1", 1, "c", "one", "")]).await.unwrap();
    let key = layout::object(layout::OBJECT, &object_key("customer", "c")).unwrap();
    let mut set = WriteSet::default();
    set.put(key, vec![0x10, 0xff, 0xff]);
    store.shared().unwrap().table.apply(set).unwrap();
    let told = store.object(&object_key("customer", "c")).await.unwrap_err();
    assert!(told.to_string().contains("an object"), "{told}");
    store.accept(vec![customer("2", 2, "c", "two", "")]).await.unwrap();
    assert!(name(&store, "c").await.unwrap().contains("two"));
}

#[tokio::test]
async fn a_copy_holds_the_mirror() {
    let place = Place::new();
    let store = place.open_sled();
    for number in 0..50_u64 {
        let id = number.to_string();
        store.accept(vec![customer(&id, number / 2, "c", &id, "")]).await.unwrap();
    }
    let key = object_key("customer", "c");
    let (before, figures) =
        (store.object(&key).await.unwrap(), store.object_figures().await.unwrap());
    assert_eq!(figures, ObjectFigures { held: 1, ambiguous: 1 });
    store.close().await.unwrap();
    let to = place.0.path().join("copy");
    compact(&place.config().path, &to).unwrap();
    let copy = SledStore::open(&SledConfig { path: to, ..place.config() }).unwrap();
    assert_eq!(copy.object(&key).await.unwrap(), before);
    assert_eq!(copy.object_figures().await.unwrap(), figures);
    let history = copy.object_history(&key, page(99, None)).await.unwrap();
    assert_eq!(history.data.len(), 50);
}

#[tokio::test]
async fn without_the_mirror_nothing_is_kept_and_nothing_shown() {
    let place = Place::new();
    let store = SledStore::open(&SledConfig { sight: None, ..place.config() }).unwrap();
    store.accept(vec![customer("1", 1, "c", "one", "")]).await.unwrap();
    assert_eq!(store.object_figures().await.unwrap(), ObjectFigures::default());
    assert!((Arc::clone(&store) as Arc<dyn Store>).mirror().is_none());
    assert_eq!(
        store
            .events(crate::store::EventQuery { kind: None, status: None, page: page(9, None) })
            .await
            .unwrap()
            .data[0]
            .received_at,
        START.plus(std::time::Duration::from_secs(1_000))
    );
}

/// A customer's body of which packing saves little: a megabyte and a half of letters.
fn large(name: &str) -> String {
    let mut random: u64 = 7;
    let letters = (0..1_600_000).map(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
                [(random >> 58) as usize],
        )
    });
    let letters: String = letters.collect();
    format!(r#"{{"id":"c","object":"customer","name":"{name}","blob":"{letters}"}}"#)
}

#[tokio::test]
async fn an_object_too_large_for_its_commit_is_in_doubt_until_it_is_fetched() {
    let place = Place::new();
    let store = place.open_sled();
    let body = large("two");
    let event = |id: &str, second| shows(id, second, &format!(r#"{{"own":{body}}}"#));
    store.accept(vec![customer("1", 1, "c", "one", "")]).await.unwrap();
    store.accept(vec![event("2", 3)]).await.unwrap();
    let key = object_key("customer", "c");
    let held = store.object(&key).await.unwrap().unwrap();
    assert!(held.ambiguous && !held.deleted);
    assert!(name(&store, "c").await.unwrap().contains("one"), "what is known is shown");
    assert_eq!(held.event.unwrap().id, "2");
    assert_eq!(store.ambiguous(page(9, None)).await.unwrap().data.len(), 1);
    // One from before it settles nothing.
    store.accept(vec![customer("3", 2, "c", "late", "")]).await.unwrap();
    assert_eq!(store.object_figures().await.unwrap().ambiguous, 1);
    drop(store);

    let store = place.open_sled();
    let history = store.object_history(&key, page(9, None)).await.unwrap();
    assert_eq!(history.data.len(), 3);
    let began = START.plus(std::time::Duration::from_secs(2_000));
    let found = TestSight.objects(&event("x", 0).event).remove(0);
    let fetched = Fetched { key: key.clone(), began, found: Some(found) };
    assert_eq!(store.refetched(vec![fetched]).await.unwrap(), [FetchEnd::Held]);
    let held = store.object(&key).await.unwrap().unwrap();
    assert!(!held.ambiguous && held.body == body.as_bytes());
    assert_eq!(store.object_figures().await.unwrap().ambiguous, 0);
    // One of which nothing else was ever seen has its name, and an event that fits settles it.
    store.accept(vec![event("4", 5_000)]).await.unwrap();
    let other = only_large(&store).await;
    assert_eq!(other.body, r#"{"id":"d","object":"customer"}"#);
    store.accept(vec![customer("6", 9, "d", "small", "")]).await.unwrap();
    assert!(name(&store, "d").await.unwrap().contains("small"));
    let left = store.ambiguous(page(9, None)).await.unwrap().data;
    assert_eq!(left.iter().map(|one| one.key.id.as_str()).collect::<Vec<_>>(), ["c"]);
}

async fn only_large(store: &SledStore) -> crate::domain::object::ObjectState {
    let body = large("other").replace(r#""id":"c""#, r#""id":"d""#);
    store.accept(vec![shows("5", 8, &format!(r#"{{"own":{body}}}"#))]).await.unwrap();
    let held = store.object(&object_key("customer", "d")).await.unwrap().unwrap();
    assert!(held.ambiguous);
    held
}
