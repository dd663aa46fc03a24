//! The stream of events: in order, from any place, with no gap; and what becomes of a slow reader.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// A reader of the stream.
struct Reader {
    stream: TcpStream,
    read: String,
}

impl Reader {
    async fn open(host: &Host, query: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(host.addr).await.unwrap();
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /api/v1/events/stream{query} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\
             \r\n{last}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = Self { stream, read: String::new() };
        reader.until("retry: 1000\n\n").await;
        assert!(reader.read.contains("content-type: text/event-stream"), "{}", reader.read);
        reader
    }

    async fn until(&mut self, wanted: &str) {
        while !self.read.contains(wanted) {
            let mut some = [0; 4096];
            let count = self.stream.read(&mut some).await.unwrap();
            assert!(count > 0, "the stream ended without {wanted:?}: {}", self.read);
            self.read.push_str(&String::from_utf8_lossy(&some[..count]));
        }
    }

    /// The ids that came, in order, once the last one has.
    async fn ids(&mut self, last: &str) -> Vec<String> {
        // The line after it has come too.
        self.until(&format!("id: stripe:{last}\nevent: ")).await;
        let ids = self.read.lines().filter_map(|line| line.strip_prefix("id: stripe:"));
        ids.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn events_come_as_they_are_accepted_and_from_any_place_on() {
    let host = Host::start().await;
    // With nothing there, what comes first is new.
    let mut first = Reader::open(&host, "", None).await;
    host.accept("evt_1", "charge.failed", &["charge-counter"]).await;
    assert_eq!(first.ids("evt_1").await, ["evt_1"]);
    for number in 2..=250 {
        host.accept(&format!("evt_{number}"), "invoice.paid", &[]).await;
    }
    let all: Vec<String> = (1..=250).map(|number| format!("evt_{number}")).collect();
    assert_eq!(first.ids("evt_250").await, all);
    let mut oldest = Reader::open(&host, "?from=oldest", None).await;
    assert_eq!(oldest.ids("evt_250").await, all);
    let places =
        [("", Some("stripe:evt_240")), ("?from=evt_240", None), ("?from=oldest", Some("evt_240"))];
    for (query, last) in places {
        let mut behind = Reader::open(&host, query, last).await;
        assert_eq!(behind.ids("evt_250").await, all[240..], "{query} {last:?}");
    }
    let mut now = Reader::open(&host, "?from=now", None).await;
    host.accept("evt_251", "charge.failed", &[]).await;
    assert_eq!(now.ids("evt_251").await, ["evt_251"]);
    now.until("\n\n").await;
    let data = now.read.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let shown: Value = serde_json::from_str(data).unwrap();
    assert_eq!(shown, host.json("/events/evt_251").await);
    assert!(now.read.contains("event: charge.failed\n"));
}

#[tokio::test]
async fn streams_are_bounded_and_a_place_that_is_unknown_is_told() {
    let host = Host::start().await;
    assert_eq!(host.error("/events/stream?from=evt_9").await, invalid("from"));
    let last = host.ask("GET", "/api/v1/events/stream", "last-event-id: evt_9\r\n", "").await;
    assert_eq!((last.status, last.code().as_str()), (400, "parameter_invalid"));
    assert_eq!(host.error("/events/stream?x=1").await.1, "parameter_unknown");
    let mut all = Vec::new();
    for _ in 0..16 {
        all.push(Reader::open(&host, "", None).await);
    }
    let (status, code, _) = host.error("/events/stream").await;
    assert_eq!((status, code.as_str()), (503, "too_many_streams"));
    // One that is closed makes room.
    all.pop();
    while host.app.streams.available_permits() == 0 {
        tokio::task::yield_now().await;
    }
    Reader::open(&host, "", None).await;
}
