//! What opening refuses, and what it says.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use crate::store::contract::{accept, claim, event, key};
use crate::store::sled::{OpenError, compact};

use super::*;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn refused(place: &Place) -> OpenError {
    SledStore::open(&place.config()).unwrap_err()
}

#[tokio::test]
async fn it_is_private_and_its_own() {
    let place = Place::new();
    let store = place.open_sled();
    let path = place.config().path;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let locked = refused(&place);
    let pid = std::process::id();
    assert!(matches!(&locked, OpenError::Locked { pid: Some(p), .. } if *p == pid), "{locked}");
    assert!(locked.to_string().contains(&format!("process {pid}")), "{locked}");
    accept(&*store, "evt_1", &["a"]).await;
    store.close().await.unwrap();
    // Closed is free, though somebody still holds the store.
    assert!(place.open_sled().event(&key("evt_1")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_is_about_to_close_is_waited_for() {
    let place = Place::new();
    let store = place.open_sled();
    let config = place.config();
    let (begins, begun) = tokio::sync::oneshot::channel();
    let opening = tokio::task::spawn_blocking(move || {
        begins.send(()).unwrap();
        SledStore::open(&config)
    });
    begun.await.unwrap();
    store.close().await.unwrap();
    opening.await.unwrap().unwrap();
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let place = Place::new();
    let path = place.config().path;
    fs::create_dir(&path).unwrap();
    fs::write(path.join("thesis.txt"), "mine").unwrap();
    let error = refused(&place);
    assert!(matches!(&error, OpenError::Foreign { found, .. } if found == "thesis.txt"), "{error}");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "nothing was written into it");
}

#[test]
fn a_newer_or_unreadable_format_is_refused() {
    let place = Place::new();
    drop(place.open_sled());
    let format = place.config().path.join("FORMAT");
    fs::write(&format, "signalbox store 2\n").unwrap();
    let error = refused(&place);
    assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");
    for bad in ["", "signalbox store 0\n", "signalbox store x\n", "\u{0}\u{0}"] {
        fs::write(&format, bad).unwrap();
        let error = refused(&place);
        assert!(matches!(error, OpenError::Damaged { .. }), "{bad:?}: {error}");
    }
    fs::write(&format, "signalbox store 1\n").unwrap();
    drop(place.open_sled());
}

#[test]
fn damage_is_named_with_a_remedy() {
    for file in ["sled/db", "sled/conf", "HIGHWATER"] {
        let place = Place::new();
        drop(place.open_sled());
        fs::remove_file(place.config().path.join(file)).unwrap();
        let error = refused(&place);
        assert!(matches!(error, OpenError::Damaged { .. }), "{file}: {error}");
        let text = error.to_string();
        assert!(text.contains(file) && text.contains("restore"), "{text}");
    }
    let place = Place::new();
    drop(place.open_sled());
    fs::write(place.config().path.join("sled/conf"), "segment_size: 524288\nuse_compression: no")
        .unwrap();
    assert!(matches!(refused(&place), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn an_interrupted_making_starts_again() {
    let place = Place::new();
    drop(place.open_sled());
    let path = place.config().path;
    fs::remove_file(path.join("FORMAT")).unwrap();
    fs::write(path.join("CREATING"), "").unwrap();
    fs::write(path.join("sled/db"), "cut short").unwrap();
    let store = place.open_sled();
    accept(&*store, "evt_1", &[]).await;
    drop(store);
    assert!(!path.join("CREATING").exists());
    assert!(place.open_sled().event(&key("evt_1")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_snapshot_cut_short_does_not_stop_the_opening() {
    let place = Place::new();
    let store = place.open_sled();
    accept(&*store, "evt_1", &["a"]).await;
    drop(store);
    let left = place.config().path.join("sled/snap.0000000000000042.generating");
    fs::write(&left, "half").unwrap();
    assert_eq!(claim(&*place.open_sled(), &["a"]).await.len(), 1);
    assert!(!left.exists());
}

#[tokio::test]
async fn a_store_that_came_back_short_does_not_serve() {
    let place = Place::new();
    let store = place.open_sled();
    accept(&*store, "evt_1", &[]).await;
    store.close().await.unwrap();
    drop(store);
    let path = place.config().path;
    let old = path.with_file_name("old");
    copy(&path.join("sled"), &old);
    let store = place.open_sled();
    for n in 2..9 {
        accept(&*store, &format!("evt_{n}"), &[]).await;
    }
    store.close().await.unwrap();
    drop(store);
    fs::remove_dir_all(path.join("sled")).unwrap();
    copy(&old, &path.join("sled"));
    let error = refused(&place);
    let OpenError::Short { acknowledged, found, .. } = &error else { panic!("{error}") };
    assert!(acknowledged > found, "{error}");
    assert!(error.to_string().contains("Restore"), "{error}");
    assert!(matches!(refused(&place), OpenError::Short { .. }), "it stays refused");
}

#[tokio::test]
async fn a_copy_made_while_running_opens_with_all_that_was_acknowledged() {
    let place = Place::new();
    let store = place.open_sled();
    for n in 0..200 {
        store.accept(vec![event(&format!("evt_{n}"), &["a"])]).await.unwrap();
    }
    let copied = Place::new();
    copy(&place.config().path, &copied.config().path);
    let crashed = copied.open_sled();
    assert_eq!(claim(&*crashed, &["a"]).await.len(), 200);
    drop(crashed);
    // Opened after an unclean stop: a copy where blocks can be shared, no remains elsewhere.
    assert!(!copied.config().path.join("copy.unfinished").exists());
    store.close().await.unwrap();
    assert!(!place.config().path.join("RUNNING").exists());
}

#[tokio::test]
async fn a_compacted_store_is_whole_and_small() {
    let place = Place::new();
    let store = place.open_sled();
    let body = |n: u64| crate::store::contract::noise(20_000, n);
    for n in 0..600 {
        let mut new = event(&format!("evt_{n}"), &["a"]);
        new.event.body = body(n).into();
        store.accept(vec![new]).await.unwrap();
    }
    let mut large = event("evt_large", &[]);
    large.event.body = crate::store::contract::noise(1 << 20, 5).into();
    store.accept(vec![large.clone()]).await.unwrap();
    store.close().await.unwrap();
    let target = Place::new();
    let done = compact(&place.config().path, &target.config().path).unwrap();
    assert!(done.rows > 600 && done.after > 0, "{done:?}");
    let full = compact(&place.config().path, &target.config().path).unwrap_err();
    assert!(matches!(full, OpenError::NotEmpty(_)), "{full}");
    let store = target.open_sled();
    assert_eq!(claim(&*store, &["a"]).await.len(), 600);
    assert!(store.event(&key("evt_7")).await.unwrap().unwrap().event.body == body(7));
    let found = store.event(&key("evt_large")).await.unwrap().unwrap();
    assert_eq!(found.event, large.event);
    assert!(matches!(accept(&*store, "evt_1", &[]).await, crate::store::Admission::Duplicate(_)));
    store.close().await.unwrap();
    drop(place.open_sled());
}

#[test]
fn a_high_water_mark_that_is_noise_is_damage() {
    let place = Place::new();
    drop(place.open_sled());
    let file = fs::OpenOptions::new().write(true).open(place.config().path.join("HIGHWATER"));
    file.unwrap().write_all_at(&[b'x'; 1024], 0).unwrap();
    let error = refused(&place);
    assert!(error.to_string().contains("HIGHWATER"), "{error}");
}
