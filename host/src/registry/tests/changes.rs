//! The ways in which a file, or what it is behind, is exchanged under a running registry.

use std::os::unix::fs::symlink;

use super::*;

fn has(table: &RoutingTable, file: &str, version: &str) -> bool {
    report(table, file).is_some_and(|r| {
        r.status == PluginStatus::Loaded && r.version == Some(version.parse().unwrap())
    })
}

#[tokio::test]
async fn a_truncated_file_is_refused_and_loaded_once_it_is_completed() {
    use std::io::Write as _;

    let whole = version("1.0.0");
    let (head, rest) = whole.split_at(whole.len() / 2);
    let mut running = Running::with(&[]).await;
    running.put("a.wasm", head);
    let table = running.until(|t| status(t, "a.wasm").is_some()).await;
    assert_eq!(status(&table, "a.wasm"), Some(PluginStatus::Refused));
    assert!(table.runnable().is_empty(), "half a file runs nothing");
    let mut file =
        fs::File::options().append(true).open(running.dir.path().join("a.wasm")).unwrap();
    file.write_all(rest).unwrap();
    drop(file);
    running.until(|t| has(t, "a.wasm", "1.0.0")).await;
    running.stop().await;
}

#[tokio::test]
async fn a_copy_over_a_running_file_never_leaves_it_without_code() {
    use std::io::Write as _;

    let mut running = Running::with(&[("a.wasm", version("1.0.0"))]).await;
    // As `cp` does it: truncated, then written in pieces, each of which is looked at.
    let mut file = fs::File::create(running.dir.path().join("a.wasm")).unwrap();
    for piece in version("2.0.0").chunks(64) {
        file.write_all(piece).unwrap();
        running.handle.rescan();
        tokio::task::yield_now().await;
        assert_eq!(names(&running.routes.current()), ["a"]);
    }
    drop(file);
    running
        .until(|t| {
            assert_eq!(names(t), ["a"]);
            has(t, "a.wasm", "2.0.0")
        })
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_link_that_is_pointed_elsewhere_is_followed() {
    let elsewhere = tempfile::tempdir().unwrap();
    for number in ["1.0.0", "2.0.0"] {
        fs::write(elsewhere.path().join(number), version(number)).unwrap();
    }
    let mut running = Running::with(&[]).await;
    let link = running.dir.path().join("a.wasm");
    symlink(elsewhere.path().join("1.0.0"), &link).unwrap();
    running.until(|t| has(t, "a.wasm", "1.0.0")).await;
    // `ln -sfn`: another link takes the name.
    let aside = running.dir.path().join("aside");
    symlink(elsewhere.path().join("2.0.0"), &aside).unwrap();
    fs::rename(&aside, &link).unwrap();
    running.until(|t| has(t, "a.wasm", "2.0.0")).await;
    // The target goes: so does the plugin.
    fs::remove_file(elsewhere.path().join("2.0.0")).unwrap();
    running.until(|t| t.reports().is_empty()).await;
    running.stop().await;
}

#[tokio::test]
async fn links_through_a_link_that_is_swapped_change_together() {
    // As Kubernetes mounts a configuration: files through `..data`, which is swapped.
    let mut running = Running::with(&[]).await;
    let dir = running.dir.path().to_owned();
    for number in ["1.0.0", "2.0.0"] {
        fs::create_dir(dir.join(number)).unwrap();
        fs::write(dir.join(number).join("a.wasm"), version(number)).unwrap();
    }
    symlink("1.0.0", dir.join("..data")).unwrap();
    symlink("..data/a.wasm", dir.join("a.wasm")).unwrap();
    running.until(|t| has(t, "a.wasm", "1.0.0")).await;
    symlink("2.0.0", dir.join("..tmp")).unwrap();
    fs::rename(dir.join("..tmp"), dir.join("..data")).unwrap();
    running.until(|t| has(t, "a.wasm", "2.0.0")).await;
    running.stop().await;
}

#[tokio::test]
async fn another_directory_behind_the_path_is_followed() {
    let parent = tempfile::tempdir().unwrap();
    for number in ["1.0.0", "2.0.0"] {
        fs::create_dir(parent.path().join(number)).unwrap();
    }
    for number in ["1.0.0", "2.0.0"] {
        fs::write(parent.path().join(number).join("a.wasm"), version(number)).unwrap();
    }
    let current = parent.path().join("current");
    symlink("1.0.0", &current).unwrap();
    let (mut registry, _, routes) = registry(&current);
    registry.load_all().await.unwrap();
    registry.timing.settle = Duration::ZERO;
    let mut watch = None;
    registry.look(&mut watch).await;
    assert!(has(&routes.current(), "a.wasm", "1.0.0"));
    let point = |to: &str| {
        symlink(to, parent.path().join("next")).unwrap();
        fs::rename(parent.path().join("next"), &current).unwrap();
    };
    point("2.0.0");
    registry.look(&mut watch).await;
    assert!(has(&routes.current(), "a.wasm", "2.0.0"));
    // The watch is over the new directory: what is put there is told.
    let shutdown = CancellationToken::new();
    let mut generation = routes.subscribe();
    let task = tokio::spawn(registry.run(shutdown.clone()));
    fs::write(current.join("b.wasm"), components::noop("b", KINDS)).unwrap();
    let waiting = async {
        while names(&routes.current()) != ["a", "b"] {
            generation.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
    shutdown.cancel();
    task.await.unwrap();
}

#[test]
fn what_is_complete_is_live_within_a_second() {
    let Timing { settle, rescan } = Timing::default();
    // Seen at the next look, then unchanged for `settle`; the rest is for loading it.
    assert!(rescan + DEBOUNCE + settle + DEBOUNCE <= Duration::from_millis(800));
}
