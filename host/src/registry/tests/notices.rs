//! Which changes of the directory are told, and when none is.

use super::*;

/// Type and data of each event that was told, in order.
fn told(store: &MemoryStore) -> Vec<(String, serde_json::Value)> {
    let event = |stored: &Arc<crate::domain::event::StoredEvent>| {
        let body: serde_json::Value = serde_json::from_slice(&stored.event.body).unwrap();
        (stored.event.kind.clone(), body["data"]["object"].clone())
    };
    store.kept().iter().map(event).collect()
}

/// A registry that is looked with by hand; nothing has to settle.
struct ByHand {
    dir: TempDir,
    registry: Registry,
    store: Arc<MemoryStore>,
    watch: Option<Watch>,
}

impl ByHand {
    async fn with(files: &[(&str, Vec<u8>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let store = Arc::<MemoryStore>::default();
        let (mut registry, _, _) = registry_on(dir.path(), store.clone());
        registry.timing.settle = Duration::ZERO;
        registry.load_all().await.unwrap();
        Self { dir, registry, store, watch: None }
    }

    async fn put(&mut self, name: &str, bytes: &[u8]) {
        // As another file, so that its fingerprint is another whatever the clock's grain.
        let aside = self.dir.path().join("aside");
        fs::write(&aside, bytes).unwrap();
        fs::rename(&aside, self.dir.path().join(name)).unwrap();
        self.look().await;
    }

    async fn look(&mut self) {
        self.registry.look(&mut self.watch).await;
    }

    fn kinds(&self) -> Vec<String> {
        told(&self.store).into_iter().map(|(kind, _)| kind).collect()
    }
}

#[tokio::test]
async fn a_start_tells_nothing_and_each_change_is_told_once() {
    let files = [("a.wasm", version("1.0.0")), ("bad.wasm", components::core_module())];
    let mut hand = ByHand::with(&files).await;
    hand.look().await;
    assert!(hand.kinds().is_empty());

    hand.put("a.wasm", &version("2.0.0")).await;
    hand.look().await;
    let events = told(&hand.store);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "signalbox.plugin.loaded");
    assert_eq!((&events[0].1["name"], &events[0].1["version"]), (&"a".into(), &"2.0.0".into()));

    // Bad over good, the same bad again, and good again.
    hand.put("a.wasm", &components::core_module()).await;
    hand.put("a.wasm", &components::core_module()).await;
    hand.put("a.wasm", &version("2.0.0")).await;
    let events = told(&hand.store);
    assert_eq!(hand.kinds()[1..], ["signalbox.plugin.refused", "signalbox.plugin.loaded"]);
    assert_eq!(events[1].1["stale"], true);
    assert!(events[1].1["reason"].as_str().unwrap().contains("parse: "));
}

#[tokio::test]
async fn a_second_file_of_one_name_is_refused_and_what_goes_is_told() {
    let mut hand = ByHand::with(&[("a.wasm", version("1.0.0"))]).await;
    hand.put("b.wasm", &version("2.0.0")).await;
    let events = told(&hand.store);
    assert_eq!(events[0].0, "signalbox.plugin.refused");
    assert_eq!(events[0].1["stale"], false);
    fs::remove_file(hand.dir.path().join("a.wasm")).unwrap();
    hand.look().await;
    // The other takes the name in the same swap.
    assert_eq!(hand.kinds()[1..], ["signalbox.plugin.removed", "signalbox.plugin.loaded"]);
    // A file nothing of which received events goes without a word.
    hand.put("c.wasm", b"no").await;
    fs::remove_file(hand.dir.path().join("c.wasm")).unwrap();
    hand.look().await;
    assert_eq!(hand.kinds()[3..], ["signalbox.plugin.refused"]);
}

#[tokio::test]
async fn a_plugin_hears_of_its_own_loading() {
    let mut hand = ByHand::with(&[]).await;
    let spec = components::Spec {
        subscriptions: vec![("signalbox".to_owned(), "signalbox.plugin.*".to_owned(), None)],
        ..components::spec("alerts", &[])
    };
    hand.put("alerts.wasm", &components::build(&spec)).await;
    let key = hand.store.kept()[0].event.key.clone();
    let id = format!("{key}.alerts").parse().unwrap();
    assert!(hand.store.delivery(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn two_hundred_swaps_leave_one_version_in_memory() {
    let mut hand = ByHand::with(&[]).await;
    let routes = hand.registry.news.routes.clone();
    let mut all = Vec::new();
    for n in 0..200 {
        hand.put("a.wasm", &version(&format!("1.0.{n}"))).await;
        let table = routes.current();
        all.push(Arc::downgrade(table.get(&"a".parse().unwrap()).unwrap()));
    }
    assert_eq!(all.iter().filter(|loaded| loaded.strong_count() > 0).count(), 1);
    assert_eq!(hand.kinds().len(), 200);
}
