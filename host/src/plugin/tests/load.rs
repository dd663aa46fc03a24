//! What is refused, at which step and why; and the cache.

use std::fs;

use super::*;
use crate::domain::delivery::{Order, Outcome};
use crate::domain::grant::{self, Grant};
use crate::domain::plugin::DeliveryPolicy;
use crate::plugin::PluginSettings;
use crate::plugin::error::{ManifestError, Step};
use crate::plugin::limits::MAX_COMPONENT;

const KINDS: &[&str] = &["charge.succeeded"];

async fn refusal(bytes: Vec<u8>) -> LoadError {
    load(&engine(), bytes).await.unwrap_err()
}

async fn refusals(cases: Vec<(Vec<u8>, Step, &str)>) {
    let engine = engine();
    for (bytes, step, cause) in cases {
        let error = load(&engine, bytes).await.unwrap_err();
        assert_eq!(error.step(), step, "{error}");
        assert!(error.to_string().contains(cause), "{error} has no `{cause}`");
        assert!(!error.remedy().is_empty());
    }
}

#[tokio::test]
async fn what_is_no_component_is_told_apart() {
    let good = components::noop("a", KINDS);
    refusals(vec![
        (Vec::new(), Step::Read, "empty"),
        (vec![0; MAX_COMPONENT + 1], Step::Read, "at most"),
        (components::core_module(), Step::Parse, "core WebAssembly module"),
        (b"(component)".to_vec(), Step::Parse, "text"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), Step::Parse, "text"),
        (b"\x7fELF\x02\x01\x01".to_vec(), Step::Parse, "precompiled"),
        (b"PK\x03\x04\xff\xfe".to_vec(), Step::Parse, "not WebAssembly"),
        (b"\0asm\x0e\0\x01\0".to_vec(), Step::Parse, "of a version"),
        (b"\0as".to_vec(), Step::Parse, "cut off"),
        (good[..good.len() / 2].to_vec(), Step::Parse, "cut off"),
        (good[..good.len() - 1].to_vec(), Step::Parse, "cut off"),
        (components::wat("(component)"), Step::Link, "does not export"),
        (
            components::wants_sockets("a", KINDS),
            Step::Link,
            "`wasi:sockets/instance-network@0.2.0`",
        ),
    ])
    .await;
}

#[tokio::test]
async fn no_cut_and_no_flipped_byte_panics() {
    let engine = engine_of(EngineConfig { pool: 0, ..EngineConfig::default() });
    let good = components::noop("a", KINDS);
    for at in (0..good.len()).step_by(97) {
        load(&engine, good[..at].to_vec()).await.unwrap_err();
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        // Some bytes do not matter; none may panic.
        let _ = load(&engine, bad).await;
    }
}

#[tokio::test]
async fn an_invalid_component_is_the_compilers_to_refuse() {
    let mut bad = components::wat("(component (core module (func)))");
    let body = bad.len() - 1;
    bad[body] = 0xff;
    let error = refusal(bad).await;
    assert_eq!(error.step(), Step::Compile, "{error}");
}

#[tokio::test]
async fn types_may_be_imported_as_the_toolchains_do() {
    let text = components::text(&components::spec("a", KINDS));
    let types = r#"(component
      (import "signalbox:plugin/types@0.1.0" (instance
        (type $r (record (field "reason" string) (field "after" (option u64))))
        (export "retry" (type $retry (eq $r)))
        (type $f (variant (case "retry" $retry) (case "reject" string)))
        (export "failure" (type (eq $f)))))"#;
    load(&engine(), components::wat(&text.replacen("(component", types, 1))).await.unwrap();
}

#[tokio::test]
async fn another_contract_is_named() {
    let text = components::text(&components::spec("a", KINDS));
    let newer = components::wat(&text.replace("plugin/kv@0.1.0", "plugin/kv@0.2.0"));
    assert_eq!(refusal(newer).await, LoadError::Contract("signalbox:plugin/kv@0.2.0".to_owned()));
    let changed = components::wat(&text.replace("\"operations\"", "\"operations\" \"other\""));
    let error = refusal(changed).await;
    assert!(matches!(error, LoadError::Types { .. }), "{error}");
    let foreign = components::wat(&text.replace("plugin/config@", "plugin/wishes@"));
    let error = refusal(foreign).await;
    assert!(error.to_string().contains("`signalbox:plugin/wishes@0.1.0`"), "{error}");
}

#[tokio::test]
async fn describe_must_answer_by_itself_and_soon() {
    let spec = components::spec("a", KINDS);
    for (describe, cause) in [
        ("unreachable", "unreachable"),
        ("(loop $l (br $l))", "out of time"),
        (
            "(call $kv_get (i32.const 0) (i32.const 0) (i32.const 128))",
            "`kv.get` inside `describe`",
        ),
        ("(call $kv_delete (i32.const 0) (i32.const 0) (i32.const 128))", "`kv.delete` inside"),
        ("(call $config_get (i32.const 0) (i32.const 0) (i32.const 128))", "`config.get` inside"),
        (
            "(call $log_write (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
            "`log.write` inside",
        ),
        (
            "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 99)) (i32.const -1)))) unreachable",
            "memory",
        ),
    ] {
        let bytes =
            components::build(&components::Spec { describe: describe.to_owned(), ..spec.clone() });
        let error = refusal(bytes).await;
        assert_eq!(error.step(), Step::Describe);
        assert!(error.to_string().contains(cause), "{error} has no `{cause}`");
    }
}

#[tokio::test]
async fn every_part_of_a_manifest_is_checked() {
    let engine = engine();
    let good = components::spec("a", KINDS);
    let one = |kind: &str, filter: Option<&str>| {
        vec![("stripe".to_owned(), kind.to_owned(), filter.map(str::to_owned))]
    };
    let bad = |change: &dyn Fn(&mut components::Spec)| {
        let mut spec = good.clone();
        change(&mut spec);
        components::build(&spec)
    };
    for (bytes, cause) in [
        (bad(&|s| "Bad_Name".clone_into(&mut s.name)), "`Bad_Name` is not a plugin name"),
        (bad(&|s| "1.0".clone_into(&mut s.version)), "`1.0` is not a semantic version"),
        (bad(&|s| s.subscriptions.clear()), "no event would ever reach it"),
        (bad(&|s| s.subscriptions = one("a..b", None)), "subscriptions[0].kind: `a..b`"),
        (bad(&|s| s.subscriptions = one("a", Some("event."))), "subscriptions[0].filter"),
        (bad(&|s| s.subscriptions[0].0 = "Str.ipe".to_owned()), "`Str.ipe` is not a provider"),
        (bad(&|s| s.subscriptions = vec![s.subscriptions[0].clone(); 301]), "at most 300"),
        (bad(&|s| s.attributes = vec![("ordering".into(), "x".into())]), "`object` or `none`"),
        (bad(&|s| s.attributes = vec![("concurrency".into(), "0".into())]), "above zero"),
        (bad(&|s| s.attributes = vec![("limit-cpu".into(), "fast".into())]), "such as `200ms`"),
        (bad(&|s| s.attributes = vec![("limit-memory".into(), "16MB".into())]), "`16MiB`"),
        (
            bad(&|s| s.requests = vec![("outbox.http".into(), "a.com".into())]),
            "requests[0]: `a.com`",
        ),
        (bad(&|s| s.requests = vec![("outbox.emit".into(), "a..b".into())]), "requests[0]: `a..b`"),
        (bad(&|s| s.requests = vec![("secret".into(), "a\" b".into())]), "no name of a secret"),
        (bad(&|s| s.requests = vec![("secret".into(), "a".into()); 101]), "at most 100"),
        (bad(&|s| "signalbox".clone_into(&mut s.name)), "`signalbox` is a provider's"),
    ] {
        let error = load(&engine, bytes).await.unwrap_err();
        assert_eq!(error.step(), Step::Manifest, "{error}");
        assert!(error.to_string().contains(cause), "{error} has no `{cause}`");
    }
    let error = load(&engine, bad(&|s| s.subscriptions.clear())).await.unwrap_err();
    assert_eq!(error, LoadError::Manifest(ManifestError::NoSubscription));
}

#[tokio::test]
async fn a_providers_name_is_no_plugins() {
    let policy = Policy { providers: vec!["stripe".to_owned()], ..Policy::default() };
    let bytes = Bytes::from(components::noop("stripe", KINDS));
    let error = engine().load(bytes.clone(), &policy).await.unwrap_err();
    assert!(matches!(error, LoadError::Manifest(ManifestError::ProvidersName(_))), "{error}");
    engine().load(bytes, &Policy::default()).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_granted_is_refused_with_the_lines_to_paste() {
    let spec = components::Spec {
        requests: vec![("outbox.http".to_owned(), "POST https://example.com/*".to_owned())],
        ..components::spec("asker", KINDS)
    };
    let error = refusal(components::build(&spec)).await;
    assert_eq!(error.step(), Step::Grants);
    assert!(error.to_string().contains("outbox.http `POST https://example.com/*`"), "{error}");
    let lines = "[plugin.asker]\ngrants = [{ capability = \"outbox.http\", \
                 scope = \"POST https://example.com/*\" }]";
    assert!(error.remedy().contains(lines), "{}", error.remedy());
}

/// What the operator says of the plugin `a`.
fn policy_of(own: PluginSettings) -> Policy {
    Policy { plugins: [("a".parse().unwrap(), own)].into(), ..Policy::default() }
}

#[tokio::test]
async fn what_is_granted_loads_and_what_is_missing_is_named() {
    let spec = components::Spec {
        requests: vec![
            ("outbox.http".to_owned(), "POST https://example.com/hook".to_owned()),
            ("outbox.emit".to_owned(), "reminder.due".to_owned()),
            ("secret".to_owned(), "TOKEN".to_owned()),
        ],
        ..components::spec("a", KINDS)
    };
    let bytes = Bytes::from(components::build(&spec));
    let http = |secrets| Grant::parse(grant::HTTP, "POST https://example.com/*", secrets).unwrap();
    let emit = Grant::parse(grant::EMIT, "reminder.*", vec![]).unwrap();
    let load = async |grants: Vec<Grant>| {
        let own = PluginSettings { grants, ..PluginSettings::default() };
        engine().load(bytes.clone(), &policy_of(own)).await
    };
    let all = vec![http(vec!["TOKEN".to_owned()]), emit.clone()];
    assert_eq!(load(all.clone()).await.unwrap().grants(), all);
    let error = load(vec![http(vec![]), emit]).await.unwrap_err();
    assert_eq!(error.step(), Step::Grants);
    assert!(error.to_string().ends_with("is not granted: secret `TOKEN`"), "{error}");
    assert!(error.remedy().contains("secrets = [\"TOKEN\"]"), "{}", error.remedy());
    let error = load(vec![http(vec!["TOKEN".to_owned()])]).await.unwrap_err();
    assert!(error.to_string().ends_with("is not granted: outbox.emit `reminder.due`"), "{error}");
}

#[tokio::test]
async fn the_lesser_of_both_limits_holds() {
    let spec = components::Spec {
        attributes: vec![
            ("limit-cpu".to_owned(), "200ms".to_owned()),
            ("limit-memory".to_owned(), "1GiB".to_owned()),
            ("ordering".to_owned(), "none".to_owned()),
            ("concurrency".to_owned(), "4".to_owned()),
        ],
        ..components::spec("a", KINDS)
    };
    let bytes = Bytes::from(components::build(&spec));
    let plugin = engine().load(bytes.clone(), &Policy::default()).await.unwrap();
    assert_eq!(plugin.limits(), &Limits { cpu: Duration::from_millis(200), ..Limits::default() });
    assert_eq!(plugin.delivery().order, Order::None);
    assert_eq!(plugin.delivery().concurrency, Some(4));
    let order = Order::Object { skip_after: Some(2) };
    let own = PluginSettings {
        limits: Limits { cpu: Duration::from_millis(100), ..Limits::default() },
        delivery: DeliveryPolicy { concurrency: Some(2), ..DeliveryPolicy::default() },
        order: Some(order),
        ..PluginSettings::default()
    };
    let plugin = engine().load(bytes, &policy_of(own)).await.unwrap();
    assert_eq!(plugin.limits().cpu, Duration::from_millis(100));
    assert_eq!(plugin.delivery().order, order);
    assert_eq!(plugin.delivery().concurrency, Some(2));
}

/// Built before there was `outbox`: what was deployed then loads now, and must for ever.
#[tokio::test]
async fn an_old_component_loads_and_runs() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plugin/tests/before-outbox.wasm");
    let bytes = fs::read(file).unwrap();
    let engine = engine();
    let plugin = load(&engine, bytes.clone()).await.unwrap();
    let ended = once(&engine, plugin).await;
    assert_eq!(ended.outcome, Outcome::Reject, "{}", ended.reason);
    assert!(ended.reason.contains("no receiver of payment-method-attached"), "{}", ended.reason);
    let seen = engine.inspect(bytes.into(), &Policy::default()).await;
    assert!(!seen.imports.iter().any(|import| import.contains("outbox")), "{:?}", seen.imports);
}

#[tokio::test]
async fn oddities_are_warnings() {
    let mut spec = components::spec("a", KINDS);
    for provider in ["acme", "a", "signalbox", "ledger"] {
        spec.subscriptions.push((provider.to_owned(), "*".to_owned(), None));
    }
    spec.attributes = vec![
        ("description".to_owned(), "good".to_owned()),
        ("colour".to_owned(), "red".to_owned()),
        ("ordering".to_owned(), "none".to_owned()),
    ];
    let plugins = [("ledger".parse().unwrap(), PluginSettings::default())].into();
    let policy = Policy { providers: vec!["stripe".to_owned()], plugins, ..Policy::default() };
    let bytes = Bytes::from(components::build(&spec));
    let plugin = engine().load(bytes, &policy).await.unwrap();
    let [provider, attribute] = plugin.warnings() else { panic!("{:?}", plugin.warnings()) };
    assert!(provider.contains("`acme`") && provider.contains("only stripe"), "{provider}");
    assert!(attribute.contains("`colour`"), "{attribute}");
}

#[tokio::test]
async fn the_operators_settings_hold() {
    let own = PluginSettings {
        limits: Limits { memory: 1 << 30, ..Limits::default() },
        settings: [("channel".to_owned(), "#money".to_owned())].into(),
        ..PluginSettings::default()
    };
    let plugins = [("a".parse().unwrap(), own)].into();
    let policy = Policy { plugins, ..Policy::default() };
    let engine = engine();
    let a = engine.load(components::noop("a", KINDS).into(), &policy).await.unwrap();
    assert_eq!(a.limits().memory, 1 << 30);
    assert_eq!(a.settings()["channel"], "#money");
    assert!(!a.pooled(), "a slot of the pool is smaller than its limit");
    assert_eq!(once(&engine, a).await.outcome, Outcome::Ok);
    let b = engine.load(components::noop("b", KINDS).into(), &policy).await.unwrap();
    assert_eq!(b.limits(), &Limits::default());
    assert!(b.pooled());
}

#[tokio::test]
async fn what_does_not_fit_the_pool_runs_beside_it() {
    let engine = engine();
    // Five memories; the pool's slots take four.
    let text = components::text(&components::spec("a", KINDS));
    let wide = text.replace(
        "(core instance $libc (instantiate $libc))",
        "(core instance $libc (instantiate $libc))
         (core module $m (memory 1))
         (core instance (instantiate $m)) (core instance (instantiate $m))
         (core instance (instantiate $m)) (core instance (instantiate $m))",
    );
    let plugin = load(&engine, components::wat(&wide)).await.unwrap();
    assert!(!plugin.pooled());
    assert_eq!(once(&engine, plugin).await.outcome, Outcome::Ok);
}

#[tokio::test]
async fn memory_the_limits_cannot_see_is_refused() {
    let text = components::text(&components::spec("a", KINDS));
    let shared = text.replace(
        "(core instance $libc (instantiate $libc))",
        "(core instance $libc (instantiate $libc))
         (core module $m (memory 1 1000 shared)) (core instance (instantiate $m))",
    );
    assert_eq!(refusal(components::wat(&shared)).await.step(), Step::Compile);
}

fn entries(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn caching(dir: &std::path::Path) -> Engine {
    engine_of(EngineConfig { cache_dir: Some(dir.to_owned()), pool: 2, ..EngineConfig::default() })
}

#[tokio::test]
async fn the_cache_serves_the_next_start_and_damage_is_compiled_over() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = components::noop("a", KINDS);
    let first = load(&caching(dir.path()), bytes.clone()).await.unwrap();
    let [entry] = entries(dir.path()).try_into().unwrap();
    let written = fs::metadata(&entry).unwrap().modified().unwrap();
    let second = load(&caching(dir.path()), bytes.clone()).await.unwrap();
    assert_eq!(first.digest(), second.digest());
    assert_eq!(fs::metadata(&entry).unwrap().modified().unwrap(), written, "it was not rewritten");

    for damage in [b"".to_vec(), b"nonsense".to_vec(), {
        let mut entry = fs::read(&entry).unwrap();
        let middle = entry.len() / 2;
        entry[middle] ^= 1;
        entry
    }] {
        // Its pages are mapped: an entry is replaced, never written to.
        fs::remove_file(&entry).unwrap();
        fs::write(&entry, &damage).unwrap();
        let engine = caching(dir.path());
        let plugin = load(&engine, bytes.clone()).await.unwrap();
        assert_eq!(once(&engine, plugin).await.outcome, Outcome::Ok);
        assert_ne!(fs::read(&entry).unwrap(), damage, "it was compiled again");
    }
}

#[tokio::test]
async fn an_unusable_cache_is_no_more_than_slow() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    load(&caching(&file.join("below")), components::noop("a", KINDS)).await.unwrap();
}

#[tokio::test]
async fn inspection_tells_what_loading_would() {
    let engine = engine();
    let policy = Policy::default();
    let seen = engine.inspect(components::noop("a", KINDS).into(), &policy).await;
    assert!(seen.refusal.is_none());
    assert_eq!(seen.contract.as_deref(), Some("0.1.0"));
    assert!(seen.imports.contains(&"signalbox:plugin/kv@0.1.0".to_owned()));
    assert_eq!(seen.manifest.as_ref().unwrap().name.as_str(), "a");
    let json = serde_json::to_value(&seen).unwrap();
    assert!(json["compiled_size"].as_u64().unwrap() > 0);
    assert_eq!(json["digest"], seen.digest.to_string());

    let asking = components::Spec {
        requests: vec![("outbox.emit".to_owned(), "*".to_owned())],
        ..components::spec("a", KINDS)
    };
    let seen = engine.inspect(components::build(&asking).into(), &policy).await;
    assert_eq!(seen.refusal.unwrap().step, Step::Grants);
    assert_eq!(seen.missing, seen.manifest.unwrap().requests, "what it asks for is shown");

    let seen = engine.inspect(components::wants_sockets("a", KINDS).into(), &policy).await;
    let refusal = seen.refusal.unwrap();
    assert_eq!(refusal.step, Step::Link);
    assert!(refusal.remedy.contains("no network"), "{}", refusal.remedy);
    assert!(!seen.imports.is_empty(), "what it imports is shown although it will not load");
}
