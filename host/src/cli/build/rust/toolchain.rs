//! A compiler for `wasm32-unknown-unknown`, in this order: the standard library is installed;
//! Debian's packages, unpacked in the cache; `rustup target add`; or an error that says what to do.
//!
//! The order spares downloads: rustup's is asked for only where nothing else serves and the caller
//! allows it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::build::process::{Ended, Tools, run};
use crate::cli::build::{BuildEnvironment, Progress};

/// The one target plugins are compiled for: no system below it, so a plugin imports what the
/// contract has and nothing else.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Gets Debian's compiler; its first lines say how.
const SCRIPT: &str = include_str!("wasm-toolchain.sh");

/// The script's status where apt has no such package.
const UNAVAILABLE: i32 = 10;

/// Where a compiler came from.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(super) enum Origin {
    /// The active toolchain has the target.
    Installed,
    /// Debian's packages, unpacked in this directory.
    Debian(PathBuf),
    /// The target was added by rustup just now.
    Rustup,
}

/// Why there is no compiler.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainError {
    /// `rustc` itself does not run.
    #[error(
        "cannot run `rustc`: {0}; plugins are compiled with Rust: install it from https://rustup.rs"
    )]
    NoRust(std::io::Error),
    /// Nothing on this machine provides the target.
    #[error(
        "there is no Rust standard library for {TARGET}, which plugins are compiled for: \
         {apt}; {rustup}. Get it with `rustup target add {TARGET}`, or with your system's \
         package of it, and build again"
    )]
    Missing {
        /// Why Debian's packages do not serve.
        apt: String,
        /// Why rustup does not.
        rustup: &'static str,
    },
    /// Debian's packages are there and could not be put to use.
    #[error(
        "cannot prepare Debian's compiler for {TARGET}: {cause}\nWhat was done is kept: build \
         again to go on from there, or get the target with `rustup target add {TARGET}`"
    )]
    Debian {
        /// The script's last word.
        cause: String,
    },
    /// `rustup target add` failed. The text is rustup's.
    #[error("`rustup target add {TARGET}` failed:\n{output}")]
    Rustup {
        /// What rustup said.
        output: String,
    },
}

/// A compiler that has the target.
pub(super) struct Toolchain {
    origin: Origin,
}

impl Toolchain {
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Make cargo use it.
    pub(super) fn apply(&self, command: &mut Command) {
        if let Origin::Debian(root) = &self.origin {
            command
                .env("RUSTC", root.join("bin/rustc"))
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", root.join("bin/wasm-ld"));
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => f.write_str("the installed Rust"),
            Self::Debian(_) => f.write_str("Debian's Rust"),
            Self::Rustup => f.write_str("rustup's Rust"),
        }
    }
}

/// Find a compiler, or get one. `project` decides which toolchain is the active one.
pub(super) fn find(
    tools: &Tools,
    environment: &BuildEnvironment,
    project: &Path,
    progress: &mut dyn Progress,
) -> Result<Toolchain, ToolchainError> {
    if installed(tools, project)? {
        return Ok(Toolchain { origin: Origin::Installed });
    }
    let apt = match debian(tools, environment, progress)? {
        Debian::Ready(root) => return Ok(Toolchain { origin: Origin::Debian(root) }),
        Debian::Unavailable(cause) => cause,
    };
    if !environment.rustup {
        return Err(ToolchainError::Missing { apt, rustup: "asking rustup is not allowed here" });
    }
    progress.step(&format!("adding the target {TARGET} to your Rust toolchain with rustup"));
    let mut command = tools.command("rustup");
    command.args(["target", "add", TARGET]).current_dir(project);
    match run(&mut command, |line| progress.detail(line)) {
        Ok(ended) if ended.status.success() => Ok(Toolchain { origin: Origin::Rustup }),
        Ok(ended) => Err(ToolchainError::Rustup { output: ended.stderr }),
        Err(_) => Err(ToolchainError::Missing { apt, rustup: "there is no rustup" }),
    }
}

/// Whether the active toolchain holds the target's standard library.
fn installed(tools: &Tools, project: &Path) -> Result<bool, ToolchainError> {
    let mut command = tools.command("rustc");
    command.args(["--print", "target-libdir", "--target", TARGET]).current_dir(project);
    let ended = run(&mut command, |_| {}).map_err(ToolchainError::NoRust)?;
    let Ok(files) = fs::read_dir(ended.stdout.trim()) else { return Ok(false) };
    Ok(files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
}

enum Debian {
    Ready(PathBuf),
    Unavailable(String),
}

fn debian(
    tools: &Tools,
    environment: &BuildEnvironment,
    progress: &mut dyn Progress,
) -> Result<Debian, ToolchainError> {
    let mut command = tools.command("bash");
    command
        .args(["-c", SCRIPT, "wasm-toolchain.sh"])
        .arg(environment.cache.join("signalbox/wasm-toolchain"));
    let mut last = String::new();
    let ended = run(&mut command, |line| match line.strip_prefix("> ") {
        Some(step) => {
            step.clone_into(&mut last);
            progress.step(step);
        }
        None => progress.detail(line),
    });
    let Ok(Ended { status, stdout, stderr }) = ended else {
        return Ok(Debian::Unavailable(
            "there is no bash, which gets Debian's packages".to_owned(),
        ));
    };
    let root = PathBuf::from(stdout.trim());
    match status.code() {
        Some(0) if root.join("bin/rustc").is_file() => Ok(Debian::Ready(root)),
        Some(UNAVAILABLE) => Ok(Debian::Unavailable(last)),
        _ => Err(ToolchainError::Debian { cause: format!("{last}\n{}", tail(&stderr)) }),
    }
}

/// The end of a long story, where the error is.
fn tail(text: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
