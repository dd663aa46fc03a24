//! What is sent, and what each kind of answer leads to.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn any_2xx_is_success_and_the_request_is_what_was_asked_for() {
    let server = Server::start(vec![Step::Answer(answer("204 No Content", &[], b""))]).await;
    let mut bench = Setup::at(&server).start();
    let url = server.url("/hooks/a?b=c");
    let headers = [("content-type", "application/json"), ("x-two", "1"), ("x-two", "2")];
    let settled = bench.perform(0, post(&url, &headers)).await;
    assert_eq!(settled.verdict, EffectVerdict::Done);
    assert_eq!((settled.attempt.status, settled.attempt.reason.as_str()), (Some(204), ""));
    assert!(settled.then.is_empty());
    let [received] = &server.received()[..] else { panic!("not one request") };
    assert!(received.head.starts_with("POST /hooks/a?b=c HTTP/1.1\r\n"), "{}", received.head);
    assert_eq!(received.body, b"{\"text\":\"hi\"}");
    assert_eq!(received.header("idempotency-key"), ["stripe.evt_1.notifier.0"]);
    assert_eq!(received.header("user-agent"), [concat!("signalbox/", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(received.header("x-two"), ["1", "2"]);
    assert_eq!(received.header("content-type"), ["application/json"]);
    bench.stop().await;
}

#[tokio::test]
async fn a_failure_is_tried_again_under_the_same_key() {
    let failure = answer("500 Internal Server Error", &[], b"out\nof order");
    let server = Server::start(vec![Step::Answer(failure)]).await;
    let mut bench = Setup::at(&server).start();
    let first = bench.perform(0, post(&server.url("/"), &[("idempotency-key", "mine")])).await;
    let wait = retry_at(&first).since(START);
    let backoff = OutboxConfig::default().backoff;
    assert!(wait >= backoff.first / 2 && wait <= backoff.first, "{wait:?}");
    assert_eq!(first.attempt.status, Some(500));
    assert_eq!(first.attempt.reason, "answered 500 Internal Server Error: out\\nof order");
    bench.pass(wait);
    let second = bench.next().await;
    assert_eq!((second.verdict, second.attempt.number), (EffectVerdict::Done, 2));
    for received in server.received() {
        assert_eq!(received.header("idempotency-key"), ["stripe.evt_1.notifier.0"]);
    }
    assert_eq!(server.connections(), 1, "a connection is used again");
    bench.stop().await;
}

#[tokio::test]
async fn retry_after_is_honoured_upwards_only_and_within_bounds() {
    let date =
        httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(START.as_secs() + 600));
    let backoff = OutboxConfig::default().backoff.first;
    let cases = [
        ("429 Too Many Requests", "120", Duration::from_secs(120)..=Duration::from_secs(120)),
        ("503 Service Unavailable", &date, Duration::from_secs(600)..=Duration::from_secs(600)),
        ("429 Too Many Requests", "0", backoff / 2..=backoff),
        ("429 Too Many Requests", "1", backoff / 2..=backoff),
        ("503 Service Unavailable", "soon", backoff / 2..=backoff),
        // It means something else there, or nothing.
        ("500 Internal Server Error", "120", backoff / 2..=backoff),
        (
            "429 Too Many Requests",
            "99999999999",
            OutboxConfig::default().retry_after_most..=OutboxConfig::default().retry_after_most,
        ),
    ];
    let step = |(status, after, _): &(&str, &str, _)| {
        Step::Answer(answer(status, &[("retry-after", after)], b""))
    };
    let server = Server::start(cases.iter().map(step).collect()).await;
    let mut bench = Setup::at(&server).start();
    for (ordinal, (status, after, expected)) in (0..).zip(&cases) {
        let settled = bench.perform(ordinal, post(&server.url("/"), &[])).await;
        let wait = retry_at(&settled).since(START);
        assert!(expected.contains(&wait), "{status} {after}: {wait:?}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_left() {
    let server = Server::start(vec![Step::Hang]).await;
    let mut setup = Setup::at(&server);
    setup.config.timeout = Duration::from_millis(50);
    let mut bench = setup.start();
    let settled = bench.perform(0, post(&server.url("/"), &[])).await;
    retry_at(&settled);
    assert_eq!(settled.attempt.reason, "no answer within 50ms");
    assert_eq!(settled.attempt.status, None);
    bench.stop().await;
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let there = [("location", "http://127.0.0.1:1/else")];
    let server = Server::start(vec![Step::Answer(answer("307 Temporary Redirect", &there, b""))]);
    let server = server.await;
    let mut bench = Setup::at(&server).start();
    let settled = bench.perform(0, post(&server.url("/"), &[])).await;
    retry_at(&settled);
    let reason = &settled.attempt.reason;
    assert!(reason.contains("points to `http://127.0.0.1:1/else`; redirects are not"), "{reason}");
    assert_eq!(server.received().len(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failure() {
    let many = "x-a: b\r\n".repeat(200);
    let junk = [
        b"hello\r\n\r\n".to_vec(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n").into_bytes(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!".to_vec(),
    ];
    let count = u32::try_from(junk.len()).unwrap();
    let server = Server::start(junk.into_iter().map(Step::Answer).collect()).await;
    let mut bench = Setup::at(&server).start();
    for ordinal in 0..count {
        let settled = bench.perform(ordinal, post(&server.url("/"), &[])).await;
        retry_at(&settled);
        assert!(settled.attempt.reason.starts_with("broken off"), "{}", settled.attempt.reason);
    }
    bench.stop().await;
}

#[tokio::test]
async fn the_last_try_and_the_oldest_age_end_it() {
    let failure = || Step::Answer(answer("410 Gone", &[], b""));
    let server = Server::start(vec![failure(), failure()]).await;
    let mut bench = Setup::at(&server).start();
    let backoff = OutboxConfig::default().backoff;
    bench.store.ask_as(id(0), post(&server.url("/"), &[]), 0, backoff.attempts);
    let spent = bench.next().await;
    assert_eq!(spent.verdict, EffectVerdict::Dead);
    assert_eq!(spent.attempt.reason, "answered 410 Gone (try 15 was the last)");
    bench.pass(backoff.age);
    let old = bench.perform(1, post(&server.url("/"), &[])).await;
    assert_eq!(old.verdict, EffectVerdict::Dead);
    assert_eq!(old.attempt.reason, "answered 410 Gone (too old for another try)");
    bench.stop().await;
}
