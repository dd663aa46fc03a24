//! Stripe's own libraries as senders: what they sign is accepted, stored byte for byte, routed and
//! committed; and they accept what `trigger` signs.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use signalbox_tests::host::{Host, SECRET, root};
use signalbox_tests::{components, stripe};

/// A sender: the program and its first arguments.
pub(crate) fn sender(language: &str) -> Command {
    let senders = root().join("target/senders");
    let (program, script) = match language {
        "python" => (senders.join("python/bin/python"), "tests/senders/python/send.py"),
        "python-others" => (senders.join("python/bin/python"), "tests/senders/python/others.py"),
        "node-others" => (PathBuf::from("node"), "tests/senders/node/others.mjs"),
        _ => (PathBuf::from("node"), "tests/senders/node/send.mjs"),
    };
    assert!(senders.exists(), "run tests/run once: it installs the senders' libraries");
    let mut command = Command::new(program);
    command.arg(root().join(script)).env("SIGNALBOX_SENDERS", senders.join("node"));
    command
}

/// Posts all fixtures, each with an event id of this language's own. Answers the bodies.
async fn all_types_arrive(language: &str) {
    let host = Host::start(&[("all.wasm", &components::counter("all", &["*"]))], "").unwrap();
    let marked = |line: &str| line.replacen("evt_fx", &format!("evt_{language}"), 1);
    let bodies: Vec<String> = stripe::EVENTS.lines().map(marked).collect();
    let file = host.dir().join("bodies.jsonl");
    std::fs::write(&file, bodies.join("\n")).unwrap();

    let mut command = sender(language);
    command.arg(host.webhook_url()).arg(SECRET).arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<&str> = said.lines().collect();
    assert_eq!(answers.len(), bodies.len());
    for answer in answers {
        assert!(answer.starts_with("200 ") && answer.contains(r#""accepted""#), "{answer}");
    }

    let mut types = BTreeSet::new();
    for body in &bodies {
        let event: Value = serde_json::from_str(body).unwrap();
        let id = event["id"].as_str().unwrap();
        let raw = host.get_bytes(&format!("/events/{id}/raw")).await.unwrap();
        assert_eq!(raw, body.as_bytes(), "{id} does not read back byte for byte");
        let stored = host.get(&format!("/events/{id}")).await.unwrap();
        assert_eq!(stored["type"], event["type"]);
        types.insert(stored["type"].as_str().unwrap().to_owned());
        let delivery = host.ended(&format!("stripe.{id}.all")).await.unwrap();
        assert_eq!(delivery["status"], "done", "{delivery:#}");
        assert_eq!(delivery["attempts"], 1);
    }
    let known: BTreeSet<String> = stripe::TYPES.lines().map(str::to_owned).collect();
    assert_eq!(types, known);
    assert_eq!(super::count(&host, "all").await, bodies.len() as u64);
}

#[tokio::test]
async fn every_type_signed_by_stripes_python_library() {
    all_types_arrive("python").await;
}

#[tokio::test]
async fn every_type_signed_by_stripes_node_library() {
    all_types_arrive("node").await;
}

#[tokio::test]
async fn both_libraries_accept_what_trigger_signs() {
    let host = Host::start(&[], "").unwrap();
    let url = host.webhook_url();
    let args = ["trigger", "charge.succeeded", "--to", &url, "--print", "--output", "json"];
    let output = host.cli(&args).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let good = json!({"header": printed["headers"]["Stripe-Signature"], "body": printed["body"]});
    let bad = json!({"header": good["header"], "body": format!("{} ", printed["body"].as_str().unwrap())});
    for language in ["python", "node"] {
        let mut command = sender(language);
        command.args(["--verify", SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{good}\n{bad}").unwrap();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let said: Vec<&str> = said.lines().collect();
        assert_eq!(said[0], "ok charge.succeeded", "{language}");
        assert!(said[1].starts_with("refused"), "{language}: {}", said[1]);
    }
}
