//! What is asked of npm's tools and said when they are not there. The tools are stand-ins here; real
//! ones build in the conformance tests.

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::cli::build::{BuildEnvironment, Language};

const MANIFEST: &str = r#"{
    "name": "@acme/charge-counter",
    "dependencies": {"@signalbox/sdk": "file:./sdk"},
    "devDependencies": {"esbuild": "0.28.2", "componentize-qjs": "0.4.5"}
}"#;

/// A project with this manifest and these files, and Node.js of this version.
struct Project(tempfile::TempDir);

impl Project {
    fn new(manifest: &str, files: &[&str]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("package.json", manifest);
        for file in files {
            project.write(file, "");
        }
        project.program("tools/node", "echo v20.1.0");
        project
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, path: &str, script: &str) {
        self.write(path, &format!("#!/bin/sh\n{script}\n"));
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.dir().join(path), all).unwrap();
    }

    /// npm's packages, whose programs keep their arguments and write what `-o` or `--outfile` name.
    fn install(&self, engine: &str) {
        for package in ["@signalbox/sdk", "esbuild", engine] {
            self.write(&format!("node_modules/{package}/package.json"), "{}");
        }
        let program = engine.rsplit('/').next().unwrap();
        self.program("node_modules/.bin/esbuild", "echo \"$@\" > esbuild.args");
        self.program(
            &format!("node_modules/.bin/{program}"),
            "echo \"$@\" > engine.args; for last; do :; done; printf component > \"$last\"",
        );
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir().join(path)).unwrap()
    }

    fn make(&self, install: bool) -> Result<Made, BuildError> {
        let path: OsString = format!("{}:/usr/bin:/bin", self.dir().join("tools").display()).into();
        let options = BuildOptions {
            project: self.dir().to_owned(),
            language: Some(Language::JavaScript),
            out: None,
            locked: false,
            install,
            color: false,
            environment: BuildEnvironment {
                path,
                cargo_home: None,
                cache: self.dir().to_owned(),
                rustup: false,
            },
        };
        make(&Tools::new(&options.environment), &options, &mut Steps::default())
    }

    fn error(&self) -> String {
        self.make(false).unwrap_err().to_string()
    }
}

#[derive(Default)]
struct Steps(RefCell<Vec<String>>);

impl Progress for Steps {
    fn step(&mut self, what: &str) {
        self.0.borrow_mut().push(what.to_owned());
    }

    fn detail(&mut self, _: &str) {}
}

#[test]
fn a_project_becomes_a_component_by_way_of_one_bundle() {
    let project = Project::new(MANIFEST, &["src/index.js"]);
    project.install("componentize-qjs");
    let made = project.make(false).unwrap();
    assert_eq!(made.components[0].name, "charge-counter");
    assert_eq!(made.components[0].bytes, b"component");
    assert_eq!(made.out, project.dir().join("build"));
    let entry = project.read("build/bundle/entry.mjs");
    assert!(entry.contains("import plugin from \"../../src/index.js\""), "{entry}");
    assert!(entry.contains("wasi:random/random") && !entry.contains("{{"), "{entry}");
    let bundled = project.read("esbuild.args");
    assert!(bundled.contains("--external:signalbox:*"), "{bundled}");
    assert!(bundled.contains("--outfile=build/bundle/charge-counter.mjs"), "{bundled}");
    assert!(project.read("engine.args").starts_with("--sync -n guest"));
    let world = project.read("build/bundle/wit/deps/signalbox-plugin/world.wit");
    assert!(world.contains("world plugin"));
}

#[test]
fn the_other_engine_is_named_in_the_manifest() {
    let manifest = MANIFEST
        .replace("componentize-qjs", "@bytecodealliance/componentize-js")
        .replace("\"dependencies\"", "\"signalbox\": {\"engine\": \"starlingmonkey\", \"entry\": \"a.mjs\"}, \"dependencies\"");
    let project = Project::new(&manifest, &["a.mjs"]);
    project.install("@bytecodealliance/componentize-js");
    project.make(false).unwrap();
    let asked = project.read("engine.args");
    assert!(asked.contains("-n plugin -d http fetch-event"), "{asked}");
    let entry = project.read("build/bundle/entry.mjs");
    assert!(entry.contains("../../a.mjs") && !entry.contains("wasi:random"), "{entry}");
    assert!(!project.dir().join("build/bundle/wit/guest.wit").exists());
}

#[test]
fn a_manifest_that_does_not_fit_says_how() {
    for (manifest, files, cause) in [
        ("{", &[][..], "EOF while parsing"),
        (MANIFEST, &["lib/index.js"], "none of src/index.ts"),
        (r#"{"signalbox": {"entry": "x.js"}}"#, &["src/index.js"], "`signalbox.entry` is x.js"),
        (r#"{"signalbox": {"engin": "v8"}}"#, &["src/index.js"], "unknown field `engin`"),
        (r#"{"signalbox": {"engine": "v8"}}"#, &["src/index.js"], "unknown variant `v8`"),
        ("{}", &["index.mjs"], "in \"devDependencies\": \"esbuild\": \"0.28.2\""),
    ] {
        let error = Project::new(manifest, files).error();
        assert!(error.contains(cause) && error.contains("package.json"), "{error}");
    }
}

#[test]
fn what_is_not_installed_is_named_with_the_way_to_get_it() {
    let project = Project::new(MANIFEST, &["src/index.js"]);
    let error = project.error();
    assert!(error.starts_with("@signalbox/sdk is missing"), "{error}");
    assert!(error.contains("signalbox build --install"), "{error}");
    project.program("tools/npm", "echo \"$@\" >> npm.args; echo it is down >&2; exit 1");
    let error = project.make(true).unwrap_err().to_string();
    assert!(error.contains("it is down"), "{error}");
    assert_eq!(project.read("npm.args"), "install --no-audit --no-fund\n");
}

#[test]
fn an_old_or_absent_node_is_named() {
    let project = Project::new(MANIFEST, &["src/index.js"]);
    project.program("tools/node", "echo v16.20.0");
    let error = project.error();
    assert!(
        error.contains("Node.js 18 or newer is missing") && error.contains("16.20.0"),
        "{error}"
    );
}

#[test]
fn a_failing_tool_is_heard_whole_and_types_are_checked_first() {
    let typed = MANIFEST.replace("\"esbuild\"", "\"typescript\": \"7.0.2\", \"esbuild\"");
    let project = Project::new(&typed, &["src/index.ts", "tsconfig.json"]);
    project.install("componentize-qjs");
    let error = project.error();
    assert!(error.starts_with("typescript is missing, which checks types"), "{error}");
    project.write("node_modules/typescript/package.json", "{}");
    project.program("node_modules/.bin/tsc", "echo src/index.ts: error TS2322; exit 2");
    let error = project.error();
    assert!(error.contains("error TS2322"), "{error}");
    assert!(!project.dir().join("esbuild.args").exists());
}
