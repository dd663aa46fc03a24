//! From dj-stripe to here: its endpoints with their UUIDs, secrets and URLs, and events handed on to
//! the application that stands behind.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use signalbox_tests::host::{Host, TOKEN, binary};
use signalbox_tests::sink::{Reply, Sink};
use signalbox_tests::stripe;

const UUID: &str = "0f0e0d0c-0b0a-4a09-8807-060504030201";

/// As `manage.py dumpdata djstripe.WebhookEndpoint` of dj-stripe 2.11 writes it.
const DUMP: &str = r#"[{"model": "djstripe.webhookendpoint", "pk": 1, "fields": {
    "djstripe_created": "2026-01-02T03:04:05Z", "djstripe_updated": "2026-01-02T03:04:05Z",
    "id": "we_1", "djstripe_owner_account": "acct_1", "livemode": true, "created": null,
    "metadata": {"djstripe_uuid": "0f0e0d0c-0b0a-4a09-8807-060504030201"},
    "api_version": "2024-11-20.acacia", "enabled_events": ["*"], "secret": "whsec_of_djstripe",
    "status": "enabled", "application": "",
    "url": "https://shop.example/stripe/webhook/0f0e0d0c-0b0a-4a09-8807-060504030201/",
    "djstripe_uuid": "0f0e0d0c-0b0a-4a09-8807-060504030201",
    "djstripe_tolerance": 300, "djstripe_validation_method": "verify_signature"}}]"#;

#[tokio::test]
async fn djstripes_endpoints_go_on_under_their_own_urls() {
    let mut host = Host::prepare(&[], "").unwrap();
    host.set("SIGNALBOX_SERVER__ALIASES", "/stripe/webhook/{uuid}/");
    host.run().unwrap();
    std::fs::write(host.dir().join("dump.json"), DUMP).unwrap();
    let import = |more: &[&str]| {
        let args = [&["import", "djstripe", "dump.json", "--output", "jsonl"], more].concat();
        let output = host.cli(&args).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let row: Value = serde_json::from_slice(&output.stdout).unwrap();
        row["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(import(&["--dry-run"]), "would be made");
    assert_eq!(host.list("/endpoints").await.unwrap().len(), 1);
    assert_eq!(import(&[]), "made");
    assert_eq!(import(&[]), "there already");

    let client = reqwest::Client::new();
    for (number, slash) in ["/", ""].into_iter().enumerate() {
        let body =
            format!(r#"{{"id":"evt_dj{number}","object":"event","type":"charge.succeeded"}}"#);
        let header = stripe::sign("whsec_of_djstripe", stripe::now(), body.as_bytes());
        let url = format!("{}/stripe/webhook/{UUID}{slash}", host.public);
        let post = client.post(url).header("stripe-signature", header).body(body);
        assert_eq!(post.send().await.unwrap().status(), 200);
        let event = host.get(&format!("/events/evt_dj{number}")).await.unwrap();
        assert_eq!(event["endpoint"], UUID);
    }
}

#[tokio::test]
async fn listen_hands_events_on_signed_anew_in_order_and_tries_again() {
    let host = Host::start(&[], "").unwrap();
    let old = r#"{"id":"evt_old","object":"event","type":"charge.succeeded"}"#;
    assert_eq!(host.post(old).await.unwrap().0, 200);
    let app = Sink::scripted(|request| {
        let second = request.body.windows(8).any(|part| part == b"\"evt_l2\"");
        Reply::Status(if second && request.before == 1 { 503 } else { 200 })
    });
    let app = app.await.unwrap();
    let mut child = Command::new(binary().unwrap())
        .args(["listen", "--forward-to", &format!("{}/stripe/webhook/", app.url())])
        .args(["--events", "charge.*", "--limit", "3", "--headers", "X-Stage: test"])
        .args(["--url", &host.admin, "--token", TOKEN])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut ready).unwrap();
    let secret = ready.split_whitespace().find(|word| word.starts_with("whsec_")).unwrap();

    for (id, kind) in [
        ("evt_l1", "charge.succeeded"),
        ("evt_no", "customer.created"),
        ("evt_l2", "charge.refunded"),
        ("evt_l3", "charge.succeeded"),
    ] {
        let body = format!(r#"{{"id":"{id}", "object":"event","type":"{kind}"}}"#);
        assert_eq!(host.post(body).await.unwrap().0, 200);
    }
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();

    let arrived: Vec<_> = app.arrived().into_values().flatten().collect();
    let ids: Vec<String> = arrived
        .iter()
        .map(|request| {
            let event: Value = serde_json::from_slice(&request.body).unwrap();
            event["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids, ["evt_l1", "evt_l2", "evt_l2", "evt_l3"], "{said}");
    for request in &arrived {
        let header = |name: &str| {
            let header = request.headers.iter().find(|(known, _)| known == name);
            header.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let signature = header("stripe-signature");
        let time = signature.split_once(',').unwrap().0.trim_start_matches("t=");
        let good = stripe::sign(secret, time.parse().unwrap(), &request.body);
        assert_eq!(signature, good);
        assert_eq!((header("x-stage"), request.path.as_str()), ("test".into(), "/stripe/webhook/"));
    }
    let lines: Vec<&str> = said.lines().map(|line| line.get(19..).unwrap()).collect();
    assert_eq!(lines[0], "   --> charge.succeeded [evt_l1]");
    let target = format!("{}/stripe/webhook/", app.url());
    assert_eq!(lines[1], format!("  <--  [200] POST {target} [evt_l1]"));
    assert_eq!(lines[3], format!("  <--  [503] POST {target} [evt_l2]; again in 0.5s"));
    assert!(!said.contains("evt_old") && !said.contains("evt_no"), "{said}");
}
