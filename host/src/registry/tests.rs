//! The registry over a real directory: what is dropped in, replaced, removed, broken.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::domain::clock::SystemClock;
use crate::plugin::tests::components;
use crate::plugin::tests::{engine_of, event};
use crate::plugin::{EngineConfig, PluginReport, PluginStatus, RoutingTable};
use crate::store::memory::MemoryStore;

mod changes;
mod notices;

const KINDS: &[&str] = &["charge.succeeded"];

/// Long enough for the slowest machine; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    dir: TempDir,
    routes: Routes,
    generation: watch::Receiver<u64>,
    handle: RegistryHandle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

fn registry(dir: &Path) -> (Registry, RegistryHandle, Routes) {
    registry_on(dir, Arc::default())
}

fn registry_on(dir: &Path, store: Arc<MemoryStore>) -> (Registry, RegistryHandle, Routes) {
    let engine = engine_of(EngineConfig { pool: 0, ..EngineConfig::default() });
    let routes = Routes::default();
    let timing = Timing { settle: Duration::from_millis(20), rescan: Duration::from_millis(200) };
    let config = RegistryConfig { dir: dir.to_owned(), policy: Policy::default(), timing };
    let clock = Arc::new(SystemClock::new());
    let deps = RegistryDeps { engine, routes: routes.clone(), store, clock };
    let (registry, handle) = Registry::new(deps, config);
    (registry, handle, routes)
}

impl Running {
    async fn over(dir: TempDir) -> Self {
        let (mut registry, handle, routes) = registry(dir.path());
        registry.load_all().await.unwrap();
        let mut generation = routes.subscribe();
        generation.mark_unchanged();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(registry.run(shutdown.clone()));
        Self { dir, routes, generation, handle, shutdown, task }
    }

    async fn with(files: &[(&str, Vec<u8>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        Self::over(dir).await
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    /// Wait for a table of which this holds.
    async fn until(&mut self, what: impl Fn(&RoutingTable) -> bool) -> Arc<RoutingTable> {
        let waiting = async {
            loop {
                let table = self.routes.current();
                if what(&table) {
                    return table;
                }
                self.generation.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(table) => table,
            Err(_) => panic!("never came: {:#?}", self.routes.current().reports()),
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

fn names(table: &RoutingTable) -> Vec<String> {
    table.runnable().iter().map(ToString::to_string).collect()
}

fn report<'a>(table: &'a RoutingTable, file: &str) -> Option<&'a PluginReport> {
    table.reports().iter().find(|report| report.file.ends_with(file))
}

fn status(table: &RoutingTable, file: &str) -> Option<PluginStatus> {
    report(table, file).map(|report| report.status)
}

fn version(bytes: &str) -> Vec<u8> {
    components::build(&components::Spec {
        version: bytes.to_owned(),
        ..components::spec("a", KINDS)
    })
}

#[tokio::test]
async fn at_start_everything_good_is_routed_and_the_rest_is_reported() {
    let files = [
        ("a.wasm", components::noop("a", KINDS)),
        ("b.wasm", components::noop("b", &["invoice.*"])),
        ("c.wasm", components::core_module()),
        (".hidden.wasm", components::noop("hidden", KINDS)),
        ("readme.txt", b"not a plugin".to_vec()),
    ];
    let mut running = Running::with(&files).await;
    let table = running.until(|_| true).await;
    assert_eq!(names(&table), ["a", "b"]);
    assert_eq!(table.reports().len(), 3);
    assert_eq!(status(&table, "a.wasm"), Some(PluginStatus::Loaded));
    let shown = serde_json::to_value(report(&table, "a.wasm").unwrap()).unwrap();
    assert_eq!(shown["status"], "loaded");
    assert!(shown["digest"].as_str().unwrap().starts_with("sha256:"));
    let refused = report(&table, "c.wasm").unwrap();
    assert_eq!(refused.status, PluginStatus::Refused);
    let reason = refused.reason.as_ref().unwrap();
    assert!(reason.contains("parse: ") && reason.contains("signalbox build"), "{reason}");
    assert_eq!(table.matching(&event("charge.succeeded", "{}")), ["a".parse().unwrap()]);
    running.stop().await;
}

#[tokio::test]
async fn a_dropped_file_is_routed_a_removed_one_is_not() {
    let mut running = Running::with(&[]).await;
    running.put("a.wasm", &components::noop("a", KINDS));
    running.until(|t| names(t) == ["a"]).await;
    running.put("b.wasm", &components::noop("b", KINDS));
    running.until(|t| names(t) == ["a", "b"]).await;
    running.remove("a.wasm");
    let table = running.until(|t| names(t) == ["b"]).await;
    assert!(report(&table, "a.wasm").is_none());
    running.stop().await;
}

#[tokio::test]
async fn a_replaced_file_runs_its_new_content() {
    let mut running = Running::with(&[("a.wasm", version("1.0.0"))]).await;
    let before = running.until(|t| names(t) == ["a"]).await;
    running.put("a.wasm", &version("2.0.0"));
    let table = running
        .until(|t| report(t, "a.wasm").is_some_and(|r| r.version == Some("2.0.0".parse().unwrap())))
        .await;
    let name = "a".parse().unwrap();
    assert_ne!(table.get(&name).unwrap().digest(), before.get(&name).unwrap().digest());
    // As `mv` does it: another file takes the name.
    let aside = running.dir.path().join("aside");
    fs::write(&aside, version("3.0.0")).unwrap();
    fs::rename(&aside, running.dir.path().join("a.wasm")).unwrap();
    running
        .until(|t| report(t, "a.wasm").is_some_and(|r| r.version == Some("3.0.0".parse().unwrap())))
        .await;
    running.stop().await;
}

#[tokio::test]
async fn bad_over_good_keeps_the_good_and_says_why() {
    let good = version("1.0.0");
    let mut running = Running::with(&[("a.wasm", good.clone())]).await;
    let digest = running.routes.current().get(&"a".parse().unwrap()).unwrap().digest();
    for bad in [components::core_module(), Vec::new(), good[..good.len() / 3].to_vec()] {
        running.put("a.wasm", &bad);
        let table = running.until(|t| status(t, "a.wasm") == Some(PluginStatus::Stale)).await;
        assert_eq!(names(&table), ["a"]);
        let report = report(&table, "a.wasm").unwrap();
        assert_eq!(report.digest, Some(digest), "the digest is of what runs");
        assert!(report.reason.is_some());
        running.put("a.wasm", &version("1.0.1"));
        running.until(|t| status(t, "a.wasm") == Some(PluginStatus::Loaded)).await;
        running.put("a.wasm", &good);
        running.until(|t| t.get(&"a".parse().unwrap()).is_some_and(|a| a.digest() == digest)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn of_two_files_with_one_name_the_newcomer_is_refused_until_the_other_goes() {
    let mut running = Running::with(&[("m.wasm", version("1.0.0"))]).await;
    // Before it by file name, and still the newcomer.
    running.put("b.wasm", &version("2.0.0"));
    let table = running.until(|t| status(t, "b.wasm").is_some()).await;
    let refused = report(&table, "b.wasm").unwrap();
    assert_eq!(refused.status, PluginStatus::Refused);
    let reason = refused.reason.as_ref().unwrap();
    assert!(reason.contains("`a`") && reason.contains("m.wasm"), "{reason}");
    assert_eq!(status(&table, "m.wasm"), Some(PluginStatus::Loaded));
    running.remove("m.wasm");
    let table = running.until(|t| status(t, "b.wasm") == Some(PluginStatus::Loaded)).await;
    assert_eq!(names(&table), ["a"]);
    running.stop().await;
}

#[tokio::test]
async fn at_start_the_first_file_name_has_the_plugins_name() {
    let files = [("z.wasm", version("1.0.0")), ("b.wasm", version("2.0.0"))];
    let mut running = Running::with(&files).await;
    let table = running.until(|_| true).await;
    assert_eq!(status(&table, "b.wasm"), Some(PluginStatus::Loaded));
    assert_eq!(status(&table, "z.wasm"), Some(PluginStatus::Refused));
    running.stop().await;
}

#[tokio::test]
async fn a_renamed_file_leaves_no_gap() {
    let mut running = Running::with(&[("a.wasm", version("1.0.0"))]).await;
    let dir = running.dir.path().to_owned();
    let routes = running.routes.clone();
    fs::rename(dir.join("a.wasm"), dir.join("b.wasm")).unwrap();
    let seen = running
        .until(|t| {
            assert!(!t.runnable().is_empty(), "a table without it");
            report(t, "b.wasm").is_some() && report(t, "a.wasm").is_none()
        })
        .await;
    assert_eq!(status(&seen, "b.wasm"), Some(PluginStatus::Loaded));
    assert_eq!(names(&routes.current()), ["a"]);
    running.stop().await;
}

#[tokio::test]
async fn links_are_followed_and_dangling_ones_are_not_there() {
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("plugin");
    fs::write(&target, version("1.0.0")).unwrap();
    let mut running = Running::with(&[]).await;
    std::os::unix::fs::symlink(&target, running.dir.path().join("a.wasm")).unwrap();
    std::os::unix::fs::symlink("/nowhere/x", running.dir.path().join("b.wasm")).unwrap();
    let table = running.until(|t| names(t) == ["a"]).await;
    assert_eq!(table.reports().len(), 1);
    // A change of the target is no event of the directory: the regular look finds it.
    fs::write(&target, version("2.0.0")).unwrap();
    running
        .until(|t| report(t, "a.wasm").is_some_and(|r| r.version == Some("2.0.0".parse().unwrap())))
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_looked_at_is_refused_and_the_rest_is_not() {
    let mut running = Running::with(&[("a.wasm", version("1.0.0"))]).await;
    // A link to itself.
    std::os::unix::fs::symlink("loop.wasm", running.dir.path().join("loop.wasm")).unwrap();
    let table = running.until(|t| status(t, "loop.wasm").is_some()).await;
    let report = report(&table, "loop.wasm").unwrap();
    assert_eq!(report.status, PluginStatus::Refused);
    assert!(report.reason.as_ref().unwrap().contains("cannot be read"), "{report:?}");
    assert_eq!(names(&table), ["a"]);
    running.stop().await;
}

#[tokio::test]
async fn a_file_written_slowly_is_loaded_once_it_is_whole() {
    use std::io::Write as _;

    let mut running = Running::with(&[]).await;
    let bytes = components::noop("a", KINDS);
    let mut file = fs::File::create(running.dir.path().join("a.wasm")).unwrap();
    for piece in bytes.chunks(bytes.len() / 8 + 1) {
        file.write_all(piece).unwrap();
        running.handle.rescan();
        tokio::task::yield_now().await;
    }
    drop(file);
    let table = running.until(|t| names(t) == ["a"]).await;
    assert_eq!(status(&table, "a.wasm"), Some(PluginStatus::Loaded));
    running.stop().await;
}

#[tokio::test]
async fn a_missing_directory_is_an_error_at_start_with_a_remedy() {
    let parent = tempfile::tempdir().unwrap();
    let (mut registry, _, routes) = registry(&parent.path().join("plugins"));
    let error = registry.load_all().await.unwrap_err().to_string();
    assert!(error.contains("mkdir -p") && error.contains("[plugins]"), "{error}");
    assert!(!parent.path().join("plugins").exists(), "it is never created");
    assert!(routes.current().runnable().is_empty());
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back_loses_nothing_meanwhile() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("plugins");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("a.wasm"), version("1.0.0")).unwrap();
    let (mut registry, _, routes) = registry(&dir);
    registry.load_all().await.unwrap();
    let mut watch = None;
    registry.look(&mut watch).await;
    assert!(watch.is_some());
    fs::rename(&dir, parent.path().join("away")).unwrap();
    assert_eq!(registry.look(&mut watch).await, Changes::None);
    assert!(watch.is_none());
    assert_eq!(names(&routes.current()), ["a"], "what is loaded stays");
    // Another directory in its place, as a deployment does it.
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("b.wasm"), components::noop("b", KINDS)).unwrap();
    let shutdown = CancellationToken::new();
    let mut generation = routes.subscribe();
    let task = tokio::spawn(registry.run(shutdown.clone()));
    let waiting = async {
        while names(&routes.current()) != ["b"] {
            generation.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_into_the_directory_and_nothing_new_swaps_nothing() {
    let running = Running::with(&[("a.wasm", version("1.0.0"))]).await;
    let dir = running.dir.path().to_owned();
    let (mut registry, _, routes) = registry(&dir);
    registry.load_all().await.unwrap();
    let generation = *routes.subscribe().borrow();
    let mut watch = None;
    assert_eq!(registry.look(&mut watch).await, Changes::None);
    // Copied over itself.
    fs::write(dir.join("a.wasm"), version("1.0.0")).unwrap();
    while registry.look(&mut watch).await == Changes::Unsettled {
        tokio::task::yield_now().await;
    }
    assert_eq!(*routes.subscribe().borrow(), generation);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    running.stop().await;
}
