//! What holds for every language.

use super::*;

fn project(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    directory
}

fn detected(files: &[&str]) -> Result<Language, BuildError> {
    language::detect(project(files).path())
}

#[test]
fn a_project_shows_its_language() {
    for (files, language) in [
        (&["Cargo.toml", "src/lib.rs"][..], Language::Rust),
        (&["package.json", "plugin.js"], Language::JavaScript),
        (&["package.json", "tsconfig.json", "plugin.ts"], Language::TypeScript),
        (&["pyproject.toml", "plugin.py"], Language::Python),
        (&["go.mod", "plugin.go"], Language::Go),
        (&["plugin.c"], Language::C),
        (&["src/plugin.c", "include/plugin.h"], Language::C),
    ] {
        assert_eq!(detected(files).unwrap(), language, "{files:?}");
    }
}

#[test]
fn no_project_and_two_projects_are_named() {
    let error = detected(&["README.md"]).unwrap_err().to_string();
    for mark in ["Cargo.toml", "package.json", "pyproject.toml", "go.mod", "*.c", "signalbox new"] {
        assert!(error.contains(mark), "{mark} is not in: {error}");
    }
    let error = detected(&["pyproject.toml", "package.json"]).unwrap_err().to_string();
    assert!(error.contains("package.json and pyproject.toml"), "{error}");
    assert!(error.contains("--lang"), "{error}");
}

#[test]
fn c_beside_another_language_is_that_language() {
    assert_eq!(detected(&["Cargo.toml", "src/shim.c"]).unwrap(), Language::Rust);
}

#[test]
fn a_module_without_the_contract_is_refused() {
    let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
    assert!(matches!(encode(&module), Err(EncodeError::NoHandler)));
    assert!(matches!(encode(b"not wasm"), Err(EncodeError::Unreadable(_))));
}

#[test]
fn a_file_with_the_same_bytes_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    assert!(put(&path, b"one").unwrap());
    assert!(!put(&path, b"one").unwrap());
    assert!(put(&path, b"two").unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
}
