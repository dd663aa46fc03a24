//! `/events/stream`: events as they are accepted, as Server-Sent Events, in order of acceptance.
//!
//! Each has `id` (`provider:id`), `event` (its type) and `data` (as `/events/{id}` shows it). Whoever
//! comes again with the last id (`Last-Event-ID`, as browsers do) misses nothing: what was sent is read
//! from the store, never from a queue of its own. So a reader that does not keep up is cut, and holds
//! up nobody.
//!
//! Not a subscription that anything waits for: deliveries are a plugin's.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::sleep;

use super::params::{Params, invalid};
use super::{Answer, App, Shared};
use crate::domain::event::{EventKey, StoredEvent};
use crate::http::problem::Problem;
use crate::store::{Cursor, EventQuery, PageRequest, StoreError};

/// Most streams at once: the listener has 64 connections, and the operator's other tools need some.
pub(super) const MOST_STREAMS: usize = 16;

/// Events that wait for a reader, beside what the connection itself holds.
const BUFFERED: usize = 64;

/// How long a reader may take nothing before it is cut.
const SLOW: Duration = Duration::from_secs(10);

/// Time between two signs of life while nothing comes. The store is looked at as well, so that an
/// engine that tells of nothing is late and not silent.
const ALIVE: Duration = Duration::from_secs(15);

/// How long a feed waits for what.
#[derive(Debug, Clone, Copy)]
struct Pace {
    slow: Duration,
    alive: Duration,
}

/// Events read at once.
const PAGE: usize = 100;

/// Where a stream stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Before everything.
    Oldest,
    /// Behind this event.
    After(EventKey),
}

/// `GET /events/stream`
pub(super) async fn stream(
    State(app): State<App>,
    headers: HeaderMap,
    mut params: Params,
) -> Answer {
    let from = params.text("from")?;
    params.finish()?;
    let last = headers.get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()));
    // The id wins: a browser that comes again keeps the query it began with.
    let place = match (last.as_deref().filter(|id| !id.is_empty()), from.as_deref()) {
        (Some(id), _) => app.behind(id, "Last-Event-ID").await?,
        (None, None | Some("now")) => app.newest().await?,
        (None, Some("oldest")) => Place::Oldest,
        (None, Some(id)) => app.behind(id, "from").await?,
    };
    let free = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let message = format!("there are {MOST_STREAMS} streams already; close one");
        Problem::unavailable("too_many_streams", message)
    })?;
    let (sender, receiver) = mpsc::channel(BUFFERED);
    let pace = Pace { slow: SLOW, alive: ALIVE };
    let feed = Feed { app, place, sender, pace, _free: free };
    tokio::spawn(async move {
        // Its reader has gone, or was cut: it comes again.
        let _ = feed.run().await;
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // A proxy must not hold back what comes now and then.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let response: Response = (headers, Body::new(Frames(receiver))).into_response();
    Ok(response)
}

impl Shared {
    async fn behind(&self, id: &str, name: &'static str) -> Result<Place, Problem> {
        let unknown = || {
            let message = format!(
                "no event `{id}` is kept; begin with `from=oldest` or `from=now`, which is the default"
            );
            invalid(name, message)
        };
        let found = self.find_event(id).await?.ok_or_else(unknown)?;
        Ok(Place::After(found.event.key.clone()))
    }

    async fn newest(&self) -> Result<Place, StoreError> {
        let newest = self.events_of(1, None).await?.0.pop();
        Ok(newest.map_or(Place::Oldest, |event| Place::After(event.event.key.clone())))
    }

    /// A page, the newest first, and whether there is more.
    async fn events_of(
        &self,
        limit: usize,
        from: Option<Cursor<EventKey>>,
    ) -> Result<(Vec<Arc<StoredEvent>>, bool), StoreError> {
        let page = PageRequest { limit, from };
        let page = self.deps.store.events(EventQuery { kind: None, status: None, page }).await?;
        Ok((page.data, page.has_more))
    }
}

/// Why a stream ends: nothing more can be sent, or read.
struct Ended;

/// Reads events and hands them to one connection.
struct Feed {
    app: App,
    place: Place,
    sender: mpsc::Sender<Bytes>,
    pace: Pace,
    _free: OwnedSemaphorePermit,
}

impl Feed {
    async fn run(mut self) -> Result<(), Ended> {
        let mut arrivals = self.app.deps.store.arrivals();
        // The head goes out with the first bytes; so does how soon to come again.
        self.send(Bytes::from_static(b"retry: 1000\n\n")).await?;
        loop {
            // Before the look: what comes after it is told.
            arrivals.borrow_and_update();
            while self.page().await? {}
            let told = async {
                if arrivals.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.sender.closed() => return Ok(()),
                () = told => {}
                () = sleep(self.pace.alive) => self.send(Bytes::from_static(b": alive\n\n")).await?,
            }
        }
    }

    /// Send what comes next. Whether there is more at once.
    async fn page(&mut self) -> Result<bool, Ended> {
        let from = match &self.place {
            Place::After(key) => Cursor::Before(key.clone()),
            Place::Oldest => match self.oldest().await? {
                None => return Ok(false),
                Some(oldest) => {
                    self.send_event(&oldest).await?;
                    return Ok(true);
                }
            },
        };
        let read = self.app.events_of(PAGE, Some(from)).await;
        let (events, more) = read.map_err(|error| self.broken(&error))?;
        for event in events.iter().rev() {
            self.send_event(event).await?;
        }
        Ok(more && !events.is_empty())
    }

    /// The first event there is. Lists begin with the newest, so all are passed.
    async fn oldest(&self) -> Result<Option<Arc<StoredEvent>>, Ended> {
        let mut oldest: Option<Arc<StoredEvent>> = None;
        loop {
            let from = oldest.as_ref().map(|event| Cursor::After(event.event.key.clone()));
            let read = self.app.events_of(PAGE, from).await;
            let (mut events, more) = read.map_err(|error| self.broken(&error))?;
            match events.pop() {
                None => return Ok(oldest),
                last if !more => return Ok(last),
                last => oldest = last,
            }
        }
    }

    fn broken(&self, error: &StoreError) -> Ended {
        tracing::warn!(%error, place = ?self.place, "a stream of events ends");
        Ended
    }

    async fn send_event(&mut self, event: &StoredEvent) -> Result<(), Ended> {
        let key = event.event.key.clone();
        let view = self.app.event_json(event).await.ok_or(Ended)?;
        self.send(frame(&key, &event.event.kind, &view)).await?;
        self.place = Place::After(key);
        Ok(())
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Ended> {
        self.sender.send_timeout(bytes, self.pace.slow).await.map_err(|_| Ended)
    }
}

/// One event as the standard has it: a field is one line.
fn frame(key: &EventKey, kind: &str, json: &str) -> Bytes {
    let id = format!("{}:{}", key.provider, key.id);
    let mut text = String::with_capacity(json.len() + id.len() + kind.len() + 32);
    for (name, value) in [("id", id.as_str()), ("event", kind), ("data", json)] {
        // A name that a provider made of several lines cannot be told; the data has it.
        if !value.contains(['\n', '\r', '\0']) {
            text.extend([name, ": ", value, "\n"]);
        }
    }
    text.push('\n');
    Bytes::from(text)
}

/// What is sent, as a body.
struct Frames(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tests::Host;
    use super::*;

    /// How long anything takes here.
    const QUICK: Duration = Duration::from_millis(50);

    fn feed(host: &Host, place: Place) -> (Feed, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(BUFFERED);
        let free = Arc::clone(&host.app.streams).try_acquire_owned().unwrap();
        let pace = Pace { slow: QUICK, alive: QUICK };
        (Feed { app: Arc::clone(&host.app), place, sender, pace, _free: free }, receiver)
    }

    fn id(frame: &Bytes) -> Option<String> {
        let text = std::str::from_utf8(frame).unwrap();
        Some(text.lines().next()?.strip_prefix("id: stripe:")?.to_owned())
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_and_goes_on_where_it_was() {
        let host = Host::start().await;
        for number in 1..=200 {
            host.accept(&format!("evt_{number}"), "invoice.paid", &[]).await;
        }
        let begun = Instant::now();
        let (slow, mut receiver) = feed(&host, Place::Oldest);
        assert!(slow.run().await.is_err(), "it holds up nobody");
        assert!(begun.elapsed() >= QUICK, "{:?}", begun.elapsed());
        let mut read = Vec::new();
        while let Some(frame) = receiver.recv().await {
            read.extend(id(&frame));
        }
        assert_eq!(read.len(), BUFFERED - 1, "beside how soon to come again");
        let place = host.app.behind(read.last().unwrap(), "Last-Event-ID").await;
        let (again, mut receiver) = feed(&host, place.unwrap_or(Place::Oldest));
        let running = tokio::spawn(again.run());
        while read.len() < 200 {
            read.extend(id(&receiver.recv().await.unwrap()));
        }
        let all: Vec<String> = (1..=200).map(|number| format!("evt_{number}")).collect();
        assert_eq!(read, all, "each once");
        // While nothing comes there is a sign of life, and whoever has gone is let go.
        assert!(receiver.recv().await.unwrap().starts_with(b":"));
        drop(receiver);
        assert!(running.await.unwrap().is_ok());
    }

    #[test]
    fn what_is_no_line_is_no_field() {
        let key = EventKey { provider: "p".to_owned(), id: "a\nid: b".to_owned() };
        assert_eq!(frame(&key, "a\rb", "{}"), "data: {}\n\n");
    }
}
