//! `/requests`

use bytes::Bytes;

use super::*;
use crate::domain::event::Header;
use crate::domain::request::{Client as Sender, RefusedRequest, RequestId};
use crate::provider::testing::{SECRET, sign};

const BODY: &[u8] = br#"{"id":"evt_9","object":"event","type":"a.b"}"#;

fn refused(number: u128, code: &str, secret: &str) -> RefusedRequest {
    let value = format!("t={NOW},v1={}", sign(secret, &NOW.to_string(), BODY)).into_bytes();
    RefusedRequest {
        at: Timestamp::from_secs(NOW),
        endpoint: endpoint(number).id,
        status: 400,
        code: code.into(),
        message: "cause and remedy".into(),
        client: Sender { address: [192, 0, 2, 7].into(), proxy: Some([10, 0, 0, 1].into()) },
        method: "POST".into(),
        path: "/webhooks/x".into(),
        headers: vec![Header { name: "stripe-signature".into(), value }],
        headers_left_out: 0,
        body: Bytes::from_static(BODY),
        length: Some(BODY.len() as u64),
        unkept: 3,
    }
}

async fn host() -> Host {
    let host = Host::start().await;
    let mut rows = host.requests.rows.lock().unwrap();
    rows.insert(RequestId(1), refused(1, "signature_mismatch", SECRET));
    rows.insert(RequestId(2), refused(1, "signature_mismatch", "whsec_other"));
    rows.insert(RequestId(3), refused(2, "timestamp_too_old", SECRET));
    drop(rows);
    host
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn they_are_listed_by_endpoint_and_code_and_shown_whole() {
    let host = host().await;
    assert_eq!(ids(&host.json("/requests?outcome=refused").await), ["req_3", "req_2", "req_1"]);
    assert_eq!(ids(&host.json("/requests?code=signature_mismatch").await), ["req_2", "req_1"]);
    let of = format!("/requests?endpoint={}", endpoint(2).id);
    assert_eq!(ids(&host.json(&of).await), ["req_3"]);
    assert_eq!(ids(&host.json("/requests?starting_after=req_3&limit=1").await), ["req_2"]);
    let shown = host.json("/requests/req_1").await;
    assert_eq!(shown["object"], "request");
    assert_eq!((&shown["client"], &shown["proxy"]), (&json!("192.0.2.7"), &json!("10.0.0.1")));
    assert_eq!((&shown["code"], &shown["unkept"]), (&json!("signature_mismatch"), &json!(3)));
    assert_eq!(shown["headers"][0]["name"], "stripe-signature");
    assert_eq!(shown["body"]["value"], str::from_utf8(BODY).unwrap());
    assert_eq!(shown["whole"], true);
    for (path, status) in [
        ("/requests?outcome=accepted", 400),
        ("/requests?endpoint=x", 400),
        ("/requests?starting_after=x", 400),
        ("/requests/req_9", 404),
        ("/requests/x", 404),
    ] {
        let reply = host.ask("GET", &format!("/api/v1{path}"), "", "").await;
        assert_eq!(reply.status, status, "{path}");
    }
}

#[tokio::test]
async fn one_that_is_genuine_by_now_is_accepted_once() {
    let host = host().await;
    let done = host.posted("/requests/req_1/retry", json!({}), 200).await;
    assert_eq!((&done["event"], &done["status"]), (&json!("evt_9"), &json!("accepted")));
    let again = host.posted("/requests/req_1/retry", json!({}), 200).await;
    assert_eq!(again["status"], "duplicate");
    assert_eq!(host.store.kept().iter().filter(|e| e.event.key.id == "evt_9").count(), 1);
    let forged = host.posted("/requests/req_2/retry", json!({}), 409).await;
    assert_eq!(forged["error"]["code"], "signature_mismatch");
    let gone = host.posted("/requests/req_3/retry", json!({}), 409).await;
    assert_eq!(gone["error"]["code"], "endpoint_gone");
}
