//! The contract is kept: released versions stay as they were released, the current one only adds
//! to them, and what was built for them loads and runs (see `wit/VERSIONING.md`).

use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;
use sha2::{Digest, Sha256};
use wit_parser::{PackageId, Resolve, Stability, WorldItem};

use super::*;
use crate::domain::delivery::Outcome;
use crate::domain::grant::Grant;
use crate::plugin::PluginSettings;
use crate::plugin::compare::{functions, parse, written};
use crate::plugin::contract;

type Contract = (Resolve, PackageId);

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/frozen")
}

fn released() -> Vec<(Version, PathBuf)> {
    let entries = fs::read_dir(frozen()).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().parse().unwrap(), path))
        .collect()
}

#[test]
fn a_released_contract_is_never_touched() {
    let list = fs::read_to_string(frozen().join("SHA256SUMS")).unwrap();
    let mut listed = Vec::new();
    for line in list.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let bytes = fs::read(frozen().join(name)).unwrap();
        assert_eq!(hex::encode(Sha256::digest(bytes)), sum, "{name} was changed after its release");
        listed.push(frozen().join(name));
    }
    let mut there: Vec<PathBuf> = released()
        .iter()
        .flat_map(|(_, dir)| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    there.sort();
    listed.sort();
    assert_eq!(there, listed, "SHA256SUMS and the directories differ");
    // Changing a file and its line is still a change; this is the line of the first release.
    assert!(list.contains(
        "842fa87aa3358bd70f902b7e4486cec35d0bd581cce819e816862fbc8ebf1432  0.1.0/types.wit"
    ));
}

#[test]
fn the_contract_only_adds_to_what_was_released() {
    let current = parse(&contract::text()).unwrap();
    let versions = released();
    assert!(!versions.is_empty());
    for (version, dir) in versions {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&dir).unwrap();
        assert_eq!(resolve.packages[package].name.version.as_ref(), Some(&version));
        let broken = broken(&(resolve, package), &current);
        assert!(broken.is_empty(), "since {version}:\n{}", broken.join("\n"));
    }
}

/// What of `new` breaks a component built for `old`, or was added without saying since when.
fn broken(old: &Contract, new: &Contract) -> Vec<String> {
    let (old, old_package) = (&old.0, &old.0.packages[old.1]);
    let (new, new_package) = (&new.0, &new.0.packages[new.1]);
    let (then, now) =
        (old_package.name.version.clone().unwrap(), new_package.name.version.clone().unwrap());
    let mut broken = Vec::new();
    let mut added = |what: String, stability: &Stability| match stability {
        Stability::Stable { since, .. } if (*since > then || now == then) && *since <= now => {}
        _ => broken.push(format!("{what} was added without its `@since`, of {then} < it <= {now}")),
    };
    for (name, &id) in &new_package.interfaces {
        let interface = &new.interfaces[id];
        let Some(&before) = old_package.interfaces.get(name) else {
            added(name.clone(), &interface.stability);
            continue;
        };
        let before = &old.interfaces[before];
        for (ty, &id) in interface.types.iter().filter(|(ty, _)| !before.types.contains_key(*ty)) {
            added(format!("{name}.{ty}"), &new.types[id].stability);
        }
        for (function, is) in &interface.functions {
            if !before.functions.contains_key(function) {
                added(format!("{name}.{function}"), &is.stability);
            }
        }
    }
    for (name, &before) in &old_package.interfaces {
        let Some(&id) = new_package.interfaces.get(name) else {
            broken.push(format!("{name} is gone"));
            continue;
        };
        let after = functions(new, id);
        for (function, was) in functions(old, before) {
            match after.iter().find(|(is, _)| *is == function) {
                None => broken.push(format!("{name}.{function} is gone")),
                Some((_, is)) if *is != was => {
                    broken.push(format!("{name}.{function} was `{was}` and is `{is}`"));
                }
                Some(_) => {}
            }
        }
        for (ty, &was) in &old.interfaces[before].types {
            let was = written(old, &wit_parser::Type::Id(was));
            match new.interfaces[id]
                .types
                .get(ty)
                .map(|&is| written(new, &wit_parser::Type::Id(is)))
            {
                None => broken.push(format!("{name}.{ty} is gone")),
                Some(is) if is != was => {
                    broken.push(format!("{name}.{ty} was `{was}` and is `{is}`"));
                }
                Some(_) => {}
            }
        }
    }
    let world = |resolve: &Resolve, package: &wit_parser::Package| {
        let world = &resolve.worlds[package.worlds[contract::WORLD]];
        let names = |items: &wit_parser::IndexMap<_, WorldItem>| -> Vec<String> {
            let name = |item: &WorldItem| match item {
                WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.clone(),
                _ => None,
            };
            items.values().filter_map(name).collect()
        };
        (names(&world.imports), names(&world.exports))
    };
    let ((imported, exported), (imports, exports)) =
        (world(old, old_package), world(new, new_package));
    for name in imported.iter().filter(|name| !imports.contains(*name)) {
        broken.push(format!("the world does not import {name} any more"));
    }
    if exported != exports {
        broken.push(format!("the world exported {exported:?} and exports {exports:?}"));
    }
    // What a component exports is called by the host: one more function there is one that an older
    // component does not have.
    for name in exports {
        let Some((&before, &after)) =
            old_package.interfaces.get(&name).zip(new_package.interfaces.get(&name))
        else {
            continue;
        };
        if functions(old, before).len() < functions(new, after).len() {
            broken.push(format!("{name} is exported by components, so no function can be added"));
        }
    }
    broken
}

#[test]
fn what_breaks_an_older_component_is_found() {
    let old = contract::text();
    let of = |text: &str| parse(text).unwrap();
    let next = |text: &str| text.replacen("plugin@0.1.0;", "plugin@0.1.1;", 1);
    let change = |from: &str, to: &str| {
        assert!(old.contains(from), "{from}");
        let text = next(&old.replacen(from, to, 1));
        broken(&of(&old), &of(&text)).join("\n")
    };
    assert_eq!(change("interface kv {", "interface kv {"), "");
    let more = |since: &str| {
        let get = "interface kv {\n";
        change(get, &format!("{get}    {since}\n    add: func(key: string, more: s64) -> s64;\n"))
    };
    assert_eq!(more("@since(version = 0.1.1)"), "");
    assert!(more("").starts_with("kv.add was added without its `@since`"), "{}", more(""));
    assert!(more("@since(version = 0.1.0)").contains("0.1.0 < it <= 0.1.1"));
    for (from, to, found) in [
        (
            "operations,\n    }\n\n    /// A page",
            "operations,\n        more,\n    }\n\n    /// A page",
            "kv.limit was `enum { key-size, value-size, quota, operations }` and is",
        ),
        ("attempt: u32,", "attempt: u64,", "types.delivery was"),
        (
            "delete: func(key: string)",
            "delete: func(name: string)",
            "kv.delete was `func(key: string)",
        ),
        ("    delete: func(key: string)", "    remove: func(key: string)", "kv.delete is gone"),
        ("    import kv;", "    import types;", "the world does not import kv any more"),
        (
            "    describe: func() -> manifest;",
            "    describe: func() -> manifest;\n    @since(version = 0.1.1)\n    stop: func();",
            "handler is exported by components",
        ),
    ] {
        let broken = change(from, to);
        assert!(broken.contains(found), "{to}: {broken}");
    }
}

fn built(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugin/tests/built-for-0.1.0");
    fs::read(dir.join(name)).unwrap()
}

/// Everything these plugins ask for.
fn grants() -> Vec<Grant> {
    let grant = |capability, scope, secrets: &[&str]| {
        let secrets = secrets.iter().map(|&name| name.to_owned()).collect();
        Grant::parse(capability, scope, secrets).unwrap()
    };
    vec![
        grant("outbox.http", "POST https://a.com/*", &[]),
        grant("outbox.http", "POST https://api.postmarkapp.com/email", &["POSTMARK_TOKEN"]),
        grant("outbox.emit", "reminder.*", &[]),
        grant("objects", "stripe customer", &[]),
    ]
}

async fn run_built(name: &str, kind: &str, body: &str) -> Execution {
    let engine = engine();
    let own = || PluginSettings { grants: grants(), ..PluginSettings::default() };
    let plugins = ["a", "dunning"].map(|plugin| (plugin.parse().unwrap(), own())).into();
    let policy = Policy { plugins, ..Policy::default() };
    let plugin = Arc::new(engine.load(built(name).into(), &policy).await.unwrap());
    let mut call = call_of(&plugin);
    let mut stored = Arc::unwrap_or_clone(call.event);
    stored.event = event(kind, body);
    call.event = Arc::new(stored);
    let store = memory::MemoryStore::shared();
    let running = async move { plugin.call(call, store).await };
    engine.guests().spawn(running).await.unwrap()
}

/// Kept as bytes, not made anew: what was deployed is what has to run.
#[tokio::test]
async fn components_built_for_the_first_release_load_and_run() {
    let all = fs::read_dir(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plugin/tests/built-for-0.1.0"),
    );
    assert_eq!(all.unwrap().count(), 9, "each has its run below");
    let run = async |name: &str| run_built(name, "charge.succeeded", "{}").await;

    let ended = run("retry.wasm").await;
    assert_eq!((ended.outcome, ended.reason.as_str()), (Outcome::Retry, "not yet"));
    assert_eq!(ended.retry_after, Some(Duration::from_millis(1_500)));
    let ended = run("reject.wasm").await;
    assert_eq!((ended.outcome, ended.reason.as_str()), (Outcome::Reject, "no such thing"));
    let ended = run("kv.wasm").await;
    assert_eq!((ended.outcome, ended.writes.len()), (Outcome::Ok, 1), "{}", ended.reason);
    let ended = run("random.wasm").await;
    assert_eq!((ended.outcome, ended.writes.len()), (Outcome::Ok, 1), "{}", ended.reason);
    let ended = run("log.wasm").await;
    assert_eq!((ended.outcome, ended.logs.records.len()), (Outcome::Ok, 3), "{}", ended.reason);
    let ended = run("wasi.wasm").await;
    let lines: Vec<_> = ended.logs.records.iter().map(|record| record.message.as_str()).collect();
    assert_eq!(lines, ["hello", "hello"], "{}", ended.reason);
    let ended = run("outbox.wasm").await;
    assert_eq!((ended.outcome, ended.effects.len()), (Outcome::Ok, 3), "{}", ended.reason);
    assert_eq!(ended.cancels.len(), 1);
    let ended = run("objects.wasm").await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);

    let invoice = r#"{"data":{"object":{"id":"in_1","object":"invoice","customer_email":"a@b.c",
        "amount_due":1500,"currency":"eur","hosted_invoice_url":"https://pay"}}}"#;
    let ended = run_built("rust-dunning.wasm", "invoice.payment_failed", invoice).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    assert_eq!((ended.effects.len(), ended.writes.len()), (1, 1));
}
