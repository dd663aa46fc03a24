//! The README's quick start, followed word for word in a clean clone.
//!
//! The clone begins with this build's libraries, so that what is tested is the commands and not
//! the compiler's patience.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use signalbox_tests::host::root;

/// What the demo says once it has shown everything and waits.
const UP: &str = "The host stays up.";

/// The commands of the section's `sh` blocks.
fn commands(readme: &str, section: &str) -> Vec<String> {
    let start = readme.find(&format!("\n## {section}\n")).expect("the section is there");
    let rest = &readme[start + 1..];
    let section = &rest[..rest.find("\n## ").unwrap_or(rest.len())];
    let mut inside = false;
    let mut found = Vec::new();
    for line in section.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside => found.push(command.to_owned()),
            _ => {}
        }
    }
    found
}

fn shell(command: &str, dir: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).current_dir(dir).stdin(Stdio::null());
    // What this test's own cargo set must not reach the one a reader would start.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
            shell.env_remove(name);
        }
    }
    shell
}

fn run(command: &str, dir: &Path) -> Output {
    let output = shell(command, dir).output().unwrap();
    assert!(output.status.success(), "{command}:\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_quick_start_works_word_for_word() {
    let place = tempfile::tempdir().unwrap();
    let clone = place.path().join("signalbox");
    let source = root().canonicalize().unwrap();
    let (from, to) = (source.display(), clone.display());
    run(&format!("git clone --quiet {from} {to}"), place.path());
    let libraries = source.join("target/release");
    if libraries.exists() {
        run("mkdir target", &clone);
        run(&format!("cp -a --reflink=auto {} target/release", libraries.display()), &clone);
    }
    let readme = std::fs::read_to_string(clone.join("README.md")).unwrap();
    let commands = commands(&readme, "Quick start");
    let (demo, others) = commands.split_first().unwrap();
    assert!(others.len() >= 3, "{others:?}");

    let mut child = shell(demo, &clone).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut running = Running(child);
    let mut shown = String::new();
    loop {
        let line = lines.next().unwrap_or_else(|| panic!("the demo ended:\n{shown}")).unwrap();
        shown.push_str(&line);
        shown.push('\n');
        if line.contains(UP) {
            break;
        }
    }
    for word in ["charge.succeeded", "payment_method.attached", "done", "dead", "retry"] {
        assert!(shown.contains(word), "no `{word}` in:\n{shown}");
    }

    let first = run(&others[0], &clone);
    let said = String::from_utf8(first.stdout).unwrap() + &String::from_utf8_lossy(&first.stderr);
    assert!(said.contains("200"), "{said}");
    for command in &others[1..] {
        let said = String::from_utf8(run(command, &clone).stdout).unwrap();
        assert!(said.contains("charge"), "{command}:\n{said}");
    }
    // The reader's Ctrl-C ends it in good order.
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(running.0.wait().unwrap().success());
}
