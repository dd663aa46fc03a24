//! A host's events in order of acceptance, from a point on, each once.

use serde_json::Value;

use super::super::client::{Client, ClientError};
use super::super::page::entries;

/// Events asked for at once, as many as the admin API gives.
const PAGE: usize = 100;

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
        Ok(Self { last: last.map(|event| event.key) })
    }

    /// The last event seen, `provider:id`.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// What came since, the oldest first; perhaps not all of it at once. What is returned counts as
    /// seen.
    pub(super) async fn next(&mut self, client: &Client) -> Result<Vec<Event>, ClientError> {
        let mut found = match &self.last {
            Some(last) => self::page(client, Some(("ending_before", last))).await?.0,
            None => all(client).await?,
        };
        found.reverse();
        if let Some(newest) = found.last() {
            self.last = Some(newest.key.clone());
        }
        Ok(found)
    }
}

/// Everything there is, the newest first.
async fn all(client: &Client) -> Result<Vec<Event>, ClientError> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let oldest = all.last().map(|event| event.key.clone());
        let (page, more) = page(client, oldest.as_ref().map(|key| ("starting_after", key))).await?;
        let ended = page.is_empty() || !more;
        all.extend(page);
        if ended {
            return Ok(all);
        }
    }
}

async fn page(
    client: &Client,
    from: Option<(&'static str, &String)>,
) -> Result<(Vec<Event>, bool), ClientError> {
    let mut query = vec![("limit", PAGE.to_string())];
    query.extend(from.map(|(name, key)| (name, key.clone())));
    let (data, more) = entries(client.get(&["events"], &query).await?);
    Ok((data.iter().filter_map(Event::read).collect(), more))
}
