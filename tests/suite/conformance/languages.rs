//! The languages, and their conformance plugins built from source by `signalbox build`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use signalbox_tests::host::{binary, root};

/// A language that plugins are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Language {
    /// As `signalbox new --lang` takes it.
    pub(super) name: &'static str,
    /// What cannot be had from a package registry and so must be on the machine.
    pub(super) needs: &'static [&'static str],
    /// Runs the tests of a project without WebAssembly: a line of the shell.
    pub(super) test: &'static str,
    /// How an attempt ends that met an error nobody caught.
    pub(super) uncaught: &'static str,
    /// Whether its toolchain takes some answers for success that are none.
    pub(super) silent: bool,
}

pub(super) const LANGUAGES: [Language; 6] = [
    Language {
        name: "rust",
        needs: &["cargo"],
        test: "cargo test --quiet",
        uncaught: "crashed",
        silent: false,
    },
    Language {
        name: "js",
        needs: &["node", "npm"],
        test: "npm test --silent",
        uncaught: "retry",
        silent: true,
    },
    Language {
        name: "ts",
        needs: &["node", "npm"],
        test: "npm test --silent",
        uncaught: "retry",
        silent: true,
    },
    Language {
        name: "python",
        needs: &["python3"],
        test: "PYTHONPATH=sdk python3 -m unittest",
        uncaught: "retry",
        silent: true,
    },
    Language { name: "go", needs: &["go"], test: "go test .", uncaught: "retry", silent: false },
    Language {
        name: "c",
        needs: &["cc", "make"],
        test: "make test",
        uncaught: "crashed",
        silent: false,
    },
];

impl Language {
    /// The name of its conformance plugin.
    pub(super) fn plugin(self) -> String {
        format!("conformance-{}", self.name)
    }

    /// What this machine lacks for it.
    pub(super) fn lacks(self) -> Option<&'static str> {
        let runs = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
        self.needs.iter().find(|tool| !runs(tool)).copied()
    }

    /// Whether it can be built here; says why where it cannot.
    pub(super) fn is_here(self) -> bool {
        let lacks = self.lacks();
        if let Some(tool) = lacks {
            println!("{}: skipped, for there is no `{tool}` on this machine", self.name);
        }
        lacks.is_none()
    }
}

/// `signalbox build --install` of a project. Answers the component.
pub(super) fn build(project: &Path, out: &Path, name: &str) -> PathBuf {
    let begun = Instant::now();
    let mut command = Command::new(binary().unwrap());
    command.arg("build").arg(project).arg("--out").arg(out);
    command.args(["--install", "--no-rustup", "--output", "json"]);
    let built = command.output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{} does not build:\n{said}", project.display());
    println!("{name}: built in {:.1} s", begun.elapsed().as_secs_f64());
    let answer: Value = serde_json::from_slice(&built.stdout).unwrap();
    PathBuf::from(answer["data"][0]["file"].as_str().unwrap())
}

/// The conformance plugin of each language that can be built here.
pub(super) fn built() -> Vec<(Language, Vec<u8>)> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
    LANGUAGES
        .into_iter()
        .filter(|language| language.is_here())
        .map(|language| {
            let project = root().join("tests/conformance").join(language.name);
            let file = build(&project, &out, &language.plugin());
            (language, std::fs::read(file).unwrap())
        })
        .collect()
}
