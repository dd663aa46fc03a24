//! What is embedded is what the repository has, and what is written is whole.

use std::collections::BTreeSet;

use super::*;

/// What belongs to the SDKs' own development, or was made by tools.
const NOT_SHIPPED: [&str; 9] = [
    "tests",
    "target",
    "node_modules",
    "__pycache__",
    ".venv",
    "Cargo.lock",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn below(dir: &Path, root: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if NOT_SHIPPED.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        // Go's tests lie beside what they test; a template's go with it.
        if root.starts_with(repository().join("sdk"))
            && path.to_string_lossy().ends_with("_test.go")
        {
            continue;
        }
        if path.is_dir() {
            below(&path, root, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_owned());
        }
    }
}

fn all(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    below(root, root, &mut found);
    found
}

/// Each language, the directory of its template, and that of its SDK.
const LANGUAGES: [(Language, &str, &str); 6] = [
    (Language::Rust, "rust", "rust"),
    (Language::JavaScript, "js", "js"),
    (Language::TypeScript, "ts", "js"),
    (Language::Python, "python", "python"),
    (Language::Go, "go", "go"),
    (Language::C, "c", "c"),
];

#[test]
fn every_file_of_an_sdk_and_of_a_template_is_embedded() {
    for (language, directory, of) in LANGUAGES {
        let sdk: BTreeSet<PathBuf> = sdk::of(language)
            .unwrap()
            .into_iter()
            .map(|(path, _)| path.strip_prefix("sdk").unwrap().to_owned())
            .collect();
        assert_eq!(sdk, all(&repository().join("sdk").join(of)), "{language}");
        let template = templates::of(language);
        let own: BTreeSet<PathBuf> =
            template.files.iter().map(|file| PathBuf::from(file.path)).collect();
        assert_eq!(own, all(&repository().join("host/templates").join(directory)), "{language}");
    }
}

#[test]
fn a_project_is_written_whole_and_under_its_name() {
    let root = tempfile::tempdir().unwrap();
    let name = "charge-counter".parse::<PluginName>().unwrap();
    for (language, directory, _) in LANGUAGES {
        let dir = root.path().join(directory);
        must_be_empty(&dir).unwrap();
        write(&dir, &name, language, templates::of(language)).unwrap();
        let written = all(&dir);
        for file in [".gitignore", "README.md", "fixtures/charge.succeeded.json"] {
            assert!(written.contains(Path::new(file)), "{language}: {file}");
        }
        let texts = written.iter().map(|path| fs::read_to_string(dir.join(path)).unwrap());
        let texts: Vec<String> = texts.collect();
        assert!(texts.iter().all(|text| !text.contains("{{name}}")), "{language}");
        assert!(texts.iter().any(|text| text.contains("charge-counter")), "{language}");
        let error = must_be_empty(&dir).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }
}

#[test]
fn a_manifest_outside_its_workspace_inherits_nothing() {
    let workspace = "[workspace.package]\nversion = \"1.2.3\"\n[workspace.dependencies]\n\
                     a = \"1\"\nx-macros = { path = \"far/away\" }\n";
    let manifest = "[package]\nname = \"x\"\nversion.workspace = true\n[lints]\nworkspace = true\n\
                    [dependencies]\na.workspace = true\nx-macros.workspace = true\n\
                    [dev-dependencies]\nb = \"1\"\n";
    let text = cargo::standalone(manifest, workspace).unwrap();
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["package"]["version"].as_str(), Some("1.2.3"));
    assert_eq!(table["dependencies"]["a"].as_str(), Some("1"));
    assert_eq!(table["dependencies"]["x-macros"]["path"].as_str(), Some("macros"));
    assert!(!table.contains_key("lints") && !table.contains_key("dev-dependencies"));
    let error = cargo::standalone(manifest, "[workspace.package]\n[workspace.dependencies]\n");
    assert!(error.unwrap_err().to_string().contains("version"));
}
