//! The SDKs as they go into a project: below `sdk/`, without their own tests.

use std::path::PathBuf;

use super::cargo::standalone;
use super::{File, Language, files};

const RUST: &[File] = files!("../../../../sdk/rust/":
    "README.md",
    "macros/src/lib.rs",
    "macros/src/plugin.rs",
    "macros/src/receiver.rs",
    "macros/src/rules.rs",
    "src/config.rs",
    "src/event.rs",
    "src/failure.rs",
    "src/host/bindings.rs",
    "src/host/guest.rs",
    "src/host/mod.rs",
    "src/kv.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/objects.rs",
    "src/outbox.rs",
    "src/plugin.rs",
    "src/reply.rs",
    "src/testing/event.rs",
    "src/testing/host.rs",
    "src/testing/mod.rs",
    "src/testing/objects.rs",
    "src/testing/outbox.rs",
    "src/testing/state.rs",
    "src/timer.rs",
);

const PYTHON: &[File] = files!("../../../../sdk/python/":
    "README.md",
    "pyproject.toml",
    "signalbox/__init__.py",
    "signalbox/_component.py",
    "signalbox/_event.py",
    "signalbox/_failure.py",
    "signalbox/_host.py",
    "signalbox/_image.py",
    "signalbox/_logging.py",
    "signalbox/_plugin.py",
    "signalbox/_run.py",
    "signalbox/config.py",
    "signalbox/kv.py",
    "signalbox/log.py",
    "signalbox/objects.py",
    "signalbox/outbox.py",
    "signalbox/py.typed",
    "signalbox/testing/__init__.py",
    "signalbox/testing/_effects.py",
    "signalbox/testing/_events.py",
    "signalbox/testing/_host.py",
    "signalbox/testing/_run.py",
    "signalbox/testing/_state.py",
    "signalbox/timer.py",
);

/// The manifests of the Rust SDK: here they inherit from the workspace, there they stand alone.
const MANIFESTS: &[File] = files!("../../../../sdk/rust/": "Cargo.toml", "macros/Cargo.toml");

const WORKSPACE: &str = include_str!("../../../../Cargo.toml");

/// Which files, below the project's directory, hold the SDK of `language`.
pub(super) fn of(language: Language) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let (files, manifests) = match language {
        Language::Rust => (RUST, MANIFESTS),
        Language::Python => (PYTHON, &[][..]),
        _ => (&[][..], &[][..]),
    };
    let mut all: Vec<_> = files.iter().map(|file| (place(file), file.text.to_owned())).collect();
    for file in manifests {
        all.push((place(file), standalone(file.text, WORKSPACE)?));
    }
    Ok(all)
}

fn place(file: &File) -> PathBuf {
    PathBuf::from("sdk").join(file.path)
}
