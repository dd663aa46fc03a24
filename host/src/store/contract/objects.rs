//! The mirror: objects are folded with their events, found again, listed, fetched, and stay.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::domain::json::{Kind, Value};
use crate::domain::mirror::{Mirrored, Opened, State};
use crate::domain::object::{
    Before, FetchEnd, Fetched, ObjectKey, ObjectState, Origin, Sighting, Stage,
};
use crate::store::objects::{ObjectFigures, ObjectQuery, ObjectStore, Sight, Touch};
use crate::store::{Cursor, Page, PageRequest, RetentionPolicy};

/// Objects as these tests write them into an event: `own`, with `before` and `stage`, and `inside`.
#[derive(Debug)]
pub(crate) struct TestSight;

impl Sight for TestSight {
    fn objects(&self, event: &VerifiedEvent) -> Vec<Sighting> {
        let text = std::str::from_utf8(&event.body).unwrap_or_default();
        let Some(body) = Value::parse(text) else { return Vec::new() };
        let own = body.get("own").map(|own| {
            let stage = match body.get("stage").and_then(Value::text) {
                Some("created") => Stage::Created,
                Some("gone") => Stage::Gone,
                _ => Stage::Live,
            };
            let before = body.get("before");
            Sighting {
                stage,
                before: before.map_or(Before::Silent, |b| Before::Was(own.digest_before(b))),
                previous: before.map(|before| event.body.slice_ref(before.raw.as_bytes())),
                ..sighting(&event.body, own, true)
            }
        });
        let inside = body.get("inside").into_iter().flat_map(|inside| match &inside.kind {
            Kind::List(list) => list.as_slice(),
            _ => &[],
        });
        own.into_iter().chain(inside.map(|value| sighting(&event.body, value, false))).collect()
    }

    /// `"twin"` in the body names the other event.
    fn twin(&self, event: &VerifiedEvent) -> Option<EventKey> {
        let body = Value::parse(std::str::from_utf8(&event.body).ok()?)?;
        Some(super::key(body.get("twin")?.text()?))
    }
}

fn sighting(body: &Bytes, value: &Value<'_>, subject: bool) -> Sighting {
    let text = |name| value.get(name).and_then(Value::text).unwrap_or_default().to_owned();
    Sighting {
        kind: text("object"),
        id: text("id"),
        stage: Stage::Live,
        subject,
        stub: false,
        born: None,
        before: Before::Silent,
        content: value.digest(),
        previous: None,
        body: body.slice_ref(value.raw.as_bytes()),
    }
}

/// An event that shows objects.
pub(crate) fn shows(id: &str, second: u64, body: &str) -> NewEvent {
    let mut new = event(id, &[]);
    new.event.body = Bytes::from(body.to_owned());
    new.event.occurred_at = START.plus(Duration::from_secs(second));
    new.received_at = START.plus(Duration::from_secs(1_000));
    new
}

/// An event about a customer with this name, and perhaps the one before.
pub(crate) fn customer(id: &str, second: u64, of: &str, name: &str, before: &str) -> NewEvent {
    let before = if before.is_empty() {
        String::new()
    } else {
        format!(r#","before":{{"name":"{before}"}}"#)
    };
    let own = format!(r#"{{"id":"{of}","object":"customer","name":"{name}"}}"#);
    shows(id, second, &format!(r#"{{"own":{own}{before}}}"#))
}

pub(crate) fn object_key(kind: &str, id: &str) -> ObjectKey {
    ObjectKey {
        provider: "stripe".to_owned(),
        livemode: true,
        kind: kind.to_owned(),
        account: Some("acct_1".to_owned()),
        id: id.to_owned(),
    }
}

/// The mirror of a store.
pub(crate) fn mirror(store: &Arc<dyn Store>) -> Arc<dyn ObjectStore> {
    Arc::clone(store).mirror().unwrap()
}

async fn one(store: &Arc<dyn Store>, kind: &str, id: &str) -> Option<ObjectState> {
    mirror(store).object(&object_key(kind, id)).await.unwrap()
}

async fn name(store: &Arc<dyn Store>, id: &str) -> String {
    let held = one(store, "customer", id).await.unwrap();
    let body = String::from_utf8(held.body.to_vec()).unwrap();
    Value::parse(&body).unwrap().get("name").unwrap().text().unwrap().to_owned()
}

pub(crate) const fn page<C>(limit: usize, from: Option<Cursor<C>>) -> PageRequest<C> {
    PageRequest { limit, from }
}

fn ids(page: &Page<ObjectState>) -> Vec<&str> {
    page.data.iter().map(|object| object.key.id.as_str()).collect()
}

async fn history(
    store: &Arc<dyn Store>,
    limit: usize,
    from: Option<Cursor<EventKey>>,
) -> Page<Touch> {
    mirror(store).object_history(&object_key("customer", "c"), page(limit, from)).await.unwrap()
}

fn events(page: &Page<Touch>) -> Vec<String> {
    let id = |touch: &Touch| touch.event.as_ref().map(|e| e.event.key.id.clone());
    page.data.iter().map(|touch| id(touch).unwrap_or_else(|| "gone".to_owned())).collect()
}

pub(crate) async fn an_object_is_held_with_its_event<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    let told = r#"{"own":{"id":"c", "object":"customer","n":9007199254740993},"stage":"created",
        "inside":[{"id":"p","object":"price","n":1.10},{"id":"c","object":"account"}]}"#;
    store.accept(vec![shows("1", 5, told)]).await.unwrap();
    let held = one(&store, "customer", "c").await.unwrap();
    assert_eq!(held.body, r#"{"id":"c", "object":"customer","n":9007199254740993}"#);
    assert_eq!(held.as_of, START.plus(Duration::from_secs(5)));
    assert_eq!((held.event, held.origin), (Some(key("1")), Origin::Event));
    assert!(!held.deleted && !held.ambiguous);
    let price = one(&store, "price", "p").await.unwrap();
    assert_eq!(
        (&*price.body, price.origin),
        (&br#"{"id":"p","object":"price","n":1.10}"#[..], Origin::Embedded)
    );
    assert!(one(&store, "account", "c").await.is_some(), "kinds are apart");

    // Known events fold nothing, nor does an older one.
    store.accept(vec![customer("2", 7, "c", "new", "")]).await.unwrap();
    store.accept(vec![shows("1", 9, told), customer("3", 6, "c", "old", "")]).await.unwrap();
    assert_eq!(name(&store, "c").await, "new");
    // What is contained does not count as told of unless it changes something.
    let again =
        r#"{"own":{"id":"d","object":"customer"},"inside":[{"id":"p","object":"price","n":1.10}]}"#;
    store.accept(vec![shows("4", 9, again)]).await.unwrap();
    assert_eq!(one(&store, "price", "p").await.unwrap().event, Some(key("1")));
    let gone = r#"{"own":{"id":"c","object":"customer","name":"last"},"stage":"gone"}"#;
    store.accept(vec![shows("5", 9, gone), customer("6", 10, "c", "late", "")]).await.unwrap();
    drop(store);
    let store = engine.open();
    assert!(one(&store, "customer", "c").await.unwrap().deleted);
    assert_eq!(name(&store, "c").await, "last");
    assert_eq!(events(&history(&store, 9, None).await), ["6", "5", "3", "2", "1"]);
    let figures = mirror(&store).object_figures().await.unwrap();
    assert_eq!(figures, ObjectFigures { held: 4, ambiguous: 0 });
}

pub(crate) async fn modes_and_accounts_are_apart<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    let mut keys = Vec::new();
    for (number, (live, account)) in
        [(true, None), (true, Some("acct_2")), (false, None), (false, Some("acct_2"))]
            .into_iter()
            .enumerate()
    {
        let mut new = customer(&number.to_string(), 1, "FREE", &number.to_string(), "");
        new.event.livemode = live;
        new.event.account = account.map(str::to_owned);
        store.accept(vec![new]).await.unwrap();
        let account = account.map(str::to_owned);
        keys.push(ObjectKey { livemode: live, account, ..object_key("customer", "FREE") });
    }
    for (number, key) in keys.iter().enumerate() {
        let held = mirror(&store).object(key).await.unwrap().unwrap();
        assert_eq!((&held.key, held.event), (key, Some(super::key(&number.to_string()))));
    }
}

pub(crate) async fn what_is_ambiguous_is_listed_until_it_is_known<E: Engine>() {
    let store = E::new().open();
    for id in ["a", "b"] {
        let event = |number: u8, second, name, before| {
            customer(&format!("{id}{number}"), second, id, name, before)
        };
        let before = event(0, 0, "x", "");
        store.accept(vec![before, event(1, 1, "x", ""), event(2, 1, "z", "y")]).await.unwrap();
    }
    let all = mirror(&store).ambiguous(page(9, None)).await.unwrap();
    assert_eq!(ids(&all), ["a", "b"]);
    assert!(all.data.iter().all(|object| object.ambiguous));
    assert_eq!(mirror(&store).object_figures().await.unwrap().ambiguous, 2);
    assert_eq!(name(&store, "a").await, "z", "the later arrival");
    // The missing link comes.
    store.accept(vec![customer("a3", 1, "a", "y", "x")]).await.unwrap();
    assert_eq!(name(&store, "a").await, "z");
    let all = mirror(&store).ambiguous(page(9, None)).await.unwrap();
    assert_eq!(ids(&all), ["b"]);
    assert_eq!(
        mirror(&store).object_figures().await.unwrap(),
        ObjectFigures { held: 2, ambiguous: 1 }
    );
}

pub(crate) async fn a_fetch_wins_over_what_came_before_it<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    store
        .accept(vec![customer("1", 1, "c", "x", ""), customer("2", 1, "c", "z", "y")])
        .await
        .unwrap();
    let body = Bytes::from_static(br#"{"id":"c","object":"customer","name":"true"}"#);
    let fetched = |id: &str, second: u64, found: bool| {
        let text = std::str::from_utf8(&body).unwrap();
        Fetched {
            key: object_key("customer", id),
            began: START.plus(Duration::from_secs(second)),
            found: found.then(|| sighting(&body, &Value::parse(text).unwrap(), true)),
        }
    };
    let list =
        vec![fetched("c", 1_000, true), fetched("new", 1_001, true), fetched("none", 1, false)];
    let ends = mirror(&store).refetched(list).await.unwrap();
    assert_eq!(ends, [FetchEnd::Overtaken, FetchEnd::Held, FetchEnd::Nothing]);
    assert!(one(&store, "customer", "c").await.unwrap().ambiguous);
    assert!(one(&store, "customer", "none").await.is_none());
    let ends = mirror(&store).refetched(vec![fetched("c", 1_001, true)]).await.unwrap();
    assert_eq!((ends, name(&store, "c").await), (vec![FetchEnd::Held], "true".to_owned()));
    drop(store);
    let store = engine.open();
    let held = one(&store, "customer", "c").await.unwrap();
    assert_eq!((held.ambiguous, held.event, held.origin), (false, None, Origin::Fetched));
    let figures = ObjectFigures { held: 2, ambiguous: 0 };
    assert_eq!(mirror(&store).object_figures().await.unwrap(), figures);
    mirror(&store).refetched(vec![fetched("c", 1_002, false)]).await.unwrap();
    assert!(one(&store, "customer", "c").await.unwrap().deleted);
    assert_eq!(name(&store, "c").await, "true");
}

pub(crate) async fn what_a_late_event_contains_is_in_doubt<E: Engine>() {
    let event = |id: &str, second, number: u8| {
        let own = format!(r#"{{"id":"s","object":"subscription","at":{second}}}"#);
        let item = format!(r#"{{"id":"i","object":"item","n":{number}}}"#);
        shows(id, second, &format!(r#"{{"own":{own},"inside":[{item}]}}"#))
    };
    // 1, 2 and 1 again, of which no event about the item itself tells.
    let [first, second, third] = [event("1", 1, 1), event("2", 2, 2), event("3", 3, 1)];
    let held = |store: Arc<dyn Store>| async move {
        let held = one(&store, "item", "i").await.unwrap();
        (held.body.last_chunk::<2>() == Some(b"1}"), held.ambiguous)
    };
    let store = E::new().open();
    store.accept(vec![first.clone(), second.clone(), third.clone()]).await.unwrap();
    assert_eq!(held(store).await, (true, false));
    let store = E::new().open();
    store.accept(vec![first, third]).await.unwrap();
    assert_eq!(held(Arc::clone(&store)).await, (true, false));
    store.accept(vec![second]).await.unwrap();
    let (right, ambiguous) = held(Arc::clone(&store)).await;
    assert!(right || ambiguous, "silently wrong");
    // The next fetch knows.
    let key = object_key("item", "i");
    let found = TestSight.objects(&event("x", 9, 1).event).remove(1);
    let fetched =
        Fetched { key, began: START.plus(Duration::from_secs(2_000)), found: Some(found) };
    assert_eq!(mirror(&store).refetched(vec![fetched]).await.unwrap(), [FetchEnd::Held]);
    assert_eq!(held(store).await, (true, false));
}

pub(crate) async fn objects_page_both_ways<E: Engine>() {
    let store = E::new().open();
    for id in ["a", "b", "c", "d"] {
        let inside = format!(r#"{{"inside":[{{"id":"{id}","object":"price"}}]}}"#);
        let gone = format!(r#"{{"own":{{"id":"{id}","object":"customer"}},"stage":"gone"}}"#);
        let list =
            vec![customer(&format!("1{id}"), 1, id, "x", ""), shows(&format!("2{id}"), 2, &inside)];
        store.accept(list).await.unwrap();
        if id == "b" {
            store.accept(vec![shows("3b", 3, &gone)]).await.unwrap();
        }
    }
    let ask = async |kind: Option<&str>, deleted, limit, from| {
        let mut query = ObjectQuery::all(page(limit, from));
        query.kind = kind.map(str::to_owned);
        query.provider = kind.map(|_| "stripe".to_owned());
        query.deleted = deleted;
        let page = mirror(&store).objects(query).await.unwrap();
        (ids(&page).join(""), page.has_more)
    };
    let at = |id: &str| object_key("customer", id);
    assert_eq!(ask(None, None, 9, None).await, ("abcdabcd".to_owned(), false));
    assert_eq!(ask(Some("customer"), None, 9, None).await, ("abcd".to_owned(), false));
    assert_eq!(ask(Some("customer"), None, 2, None).await, ("ab".to_owned(), true));
    let after = Some(Cursor::After(at("b")));
    assert_eq!(ask(Some("customer"), None, 2, after).await, ("cd".to_owned(), false));
    let before = Some(Cursor::Before(at("d")));
    assert_eq!(ask(Some("customer"), None, 2, before).await, ("bc".to_owned(), true));
    assert_eq!(ask(Some("customer"), Some(true), 9, None).await, ("b".to_owned(), false));
    assert_eq!(ask(Some("price"), Some(true), 9, None).await, (String::new(), false));
    assert_eq!(ask(Some("custom"), None, 9, None).await, (String::new(), false));
    let other =
        ObjectQuery { account: Some("acct_2".to_owned()), ..ObjectQuery::all(page(9, None)) };
    assert!(mirror(&store).objects(other).await.unwrap().data.is_empty());
}

pub(crate) async fn a_long_history_pages_and_outlives_its_events<E: Engine>() {
    let store = E::new().open();
    for number in 0..100_u64 {
        let name = number.to_string();
        store.accept(vec![customer(&name, number, "c", &name, "")]).await.unwrap();
        // Another object has its own.
        store.accept(vec![customer(&format!("d{name}"), number, "d", &name, "")]).await.unwrap();
    }
    let numbers =
        |range: std::ops::Range<u64>| range.rev().map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(events(&history(&store, 200, None).await), numbers(0..100));
    let first = history(&store, 40, None).await;
    assert_eq!((events(&first), first.has_more), (numbers(60..100), true));
    let rest = history(&store, 60, Some(Cursor::After(key("60")))).await;
    assert_eq!((events(&rest), rest.has_more), (numbers(0..60), false));
    let newer = history(&store, 3, Some(Cursor::Before(key("60")))).await;
    assert_eq!((events(&newer), newer.has_more), (numbers(61..64), true));

    let policy =
        RetentionPolicy { age: None, bytes: Some(0), dedupe_age: Duration::from_secs(1_000_000) };
    while store.retain(&policy, START).await.unwrap().more {}
    assert_eq!(name(&store, "c").await, "99", "the mirror stays");
    assert!(events(&history(&store, 200, None).await).iter().all(|event| event == "gone"));
    for number in 100..300_u64 {
        let name = number.to_string();
        store.accept(vec![customer(&name, number, "c", &name, "")]).await.unwrap();
    }
    let all = events(&history(&store, 500, None).await);
    assert_eq!(all[..200], numbers(100..300));
    assert!(all.len() < 270, "what names events that went goes, in time: {}", all.len());
}

pub(crate) async fn large_objects_are_kept<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    for (second, size) in [(1, 10), (2, 300_000), (3, 100_000), (4, 700_000), (5, 20)] {
        let noise: String =
            noise(size, second).iter().map(|byte| char::from(b'0' + byte % 64)).collect();
        let name = noise.replace(['\\', '"'], "_");
        let id = second.to_string();
        store.accept(vec![customer(&id, second, "c", &name, "")]).await.unwrap();
        assert_eq!(self::name(&store, "c").await, name);
    }
    drop(store);
    assert_eq!(name(&engine.open(), "c").await.len(), 20);
}

/// Whatever comes in whatever order, the store holds what the rules alone come to.
pub(crate) async fn any_sequence_agrees_with_the_rules<E: Engine>() {
    let engine = E::new();
    let mut store = engine.open();
    let mut held: BTreeMap<String, Mirrored> = BTreeMap::new();
    let mut drawn = noise(4_000, 7).into_iter();
    let mut below = |most: u8| drawn.next().unwrap() % most;
    let open = Opened::unpack;
    for number in 0..400 {
        let (of, second) = (below(4).to_string(), u64::from(below(6)));
        let (name, before) = (below(3).to_string(), below(3).to_string());
        let before = if below(2) == 0 || before == name { String::new() } else { before };
        let mut new = customer(&number.to_string(), second, &of, &name, &before);
        if below(40) == 0 {
            let own = format!(r#"{{"id":"{of}","object":"customer","name":"{name}"}}"#);
            new.event.body = format!(r#"{{"own":{own},"stage":"gone"}}"#).into();
        }
        let seen = TestSight.objects(&new.event).remove(0);
        let (event, moments) = (number.to_string(), (new.event.occurred_at, new.received_at));
        let state = State::of(&seen, &event, moments, Origin::Event, Opened::pack(&seen).into());
        match held.get_mut(&of) {
            None => drop(held.insert(of.clone(), Mirrored::begin(state))),
            Some(held) => drop(held.fold(state, &open)),
        }
        store.accept(vec![new]).await.unwrap();
        if below(50) == 0 {
            drop(store);
            store = engine.open();
        }
        let (found, expected) = (one(&store, "customer", &of).await.unwrap(), &held[&of]);
        assert_eq!(found.body, open(&expected.state().packed).unwrap().body, "{number}");
        assert_eq!((found.ambiguous, found.deleted), (expected.ambiguous, expected.deleted()));
        assert_eq!(found.event, Some(key(&expected.state().event)));
    }
    let ambiguous = held.values().filter(|held| held.ambiguous).count();
    let figures = mirror(&store).object_figures().await.unwrap();
    assert_eq!(figures, ObjectFigures { held: held.len() as u64, ambiguous: ambiguous as u64 });
    assert_eq!(mirror(&store).ambiguous(page(9, None)).await.unwrap().data.len(), ambiguous);
}
