//! Making and removing endpoints.

use super::*;

const NEW: &str = r#"{"provider": "stripe", "secrets": ["whsec_new\n"], "description": "shop"}"#;

async fn post(host: &Host, headers: &str, body: &str) -> Reply {
    host.ask("POST", "/api/v1/endpoints", headers, body).await
}

#[tokio::test]
async fn an_endpoint_is_made_shown_and_removed_and_no_secret_shows() {
    let host = Host::start().await;
    let reply = post(&host, "", NEW).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    let id = made["id"].as_str().unwrap().to_owned();
    let secret = Secret::new("whsec_new").unwrap().id();
    assert_has(
        &made,
        json!({
            "object": "endpoint", "provider": "stripe", "description": "shop", "origin": "api",
            "created": NOW, "tolerance": 300,
            "url": format!("https://hooks.example.com/webhooks/{id}"),
            "secrets": [{
                "id": secret.0, "not_after": null, "last_matched_at": null,
                "last_matched_at_ms": null, "safe_to_retire": false,
                "retire": "it is the only one that proves anything",
            }],
            "status": "enabled", "validation": "verify_signature", "provider_id": null,
        }),
    );
    let kept = host.endpoints.list()[0].clone();
    assert_eq!(kept.secrets[0].expose(), "whsec_new");
    host.endpoints.matched(kept.id, &secret);
    let shown = host.get(&format!("/endpoints/{id}")).await;
    assert!(!String::from_utf8_lossy(&shown.body).contains("whsec"));
    assert_eq!(shown.json()["secrets"][0]["last_matched_at"], NOW);
    let (ids, _) = host.ids("/endpoints").await;
    assert_eq!(ids, [id.clone(), endpoint(1).id.to_string()]);

    let path = format!("/api/v1/endpoints/{id}");
    let gone = host.ask("DELETE", &path, "", "").await;
    assert_eq!(gone.json(), json!({"object": "endpoint", "id": id, "deleted": true}));
    assert_eq!(host.ask("DELETE", &path, "", "").await.status, 404);
    assert_eq!(host.error(&format!("/endpoints/{id}")).await, missing("id"));
    assert_eq!(host.error("/endpoints/odd").await, missing("id"));
}

#[tokio::test]
async fn the_configurations_endpoints_stay() {
    let host = Host::start().await;
    let path = format!("/api/v1/endpoints/{}", endpoint(1).id);
    let reply = host.ask("DELETE", &path, "", "").await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "conflict"));
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("configuration"));
    assert_eq!(host.endpoints.list().len(), 1);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_named() {
    let host = Host::start().await;
    for (body, code, param) in [
        ("", "body_invalid", Value::Null),
        ("[]", "body_invalid", Value::Null),
        (r#"{"provider": "stripe"}"#, "parameter_invalid", json!("secrets")),
        (r#"{"provider": "stripe", "secrets": "hush"}"#, "parameter_invalid", json!("secrets")),
        (
            r#"{"provider": "stripe", "secrets": ["hush", 1]}"#,
            "parameter_invalid",
            json!("secrets"),
        ),
        (r#"{"provider": "stripe", "secrets": [], "x": 1}"#, "body_invalid", Value::Null),
        (r#"{"provider": "stripe", "secrets": []}"#, "parameter_invalid", json!("secrets")),
        (r#"{"provider": "x", "secrets": ["a"]}"#, "parameter_invalid", json!("provider")),
        (
            r#"{"provider": "stripe", "secrets": ["a", " \n"]}"#,
            "parameter_invalid",
            json!("secrets[1]"),
        ),
        (
            r#"{"provider": "stripe", "secrets": ["a"], "tolerance": "soon"}"#,
            "parameter_invalid",
            json!("tolerance"),
        ),
        (
            r#"{"provider": "stripe", "secrets": ["a"], "tolerance": -1}"#,
            "body_invalid",
            Value::Null,
        ),
    ] {
        let reply = post(&host, "", body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{body}");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("hush"));
    }
    let huge = format!("{NEW}{}", " ".repeat(70_000));
    let reply = post(&host, "", &huge).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_unreadable"));
    assert_eq!(host.endpoints.list().len(), 1);
}

#[tokio::test]
async fn a_tolerance_is_a_duration_or_seconds() {
    let host = Host::start().await;
    for (given, seconds) in [("\"10m\"", 600), ("\"0s\"", 0), ("42", 42)] {
        let body = format!(r#"{{"provider": "stripe", "secrets": ["a"], "tolerance": {given}}}"#);
        assert_eq!(post(&host, "", &body).await.json()["tolerance"], seconds);
    }
}

#[tokio::test]
async fn a_repeated_key_does_the_work_once() {
    let host = Host::start().await;
    let key = "idempotency-key: k1\r\n";
    let bad = post(&host, key, "{}").await;
    assert_eq!(bad.status, 400, "after an error the key is free");
    let (first, second) = tokio::join!(post(&host, key, NEW), post(&host, key, NEW));
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json(), second.json());
    assert_eq!(host.endpoints.list().len(), 2);

    let other = post(&host, key, r#"{"provider": "stripe", "secrets": ["b"]}"#).await;
    assert_eq!((other.status, other.code().as_str()), (400, "idempotency_key_reused"));
    assert_eq!(other.json()["error"]["type"], "idempotency_error");
    assert_eq!(post(&host, "idempotency-key: k2\r\n", NEW).await.status, 201);
    assert_eq!(host.endpoints.list().len(), 3);
    let long = format!("idempotency-key: {}\r\n", "k".repeat(256));
    assert_eq!(post(&host, &long, NEW).await.json()["error"]["param"], "Idempotency-Key");
}
