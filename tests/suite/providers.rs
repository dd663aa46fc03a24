//! The other providers' own libraries as senders: what they sign is accepted, stored byte for byte
//! under the right type, and routed.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use signalbox_tests::components;
use signalbox_tests::host::Host;

use super::senders::sender;

const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const PLAIN: &str = "It's a Secret to Everybody";

/// Provider, the number of its endpoint's id, and its secret.
const ENDPOINTS: [(&str, u8, &str); 5] = [
    ("standardwebhooks", 1, WHSEC),
    ("svix", 2, WHSEC),
    ("github", 3, PLAIN),
    ("shopify", 4, PLAIN),
    ("slack", 5, PLAIN),
];

fn configuration() -> String {
    let endpoint = |(name, number, secret): &(&str, u8, &str)| {
        format!(
            "[[endpoint]]\nid = \"00000000-0000-4000-8000-00000000000{number}\"\n\
             provider = {name:?}\nsecrets = [{secret:?}]\n"
        )
    };
    ENDPOINTS.iter().map(endpoint).collect()
}

/// Have a language's libraries sign and post `cases`; answers what was answered.
async fn post(host: &Host, language: &'static str, cases: &[Value]) -> Vec<String> {
    let line = |case: &Value| {
        let provider = case["provider"].as_str().unwrap();
        let (_, number, secret) = ENDPOINTS.iter().find(|(name, ..)| *name == provider).unwrap();
        let mut case = case.clone();
        let url = format!("{}/webhooks/00000000-0000-4000-8000-00000000000{number}", host.public);
        case["url"] = url.into();
        case["secret"] = case.get("secret").cloned().unwrap_or_else(|| (*secret).into());
        format!("{case}\n")
    };
    let lines: String = cases.iter().map(line).collect();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = sender(language);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), cases.len(), "{said}");
    said.lines().map(str::to_owned).collect()
}

/// The case's event is stored as it was sent and has been handled.
async fn arrived(host: &Host, case: &Value, id: &str, kind: &str) {
    let provider = case["provider"].as_str().unwrap();
    let raw = host.get_bytes(&format!("/events/{provider}:{id}/raw")).await.unwrap();
    assert_eq!(raw, case["body"].as_str().unwrap().as_bytes(), "{id}");
    let stored = host.get(&format!("/events/{provider}:{id}")).await.unwrap();
    assert_eq!((&stored["provider"], &stored["type"]), (&json!(provider), &json!(kind)));
    let delivery = host.ended(&format!("{provider}.{id}.all")).await.unwrap();
    assert_eq!(delivery["status"], "done", "{delivery:#}");
}

async fn start() -> Host {
    let everything = ["standardwebhooks:*", "svix:*", "github:*", "shopify:*", "slack:*"];
    let plugin = components::counter("all", &everything);
    Host::start(&[("all.wasm", &plugin)], &configuration()).unwrap()
}

fn message(provider: &str, id: &str, body: &str) -> Value {
    let headers = json!({"content-type": "application/json"});
    json!({"provider": provider, "id": id, "headers": headers, "body": body})
}

fn with(provider: &str, headers: Value, body: &str) -> Value {
    json!({"provider": provider, "headers": headers, "body": body})
}

#[tokio::test]
async fn what_the_python_libraries_sign_is_accepted() {
    let host = start().await;
    let typed = r#"{"type":"user.created","data":{"id":"u_1","name":"Zoë"}}"#;
    let mention = r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention","channel":"C1"}}"#;
    let challenge = r#"{"type":"url_verification","challenge":"abc","token":"x"}"#;
    let command = "command=%2Fdeploy&team_id=T1&channel_id=C1&text=now";
    let form = json!({"content-type": "application/x-www-form-urlencoded"});
    let json_type = json!({"content-type": "application/json"});
    let cases = [
        message("standardwebhooks", "msg_p1", typed),
        message("svix", "msg_p2", typed),
        with("slack", json_type.clone(), mention),
        with("slack", json_type.clone(), challenge),
        with("slack", form, command),
        json!({"provider": "slack", "secret": "wrong", "headers": json_type, "body": mention}),
    ];
    let answers = post(&host, "python-others", &cases).await;
    assert_eq!(answers[0], r#"200 {"id":"msg_p1","status":"accepted"}"#);
    assert_eq!(answers[1], r#"200 {"id":"msg_p2","status":"accepted"}"#);
    assert_eq!(answers[2], r#"200 {"id":"Ev1","status":"accepted"}"#);
    assert_eq!(answers[3], "200 abc");
    assert_eq!(answers[4].trim(), "200");
    assert!(answers[5].starts_with("400") && answers[5].contains("signature_mismatch"));
    arrived(&host, &cases[0], "msg_p1", "user.created").await;
    arrived(&host, &cases[1], "msg_p2", "user.created").await;
    arrived(&host, &cases[2], "Ev1", "app_mention").await;
    let commands = host.list("/events?type=slash_command.deploy").await.unwrap();
    assert_eq!(commands.len(), 1);
    arrived(&host, &cases[4], commands[0]["id"].as_str().unwrap(), "slash_command.deploy").await;
    assert_eq!(super::count(&host, "all").await, 4);
}

#[tokio::test]
async fn what_the_node_libraries_sign_is_accepted() {
    let host = start().await;
    let typed = r#"{"type":"user.created","data":{"id":"u_1","name":"Zoë"}}"#;
    let github = |kind: &str, id: &str| json!({"content-type": "application/json", "x-github-event": kind, "x-github-delivery": id});
    let shopify = json!({
        "content-type": "application/json", "x-shopify-topic": "orders/create",
        "x-shopify-event-id": "e-1", "x-shopify-shop-domain": "one.myshopify.com"
    });
    let opened =
        r#"{"action":"opened","issue":{"id":5},"repository":{"id":7,"owner":{"login":"o"}}}"#;
    let cases = [
        message("standardwebhooks", "msg_n1", typed),
        message("svix", "msg_n2", typed),
        with("github", github("ping", "g-1"), r#"{"zen":"Keep it logically awesome."}"#),
        with("github", github("issues", "g-2"), opened),
        with("github", github("issues", "g-2"), opened),
        with("shopify", shopify, r#"{"id":820982911946154508,"note":"für Zoë"}"#),
    ];
    let answers = post(&host, "node-others", &cases).await;
    for (answer, id) in answers.iter().zip(["msg_n1", "msg_n2", "g-1", "g-2", "", "e-1"]) {
        assert!(answer.starts_with("200 "), "{answer}");
        assert!(answer.contains(&format!("\"id\":\"{id}")) || id.is_empty(), "{answer}");
    }
    assert!(answers[4].contains("duplicate"), "{}", answers[4]);
    arrived(&host, &cases[0], "msg_n1", "user.created").await;
    arrived(&host, &cases[1], "msg_n2", "user.created").await;
    arrived(&host, &cases[2], "g-1", "ping").await;
    arrived(&host, &cases[3], "g-2", "issues.opened").await;
    arrived(&host, &cases[5], "e-1.orders.create", "orders.create").await;
    let issue = host.get("/events/github:g-2").await.unwrap();
    assert_eq!(
        (&issue["account"], &issue["related_object"]["kind"]),
        (&json!("o"), &json!("issue"))
    );
    assert_eq!(super::count(&host, "all").await, 5);
}
