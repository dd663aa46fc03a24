//! What is read of a project, what is said when something is missing, and which tools are called.
//!
//! Not the building itself, which needs the real componentize-py. Here `python3` is a script that notes
//! how it was called: nothing is fetched.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use wit_component::DecodedWasm;

use super::*;
use crate::cli::build::BuildEnvironment;

/// A project, and a machine with a fake Python.
struct Place(tempfile::TempDir);

struct Silent;

impl Progress for Silent {
    fn step(&mut self, _: &str) {}
    fn detail(&mut self, _: &str) {}
}

impl Place {
    fn new(pyproject: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.file("project/pyproject.toml", pyproject);
        place.file("project/receivers.py", "");
        place.file("project/sdk/signalbox/__init__.py", "");
        place
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn file(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program that notes its arguments and its virtual environment, then does this.
    fn tool(&self, below: &str, does: &str) {
        let note = self.path("called");
        let script = format!("#!/bin/sh\necho \"$VIRTUAL_ENV $*\" >>{}\n{does}\n", note.display());
        self.file(below, &script);
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The fake componentize-py is there already.
    fn installed(&self, does: &str) {
        self.tool(
            &format!("cache/signalbox/python/componentize-py-{}/bin/python3", tools::VERSION),
            does,
        );
    }

    fn called(&self) -> String {
        fs::read_to_string(self.path("called")).unwrap_or_default()
    }

    fn project(&self) -> Result<Project, BuildError> {
        Project::read(&self.path("project"))
    }

    fn make(&self, install: bool) -> Result<Made, BuildError> {
        let mut path = OsString::from(self.path("bin"));
        path.push(":/usr/bin:/bin");
        let environment =
            BuildEnvironment { path, cargo_home: None, cache: self.path("cache"), rustup: false };
        let options = BuildOptions {
            project: self.path("project"),
            language: None,
            out: None,
            locked: false,
            install,
            color: false,
            environment,
        };
        make(&Tools::new(&options.environment), &options, &mut Silent)
    }
}

const PLAIN: &str = "[project]\nname = \"Charge_Counter\"\ndependencies = [\"signalbox\"]\n";

#[test]
fn a_project_is_read_with_its_defaults() {
    let place = Place::new(PLAIN);
    let project = place.project().unwrap();
    assert_eq!((project.name.as_str(), project.module.as_str()), ("charge-counter", "receivers"));
    assert_eq!(project.path, [place.path("project"), place.path("project/sdk")]);
    assert!(project.dependencies.is_empty(), "the SDK comes with the project");
}

#[test]
fn dependencies_and_places_are_read() {
    let place = Place::new(
        "[project]\nname = \"a\"\ndependencies = [\"signalbox>=0.1\", \"signalbox-extra\", \"tzdata>=2026\"]\n\
         [tool.signalbox]\nmodule = \"a.plugin\"\npath = [\"src\", \"sdk\"]\n",
    );
    place.file("project/src/a/plugin.py", "");
    let project = place.project().unwrap();
    assert_eq!(project.dependencies, ["signalbox-extra", "tzdata>=2026"]);
    assert_eq!(project.path[1], place.path("project/src"));
}

#[test]
fn what_is_wrong_with_a_project_is_told_with_the_remedy() {
    for (pyproject, part) in [
        ("[tool.other]\n", "no `[project]`"),
        ("[project]\nname = 1\n", "expected a string"),
        ("[project]\nname = \"a\"\n[tool.signalbox]\nmodul = \"x\"\n", "unknown field `modul`"),
        (
            "[project]\nname = \"a\"\n[tool.signalbox]\nmodule = \"x; import os\"\n",
            "no name of a module",
        ),
        ("[project]\nname = \"a\"\n[tool.signalbox]\nmodule = \"absent\"\n", "no `absent.py`"),
        (
            "[project]\nname = \"a\"\n[tool.signalbox]\npath = []\n",
            "the SDK `signalbox` is in none",
        ),
    ] {
        let error = Place::new(pyproject).project().unwrap_err().to_string();
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn a_missing_tool_is_named_and_got_only_when_asked_to() {
    let place = Place::new(PLAIN);
    place.tool("bin/python3", "exit 1");
    let error = place.make(false).unwrap_err().to_string();
    assert!(error.contains("componentize-py is missing") && error.contains("--install"), "{error}");
    assert_eq!(place.called(), "");
    let error = place.make(true).unwrap_err().to_string();
    assert!(error.contains("python3-venv"), "{error}");
    assert!(place.called().contains("-m venv"), "{}", place.called());
}

#[test]
fn an_environment_appears_whole_or_not_at_all() {
    let place = Place::new(PLAIN);
    // `python3 -m venv --clear DIR` makes one whose pip fails.
    let pip = "mkdir -p $4/bin; printf '#!/bin/sh\\necho no index >&2; exit 1' >$4/bin/python3; chmod +x $4/bin/python3";
    place.tool("bin/python3", pip);
    let error = place.make(true).unwrap_err().to_string();
    assert!(error.contains("no index"), "{error}");
    let left = fs::read_dir(place.path("cache/signalbox/python")).unwrap().count();
    assert_eq!(left, 0, "nothing half-made is kept");
}

#[test]
fn packages_are_got_once_and_again_when_they_change() {
    let place = Place::new("[project]\nname = \"a\"\ndependencies = [\"tzdata\"]\n");
    place.installed("case \"$*\" in *componentize*) exit 3;; esac");
    let error = place.make(false).unwrap_err().to_string();
    assert!(error.contains("tzdata") && error.contains("--install"), "{error}");
    let installs = |place: &Place| place.called().matches("-m pip").count();
    for install in [true, true, false] {
        assert!(matches!(place.make(install), Err(BuildError::Compile { .. })));
        assert_eq!(installs(&place), 1);
    }
    place.file("project/pyproject.toml", "[project]\nname = \"a\"\ndependencies = [\"idna\"]\n");
    assert!(matches!(place.make(true), Err(BuildError::Compile { .. })));
    assert_eq!(installs(&place), 2);
}

#[test]
fn the_module_is_loaded_with_the_projects_own_packages_alone() {
    let place = Place::new(PLAIN);
    place.installed("exit 3");
    assert!(matches!(place.make(false), Err(BuildError::Compile { .. })));
    let project = place.path("project");
    let environment = project.join("build/python/environment");
    let called = place.called();
    assert!(called.starts_with(environment.to_str().unwrap()), "{called}");
    let entry = fs::read_to_string(project.join("build/python/entry/signalbox_entry.py")).unwrap();
    assert!(entry.contains("\nimport receivers\n"), "{entry}");
    assert!(project.join("build/python/wit/world.wit").is_file());
}

#[test]
fn an_error_at_loading_shows_the_authors_files_and_nothing_of_the_tool() {
    let output = "warning: x\nTraceback (most recent call last):\n  File \"<string>\", line 1\n\
                  AssertionError: Traceback (most recent call last):\n  File \"/0/receivers.py\", line 3\n  \
                  File \"/1/signalbox/_plugin.py\", line 9\nTypeError: `f` is `async`\n\n\nCaused by:\n  \
                  TypeError\n\nStack backtrace:\n   0: anyhow\n";
    assert_eq!(
        told(output, &[Path::new("my"), Path::new("my/sdk")]),
        "Traceback (most recent call last):\n  File \"my/receivers.py\", line 3\n  \
         File \"my/sdk/signalbox/_plugin.py\", line 9\nTypeError: `f` is `async`"
    );
    assert_eq!(told("no such option\n", &[]), "no such option");
}

#[test]
fn a_component_without_a_network_is_left_as_it_is() {
    let module = wat::parse_str("(component)").unwrap();
    assert_eq!(network::without(&module).unwrap(), module);
    assert!(network::without(b"not wasm").is_err());
}

/// A component that imports of the network one function, and hands it on.
const NETWORKED: &str = r#"(component
  (type $io (instance (export "error" (type (sub resource)))))
  (import "wasi:io/error@0.2.9" (instance $error (type $io)))
  (type $sockets (instance
    (export "network" (type $network (sub resource)))
    (type $own (own $network))
    (type $f (func (result $own)))
    (export "instance-network" (func (type $f)))))
  (import "wasi:sockets/instance-network@0.2.9" (instance $net (type $sockets)))
  (type $after (instance (export "f" (func))))
  (import "after:all/last" (instance $last (type $after)))
  (component $inner (import "f" (func $f)) (export "g" (func $f)))
  (alias export $last "f" (func $f))
  (instance $shim (instantiate $inner (with "f" (func $f))))
  (export "shim" (instance $shim)))"#;

#[test]
fn the_network_is_answered_inside_and_all_else_stays() {
    let component = wat::parse_str(NETWORKED).unwrap();
    let rewritten = network::without(&component).unwrap();
    wasmparser::Validator::new().validate_all(&rewritten).unwrap();
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&rewritten).unwrap() else {
        panic!("it is a component still")
    };
    let world = &resolve.worlds[world];
    let names = |keys: Vec<&wit_parser::WorldKey>| -> Vec<String> {
        keys.into_iter().map(|key| resolve.name_world_key(key)).collect()
    };
    assert_eq!(names(world.imports.keys().collect()), ["wasi:io/error@0.2.9", "after:all/last"]);
    assert_eq!(names(world.exports.keys().collect()), ["shim"]);
}
