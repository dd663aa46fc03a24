//! Events, deliveries, plugins and their state, as they are shown.

use std::time::Duration;

use super::*;
use crate::domain::delivery::{
    Attempt, Delivery, LogLevel, LogRecord, Logs, Outcome, Status, Usage,
};

#[tokio::test]
async fn an_event_has_its_fields_and_its_very_bytes() {
    let host = Host::start().await;
    host.accept("evt_1", "charge.succeeded", &["a", "b"]).await;
    host.store.change_delivery("stripe.evt_1.a", |d| d.status = Status::Done);
    for path in ["/events/evt_1", "/events/stripe:evt_1"] {
        let shown = host.json(path).await;
        assert_has(
            &shown,
            json!({
                "object": "event", "id": "evt_1", "type": "charge.succeeded", "provider": "stripe",
                "endpoint": "00000000-0000-0000-0000-000000000001", "account": null,
                "livemode": false, "created": 1, "received_at": NOW,
                "received_at_ms": NOW * 1_000 + 250, "source": "webhook", "size": 8,
            }),
        );
        let status = |n: usize| shown["deliveries"][n]["status"].clone();
        let mut both = [status(0), status(1)].map(|s| s.as_str().unwrap().to_owned());
        both.sort();
        assert_eq!(both, ["done", "parked"]);
    }
    let raw = host.get("/events/evt_1/raw").await;
    assert_eq!(raw.body, b"{\"a\": 1}");
    assert_eq!(raw.header("content-type"), Some("application/json"));
    assert_eq!(raw.header("x-content-type-options"), Some("nosniff"));
    for path in ["/events/evt_2", "/events/evt_2/raw", "/events/github:evt_1", "/events/%2e%2e"] {
        assert_eq!(host.error(path).await, missing("id"), "{path}");
    }
}

fn failed(delivery: &mut Delivery) {
    let attempt = |number, reason: &str| Attempt {
        number,
        started_at: Timestamp::from_millis(NOW * 1_000 + 750),
        digest: CodeDigest([9; 32]),
        outcome: Outcome::Retry,
        reason: reason.into(),
        usage: Usage {
            cpu: Duration::from_micros(3),
            wall: Duration::from_micros(4),
            memory: 5,
            kv_operations: 6,
        },
        logs: Logs {
            records: vec![LogRecord {
                level: LogLevel::Warn,
                message: reason.into(),
                attributes: vec![("customer".into(), "cus_1".into())],
            }],
            dropped: 2,
        },
    };
    delivery.status = Status::Dead;
    delivery.attempts = 2;
    delivery.history = vec![attempt(1, "no"), attempt(2, "never")];
    delivery.next_attempt_at = None;
}

#[tokio::test]
async fn a_delivery_has_its_fields_and_its_story() {
    let host = Host::start().await;
    host.accept("evt_1", "a", &["p"]).await;
    assert_has(
        &host.json("/deliveries/stripe.evt_1.p").await,
        json!({
            "object": "delivery", "id": "stripe.evt_1.p", "event": "evt_1", "plugin": "p",
            "digest": null, "status": "parked", "attempts": 0, "next_attempt_at": NOW,
            "next_attempt_at_ms": NOW * 1_000 + 250, "outcome": null, "reason": null, "logs": [],
        }),
    );
    host.store.change_delivery("stripe.evt_1.p", failed);
    let digest = format!("sha256:{}", "09".repeat(32));
    let logs = json!([{
        "level": "warn", "message": "never", "attributes": {"customer": "cus_1"},
    }]);
    let fields = json!({
        "status": "dead", "attempts": 2, "outcome": "retry", "reason": "never", "digest": digest,
        "next_attempt_at": null, "logs": logs, "logs_dropped": 2,
    });
    let one = host.json("/deliveries/stripe.evt_1.p").await;
    assert_has(&one, fields.clone());
    assert_has(
        &one["history"][0],
        json!({
            "number": 1, "started_at": NOW, "started_at_ms": NOW * 1_000 + 750, "reason": "no",
            "cpu_us": 3, "wall_us": 4, "memory_bytes": 5, "kv_operations": 6,
        }),
    );
    let listed = &host.json("/deliveries").await["data"][0];
    assert_has(listed, fields);
    assert!(listed.get("history").is_none());
    assert_eq!(host.json("/events/evt_1").await["deliveries"][0]["outcome"], "retry");
    for path in ["/deliveries/x", "/deliveries/stripe.evt_1.q", "/deliveries/stripe.evt_2.p"] {
        assert_eq!(host.error(path).await, missing("id"), "{path}");
    }
}

#[tokio::test]
async fn plugins_are_shown_refused_ones_too() {
    let host = Host::start().await;
    let ids = vec!["charge-counter".to_owned(), "broken.wasm".to_owned()];
    assert_eq!(host.ids("/plugins").await, (ids.clone(), false));
    assert_eq!(host.ids("/plugins?limit=1").await, (ids[..1].to_vec(), true));
    assert_has(
        &host.json("/plugins/charge-counter").await,
        json!({
            "object": "plugin", "name": "charge-counter", "version": "1.2.3", "status": "loaded",
            "digest": format!("sha256:{}", "07".repeat(32)), "reason": null,
            "file": "plugins/charge_counter.wasm",
            "subscriptions":
                [{"provider": "stripe", "type": "charge.*", "filter": "event.livemode"}],
            "grants": [{"capability": "outbox.http", "scope": "POST https://x/*"}],
            "settings": ["channel"], "warnings": ["odd"], "size": 42,
        }),
    );
    let limits = &host.json("/plugins/charge-counter").await["limits"];
    assert_has(limits, json!({"cpu_ms": 1_000, "wall_ms": 5_000, "memory_bytes": 64 << 20}));
    assert_has(
        &host.json("/plugins/broken.wasm").await,
        json!({"name": null, "status": "refused", "reason": "not a component", "limits": null}),
    );
    assert_eq!(host.error("/plugins/nobody").await, missing("id"));
}

#[tokio::test]
async fn a_plugins_state_is_shown_as_text_or_base64() {
    let host = Host::start().await;
    host.store.put_kv("gone", "count/a", b"7");
    host.store.put_kv("gone", "count/b", b"\xff\x00");
    host.store.put_kv("gone", "other", "\u{e4}".as_bytes());
    host.store.put_kv("another", "count/c", b"1");
    let list = host.json("/plugins/gone/kv?prefix=count/").await;
    assert_eq!(list["url"], "/api/v1/plugins/gone/kv");
    assert_has(
        &list["data"][0],
        json!({"object": "kv", "key": "count/a", "value": "7", "encoding": "utf8", "size": 1}),
    );
    assert_has(&list["data"][1], json!({"value": "/wA=", "encoding": "base64", "size": 2}));
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(host.ids("/plugins/gone/kv?limit=2").await, (keys(&["count/a", "count/b"]), true));
    let rest = host.ids("/plugins/gone/kv?limit=2&starting_after=count/b").await;
    assert_eq!(rest, (keys(&["other"]), false));
    assert_eq!(host.ids("/plugins/nobody/kv").await, (vec![], false));
    assert_eq!(host.error("/plugins/Not_a_name/kv").await, missing("id"));
    let long = format!("/plugins/gone/kv?prefix={}", "x".repeat(513));
    assert_eq!(host.error(&long).await, invalid("prefix"));
}
