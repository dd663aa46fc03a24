//! Secrets: on the wire, and nowhere else.

use super::*;

const VALUE: &str = "hook-\"4242\"";

#[tokio::test]
async fn a_secret_is_sent_and_its_echo_is_hidden() {
    let quoted = VALUE.replace('"', "\\\"");
    let echo = format!("you sent {VALUE}, in JSON \"{quoted}\"");
    let headers = [("x-echo", VALUE), ("content-type", VALUE)];
    let steps = vec![
        Step::Answer(answer("200 OK", &headers, echo.as_bytes())),
        Step::Answer(answer("400 Bad Request", &[("location", VALUE)], echo.as_bytes())),
        Step::Answer(answer("302 Found", &[("location", VALUE)], b"")),
        Step::Answer(format!("HTTP/1.1 200 {VALUE}\r\n{VALUE}\r\n\r\n").into_bytes()),
    ];
    let server = Server::start(steps).await;
    let mut bench = Setup::at(&server).secret("token", VALUE).start();
    let mut ended = bench.handle.subscribe();
    let bearer = [("authorization", "Bearer {{secret:token}}")];
    for ordinal in 0..4 {
        let settled = bench.perform(ordinal, ask(&server.url("/"), &bearer)).await;
        let told = soon(ended.recv()).await.unwrap();
        for text in [shown(&settled), shown(&told)] {
            assert!(!text.contains("4242"), "{text}");
        }
        if ordinal == 0 {
            let event = &settled.then[0].event;
            let body = String::from_utf8(event.body.to_vec()).unwrap();
            assert_eq!(body, "you sent {{secret:token}}, in JSON \"{{secret:token}}\"");
            assert_eq!(event.content_type, "{{secret:token}}");
        }
    }
    assert_eq!(server.received().len(), 4);
    for received in server.received() {
        assert_eq!(received.header("authorization"), [format!("Bearer {VALUE}")]);
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_is_named_and_nothing_is_sent() {
    let server = Server::start(vec![]).await;
    let mut setup = Setup::at(&server).secret("broken", "one\r\ntwo: 4242").secret("other", "4242");
    setup.grants.retain(|grant| matches!(grant, Grant::Http { .. }));
    let mut bench = setup.start();
    let url = server.url("/");
    // Whoever configures it mends it.
    for (ordinal, name) in (0..).zip(["absent", "broken"]) {
        let value = format!("{{{{secret:{name}}}}}");
        let settled = bench.perform(ordinal, post(&url, &[("x-key", &value)])).await;
        retry_at(&settled);
        let reason = &settled.attempt.reason;
        assert!(reason.contains(&format!("the secret `{name}`")), "{reason}");
        assert!(!reason.contains("4242"), "{reason}");
    }
    let settled = bench.perform(2, post(&url, &[("x-key", "{{secret:other}}")])).await;
    assert_eq!(settled.verdict, EffectVerdict::Dead);
    assert!(settled.attempt.reason.contains("does not name the secret `other`"));
    assert_eq!(server.connections(), 0);
    bench.stop().await;
}

#[tokio::test]
async fn a_secret_is_put_into_headers_alone() {
    let server = Server::start(vec![]).await;
    let mut bench = Setup::at(&server).secret("token", VALUE).start();
    let url = server.url("/{{secret:token}}");
    bench.perform(0, post(&url, &[])).await;
    assert!(!server.received()[0].head.contains("4242"));
    bench.stop().await;
}
