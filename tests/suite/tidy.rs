//! The shape of the source: layers, sizes, and who may know which library.
//!
//! Reads text, not meaning: it sees `crate::name` and `name::`, which is how every file here
//! refers to other modules and libraries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use signalbox_tests::host::root;

/// The layer of each module below `host/src`, low to high.
const LAYERS: &[(&str, u8)] = &[
    ("domain", 0),
    ("store", 1),
    ("provider", 1),
    ("net", 1),
    ("plugin", 2),
    ("stripe", 2),
    ("registry", 3),
    ("ingest", 3),
    ("dispatch", 3),
    ("outbox", 3),
    ("replay", 3),
    ("retention", 3),
    ("reconcile", 3),
    ("refresh", 3),
    ("http", 4),
    ("workbench", 4),
    ("config", 5),
    ("telemetry", 5),
    ("app", 5),
    ("cli", 5),
];

/// Libraries that one module alone may name. `outbox`, `stripe` and `cli` speak HTTP as clients,
/// through reqwest.
const OWNED: &[(&str, &[&str])] = &[
    ("sled", &["store"]),
    ("zstd", &["store"]),
    ("wasmtime", &["plugin"]),
    ("wasmtime_wasi", &["plugin"]),
    ("cel", &["plugin"]),
    ("hyper", &["http"]),
    ("axum", &["http"]),
    ("notify", &["registry", "cli"]),
    ("anyhow", &["app", "cli"]),
    ("clap", &["cli"]),
    ("reqwest", &["outbox", "stripe", "cli"]),
    ("rustls", &["net"]),
];

/// Files that a generator wrote; a test of the SDK holds them to the contract.
const GENERATED: &[&str] = &["sdk/rust/src/host/bindings.rs"];

/// No file is longer.
const LONGEST: usize = 500;
/// The median file is shorter.
const MEDIAN: usize = 180;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The module below `host/src` that a file belongs to; `None` for `lib.rs` and `main.rs`.
fn module(file: &Path) -> Option<String> {
    let below = file.strip_prefix(root().join("host/src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&name)).then(|| name.to_owned())
}

/// Whether a file of `host/src` holds tests alone, which may stand in for the world outside.
fn is_test(file: &Path) -> bool {
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with("tests") || file.components().any(|part| part.as_os_str() == "tests")
}

/// Lines that are code: no comment lines.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Words of `line` that stand right after `before` and end at a character no name has.
fn names_after<'a>(line: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(before).map(move |(at, _)| {
        let rest = &line[at + before.len()..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn a_module_uses_only_lower_layers() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut broken = Vec::new();
    for file in sources(&root().join("host/src")) {
        let Some(own) = module(&file) else { continue };
        let layer = *layers.get(own.as_str()).unwrap_or_else(|| panic!("{own} has no layer"));
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in code(&text) {
            // A list of modules in braces would hide them from the look below.
            if line.contains("crate::{") || line.contains("use crate as") {
                broken.push(format!("{}:{}: name each module", file.display(), number + 1));
            }
            for used in names_after(line, "crate::") {
                let Some(&below) = layers.get(used) else { continue };
                if used != own && below >= layer && layer != 5 {
                    broken.push(format!("{}:{}: {own} uses {used}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "layers broken:\n{}", broken.join("\n"));
}

#[test]
fn a_library_is_known_to_its_module_alone() {
    let mut broken = Vec::new();
    for file in sources(&root().join("host/src")) {
        let Some(own) = module(&file).filter(|_| !is_test(&file)) else { continue };
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in code(&text) {
            for (library, owners) in OWNED {
                let path = format!("{library}::");
                let named = line.match_indices(&path).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                });
                if named && !owners.contains(&own.as_str()) {
                    broken.push(format!("{}:{}: {own} uses {library}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "libraries out of place:\n{}", broken.join("\n"));
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut broken = Vec::new();
    let mut sizes = Vec::new();
    for dir in ["host/src", "sdk/rust", "tests", "example-plugins"] {
        for file in sources(&root().join(dir)) {
            if GENERATED.iter().any(|generated| file.ends_with(generated)) {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let lines = text.lines().count();
            sizes.push(lines);
            if lines > LONGEST {
                broken.push(format!("{}: {lines} lines", file.display()));
            }
            if !text.starts_with("//!") && !text.starts_with("#![doc") {
                broken.push(format!("{}: does not open with `//!`", file.display()));
            }
        }
    }
    sizes.sort_unstable();
    let median = sizes[sizes.len() / 2];
    assert!(median < MEDIAN, "the median file has {median} lines");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
