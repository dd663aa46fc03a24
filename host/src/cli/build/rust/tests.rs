//! The order in which compilers are looked for, and what is said when nothing serves.
//!
//! Not the building itself, which needs a real compiler (`host/tests/build_plugins.rs`). Here the
//! tools are small scripts that note that they were called: rustup is never asked in earnest.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::toolchain::{self, Origin, ToolchainError};
use crate::cli::build::process::Tools;
use crate::cli::build::{BuildEnvironment, Progress};

/// Directories with fake tools in place of the machine's.
struct Machine {
    root: tempfile::TempDir,
}

#[derive(Default)]
struct Heard(Vec<String>);

impl Progress for Heard {
    fn step(&mut self, what: &str) {
        self.0.push(what.to_owned());
    }

    fn detail(&mut self, _: &str) {}
}

impl Machine {
    /// Its `rustc` says the target's library is in `libdir`.
    fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(machine.path("bin")).unwrap();
        fs::create_dir_all(machine.path("libdir")).unwrap();
        machine.tool("rustc", &format!("echo {}", machine.path("libdir").display()));
        machine
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// A tool that notes its arguments, then does this.
    fn tool(&self, name: &str, does: &str) {
        let file = self.path("bin").join(name);
        let called = self.path("called");
        let script = format!("#!/bin/sh\necho \"{name} $*\" >>{}\n{does}\n", called.display());
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn called(&self, tool: &str) -> Vec<String> {
        let calls = fs::read_to_string(self.path("called")).unwrap_or_default();
        calls.lines().filter(|call| call.starts_with(tool)).map(str::to_owned).collect()
    }

    fn find(&self, rustup: bool) -> (Result<Origin, ToolchainError>, Vec<String>) {
        let environment = BuildEnvironment {
            path: self.path("bin").into(),
            cargo_home: None,
            cache: self.path("cache"),
            rustup,
        };
        let mut heard = Heard::default();
        let tools = Tools::new(&environment);
        let found = toolchain::find(&tools, &environment, self.root.path(), &mut heard);
        (found.map(|toolchain| toolchain.origin().clone()), heard.0)
    }
}

#[test]
fn an_installed_library_comes_first() {
    let machine = Machine::new();
    fs::write(machine.path("libdir/libstd-1234.rlib"), "").unwrap();
    machine.tool("bash", "exit 1");
    machine.tool("rustup", "exit 1");
    assert_eq!(machine.find(true).0.unwrap(), Origin::Installed);
    assert!(machine.called("bash").is_empty() && machine.called("rustup").is_empty());
}

#[test]
fn debians_compiler_comes_before_rustup() {
    let machine = Machine::new();
    let root = machine.path("debian");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(root.join("bin/rustc"), "").unwrap();
    let does = format!("echo '> unpacking' >&2; echo noise >&2; echo {}", root.display());
    machine.tool("bash", &does);
    machine.tool("rustup", "exit 0");
    let (found, heard) = machine.find(true);
    assert_eq!(found.unwrap(), Origin::Debian(root));
    assert_eq!(heard, ["unpacking"]);
    assert!(machine.called("rustup").is_empty());
}

#[test]
fn a_failure_of_debians_route_is_told_and_not_replaced_by_a_download() {
    let machine = Machine::new();
    machine.tool("bash", "echo '> the packages cannot be fetched' >&2; exit 1");
    machine.tool("rustup", "exit 0");
    let error = machine.find(true).0.unwrap_err();
    assert!(matches!(error, ToolchainError::Debian { .. }), "{error}");
    assert!(error.to_string().contains("the packages cannot be fetched"), "{error}");
    assert!(machine.called("rustup").is_empty());
}

#[test]
fn rustup_is_asked_last_and_announced() {
    let machine = Machine::new();
    machine.tool("bash", "echo '> apt has no rustc-web here' >&2; exit 10");
    machine.tool("rustup", "exit 0");
    let (found, heard) = machine.find(true);
    assert_eq!(found.unwrap(), Origin::Rustup);
    assert_eq!(machine.called("rustup"), ["rustup target add wasm32-unknown-unknown"]);
    assert!(heard.iter().any(|step| step.contains("with rustup")), "{heard:?}");
}

#[test]
fn rustup_is_not_asked_where_it_is_not_allowed() {
    let machine = Machine::new();
    machine.tool("bash", "exit 10");
    machine.tool("rustup", "exit 0");
    let error = machine.find(false).0.unwrap_err();
    assert!(matches!(error, ToolchainError::Missing { .. }), "{error}");
    assert!(machine.called("rustup").is_empty());
}

#[test]
fn where_nothing_serves_the_error_names_all_of_it() {
    let machine = Machine::new();
    // The real script, on a machine without apt.
    symlink("/bin/bash", machine.path("bin/bash")).unwrap();
    let error = machine.find(true).0.unwrap_err().to_string();
    for part in ["there is no apt-get here", "there is no rustup", "rustup target add wasm32"] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}
