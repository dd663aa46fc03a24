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
pub(super) const fn of(language: Language) -> Option<&'static Template> {
    match language {
        Language::Rust => Some(&RUST),
        Language::Python => Some(&PYTHON),
        _ => None,
    }
}

const RUST: Template = Template {
    files: files!("../../../templates/rust/": "Cargo.toml", "README.md", "dot-gitignore", "src/lib.rs"),
    test: "cargo test",
    built: "target/plugins/{{name}}.wasm",
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
