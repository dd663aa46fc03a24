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

/// TypeScript's too.
const JS: &[File] = files!("../../../../sdk/js/":
    "README.md",
    "package.json",
    "src/config.js",
    "src/duration.js",
    "src/errors.js",
    "src/event.js",
    "src/failure.js",
    "src/guest/border.js",
    "src/guest/clone.js",
    "src/guest/console.js",
    "src/guest/globals.js",
    "src/guest/index.js",
    "src/guest/params.js",
    "src/guest/random.js",
    "src/guest/text.js",
    "src/hints.js",
    "src/host.js",
    "src/index.js",
    "src/json.js",
    "src/kv.js",
    "src/log.js",
    "src/manifest.js",
    "src/objects.js",
    "src/outbox.js",
    "src/patterns.js",
    "src/plugin.js",
    "src/show.js",
    "src/testing/event.js",
    "src/testing/host.js",
    "src/testing/index.js",
    "src/testing/outbox.js",
    "src/testing/run.js",
    "src/testing/state.js",
    "src/timer.js",
    "src/utf8.js",
    "types/globals.d.ts",
    "types/index.d.ts",
    "types/stripe.d.ts",
    "types/testing.d.ts",
);

const GO: &[File] = files!("../../../../sdk/go/":
    "README.md",
    "config/config.go",
    "event.go",
    "failure.go",
    "go.mod",
    "guest_wasip1.go",
    "internal/bindings/signalbox_plugin_config/empty.s",
    "internal/bindings/signalbox_plugin_config/wit_bindings.go",
    "internal/bindings/signalbox_plugin_handler/empty.s",
    "internal/bindings/signalbox_plugin_handler/wit_bindings.go",
    "internal/bindings/signalbox_plugin_kv/empty.s",
    "internal/bindings/signalbox_plugin_kv/wit_bindings.go",
    "internal/bindings/signalbox_plugin_log/empty.s",
    "internal/bindings/signalbox_plugin_log/wit_bindings.go",
    "internal/bindings/signalbox_plugin_objects/empty.s",
    "internal/bindings/signalbox_plugin_objects/wit_bindings.go",
    "internal/bindings/signalbox_plugin_outbox/empty.s",
    "internal/bindings/signalbox_plugin_outbox/wit_bindings.go",
    "internal/bindings/signalbox_plugin_types/empty.s",
    "internal/bindings/signalbox_plugin_types/wit_bindings.go",
    "internal/bindings/wit_exports/wit_exports.go",
    "internal/guest/export_signalbox_plugin_handler/export.go",
    "internal/host/guest_wasip1.go",
    "internal/host/host.go",
    "internal/host/time.go",
    "internal/wit/runtime/collect_other.go",
    "internal/wit/runtime/empty.s",
    "internal/wit/runtime/realloc_wasip1.go",
    "internal/wit/runtime/runtime.go",
    "internal/wit/types/types.go",
    "kv/kv.go",
    "log.go",
    "objects/objects.go",
    "outbox/outbox.go",
    "plugin.go",
    "signalbox.go",
    "signalboxtest/event.go",
    "signalboxtest/host.go",
    "signalboxtest/outbox.go",
    "signalboxtest/run.go",
    "signalboxtest/seam.go",
    "signalboxtest/state.go",
);

const C: &[File] = files!("../../../../sdk/c/":
    "README.md",
    "include/signalbox.h",
    "include/signalbox_test.h",
    "src/internal.h",
    "src/json.c",
    "src/memory.c",
    "src/plugin.c",
    "src/result.c",
    "src/state.c",
    "test/deliver.c",
    "test/host.c",
    "test/test.h",
    "wasm/guest.c",
    "wasm/plugin.c",
    "wasm/plugin.h",
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
        Language::JavaScript | Language::TypeScript => (JS, &[][..]),
        Language::Go => (GO, &[][..]),
        Language::C => (C, &[][..]),
        Language::Python => (PYTHON, &[][..]),
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
