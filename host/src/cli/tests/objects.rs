//! `signalbox objects` against a small host.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::host::{Host, RAW, Shared, list, refuse};
use crate::cli::exit::Exit;

/// What the small host answers.
pub(super) fn routes() -> Router<Arc<Shared>> {
    let one = "/objects/{provider}/{kind}/{id}";
    Router::new()
        .route("/objects", get(page))
        .route(one, get(object))
        .route(&format!("{one}/raw"), get(|| async { RAW }))
        .route(&format!("{one}/history"), get(|| async { list(touches(), false) }))
}

async fn page(
    State(state): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let all = objects();
    let from = query.get("starting_after");
    let start = from.map_or(0, |at| 1 + all.iter().position(|o| o["cursor"] == **at).unwrap());
    let most = match state.page.load(Ordering::SeqCst) {
        0 => all.len(),
        most => most,
    };
    let data: Vec<Value> = all[start..].iter().take(most).cloned().collect();
    let more = start + data.len() < all.len();
    list(data, more)
}

async fn object(Path((_, _, id)): Path<(String, String, String)>) -> Response {
    match objects().into_iter().find(|object| object["id"] == *id) {
        Some(object) => Json(object).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "there is no such object", Some("id")),
    }
}

/// An entry of the list.
fn entry(id: &str, account: Option<&str>, live: bool, deleted: bool, ambiguous: bool) -> Value {
    json!({
        "object": "object", "id": id, "kind": "customer", "provider": "stripe", "account": account,
        "livemode": live, "as_of": 1_799_999_940, "event": "evt_1", "origin": "event",
        "deleted": deleted, "ambiguous": ambiguous, "cursor": format!("at-{id}"),
        "body": {"id": id, "name": "Ada"},
    })
}

/// What the small host lists.
fn objects() -> Vec<Value> {
    vec![
        entry("cus_1", None, true, false, false),
        entry("cus_2", Some("acct_1"), true, false, true),
        entry("cus_3", None, false, true, false),
    ]
}

/// Events that showed one of them.
fn touches() -> Vec<Value> {
    vec![
        json!({"object": "object_event", "id": "evt_2", "type": "customer.updated",
            "created": 1_799_999_940, "received_at": 1_799_999_941, "number": 9, "gone": false}),
        json!({"object": "object_event", "id": "", "type": null, "created": null,
            "received_at": null, "number": 3, "gone": true}),
    ]
}

#[tokio::test]
async fn objects_are_listed_with_what_is_known_of_their_state() {
    let host = Host::start().await;
    let ran = host.run(&["objects", "list", "--kind", "customer", "--deleted", "false"]).await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.error);
    let lines: Vec<Vec<&str>> =
        ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "KIND", "ACCOUNT", "MODE", "AS", "OF", "STATE"]);
    for (line, state) in lines[1..].iter().zip(["held", "ambiguous", "deleted"]) {
        assert_eq!(line.last(), Some(&state));
    }
    assert_eq!((lines[1][2], lines[2][2], lines[3][3]), ("-", "acct_1", "test"));
    assert_eq!(host.last(), "/api/v1/objects?limit=20&kind=customer&deleted=false&provider=stripe");
    host.run(&["objects", "ambiguous", "--account", "acct_1", "--test"]).await;
    let asked =
        "/api/v1/objects?limit=20&ambiguous=true&provider=stripe&account=acct_1&livemode=false";
    assert_eq!(host.last(), asked);
}

#[tokio::test]
async fn one_object_is_shown_with_its_body_or_as_its_very_bytes() {
    let host = Host::start().await;
    let ran = host.run(&["objects", "get", "customer", "cus_2", "--account", "acct_1"]).await;
    assert!(ran.stdout.contains("ambiguous  true\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("as_of      2027-01-15T07:59:00.000Z\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\n\n{\n  \"id\": \"cus_2\""), "{}", ran.stdout);
    assert!(!ran.stdout.contains("cursor"), "{}", ran.stdout);
    assert_eq!(host.last(), "/api/v1/objects/stripe/customer/cus_2?account=acct_1");
    let ran = host.run(&["objects", "get", "customer", "in/1 %", "--live", "--raw"]).await;
    assert_eq!(ran.bytes, RAW);
    assert_eq!(host.last(), "/api/v1/objects/stripe/customer/in%2F1%20%25/raw?livemode=true");
    let ran = host.run(&["objects", "get", "customer", "none"]).await;
    assert_eq!(ran.exit, Exit::NotFound, "{}", ran.error);
}

#[tokio::test]
async fn the_events_that_showed_an_object_are_listed_those_that_went_as_such() {
    let host = Host::start().await;
    let ran = host.run(&["objects", "history", "customer", "cus_1"]).await;
    assert!(
        ran.stdout.contains("evt_2") && ran.stdout.contains("(no longer kept)"),
        "{}",
        ran.stdout
    );
    assert_eq!(host.last(), "/api/v1/objects/stripe/customer/cus_1/history?limit=20");
}

#[tokio::test]
async fn a_list_goes_on_from_the_cursor_of_its_last_entry() {
    let host = Host::start().await;
    host.state.page.store(1, Ordering::SeqCst);
    let ran = host.run(&["objects", "list", "--all", "-o", "jsonl"]).await;
    assert_eq!(ran.stdout.lines().count(), 3, "{}", ran.stdout);
    assert!(host.last().ends_with("&starting_after=at-cus_2"), "{}", host.last());
}
