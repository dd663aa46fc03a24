//! `listen` against a host that comes and goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::super::exit::Exit;
use super::host::{ENDPOINT, Ran, TOKEN, context, run};
use crate::config::Environment;

/// Answers of `/events` (the newest first) and of its stream (the same, in order), one after another;
/// what was asked: the query, or the event to go on behind.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<(u16, Vec<Value>)>>,
    asked: Mutex<Vec<String>>,
}

fn event(id: &str, kind: &str, source: &str) -> Value {
    json!({"object": "event", "id": id, "type": kind, "provider": "stripe", "source": source,
        "endpoint": "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11"})
}

async fn start(answers: Vec<(u16, Vec<Value>)>) -> (String, Arc<Script>) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), ..Script::default() });
    let events = |State(script): State<Arc<Script>>, RawQuery(query): RawQuery| async move {
        script.asked.lock().unwrap().push(query.unwrap_or_default());
        let answer = script.answers.lock().unwrap().pop_front();
        let (status, data) = answer.unwrap_or((200, vec![]));
        if status != 200 {
            let error = json!({"error": {"type": "api_error", "message": "not now"}});
            return (StatusCode::from_u16(status).unwrap(), Json(error)).into_response();
        }
        Json(json!({"object": "list", "data": data, "has_more": false})).into_response()
    };
    let stream = |State(script): State<Arc<Script>>,
                  RawQuery(query): RawQuery,
                  headers: HeaderMap| async move {
        let last = headers.get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
        script.asked.lock().unwrap().push(last.or(query).unwrap_or_default());
        let answer = script.answers.lock().unwrap().pop_front();
        let (status, mut data) = answer.unwrap_or((200, vec![]));
        if status != 200 {
            let error = json!({"error": {"type": "api_error", "message": "not now"}});
            return (StatusCode::from_u16(status).unwrap(), error.to_string());
        }
        data.reverse();
        let frame = |event: &Value| {
            format!("id: stripe:{}\nevent: {}\ndata: {event}\n\n", event["id"], event["type"])
        };
        let frames: String = data.iter().map(frame).collect();
        (StatusCode::OK, format!("retry: 1000\n\n: alive\n\n{frames}"))
    };
    let one = |Path(id): Path<String>| async move {
        Json(event(id.trim_start_matches("stripe:"), "a.b", "webhook"))
    };
    let raw = |Path(id): Path<String>| async move { format!("{{\"raw\":\"{id}\"}}\n") };
    let app = Router::new()
        .route("/api/v1/events", get(events))
        .route("/api/v1/events/stream", get(stream))
        .route("/api/v1/events/{id}", get(one))
        .route("/api/v1/events/{id}/raw", get(raw))
        .with_state(Arc::clone(&script));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, script)
}

async fn listen(url: &str, more: &[&str]) -> Ran {
    let env = Environment::from([("SIGNALBOX_URL", url), ("SIGNALBOX_ADMIN_TOKEN", TOKEN)]);
    run(&[&["listen"], more].concat(), context(env, false)).await
}

#[tokio::test]
async fn a_host_that_was_gone_leaves_no_gap_and_repeats_nothing() {
    let (url, script) = start(vec![
        (200, vec![event("e0", "a.b", "webhook")]),
        (503, vec![]),
        (200, vec![event("e2", "a.c", "webhook"), event("e1", "a.b", "reconcile")]),
        (500, vec![]),
        (200, vec![event("e4", "a.b", "webhook"), event("e3", "a.b", "emitted")]),
    ])
    .await;
    let ran = listen(&url, &["--limit", "3", "--print-json"]).await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.error);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "2027-01-15 08:00:00   --> a.b [e1]",
            "{\"raw\":\"stripe:e1\"}",
            "2027-01-15 08:00:00   --> a.c [e2]",
            "{\"raw\":\"stripe:e2\"}",
            "2027-01-15 08:00:00   --> a.b [e4]",
            "{\"raw\":\"stripe:e4\"}",
        ]
    );
    let asked = script.asked.lock().unwrap().clone();
    assert_eq!(asked[0], "limit=1");
    // After the second answer the stream ended, and after the first and the third the host was gone.
    assert_eq!(asked[1..], ["stripe:e0", "stripe:e0", "stripe:e2", "stripe:e2"]);
}

#[tokio::test]
async fn a_place_that_is_kept_is_gone_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("place");
    let resume = ["--limit", "1", "--resume", file.to_str().unwrap()];
    let newer = |id: &str| (200, vec![event(id, "a.b", "webhook")]);
    // From the beginning: there is nothing yet.
    let (url, _) = start(vec![(200, vec![]), newer("e1")]).await;
    assert!(listen(&url, &resume).await.stdout.contains("[e1]"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "stripe:e1");
    let (url, script) = start(vec![newer("e2")]).await;
    assert!(listen(&url, &resume).await.stdout.contains("[e2]"));
    assert_eq!(*script.asked.lock().unwrap(), ["stripe:e1"]);
    std::fs::write(&file, "").unwrap();
    let (url, script) = start(vec![newer("e3")]).await;
    assert!(listen(&url, &resume).await.stdout.contains("[e3]"));
    assert_eq!(*script.asked.lock().unwrap(), ["from=oldest"]);
}

#[tokio::test]
async fn types_and_endpoints_are_chosen_and_wrong_use_is_told() {
    let others = vec![event("e2", "c.d", "webhook"), event("e1", "a.b.c", "webhook")];
    let (url, _) = start(vec![(200, vec![]), (200, others.clone())]).await;
    let ran = listen(&url, &["--limit", "1", "--events", "x.*,c.d"]).await;
    assert!(ran.stdout.contains("[e2]") && !ran.stdout.contains("[e1]"));
    let (url, _) = start(vec![(200, vec![]), (200, others)]).await;
    let ran = listen(&url, &["--limit", "1", "--endpoint", ENDPOINT]).await;
    assert!(ran.stdout.contains("[e1]"));
    for bad in [&["--forward-to", "ftp://x"][..], &["--forward-to", "http://"]] {
        assert_eq!(listen(&url, bad).await.exit, Exit::Usage, "{bad:?}");
    }
}
