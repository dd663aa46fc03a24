//! `signalbox trigger` against a listener that verifies.

use serde_json::Value;

use super::super::exit::Exit;
use super::host::{self, ENDPOINT, Host, NOW, SECRET};

#[tokio::test]
async fn a_triggered_event_is_signed_fresh_and_changed() {
    let host = Host::start().await;
    let ran = host
        .run(&[
            "trigger",
            "charge.succeeded",
            "--secret",
            SECRET,
            "--override",
            "charge:amount=500",
            "--count",
            "2",
        ])
        .await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.error);
    assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stdout);
    let posted = host.state.posted.lock().unwrap().clone();
    assert_eq!(posted.len(), 2);
    for event in &posted {
        assert_eq!(event["data"]["object"]["amount"], 500);
        assert_eq!(event["created"], NOW.as_secs());
        assert!(ran.stdout.contains(event["id"].as_str().unwrap()), "{}", ran.stdout);
    }
    assert_ne!(posted[0]["id"], posted[1]["id"]);
    assert_ne!(posted[0]["data"]["object"]["id"], posted[1]["data"]["object"]["id"]);
}

#[tokio::test]
async fn a_trigger_finds_endpoint_and_secret_in_the_configuration() {
    let host = Host::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("signalbox.toml");
    let listen = host.url().trim_start_matches("http://").to_owned();
    let text = format!(
        "[server]\nlisten = \"{listen}\"\nadmin_token = \"env:NOT_HERE\"\n[[endpoint]]\nid = \"{ENDPOINT}\"\nsecrets = [\"whsec_unused\", \"file:hush\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    std::fs::write(dir.path().join("hush"), SECRET).unwrap();
    let config = file.to_str().unwrap();
    let ran = host
        .bare(&["trigger", "customer.subscription.*", "--config", config, "-o", "jsonl"], [])
        .await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.error);
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 3);
    for line in lines {
        assert_eq!(line["status"], "accepted");
        assert!(line["type"].as_str().unwrap().starts_with("customer.subscription."));
    }
    // Another provider's endpoint takes none of them.
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("[[endpoint]]\n", "[[endpoint]]\nprovider = \"github\"\n");
    std::fs::write(&file, text).unwrap();
    let args = ["trigger", "charge.succeeded", "--endpoint", ENDPOINT, "--config", config];
    let ran = host.bare(&args, []).await;
    assert_eq!(ran.exit, Exit::Usage, "{}", ran.error);
    assert!(ran.error.contains("`github`"), "{}", ran.error);
}

#[tokio::test]
async fn a_trigger_that_makes_no_sense_sends_nothing() {
    let host = Host::start().await;
    let table: [(&[&str], Exit, &str); 7] = [
        (&["trigger", "charge.suceeded"], Exit::Usage, "did you mean `charge.succeeded`"),
        (&["trigger", "charge.succeeded"], Exit::Usage, "pass it with --secret"),
        (
            &["trigger", "charge.succeeded", "--secret", "s", "--override", "amount=1"],
            Exit::Usage,
            "`data.object.amount`",
        ),
        (
            &["trigger", "charge.succeeded", "--secret", "s", "--override", "refund:amount=1"],
            Exit::Usage,
            "about another resource (charge)",
        ),
        (&["trigger", "charge.*", "--secret", "s", "--id", "evt_1"], Exit::Usage, "--id"),
        (
            &["trigger", "charge.succeeded", "--secret", "s", "--to", "https://example.com"],
            Exit::Usage,
            "plain HTTP",
        ),
        (
            &[
                "trigger",
                "charge.succeeded",
                "--secret",
                "s",
                "--endpoint",
                "00000000-0000-0000-0000-000000000009",
                "--to",
                "http://127.0.0.1:1/",
            ],
            Exit::Failure,
            "nothing answers",
        ),
    ];
    for (arguments, code, text) in table {
        let ran = host.run(arguments).await;
        assert_eq!(ran.exit, code, "{arguments:?}: {}", ran.error);
        assert!(ran.error.contains(text), "{arguments:?}: {}", ran.error);
        assert!(host.state.posted.lock().unwrap().is_empty());
    }
    // What the endpoint refuses is told as it says it; what was sent is still on record.
    let ran =
        host.run(&["trigger", "charge.succeeded", "--secret", "whsec_wrong", "--count", "3"]).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert!(ran.error.contains("answered 400: no signature matches"), "{}", ran.error);
    assert_eq!(ran.stdout.lines().count(), 2);
}

#[tokio::test]
async fn a_printed_trigger_is_not_sent_and_verifies() {
    let host = Host::start().await;
    let ran = host
        .run(&[
            "trigger",
            "invoice.paid",
            "--secret",
            SECRET,
            "--print",
            "--id",
            "evt_mine",
            "-o",
            "json",
        ])
        .await;
    let request: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(host.state.posted.lock().unwrap().is_empty());
    let body = request["body"].as_str().unwrap();
    assert!(host::verifies(
        request["headers"]["Stripe-Signature"].as_str().unwrap(),
        body.as_bytes()
    ));
    assert!(body.contains("\"id\": \"evt_mine\""));
    let ran = host.run(&["trigger", "invoice.paid", "--secret", SECRET, "--print"]).await;
    assert!(
        ran.stdout.starts_with(&format!("POST {}/webhooks/{ENDPOINT}\nContent-Type: ", host.url())),
        "{}",
        ran.stdout
    );
}
