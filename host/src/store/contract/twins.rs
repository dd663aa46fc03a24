//! Two events of one change: whoever was given one is not given the other.

use std::time::Duration;

use super::super::RetentionPolicy;
use super::*;

/// An event that names another as the other one of its change.
fn naming(id: &str, other: &str, plugins: &[&str]) -> NewEvent {
    let mut new = event(id, plugins);
    new.event.body = format!("{{\"twin\":\"{other}\"}}").into();
    new
}

/// Who was given what, as `plugin event`.
async fn given(store: &dyn Store, plugins: &[&str]) -> Vec<String> {
    let claimed = claim(store, plugins).await;
    let told = |one: &ClaimedDelivery| format!("{} {}", one.id.plugin, one.id.event.id);
    claimed.iter().map(told).collect()
}

pub(crate) async fn a_snapshot_spares_its_thin_event<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    accept(&*store, "snap", &["a", "b"]).await;
    let [first, second] = &claim(&*store, &["a", "b"]).await[..] else { panic!("not two") };
    // In whatever state its delivery is.
    settle(&*store, first, Verdict::Done).await;
    settle(&*store, second, Verdict::RetryAt(LATE)).await;
    let thin = naming("thin", "snap", &["a", "b", "c"]);
    let admitted = store.accept(vec![thin.clone()]).await.unwrap()[0];
    assert!(matches!(admitted, Admission::Accepted(_)), "it is an event of its own");
    assert_eq!(given(&*store, &["a", "b", "c"]).await, ["c thin"]);
    assert!(matches!(store.accept(vec![thin]).await.unwrap()[0], Admission::Duplicate(_)));
}

pub(crate) async fn a_thin_event_spares_its_snapshot<E: Engine>() {
    let engine = E::new();
    let store = engine.open();
    store.accept(vec![naming("thin", "snap", &["a"])]).await.unwrap();
    let claimed = claim(&*store, &["a"]).await;
    settle(&*store, &claimed[0], Verdict::Dead).await;
    drop(store);
    let store = engine.open();
    accept(&*store, "other", &["a"]).await;
    accept(&*store, "snap", &["a", "b"]).await;
    assert_eq!(given(&*store, &["a", "b"]).await, ["a other", "b snap"]);
    // Why one of them did not get it is told as long as the thin one is kept.
    let told = async |store: &dyn Store, id: &str| {
        let by = store.spared_by(&key(id)).await.unwrap();
        by.map(|event| event.event.key.id.clone())
    };
    assert_eq!(told(&*store, "snap").await.as_deref(), Some("thin"));
    assert_eq!((told(&*store, "thin").await, told(&*store, "other").await), (None, None));
    drop(store);
    let store = engine.open();
    assert_eq!(told(&*store, "snap").await.as_deref(), Some("thin"));
    assert!(matches!(accept(&*store, "snap", &["a"]).await, Admission::Duplicate(_)));
}

pub(crate) async fn one_list_may_hold_both<E: Engine>() {
    let store = E::new().open();
    let list = vec![
        event("snap_1", &["a"]),
        naming("thin_1", "snap_1", &["a", "b"]),
        naming("thin_2", "snap_2", &["a"]),
        event("snap_2", &["a", "b"]),
    ];
    store.accept(list).await.unwrap();
    let mut given = given(&*store, &["a", "b"]).await;
    given.sort();
    assert_eq!(given, ["a snap_1", "a thin_2", "b snap_2", "b thin_1"]);
    let told = store.spared_by(&key("snap_2")).await.unwrap().unwrap();
    assert_eq!(told.event.key, key("thin_2"));
    // Nothing was kept from anyone by one that came after.
    assert!(store.spared_by(&key("snap_1")).await.unwrap().is_none());
}

pub(crate) async fn a_pair_is_forgotten_with_its_event<E: Engine>() {
    let day = Duration::from_secs(86_400);
    let store = E::new().open();
    store.accept(vec![naming("thin", "snap", &["a"])]).await.unwrap();
    let claimed = claim(&*store, &["a"]).await;
    settle(&*store, &claimed[0], Verdict::Done).await;
    let policy = RetentionPolicy { age: Some(day), bytes: None, dedupe_age: day * 30 };
    let now = START.plus(day * 2);
    while store.retain(&policy, now).await.unwrap().more {}
    store.retain(&policy, now).await.unwrap();
    accept(&*store, "snap", &["a"]).await;
    assert_eq!(given(&*store, &["a"]).await, ["a snap"]);
    assert!(store.spared_by(&key("snap")).await.unwrap().is_none());
}
