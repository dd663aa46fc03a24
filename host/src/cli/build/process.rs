//! Running cargo and its kin: with a clean environment, and heard line by line.
//!
//! Not what is run (`project`, `toolchain`).

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use super::BuildEnvironment;

/// What the surrounding build (`cargo run`, `cargo test`, a build server) sets for the host and
/// must not reach a plugin's build: flags and wrappers meant for another target or compiler, other
/// places for the output, and the pipe of a job server that may be gone.
const FOREIGN: &[&str] = &[
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTC_BOOTSTRAP",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "CARGO_UNSTABLE_BUILD_STD",
    "MAKEFLAGS",
    "MFLAGS",
];

/// Lines that wait to be told; a tool that talks faster waits.
const LINES_WAITING: usize = 256;

/// Starts programs.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    path: std::ffi::OsString,
    cargo_home: Option<PathBuf>,
}

/// How a program ended and what it said.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Tools {
    pub(super) fn new(environment: &BuildEnvironment) -> Self {
        Self { path: environment.path.clone(), cargo_home: environment.cargo_home.clone() }
    }

    /// A program found on the caller's `PATH`, without what belongs to another build.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("PATH", &self.path).stdin(Stdio::null());
        if let Some(home) = &self.cargo_home {
            command.env("CARGO_HOME", home);
        }
        command
    }
}

/// Run to the end. Each line of standard error is told as it comes, and kept.
pub(super) fn run(command: &mut Command, mut tell: impl FnMut(&str)) -> io::Result<Ended> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (lines, heard) = mpsc::sync_channel::<String>(LINES_WAITING);
    let (stdout, stderr) = thread::scope(|scope| {
        let stdout = scope.spawn(move || text(stdout));
        let stderr = scope.spawn(move || relay(stderr, &lines));
        for line in heard {
            tell(&line);
        }
        (stdout.join(), stderr.join())
    });
    let status = child.wait()?;
    let broken = |_| io::Error::other("the thread that reads the output panicked");
    Ok(Ended { status, stdout: stdout.map_err(broken)??, stderr: stderr.map_err(broken)?? })
}

fn text(from: Option<impl Read>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        from.read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn relay(from: Option<impl Read>, lines: &mpsc::SyncSender<String>) -> io::Result<String> {
    let mut all = String::new();
    let Some(from) = from else { return Ok(all) };
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while from.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        all.push_str(&line);
        // The listener goes only after this thread.
        let _ = lines.send(line.trim_end().to_owned());
        bytes.clear();
    }
    Ok(all)
}
