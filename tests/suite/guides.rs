//! The guides for authors are scripts, and this runs them: every block of every page of
//! `docs/authors`.
//!
//! A page is one shell script, in an empty directory with `signalbox` on the path: `sh` blocks are its
//! lines, a block with `file=PATH` is that file from there on, `toml` blocks are configurations and
//! must be valid, `text` blocks are output.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use signalbox_tests::host::{binary, root};

/// Ends a file inside the script; no file has this line.
const END: &str = "END-OF-THE-FILE";

/// What a page needs of the machine that no package registry has.
fn needs(page: &str) -> &'static [&'static str] {
    match page {
        "javascript" | "typescript" => &["node", "npm"],
        "python" => &["python3"],
        "go" => &["go"],
        "c" => &["cc", "make"],
        _ => &["cargo"],
    }
}

/// A page as one script.
fn script(page: &str, text: &str) -> String {
    let mut script = String::from("set -euo pipefail\nguide=$PWD\n");
    let mut lines = text.lines().enumerate();
    let mut configurations = 0;
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let block = block.join("\n");
        let mut file = info.split_once(" file=").map(|(_, path)| path.to_owned());
        match info.split(' ').next().unwrap_or_default() {
            "sh" => writeln!(script, "{block}").unwrap(),
            "text" => {}
            "toml" if file.is_none() => {
                configurations += 1;
                file = Some(format!(".configuration-{configurations}.toml"));
                let name = file.as_deref().unwrap();
                let check = format!("signalbox config validate --config \"$guide/{name}\"");
                write_file(&mut script, name, &block);
                writeln!(script, "{check}").unwrap();
                continue;
            }
            _ => assert!(file.is_some(), "{page}.md:{}: nothing runs this block", number + 1),
        }
        if let Some(file) = file {
            write_file(&mut script, &file, &block);
        }
    }
    script
}

fn write_file(script: &mut String, path: &str, text: &str) {
    writeln!(script, "mkdir -p \"$(dirname \"$guide/{path}\")\"").unwrap();
    writeln!(script, "cat >\"$guide/{path}\" <<'{END}'\n{text}\n{END}").unwrap();
}

#[test]
fn every_block_of_the_guides_runs() {
    let pages: Vec<PathBuf> = std::fs::read_dir(root().join("docs/authors"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    assert!(pages.len() > 8, "{pages:?}");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", binary().unwrap().parent().unwrap().display());
    for file in pages {
        let page = file.file_stem().unwrap().to_str().unwrap();
        let runs = |tool: &&&str| Command::new(tool).arg("--version").output().is_err();
        if let Some(tool) = needs(page).iter().find(runs) {
            println!("{page}.md: skipped, for there is no `{tool}` on this machine");
            continue;
        }
        run(page, &script(page, &std::fs::read_to_string(&file).unwrap()), &path);
    }
}

fn run(page: &str, script: &str, path: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-x", "-c", script]).current_dir(directory.path()).env("PATH", path);
    // What cargo set for this process is not a reader's.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_")) {
        if name != "CARGO_HOME" {
            bash.env_remove(name);
        }
    }
    let ran = bash.output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ran.status.success(), "{page}.md: {}\n{}", ran.status, said.join("\n"));
    println!("{page}.md ran");
}

#[test]
fn a_block_that_nothing_runs_is_found() {
    let found = std::panic::catch_unwind(|| script("page", "```rust\nfn main() {}\n```\n"));
    assert!(found.is_err());
    let good = script("page", "```sh\ncd x\n```\n```c file=x/a.c\nint a;\n```\n```text\nno\n```\n");
    assert!(good.contains("cd x\n") && good.contains("int a;\n") && !good.contains("no\n"));
}
