//! Each answer, and what becomes of the event.

use proptest::prelude::*;

use super::*;
use crate::ingest::refusals::{RefusalConfig, Refusals};
use crate::store::StoreError;

#[tokio::test]
async fn a_genuine_event_is_stored_byte_by_byte_and_once() {
    let host = Host::start().await;
    let mut client = host.client().await;
    let reply = client.ask(post(BODY)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.body, br#"{"id":"evt_1","status":"accepted"}"#);
    let again = client.ask(post(BODY)).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, br#"{"id":"evt_1","status":"duplicate"}"#);

    let kept = host.store.kept();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].event.body, BODY);
    assert_eq!(kept[0].event.proof[0].value, signature(BODY).into_bytes());
    assert_eq!(kept[0].event.content_type, "application/json; charset=utf-8");
    let metrics = host.metrics.text(None, Timestamp::default());
    assert!(metrics.contains("signalbox_events_total{outcome=\"accepted\"} 1"));
    assert!(metrics.contains("signalbox_events_total{outcome=\"duplicate\"} 1"));
}

#[tokio::test]
async fn a_trailing_slash_and_a_query_make_no_difference() {
    let host = Host::start().await;
    let mut client = host.client().await;
    for (number, suffix) in ["/", "?a=b", "/?a=b"].into_iter().enumerate() {
        let body = event(&format!("evt_{number}"));
        let request = String::from_utf8(post(&body)).unwrap();
        let request = request.replace(PATH, &format!("{PATH}{suffix}"));
        assert_eq!(client.ask(request).await.status, 200);
    }
    assert_eq!(host.kept(), 3);
}

#[tokio::test]
async fn every_refusal_has_its_status_and_its_code() {
    let host = Host::start().await;
    let signed = signature(BODY);
    let length = BODY.len();
    let text = str::from_utf8(BODY).unwrap();
    let unknown = PATH.replace("1", "2");
    for (request, status, code) in [
        (
            format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{text}"),
            400,
            "signature_missing",
        ),
        (
            format!(
                "POST {PATH} HTTP/1.1\r\nhost: x\r\nstripe-signature:\r\ncontent-length: {length}\r\n\r\n{text}"
            ),
            400,
            "signature_empty",
        ),
        (
            format!(
                "POST {PATH} HTTP/1.1\r\nhost: x\r\nstripe-signature: t=1,v1=0\r\ncontent-length: {length}\r\n\r\n{text}"
            ),
            400,
            "signature_mismatch",
        ),
        (
            format!("POST {PATH} HTTP/1.1\r\nhost: x\r\nstripe-signature: {signed}\r\n\r\n"),
            400,
            "signature_mismatch",
        ),
        (
            format!(
                "POST {unknown} HTTP/1.1\r\nhost: x\r\nstripe-signature: {signed}\r\ncontent-length: {length}\r\n\r\n{text}"
            ),
            404,
            "endpoint_unknown",
        ),
        (
            format!("POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{text}"),
            404,
            "endpoint_unknown",
        ),
        ("GET / HTTP/1.1\r\nhost: x\r\n\r\n".into(), 404, "endpoint_unknown"),
        ("GET /api/v1/events HTTP/1.1\r\nhost: x\r\n\r\n".into(), 404, "endpoint_unknown"),
        (
            format!(
                "{}content-encoding: gzip\r\ncontent-length: {length}\r\n\r\n{text}",
                head(BODY)
            ),
            415,
            "content_encoding_unsupported",
        ),
        (
            format!(
                "{}content-encoding: identity, br\r\ncontent-length: {length}\r\n\r\n{text}",
                head(BODY)
            ),
            415,
            "content_encoding_unsupported",
        ),
        (
            format!("{}content-length: {length}\r\n\r\n{text}", head(BODY))
                .replace("application/json", "multipart/form-data"),
            415,
            "content_type_unsupported",
        ),
        (format!("{}content-length: 1048577\r\n\r\n", head(BODY)), 413, "body_too_large"),
    ] {
        let reply = host.client().await.ask(&request).await;
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.code(), code, "{request}");
        let error = &reply.json()["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].as_str().unwrap().len() > 20);
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    assert_eq!(host.kept(), 0);
    let metrics = host.metrics.text(None, Timestamp::default());
    assert!(metrics.contains("signalbox_webhook_refused_total{code=\"signature_missing\"} 1"));
}

#[tokio::test]
async fn a_genuine_body_that_is_no_event_is_the_senders_doing() {
    let host = Host::start().await;
    let mut client = host.client().await;
    for (body, code) in [
        (&b""[..], "body_empty"),
        (b"null", "body_not_object"),
        (b"[]", "body_not_object"),
        (b"3", "body_not_object"),
        (b"NaN", "body_not_json"),
        (b"\xff", "body_not_utf8"),
        (b"{}", "event_id_invalid"),
    ] {
        let reply = client.ask(post(body)).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, code));
    }
    assert_eq!(host.kept(), 0);
}

#[tokio::test]
async fn media_that_may_be_json_are_let_through() {
    let host = Host::start().await;
    let mut client = host.client().await;
    let plain = String::from_utf8(post(BODY)).unwrap();
    let given = "Content-Type: application/json; charset=utf-8\r\n";
    for media in [
        "",
        "content-type: Application/JSON\r\n",
        "content-type: text/plain\r\n",
        "content-type: application/vnd.x+json ;q=1\r\n",
        "content-encoding: Identity\r\n",
    ] {
        let request = plain.replace(given, media);
        assert_ne!(request, plain);
        assert_eq!(client.ask(request).await.status, 200, "{media}");
    }
}

#[tokio::test]
async fn a_wrong_method_names_the_right_ones() {
    let host = Host::start().await;
    for (method, path, allowed) in [
        ("GET", PATH, "post"),
        ("PUT", PATH, "post"),
        ("OPTIONS", PATH, "post"),
        ("POST", "/livez", "get, head"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let reply = host.client().await.ask(request).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)));
        assert_eq!(reply.code(), "method_not_allowed");
    }
    let live = host.client().await.ask("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!((live.status, live.body.as_slice()), (200, &b"ok\n"[..]));
    let mut client = host.client().await;
    client.send("HEAD /livez HTTP/1.0\r\n\r\n").await;
    client.finish().await;
    client.send("").await;
}

#[tokio::test]
async fn what_the_store_cannot_take_is_asked_for_again() {
    for (failure, code) in [
        ((|| StoreError::Busy) as fn() -> StoreError, "store_busy"),
        (|| StoreError::Closed, "store_closed"),
        (|| StoreError::Failed("disk".into()), "store_failed"),
        (|| panic!("on purpose"), "host_fault"),
    ] {
        let host = Host::start().await;
        host.store.fail_with(failure);
        let mut client = host.client().await;
        for _ in 0..2 {
            let reply = client.ask(post(BODY)).await;
            assert_eq!((reply.status, reply.code().as_str()), (503, code));
            assert_eq!(reply.header("retry-after"), Some("1"));
            assert_eq!(reply.json()["error"]["type"], "api_error");
        }
        assert_eq!(host.kept(), 0);
    }
}

#[tokio::test]
async fn an_event_larger_than_the_store_takes_is_never_asked_for_again() {
    let host = Host::start().await;
    host.store.fail_with(|| StoreError::TooLarge { what: "an event", size: 9, limit: 8 });
    let reply = host.client().await.ask(post(BODY)).await;
    assert_eq!((reply.status, reply.header("retry-after")), (413, None));
}

#[tokio::test]
async fn more_at_once_than_the_limit_are_asked_to_come_again() {
    let host = Host::with(MemoryStore::shut(), |config| config.in_flight = 1).await;
    let mut first = host.client().await;
    first.send(post(BODY)).await;
    host.store.waiting.acquire().await.unwrap().forget();
    let reply = host.client().await.ask(post(BODY)).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "too_many_requests"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    host.store.release();
    assert_eq!(first.next().await.unwrap().status, 200);
    assert_eq!(host.client().await.ask(post(BODY)).await.status, 200);
}

#[tokio::test]
async fn the_cap_holds_however_the_body_comes() {
    let host = Host::with(MemoryStore::default(), |config| config.body_bytes = 1_000).await;
    for request in [post(&sized(1_000)), post_chunked(&sized(1_000), 7)] {
        assert_eq!(host.client().await.ask(request).await.status, 200);
    }
    assert_eq!(host.store.kept()[0].event.body, sized(1_000));
    let over = [
        post(&sized(1_001)),
        post(&sized(3 << 20)),
        post_chunked(&sized(1_001), 7),
        post_chunked(&sized(1_001), 1_001),
        post_chunked(&sized(3 << 20), 65_536),
    ];
    for request in over {
        let mut client = host.client().await;
        let reply = client.ask(request).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
        assert_eq!(reply.header("connection"), Some("close"));
        client.finish().await;
        assert!(client.next().await.is_none(), "the connection is closed");
    }
    assert_eq!(host.kept(), 1);
}

#[tokio::test]
async fn a_length_that_lies_cuts_nothing_into_the_store() {
    let host = Host::start().await;
    // Shorter than the body: what is left is no request.
    let mut client = host.client().await;
    let short = format!("{}Content-Length: {}\r\n\r\n", head(BODY), BODY.len() - 1);
    client.send([short.as_bytes(), BODY].concat()).await;
    assert_eq!(client.next().await.unwrap().code(), "signature_mismatch");
    assert_eq!(client.next().await.map(|reply| reply.status), Some(400));

    // Longer than the body, and then no more comes.
    let mut client = host.client().await;
    let long = format!("{}Content-Length: {}\r\n\r\n", head(BODY), BODY.len() + 1);
    client.send([long.as_bytes(), BODY].concat()).await;
    client.finish().await;
    if let Some(reply) = client.next().await {
        assert_eq!((reply.status, reply.code().as_str()), (400, "body_incomplete"));
    }
    assert_eq!(host.kept(), 0);

    // Two lengths that differ, and a length beside chunks that differ.
    let twice = format!("{}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", head(BODY));
    assert_eq!(host.client().await.ask(twice).await.status, 400);
    assert_eq!(host.kept(), 0);
}

#[tokio::test]
async fn hostile_headers_are_bounded_and_a_long_genuine_one_is_not() {
    let host = Host::start().await;
    let many = format!("v1={},", "0".repeat(64)).repeat(1_000);
    let long = String::from_utf8(post(BODY)).unwrap().replace("v1=", &format!("{many}v1="));
    assert_eq!(host.client().await.ask(long).await.status, 200);

    let huge = format!("GET /livez HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(host.client().await.ask(huge).await.status, 431);
    let lines = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(500));
    assert_eq!(host.client().await.ask(lines).await.status, 431);
    let bytes = [b"POST / HTTP/1.1\r\nhost: x\r\na: \xff\xfe\x80\r\n\r\n".as_slice()].concat();
    assert_eq!(host.client().await.ask(bytes).await.status, 404);
    assert_eq!(host.client().await.ask("NONSENSE\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn a_sender_that_asks_first_is_told_to_go_on_or_not() {
    let host = Host::start().await;
    let mut client = host.client().await;
    let expect = |length: usize| {
        format!("{}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n", head(BODY))
    };
    assert_eq!(client.ask(expect(BODY.len())).await.status, 100);
    assert_eq!(client.ask(BODY).await.status, 200);
    assert_eq!(host.client().await.ask(expect(2 << 20)).await.status, 413);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn no_bytes_make_it_fail(
        line in "(POST|GET|PUT|[A-Z]{0,9}) (/livez|/webhooks/00000000-0000-0000-0000-000000000001|[ -~]{0,20}) HTTP/1.[0-2]\r\n",
        head in "([a-zA-Z-]{1,9}:[ -~]{0,30}\r\n){0,5}(content-length: [0-9]{1,9}\r\n)?(transfer-encoding: chunked\r\n)?\r\n",
        rest in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let host = Host::start().await;
            let mut client = host.client().await;
            client.send([line.as_bytes(), head.as_bytes(), &rest].concat()).await;
            client.finish().await;
            while let Some(reply) = client.next().await {
                assert!(reply.status < 500 && reply.status >= 100, "{}", reply.head);
                if line.starts_with("HEAD") { break }
            }
            assert_eq!(host.client().await.ask(post(BODY)).await.status, 200);
        });
    }
}

#[tokio::test]
async fn what_a_sender_did_wrong_at_a_known_endpoint_is_told() {
    let host = Host::start().await;
    let mut client = host.client().await;
    let wrong = String::from_utf8(post(BODY)).unwrap().replace("v1=", "v1=00");
    for _ in 0..2 {
        assert_eq!(client.ask(wrong.clone()).await.status, 400);
    }
    // Nobody's endpoint.
    let unknown = wrong.replace(PATH, &PATH.replace('1', "2"));
    assert_eq!(client.ask(unknown).await.status, 404);
    let stop = CancellationToken::new();
    stop.cancel();
    Refusals::new(host.ingest.clone(), RefusalConfig::default()).run(stop).await;
    let kept = host.store.kept();
    assert_eq!((kept.len(), kept[0].event.kind.as_str()), (1, "signalbox.request.rejected"));
    let body: serde_json::Value = serde_json::from_slice(&kept[0].event.body).unwrap();
    let data = &body["data"]["object"];
    assert_eq!((&data["code"], &data["count"]), (&"signature_mismatch".into(), &2.into()));
}
