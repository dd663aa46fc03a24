//! Who is let in, and what is open to all.

use super::*;
use crate::store::StoreError;

async fn bare(host: &Host, request: &str) -> Reply {
    Client::connect(host.addr).await.ask(request).await
}

#[tokio::test]
async fn the_api_opens_to_the_token_alone() {
    let host = Host::start().await;
    for (authorization, code) in [
        ("", "token_missing"),
        ("authorization: Basic abc\r\n", "token_missing"),
        ("authorization: Bearer\r\n", "token_missing"),
        ("authorization: Bearer wrong\r\n", "token_wrong"),
        ("authorization: Bearer sbx_0123456789abcde\r\n", "token_wrong"),
        ("authorization: Bearer sbx_0123456789abcdef0\r\n", "token_wrong"),
    ] {
        for path in ["/api/v1/events", "/api/v1/nothing", "/api/v1/events/evt_1/raw"] {
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{authorization}\r\n");
            let reply = bare(&host, &request).await;
            assert_eq!((reply.status, reply.code().as_str()), (401, code), "{authorization}");
            assert_eq!(reply.header("www-authenticate"), Some("bearer"));
            assert_eq!(reply.json()["error"]["type"], "authentication_error");
        }
    }
    let request =
        format!("GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: bearer {TOKEN}\r\n\r\n");
    assert_eq!(bare(&host, &request).await.status, 200);
}

#[tokio::test]
async fn other_sites_pages_are_refused_everywhere() {
    let host = Host::start().await;
    for (header, status) in [
        ("origin: http://evil.example\r\n", 403),
        ("origin: null\r\n", 403),
        ("sec-fetch-site: cross-site\r\n", 403),
        ("origin: http://x\r\nsec-fetch-site: same-origin\r\n", 200),
        ("", 200),
    ] {
        for path in ["/api/v1/events", "/metrics", "/livez"] {
            let reply = host.ask("GET", path, header, "").await;
            assert_eq!(reply.status, status, "{path} {header}");
        }
    }
}

#[tokio::test]
async fn health_and_figures_need_no_token() {
    let host = Host::start().await;
    host.accept("evt_1", "charge.succeeded", &["a"]).await;
    let get =
        async |path: &str| bare(&host, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert_eq!(get("/livez").await.body, b"ok\n");
    assert_eq!(get("/readyz").await.body, b"ready\n");
    let index = get("/").await;
    assert!(index.status == 200 && String::from_utf8(index.body).unwrap().contains("/api/v1"));
    let metrics = get("/metrics").await;
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.contains("signalbox_store_events 1\n"));
    assert!(text.contains("signalbox_deliveries_waiting 1\n"));
    assert!(text.contains("signalbox_deliveries_oldest_waiting_age_seconds 0.25\n"), "{text}");

    host.store.fail_with(|| StoreError::Failed("disk".into()));
    assert_eq!(get("/livez").await.status, 200);
    assert_eq!(get("/readyz").await.status, 503);
    assert_eq!(get("/metrics").await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let host = Host::start().await;
    assert_eq!(host.error("/nothing").await, (404, "path_unknown".into(), Value::Null));
    let reply = host.ask("GET", "/nothing", "", "").await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "path_unknown"));
    let odd = host.error("/events/%ff").await;
    assert_eq!(odd, (400, "path_malformed".into(), Value::Null));
    let reply = host.ask("POST", "/api/v1/events", "", "").await;
    assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(reply.header("allow"), Some("get,head"));
}

#[tokio::test]
async fn a_store_that_fails_or_panics_is_a_503() {
    let host = Host::start().await;
    for (failure, code) in [
        ((|| StoreError::Closed) as fn() -> StoreError, "store_closed"),
        (|| panic!("on purpose"), "host_fault"),
    ] {
        host.store.fail_with(failure);
        let reply = host.get("/events").await;
        assert_eq!((reply.status, reply.code().as_str()), (503, code));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}
