//! The table against the plainest way to find who wants an event.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::pattern::TypePattern;
use crate::domain::plugin::{Pause, PausedBy, PluginName};
use crate::plugin::{PluginReport, PluginStatus, Routes, RoutingTable};

fn subscribed(name: &str, entries: &[(&str, &str, Option<&str>)]) -> components::Spec {
    let entry = |(provider, kind, filter): &(&str, &str, Option<&str>)| {
        ((*provider).to_owned(), (*kind).to_owned(), filter.map(str::to_owned))
    };
    components::Spec {
        subscriptions: entries.iter().map(entry).collect(),
        ..components::spec(name, &[])
    }
}

async fn table(specs: &[components::Spec]) -> RoutingTable {
    let engine = engine_of(EngineConfig { pool: 0, ..EngineConfig::default() });
    let mut plugins = Vec::new();
    for spec in specs {
        plugins.push(Arc::new(load(&engine, components::build(spec)).await.unwrap()));
    }
    RoutingTable::new(plugins, Vec::new())
}

fn names(table: &RoutingTable, event: &VerifiedEvent) -> Vec<String> {
    table.matching(event).iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn each_plugin_once_and_filters_decide() {
    let table = table(&[
        subscribed("all", &[("stripe", "*", None), ("stripe", "charge.succeeded", None)]),
        subscribed("below", &[("stripe", "charge.*", None)]),
        subscribed("large", &[("stripe", "charge.*", Some("event.data.object.amount > 100"))]),
        subscribed(
            "either",
            &[
                ("stripe", "charge.succeeded", Some("event.data.object.amount > 100")),
                ("stripe", "*", Some("event.data.object.currency == 'eur'")),
            ],
        ),
        subscribed("other", &[("github", "*", None)]),
        subscribed("else", &[("stripe", "invoice.paid", None)]),
    ])
    .await;
    let charge = |amount: u32, currency: &str| {
        let body =
            format!(r#"{{"data":{{"object":{{"amount":{amount},"currency":"{currency}"}}}}}}"#);
        event("charge.succeeded", &body)
    };
    assert_eq!(names(&table, &charge(1, "usd")), ["all", "below"]);
    assert_eq!(names(&table, &charge(1, "eur")), ["all", "below", "either"]);
    assert_eq!(names(&table, &charge(101, "eur")), ["all", "below", "either", "large"]);
    assert_eq!(names(&table, &event("charge", "{}")), ["all", "either"], "no match for below");
    assert_eq!(table.runnable().len(), 6);
    assert!(table.get(&"below".parse().unwrap()).is_some());
    assert!(table.get(&"nobody".parse().unwrap()).is_none());
}

#[tokio::test]
async fn a_swap_is_seen_and_counted_and_leaves_the_old_table_whole() {
    let routes = Routes::default();
    let before = routes.current();
    let mut generation = routes.subscribe();
    assert!(!generation.has_changed().unwrap());
    routes.swap(table(&[components::spec("a", &["*"])]).await);
    generation.changed().await.unwrap();
    assert_eq!(*generation.borrow(), 1);
    assert_eq!(routes.current().runnable().len(), 1);
    assert!(before.runnable().is_empty());
}

fn kind() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(vec!["a", "b", "ab"]), 1..5)
        .prop_map(|parts| parts.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![kind(), kind().prop_map(|kind| kind + ".*"), Just("*".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn it_finds_what_a_plain_search_finds(
        plugins in proptest::collection::vec(proptest::collection::vec(pattern(), 1..6), 1..4),
        kinds in proptest::collection::vec(kind(), 1..40),
    ) {
        let specs: Vec<_> = plugins
            .iter()
            .enumerate()
            .map(|(i, patterns)| {
                let entries: Vec<_> =
                    patterns.iter().map(|p| ("stripe", p.as_str(), None)).collect();
                subscribed(&format!("p{i}"), &entries)
            })
            .collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let table = runtime.block_on(table(&specs));
        for kind in kinds {
            let wanted = |patterns: &Vec<String>| {
                patterns.iter().any(|p| p.parse::<TypePattern>().unwrap().matches(&kind))
            };
            let expected: Vec<_> = (0..plugins.len())
                .filter(|i| wanted(&plugins[*i]))
                .map(|i| format!("p{i}"))
                .collect();
            prop_assert_eq!(names(&table, &event(&kind, "{}")), expected, "{}", kind);
        }
    }
}

#[tokio::test]
async fn a_pause_outlives_tables_and_a_paused_plugin_still_receives() {
    let spec = subscribed("a", &[("stripe", "*", None)]);
    let engine = engine_of(EngineConfig { pool: 0, ..EngineConfig::default() });
    let plugin = Arc::new(load(&engine, components::build(&spec)).await.unwrap());
    let table = |reason: Option<&str>| {
        let report = PluginReport::loaded("a.wasm".into(), &plugin, reason.map(str::to_owned));
        let refused = PluginReport::refused("b.wasm".into(), Some(name("a")), "taken".into());
        RoutingTable::new([Arc::clone(&plugin)], vec![report, refused])
    };
    let routes = Routes::default();
    let mut changes = routes.subscribe();
    let pause = Pause { at: NOW, reason: "a look".to_owned(), by: PausedBy::Operator };
    // Before there is anything of that name.
    routes.pause(name("a"), pause.clone());
    for swap in [None, Some("parse: no")] {
        changes.mark_unchanged();
        routes.swap(table(swap));
        assert!(changes.has_changed().unwrap());
        let now = routes.current();
        assert_eq!((now.runnable().len(), now.paused().len()), (0, 1));
        assert!(now.get(&name("a")).is_some() && now.running(&name("a")).is_none());
        assert_eq!(names(&now, &event("charge.succeeded", "{}")), ["a"], "it waits");
        assert_eq!(now.reports()[0].status, PluginStatus::Paused);
        let reason = now.reports()[0].reason.as_ref().unwrap();
        assert!(reason.contains("a look") && reason.contains(swap.unwrap_or_default()), "{reason}");
        assert_eq!(now.reports()[1].status, PluginStatus::Refused, "nothing of it waits");
    }
    changes.mark_unchanged();
    routes.resume(&name("a"));
    assert!(changes.has_changed().unwrap());
    let now = routes.current();
    assert_eq!((now.runnable(), now.paused().len()), (&[name("a")][..], 0));
    assert_eq!(now.reports()[0].status, PluginStatus::Stale, "as before the pause");
    assert!(now.running(&name("a")).is_some());
}

fn name(name: &str) -> PluginName {
    name.parse().unwrap()
}
