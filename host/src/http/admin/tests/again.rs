//! Replays, dry runs, shadow runs, explanations, dead letters and pauses.

use super::*;
use crate::domain::delivery::{Attempt, Logs, Outcome, Status, Usage};
use crate::domain::event::Made;
use crate::plugin::tests::components;

fn dies(host: &Host, id: &str, reason: &str) {
    host.store.change_delivery(id, |delivery| {
        delivery.status = Status::Dead;
        delivery.attempts = 1;
        delivery.next_attempt_at = None;
        delivery.history = vec![Attempt {
            number: 1,
            started_at: Timestamp::from_secs(NOW),
            digest: CodeDigest([9; 32]),
            outcome: Outcome::Reject,
            reason: reason.to_owned(),
            usage: Usage::default(),
            logs: Logs::default(),
        }];
    });
}

/// Two plugins, three events; two deliveries died alike and one otherwise.
async fn dead() -> Host {
    let host = Host::start().await;
    host.load(vec![components::counter("a", &["*"]), components::noop("b", &["charge.*"])]).await;
    host.accept("evt_1", "charge.failed", &["a", "gone"]).await;
    host.accept("evt_2", "invoice.paid", &["a"]).await;
    host.accept("evt_3", "invoice.paid", &["a"]).await;
    dies(&host, "stripe.evt_1.a", "no customer cus_1");
    dies(&host, "stripe.evt_2.a", "no customer cus_2");
    dies(&host, "stripe.evt_1.gone", "never");
    host
}

#[tokio::test]
async fn dead_deliveries_are_listed_and_grouped() {
    let host = dead().await;
    let all = ["stripe.evt_2.a", "stripe.evt_1.gone", "stripe.evt_1.a"].map(str::to_owned);
    assert_eq!(host.ids("/dead").await, (all.to_vec(), false));
    let first = &host.json("/dead?limit=1").await["data"][0];
    assert_has(first, json!({"status": "dead", "reason": "no customer cus_2"}));
    assert_eq!(first["history"][0]["outcome"], "reject");
    let groups = host.json("/dead/groups").await;
    assert_eq!(groups["data"].as_array().unwrap().len(), 2);
    let group = &groups["data"][0];
    assert_has(
        group,
        json!({
            "object": "dead_group", "plugin": "a", "count": 2, "outcome": "reject",
            "reason": "no customer cus_2", "pattern": "no customer #", "newest": "stripe.evt_2.a",
            "oldest_at": NOW,
        }),
    );
    let id = group["id"].as_str().unwrap();
    let of_group = vec![all[0].clone(), all[2].clone()];
    for path in ["/dead?group=", "/deliveries?group=", "/deliveries?status=dead&group="] {
        assert_eq!(host.ids(&format!("{path}{id}")).await, (of_group.clone(), false), "{path}");
    }
    assert_eq!(host.ids("/dead?plugin=gone").await, (vec![all[1].clone()], false));
    assert_eq!(host.ids("/dead/groups?plugin=b").await, (vec![], false));
    assert_eq!(host.error("/dead?group=x").await, invalid("group"));
    assert_eq!(host.error(&format!("/deliveries?status=done&group={id}")).await, invalid("group"));
}

#[tokio::test]
async fn one_event_is_replayed_at_the_plugins_it_concerns() {
    let host = dead().await;
    let answer = host.posted("/events/evt_1/replay", json!({}), 200).await;
    let became: Vec<_> = answer["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["plugin"].as_str().unwrap(), d["result"].as_str().unwrap()))
        .collect();
    // `b` was not loaded when it came, and wants it now.
    assert_eq!(became, [("a", "queued"), ("b", "queued"), ("gone", "queued")]);
    let delivery = host.json("/deliveries/stripe.evt_1.a").await;
    assert_has(&delivery, json!({"status": "pending", "replayed_at": NOW, "attempts": 0}));
    assert_eq!(delivery["history"].as_array().unwrap().len(), 1);
    let only = json!({"plugins": ["a"]});
    let answer = host.posted("/events/evt_1/replay", only.clone(), 200).await;
    assert_eq!(
        answer["deliveries"],
        json!([{"id": "stripe.evt_1.a", "plugin": "a", "result": "waiting"}])
    );
    for (path, body, status) in [
        ("/events/evt_9/replay", only, 404),
        ("/events/evt_2/replay", json!({"plugins": ["b"]}), 409),
        ("/events/evt_2/replay", json!({"plugins": ["Not"]}), 400),
        ("/events/evt_2/replay", json!({"plugin": "a"}), 400),
    ] {
        host.posted(path, body, status).await;
    }
}

#[tokio::test]
async fn the_same_key_replays_once_and_only_there() {
    let host = dead().await;
    let key = "idempotency-key: k\r\n";
    let ask = |id: &'static str| host.ask("POST", id, key, "");
    let first = ask("/api/v1/events/evt_1/replay").await;
    dies(&host, "stripe.evt_1.a", "again");
    assert_eq!(ask("/api/v1/events/evt_1/replay").await.body, first.body);
    assert_eq!(host.json("/deliveries/stripe.evt_1.a").await["status"], "dead");
    assert_eq!(ask("/api/v1/events/evt_2/replay").await.code(), "idempotency_key_reused");
}

#[tokio::test]
async fn a_filter_is_counted_and_replayed_in_the_background() {
    let host = dead().await;
    let filter = json!({"status": "dead", "plugin": ["a", "b"]});
    let count = host.posted("/replays/count", filter.clone(), 200).await;
    assert_has(
        &count,
        json!({"events": 2, "deliveries": 2, "plugins": {"a": 2}, "complete": true}),
    );
    assert_eq!(host.json("/deliveries/stripe.evt_2.a").await["status"], "dead");
    let started = host.posted("/replays", filter.clone(), 202).await;
    assert_has(&started, json!({"object": "operation", "kind": "replay"}));
    let ended = host.ended(&started).await;
    assert_has(
        &ended,
        json!({"status": "done", "counted": 2, "done": 2, "errors": [], "finished_at": NOW}),
    );
    assert_eq!(host.json("/deliveries/stripe.evt_2.a").await["status"], "pending");
    assert_eq!(host.json("/deliveries/stripe.evt_1.gone").await["status"], "dead");
    assert_eq!(host.posted("/replays/count", filter, 200).await["deliveries"], 0);
    let ids = host.ids("/operations").await.0;
    assert_eq!(ids, [started["id"].as_str().unwrap()]);
    let path = format!("/operations/{}/cancel", ids[0]);
    host.posted(&path, json!({}), 409).await;
    assert_eq!(host.error("/operations/op_none").await, missing("id"));
    let narrow = json!({
        "ids": ["evt_1", "evt_2"], "type": "charge.*", "since": NOW - 60, "until": "2100-01-01T00:00:00Z",
        "where": "event.id == 'evt_1'", "limit": 1,
    });
    assert_eq!(host.posted("/replays/count", narrow, 200).await["plugins"], json!({"a": 1}));
}

#[tokio::test]
async fn a_wrong_filter_is_named() {
    let host = dead().await;
    for (body, param) in [
        (json!({"type": "a*"}), "type"),
        (json!({"status": "odd"}), "status"),
        (json!({"status": "parked"}), "status"),
        (json!({"where": "event.data ="}), "where"),
        (json!({"since": "soon"}), "since"),
        (json!({"group": "x"}), "group"),
        (json!({"plugin": "A"}), "plugin"),
        (json!({"deliveries": ["x"]}), "deliveries"),
        (json!({"limit": 101, "dry_run": true}), "limit"),
    ] {
        let reply = host.post("/replays", &body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "parameter_invalid"), "{body}");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
    }
    let reply = host.post("/replays", &json!({})).await;
    assert_eq!(reply.code(), "selection_empty");
    assert_eq!(host.post("/replays", &json!({"typ": "a"})).await.code(), "body_invalid");
    host.posted("/replays/count", json!({"all": true}), 200).await;
}

#[tokio::test]
async fn a_dry_run_shows_a_diff_and_changes_nothing() {
    let host = dead().await;
    host.store.put_kv("a", "count", b"AAAAAAAA");
    let run = host.posted("/events/evt_1/dry-run?plugin=a", json!({}), 200).await;
    assert_has(
        &run,
        json!({
            "object": "dry_run", "delivery": "stripe.evt_1.a", "verdict": "done", "outcome": "ok",
            "reason": null, "steady": true, "effects": [], "cancels": [], "logs": [],
        }),
    );
    let value =
        |value: &str| json!({"value": value, "encoding": "utf8", "size": 8, "truncated": false});
    let change = json!({"key": "count", "before": value("AAAAAAAA"), "after": value("BAAAAAAA")});
    assert_eq!(run["changes"], json!([change]));
    assert_eq!(host.json("/plugins/a/kv").await["data"][0]["value"], "AAAAAAAA");
    assert_eq!(host.json("/deliveries/stripe.evt_1.a").await["status"], "dead");
    // Two plugins want it; one alone wants the other.
    assert_eq!(host.post("/events/evt_1/dry-run", &json!({})).await.status, 400);
    assert_eq!(host.posted("/events/evt_2/dry-run", json!({}), 200).await["plugin"], "a");
    assert_eq!(host.post("/events/evt_1/dry-run?plugin=gone", &json!({})).await.status, 404);
    let started = host.posted("/replays", json!({"ids": ["evt_1"], "dry_run": true}), 202).await;
    let ended = host.ended(&started).await;
    assert_has(
        &ended,
        json!({"kind": "dry_run", "status": "done", "done": 2, "skipped": {"plugin_absent": 1}}),
    );
    assert_eq!(ended["result"][1]["plugin"], "b");
}

#[tokio::test]
async fn an_event_is_explained() {
    let host = dead().await;
    host.accept("evt_4", "charge.failed", &["a"]).await;
    host.store.change_delivery("stripe.evt_4.a", |delivery| {
        delivery.behind = Some("stripe.evt_3.a".parse().unwrap());
    });
    let told = host.json("/events/evt_1/explain").await;
    assert_has(&told, json!({"object": "explanation", "event": "evt_1", "source": "webhook"}));
    assert!(told["how"].as_str().unwrap().contains("proved by the secret 00000000"), "{told}");
    let b = &told["plugins"][1];
    assert_has(b, json!({"plugin": "b", "matches": true, "delivered": false}));
    let note = b["note"].as_str().unwrap();
    assert!(note.contains("`signalbox events replay evt_1 --plugin b`"), "{note}");
    assert_eq!(
        b["subscriptions"],
        json!([{"provider": "stripe", "type": "charge.*", "filter": null, "verdict": "matched"}])
    );
    let next = async |event: &str, plugin: &str| {
        let told = host.json(&format!("/events/{event}/explain")).await;
        let of = |d: &&Value| d["plugin"] == plugin;
        let delivery = told["deliveries"].as_array().unwrap().iter().find(of).unwrap().clone();
        delivery["next"].as_str().unwrap().to_owned()
    };
    assert!(next("evt_1", "a").await.contains("`signalbox dead replay stripe.evt_1.a`"));
    assert!(next("evt_4", "a").await.contains("waits behind stripe.evt_3.a"));
    assert!(next("evt_3", "a").await.contains("as soon as there is room"));
    let later = Timestamp::from_secs(NOW + 60);
    host.store.change_delivery("stripe.evt_3.a", |delivery| {
        delivery.status = Status::Retry;
        delivery.attempts = 1;
        delivery.next_attempt_at = Some(later);
    });
    assert!(next("evt_3", "a").await.contains(&format!("attempt 2 at {later}")));
    host.posted("/plugins/a/pause", json!({"reason": "the ledger is down"}), 200).await;
    assert!(next("evt_3", "a").await.contains("the ledger is down"));
    host.posted("/events/evt_1/replay", json!({"plugins": ["gone"]}), 200).await;
    assert!(next("evt_1", "gone").await.contains("no `gone` is loaded"));
    assert_eq!(
        host.json("/events/evt_2/explain").await["plugins"][1]["subscriptions"][0]["verdict"],
        "type_differs"
    );
    assert_eq!(host.error("/events/evt_9/explain").await, missing("id"));
}

#[tokio::test]
async fn an_event_that_was_made_here_is_found_and_explained() {
    let host = dead().await;
    let mut made = event("evt_made", "reminder");
    made.key.provider = "a".into();
    let effect = "stripe.evt_1.a.0".parse().unwrap();
    let source = Source::Emitted(Made { effect: Some(effect), depth: 2, attributes: vec![] });
    let new = NewEvent {
        event: made,
        endpoint: endpoint(1).id,
        received_at: Timestamp::from_secs(NOW),
        source,
        plugins: vec![],
    };
    host.store.accept(vec![new]).await.unwrap();
    for id in ["evt_made", "a:evt_made", "a.evt_made"] {
        let shown = host.json(&format!("/events/{id}")).await;
        assert_has(&shown["made"], json!({"effect": "stripe.evt_1.a.0", "depth": 2}));
    }
    let how = host.json("/events/evt_made/explain").await["how"].as_str().unwrap().to_owned();
    assert!(how.contains("by the plugin a through the effect stripe.evt_1.a.0; 2 events"), "{how}");
}

#[tokio::test]
async fn a_plugin_is_paused_and_resumed() {
    let host = dead().await;
    let shown = host.posted("/plugins/a/pause", json!({"reason": "noon"}), 200).await;
    assert_has(
        &shown,
        json!({"name": "a", "status": "paused", "reason": "paused by an operator: noon"}),
    );
    assert_has(&shown["paused"], json!({"at": NOW, "reason": "noon", "by": "operator"}));
    assert_has(&shown["backlog"], json!({"waiting": 1, "oldest_at": NOW}));
    let policy =
        json!({"order": "object", "skip_after": null, "pause_after": 10, "retry_attempts": 15});
    assert_has(&shown["delivery"], policy);
    assert_eq!(host.json("/deliveries/stripe.evt_3.a").await["status"], "parked");
    let metrics = host.ask("GET", "/metrics", "", "").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    for line in [
        "signalbox_plugin_paused{plugin=\"a\"} 1",
        "signalbox_plugin_waiting{plugin=\"a\"} 1",
        "signalbox_dead 3",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }
    let shown = host.posted("/plugins/a/resume", json!({}), 200).await;
    assert_has(&shown, json!({"status": "loaded", "paused": null}));
    assert_eq!(host.json("/deliveries/stripe.evt_3.a").await["status"], "pending");
    host.posted("/plugins/nobody/pause", json!({}), 404).await;
    host.posted("/plugins/a/pause", json!({"why": "x"}), 400).await;
    host.posted("/plugins/a/pause", json!({"reason": "x".repeat(1_001)}), 400).await;
    // One that went and has something waiting can be paused before it is back.
    host.posted("/events/evt_1/replay", json!({"plugins": ["gone"]}), 200).await;
    assert_eq!(host.posted("/plugins/gone/pause", json!({}), 200).await["status"], "absent");
}

#[tokio::test]
async fn a_candidate_runs_beside_what_is_loaded() {
    let host = dead().await;
    let send = async |path: &str, component: Vec<u8>| {
        let head = format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
             content-length: {}\r\n\r\n",
            component.len()
        );
        let mut client = Client::connect(host.addr).await;
        client.send(head).await;
        client.ask(component).await
    };
    let started = send("/plugins/a/shadow?last=2", components::recorder("a", &["charge.*"])).await;
    assert_eq!(started.status, 202, "{}", String::from_utf8_lossy(&started.body));
    let ended = host.ended(&started.json()).await;
    assert_has(&ended, json!({"kind": "shadow", "status": "done", "done": 2}));
    let found = &ended["result"];
    assert_has(found, json!({"object": "shadow_run", "plugin": "a", "events": 2, "different": 2}));
    assert_has(
        &found["differences"][0],
        json!({"event": "evt_3", "parts": ["subscription"], "candidate": null}),
    );
    assert_has(&found["current"], json!({"runs": 2, "ok": 2, "version": "1.0.0"}));
    let failed = |reply: Reply| async move { reply.json() };
    let other = failed(send("/plugins/a/shadow", components::noop("c", &["*"])).await).await;
    let ended = host.ended(&other).await;
    assert_eq!(ended["status"], "failed");
    assert!(ended["errors"][0].as_str().unwrap().contains("calls itself `c`"), "{ended}");
    let bad = host.ended(&send("/plugins/a/shadow", b"x".to_vec()).await.json()).await;
    assert_eq!(bad["status"], "failed");
    assert_eq!(send("/plugins/a/shadow?last=0", b"x".to_vec()).await.status, 400);
    assert_eq!(send("/plugins/a/shadow", vec![]).await.status, 400);
    // Nothing of it was kept, and it receives nothing.
    assert_eq!(host.ids("/plugins/a/kv").await.0.len(), 0);
    assert_eq!(host.json("/plugins/a").await["subscriptions"][0]["type"], "*");
}
