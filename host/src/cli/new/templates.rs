//! The project that each language begins with.
//!
//! Not the SDKs (`sdk`).

use super::{File, Language, files};

/// A project to begin with.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) files: &'static [File],
    /// Runs its tests.
    pub(super) test: &'static str,
    /// Where `signalbox build` puts its component.
    pub(super) built: &'static str,
}

/// What every project has.
pub(super) const SHARED: &[File] =
    files!("../../../templates/shared/": "fixtures/charge.succeeded.json");

/// The project of a language.
pub(super) const fn of(language: Language) -> &'static Template {
    match language {
        Language::Rust => &RUST,
        Language::JavaScript => &JS,
        Language::TypeScript => &TS,
        Language::Go => &GO,
        Language::C => &C,
        Language::Python => &PYTHON,
    }
}

const RUST: Template = Template {
    files: files!("../../../templates/rust/": "Cargo.toml", "README.md", "dot-gitignore", "src/lib.rs"),
    test: "cargo test",
    built: "target/plugins/{{name}}.wasm",
};

const JS: Template = Template {
    files: files!("../../../templates/js/":
        "README.md",
        "dot-gitignore",
        "package.json",
        "src/index.js",
        "test/index.test.js",
    ),
    test: "npm install && npm test",
    built: "build/{{name}}.wasm",
};

const TS: Template = Template {
    files: files!("../../../templates/ts/":
        "README.md",
        "dot-gitignore",
        "package.json",
        "src/index.ts",
        "test/index.test.ts",
        "test/tsconfig.json",
        "tsconfig.json",
    ),
    test: "npm install && npm test",
    built: "build/{{name}}.wasm",
};

const GO: Template = Template {
    files: files!("../../../templates/go/": "README.md", "dot-gitignore", "go.mod", "plugin.go",
        "plugin_test.go"),
    test: "go test .",
    built: "build/{{name}}.wasm",
};

const C: Template = Template {
    files: files!("../../../templates/c/": "Makefile", "README.md", "dot-gitignore", "plugin.c",
        "plugin_test.c"),
    test: "make test",
    built: "build/{{name}}.wasm",
};

const PYTHON: Template = Template {
    files: files!("../../../templates/python/":
        "README.md",
        "dot-gitignore",
        "pyproject.toml",
        "receivers.py",
        "test_receivers.py",
    ),
    test: "PYTHONPATH=sdk python3 -m unittest",
    built: "build/{{name}}.wasm",
};
