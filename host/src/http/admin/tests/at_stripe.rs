//! Endpoints that are made, changed and rolled at Stripe, through the API.

use super::*;
use crate::stripe::testing::{Double, answer, ok};

const MADE: &str = r#"{"id": "we_1", "url": "https://hooks.example.com/webhooks/x", "status":
    "enabled", "enabled_events": ["charge.failed"], "metadata": {"a": "b"}, "secret": "whsec_1"}"#;

/// A host whose Stripe has no endpoints, makes what is asked for, and refuses changes of them.
async fn start() -> (Double, Host) {
    let double = Double::start(|_, asked| match asked.line() {
        line if line.starts_with("GET") => ok(r#"{"data": [], "has_more": false}"#),
        "POST /v1/webhook_endpoints" => ok(MADE),
        line if line.starts_with("DELETE") => ok("{}"),
        _ => answer(
            "400 Bad Request",
            &[],
            r#"{"error": {"message": "Not that one", "code": "url_invalid", "param": "url"}}"#,
        ),
    })
    .await;
    let host = Host::with(Accounts::new(vec![double.account("default")]).unwrap()).await;
    (double, host)
}

fn wish() -> Value {
    json!({"enabled_events": ["charge.failed"], "metadata": {"a": "b"}})
}

/// Code and parameter of a refused POST.
async fn refused(host: &Host, path: &str, body: Value, status: u16) -> (String, Value, String) {
    let error = host.posted(path, body, status).await["error"].clone();
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    (text("code"), error["param"].clone(), text("message"))
}

#[tokio::test]
async fn an_endpoint_is_made_at_stripe_and_no_secret_shows() {
    let (double, host) = start().await;
    let mut dry = wish();
    dry["dry_run"] = true.into();
    let plan = host.posted("/endpoints", dry, 200).await;
    assert_has(&plan, json!({"object": "endpoint.plan", "account": "default", "livemode": false}));
    let wrong = json!({"enabled_events": ["charge.*", "x.y"]});
    let (code, param, _) = refused(&host, "/endpoints", wrong, 400).await;
    assert_eq!((code.as_str(), param), ("parameter_invalid", json!("enabled_events[1]")));
    assert!(double.asked().is_empty());

    let reply = host.post("/endpoints", &wish()).await;
    assert_eq!(reply.status, 201);
    assert!(!String::from_utf8_lossy(&reply.body).contains("whsec"));
    let made = reply.json();
    assert_has(
        &made,
        json!({
            "provider_id": "we_1", "status": "enabled", "account": "default", "livemode": false,
            "connect": false, "enabled_events": ["charge.failed"], "metadata": {"a": "b"},
            "retiring": [],
        }),
    );
    assert_eq!(made["secrets"].as_array().unwrap().len(), 1);
    let id = made["id"].as_str().unwrap();
    let report = host.posted("/endpoints/sync", json!({"dry_run": true}), 200).await;
    assert_has(&report, json!({"object": "endpoint.sync", "dry_run": true, "others": 0}));
    assert_eq!(report["data"][0]["outcome"], "missing");
    let (code, param, _) = refused(&host, "/endpoints/sync", json!({"adopt": "x"}), 400).await;
    assert_eq!((code.as_str(), param), ("parameter_invalid", json!("adopt")));

    let path = format!("/api/v1/endpoints/{id}");
    let local = host.ask("DELETE", &format!("{path}?local_only=true"), "", "").await;
    assert_eq!(local.status, 200);
    assert!(!double.asked().iter().any(|asked| asked.line().starts_with("DELETE")));
}

#[tokio::test]
async fn stripes_refusal_names_the_parameter_as_it_is_called_here() {
    let (_double, host) = start().await;
    let made = host.posted("/endpoints", wish(), 201).await;
    let path = format!("/endpoints/{}", made["id"].as_str().unwrap());
    let change = json!({"base_url": "https://other.example.com"});
    let (code, param, told) = refused(&host, &path, change, 400).await;
    assert_eq!((code.as_str(), param), ("stripe_refused", json!("base_url")));
    assert!(told.contains("Not that one") && told.contains("[url_invalid]"), "{told}");
    let body = r#"{"tolerance": "1m"}"#;
    let patched = host.ask("PATCH", &format!("/api/v1{path}"), "", body).await;
    assert_eq!((patched.status, &patched.json()["tolerance"]), (200, &json!(60)));
    let (code, param, _) = refused(&host, &path, json!({"connect": true}), 400).await;
    assert_eq!((code.as_str(), param), ("parameter_invalid", json!("connect")));
    let (code, _, told) = refused(&host, &path, json!({"x": 1}), 400).await;
    assert!(code == "body_invalid" && told.contains("enabled_events"), "{told}");
    let configured = format!("/endpoints/{}", endpoint(1).id);
    assert_eq!(refused(&host, &configured, json!({"disabled": true}), 409).await.0, "conflict");
}

#[tokio::test]
async fn secrets_are_rolled_added_and_retired() {
    let (_double, host) = start().await;
    let made = host.posted("/endpoints", wish(), 201).await;
    let path = format!("/endpoints/{}", made["id"].as_str().unwrap());
    let roll = format!("{path}/roll-secret");
    for body in [json!({}), json!({"secret": "hush", "replace": true}), json!({"secret": 7})] {
        let (_, param, told) = refused(&host, &roll, body, 400).await;
        assert_eq!(param, "secret");
        assert!(!told.contains("hush"), "{told}");
    }
    let body = json!({"secret": "whsec_2", "old_valid_for": "1h"});
    let rolled = host.posted(&roll, body, 200).await;
    let secrets = rolled["secrets"].as_array().unwrap();
    assert_eq!(secrets[0]["id"], Secret::new("whsec_2").unwrap().id().0);
    assert_eq!(secrets[1]["not_after"], NOW + 3_600);
    let added = host.posted(&format!("{path}/secrets"), json!({"secret": "whsec_3"}), 200).await;
    let third = added["secrets"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(added["secrets"].as_array().unwrap().len(), 3);
    let one = format!("/api/v1{path}/secrets/{third}");
    let unsafe_yet = host.ask("DELETE", &one, "", "").await;
    assert_eq!((unsafe_yet.status, unsafe_yet.code().as_str()), (409, "conflict"));
    let forced = host.ask("DELETE", &format!("{one}?force=true"), "", "").await.json();
    assert_eq!(forced["secrets"].as_array().unwrap().len(), 2);
    let gone = host.ask("DELETE", &one, "", "").await;
    assert_eq!((gone.status, gone.json()["error"]["param"].clone()), (400, json!("secret")));
}
