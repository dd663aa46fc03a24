//! A host's events in order of acceptance, from a point on, each once: its stream is read, and opened
//! again behind the last event whenever it ends.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::super::client::{Client, ClientError, Stream};
use super::super::page::entries;

/// A host gives a sign of life every 15 s: one that is silent for this long is gone.
const SILENT: Duration = Duration::from_secs(60);

/// Most bytes of one event of the stream: what is shown of one is a few KB.
const MOST: usize = 4 << 20;

/// What is known of an event before its body is fetched.
#[derive(Debug)]
pub(super) struct Event {
    /// `provider:id`, which is unambiguous.
    pub(super) key: String,
    pub(super) id: String,
    pub(super) provider: String,
    pub(super) kind: String,
    pub(super) endpoint: String,
    /// Whether a provider sent it, rather than a plugin or the host.
    pub(super) from_outside: bool,
}

impl Event {
    fn read(value: &Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let (id, kind) = (text("id")?, text("type")?);
        let provider = text("provider").unwrap_or_else(|| "stripe".to_owned());
        let source = text("source").unwrap_or_default();
        Some(Self {
            key: format!("{provider}:{id}"),
            id,
            provider,
            kind,
            endpoint: text("endpoint").unwrap_or_default(),
            from_outside: !matches!(source.as_str(), "emitted" | "reply" | "host"),
        })
    }
}

/// A place in the order of acceptance.
#[derive(Debug)]
pub(super) struct Follower {
    /// The last event seen; `None` while there was none.
    last: Option<String>,
    stream: Option<Open>,
}

/// An open stream.
#[derive(Debug)]
struct Open {
    stream: Stream,
    /// What came and is no whole event yet.
    read: Vec<u8>,
    /// Whether it gave any event.
    gave: bool,
}

impl Follower {
    /// After the event of this id, or after what there is now.
    pub(super) async fn start(client: &Client, after: Option<&str>) -> Result<Self, ClientError> {
        let last = match after {
            // From the beginning.
            Some("") => None,
            Some(id) => Event::read(&client.get(&["events", id], &[]).await?),
            None => {
                let page = client.get(&["events"], &[("limit", "1".to_owned())]).await?;
                entries(page).0.first().and_then(Event::read)
            }
        };
        Ok(Self { last: last.map(|event| event.key), stream: None })
    }

    /// The last event seen, `provider:id`.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// What comes next, the oldest first; at least one. What is returned counts as seen.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Vec<Event>, ClientError> {
        loop {
            let mut open = match self.stream.take() {
                Some(open) => open,
                None => self.open(client).await?,
            };
            let events = match open.next().await {
                Ok(Some(events)) => events,
                // Whoever reads slowly is cut, and finds what comes next at the host.
                Ok(None) if open.gave => continue,
                Ok(None) => return Err(open.stream.broken("the stream of events ended")),
                Err(error) => return Err(error),
            };
            self.stream = Some(open);
            if let Some(newest) = events.last() {
                self.last = Some(newest.key.clone());
                return Ok(events);
            }
        }
    }

    async fn open(&self, client: &Client) -> Result<Open, ClientError> {
        let stream = client.stream(&["events", "stream"], self.last.as_deref()).await?;
        Ok(Open { stream, read: Vec::new(), gave: false })
    }
}

impl Open {
    /// The whole events of what comes next; `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<Vec<Event>>, ClientError> {
        let read = timeout(SILENT, self.stream.next()).await;
        let Ok(read) = read else {
            return Err(self.stream.broken("it gave no sign of life for a minute"));
        };
        let Some(bytes) = read? else { return Ok(None) };
        self.read.extend_from_slice(&bytes);
        let mut events = Vec::new();
        while let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
            let whole: Vec<u8> = self.read.drain(..end + 2).collect();
            events.extend(event(&whole));
        }
        if self.read.len() > MOST {
            return Err(self.stream.broken("an event of the stream has no end"));
        }
        self.gave |= !events.is_empty();
        Ok(Some(events))
    }
}

/// The event of a whole block of lines; none in a sign of life.
fn event(block: &[u8]) -> Option<Event> {
    let data = block.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"data: "))?;
    Event::read(&serde_json::from_slice(data).ok()?)
}
