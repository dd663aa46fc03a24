//! Effects: shown with references in place of secrets, retried, withdrawn.

use std::time::Duration;

use super::*;
use crate::domain::effect::{Action, Effect, EffectAttempt, EffectStatus, HttpRequest};

fn http(id: &str, status: EffectStatus) -> Effect {
    Effect {
        id: id.parse().unwrap(),
        action: Action::Http {
            request: HttpRequest {
                method: "POST".into(),
                url: "https://hooks.example.com/{{secret:hook}}".into(),
                headers: vec![("authorization".into(), "Bearer {{secret:key}}".into())],
                body: b"\xff\x00".to_vec(),
            },
            reply: Some("posted".into()),
        },
        status,
        created_at: Timestamp::from_secs(NOW),
        attempts: 1,
        next_attempt_at: Some(Timestamp::from_secs(NOW + 60)),
        history: vec![EffectAttempt {
            number: 1,
            started_at: Timestamp::from_secs(NOW),
            took: Duration::from_millis(7),
            status: Some(503),
            reason: "answered 503".into(),
        }],
    }
}

async fn host() -> Host {
    let host = Host::start().await;
    host.accept("evt_1", "charge.failed", &["a"]).await;
    host.accept("evt_2", "charge.failed", &["a", "b"]).await;
    host.store.put_effect(http("stripe.evt_1.a.0", EffectStatus::Retry));
    host.store.put_effect(http("stripe.evt_1.a.1", EffectStatus::Done));
    let emit = Action::Emit {
        kind: "reminder".into(),
        content_type: "text/plain".into(),
        body: b"hello".to_vec(),
    };
    let emit =
        Effect { action: emit, history: vec![], ..http("stripe.evt_2.b.0", EffectStatus::Pending) };
    host.store.put_effect(emit);
    host.store.put_effect(http("stripe.evt_2.a.0", EffectStatus::Running));
    host
}

#[tokio::test]
async fn an_effect_has_its_fields_and_no_secret() {
    let host = host().await;
    let shown = host.json("/effects/stripe.evt_1.a.0").await;
    assert_has(
        &shown,
        json!({
            "object": "effect", "id": "stripe.evt_1.a.0", "delivery": "stripe.evt_1.a",
            "event": "evt_1", "plugin": "a", "type": "http", "method": "POST",
            "url": "https://hooks.example.com/{{secret:hook}}",
            "headers": [{"name": "authorization", "value": "Bearer {{secret:key}}"}],
            "reply": "posted", "status": "retry", "attempts": 1, "next_attempt_at": NOW + 60,
            "created": NOW, "reason": "answered 503",
            "body": {"size": 2, "value": "/wA=", "encoding": "base64", "truncated": false},
        }),
    );
    assert_has(&shown["history"][0], json!({"number": 1, "status": 503, "took_ms": 7}));
    let emit = host.json("/effects/stripe.evt_2.b.0").await;
    assert_has(
        &emit,
        json!({"type": "emit", "event_type": "reminder", "content_type": "text/plain", "method": null}),
    );
    assert_eq!(emit["body"]["value"], "hello");
    for id in ["x", "stripe.evt_1.a.7"] {
        assert_eq!(host.error(&format!("/effects/{id}")).await, missing("id"));
    }
}

#[tokio::test]
async fn effects_are_listed_by_each_of_their_filters() {
    let host = host().await;
    let ids = |ids: &[&str]| ids.iter().map(|id| format!("stripe.{id}")).collect::<Vec<_>>();
    let all = ids(&["evt_2.a.0", "evt_2.b.0", "evt_1.a.0", "evt_1.a.1"]);
    assert_eq!(host.ids("/effects").await, (all.clone(), false));
    assert_eq!(host.ids("/effects?limit=2").await, (all[..2].to_vec(), true));
    let path = format!("/effects?limit=2&starting_after={}", all[1]);
    assert_eq!(host.ids(&path).await, (all[2..].to_vec(), false));
    assert_eq!(host.ids("/effects?event=evt_1").await.0, all[2..]);
    assert_eq!(host.ids("/effects?plugin=b").await.0, ids(&["evt_2.b.0"]));
    assert_eq!(host.ids("/effects?status=done").await.0, ids(&["evt_1.a.1"]));
    assert_eq!(host.ids("/effects?event=evt_9").await.0.len(), 0);
    for (path, param) in [
        ("/effects?status=parked", "status"),
        ("/effects?plugin=A", "plugin"),
        ("/effects?starting_after=x", "starting_after"),
    ] {
        assert_eq!(host.error(path).await, invalid(param), "{path}");
    }
}

#[tokio::test]
async fn an_effect_is_retried_and_withdrawn_where_that_fits() {
    let host = host().await;
    let retried = host.posted("/effects/stripe.evt_1.a.0/retry", json!({}), 200).await;
    assert_has(&retried, json!({"status": "pending", "next_attempt_at": NOW}));
    let again = host.posted("/effects/stripe.evt_1.a.1/retry", json!({}), 200).await;
    assert_eq!(again["status"], "pending");
    let cancelled = host.posted("/effects/stripe.evt_2.b.0/cancel", json!({}), 200).await;
    assert_has(&cancelled, json!({"status": "cancelled", "next_attempt_at": null}));
    for (path, words) in [
        ("/effects/stripe.evt_2.b.0/cancel", "was withdrawn already"),
        ("/effects/stripe.evt_2.a.0/cancel", "is being performed now"),
        ("/effects/stripe.evt_2.a.0/retry", "is being performed now"),
    ] {
        let reply = host.post(path, &json!({})).await;
        assert_eq!((reply.status, reply.code().as_str()), (409, "effect_unfit"), "{path}");
        let error = &reply.json()["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    host.posted("/effects/stripe.evt_9.a.0/retry", json!({}), 404).await;
    host.posted("/effects/x/cancel", json!({}), 404).await;
}
