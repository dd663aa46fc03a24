//! `/events/{id}/explain`: how an event came, who wanted it and why not, and what happens next.

use axum::extract::State;
use serde::Serialize;

use super::deliveries::DeliveryView;
use super::effects::EffectView;
use super::events::MadeView;
use super::params::{Name, Params};
use super::reply::ok;
use super::{Answer, App, Shared};
use crate::domain::clock::Timestamp;
use crate::domain::delivery::{Delivery, Status};
use crate::domain::effect::Effect;
use crate::domain::event::{EventKey, Source, StoredEvent};
use crate::domain::plugin::{Pause, PluginName, Subscription};
use crate::domain::proof::Proved;
use crate::plugin::RoutingTable;
use crate::plugin::explain::{Explanation, Said};
use crate::store::{DeliveryQuery, EffectQuery, PageRequest, StoreError};

/// Deliveries and effects told of one event.
const MOST: usize = 1_000;

#[derive(Debug, Serialize)]
struct ExplainView<'a> {
    object: &'static str,
    event: &'a str,
    provider: &'a str,
    r#type: &'a str,
    received_at: u64,
    received_at_ms: u64,
    source: &'static str,
    /// How it came, in words.
    how: String,
    endpoint: String,
    /// What it rests on: `signature`, `retrieved` or `none`; null for one that was made here.
    proof: Option<&'static str>,
    /// Fingerprint of the secret that proved it, or the request it came in; empty for none.
    secret: &'a str,
    made: Option<MadeView<'a>>,
    plugins: Vec<PluginView<'a>>,
    deliveries: Vec<DeliveryStory<'a>>,
}

/// What one plugin says to the event.
#[derive(Debug, Serialize)]
struct PluginView<'a> {
    plugin: &'a PluginName,
    digest: String,
    matches: bool,
    delivered: bool,
    /// What is odd about that, and what to do.
    note: Option<String>,
    subscriptions: Vec<EntryView<'a>>,
}

impl<'a> PluginView<'a> {
    /// `twin`: the event of the same change that the plugin was given in place of this one.
    fn new(
        stored: &StoredEvent,
        one: &'a Explanation,
        delivered: bool,
        twin: Option<&EventKey>,
    ) -> Self {
        let entry = |(wanted, said): &'a (Subscription, Said)| EntryView {
            provider: &wanted.provider,
            r#type: wanted.kind.to_string(),
            filter: wanted.filter.as_deref(),
            said,
        };
        Self {
            plugin: &one.plugin,
            digest: one.digest.to_string(),
            matches: one.matches(),
            delivered,
            note: note(stored, one, delivered, twin),
            subscriptions: one.entries.iter().map(entry).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct EntryView<'a> {
    provider: &'a str,
    r#type: String,
    filter: Option<&'a str>,
    #[serde(flatten)]
    said: &'a Said,
}

#[derive(Debug, Serialize)]
struct DeliveryStory<'a> {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// What happens next and when, in words.
    next: String,
    effects: Vec<EffectView<'a>>,
}

fn how(stored: &StoredEvent) -> String {
    let provider = &stored.event.key.provider;
    let depth = stored.source.depth();
    let effect = stored.source.made().and_then(|made| made.effect.as_ref());
    let effect =
        effect.map_or_else(|| "an effect".to_owned(), |effect| format!("the effect {effect}"));
    match &stored.source {
        Source::Emitted(_) => {
            format!("emitted by the plugin {provider} through {effect}; {depth} events led to it")
        }
        Source::Reply(_) => {
            format!(
                "the answer to {effect}, for the plugin {provider} alone; {depth} events led to it"
            )
        }
        Source::Host(_) => format!("signalbox tells of itself; {depth} events led to it"),
        Source::Reconcile => {
            format!("no webhook brought it: it was found in the provider's list, {}", told(stored))
        }
        _ => format!("posted to the endpoint {}, {}", stored.endpoint, told(stored)),
    }
}

/// What it rests on.
fn told(stored: &StoredEvent) -> String {
    let told = Proved::of(&stored.event).map(|proved| proved.told(&stored.event));
    told.unwrap_or_else(|| "with no proof kept".to_owned())
}

/// What is odd about one that matches and has no delivery, or the other way round.
fn note(
    stored: &StoredEvent,
    one: &Explanation,
    delivered: bool,
    twin: Option<&EventKey>,
) -> Option<String> {
    let (id, plugin) = (&stored.event.key.id, &one.plugin);
    if matches!(stored.source, Source::Reply(_)) {
        return None;
    }
    match (one.matches(), delivered) {
        (true, false) => Some(twin.map_or_else(|| format!(
            "it wants the event now and has no delivery of it: it was loaded later or changed since; \
             `signalbox events replay {id} --plugin {plugin}` makes one"
        ), |twin| format!("it was given {}, which tells of the same change", twin.id))),
        (false, true) => {
            Some("it has a delivery, and would get none now: it changed since".to_owned())
        }
        _ => None,
    }
}

/// What happens next to a delivery.
fn next(
    delivery: &Delivery,
    table: &RoutingTable,
    pauses: &[(PluginName, Pause)],
    now: Timestamp,
) -> String {
    let (id, plugin) = (&delivery.id, &delivery.id.plugin);
    match delivery.status {
        Status::Done => "nothing: it is done".to_owned(),
        Status::Running => "it runs now".to_owned(),
        Status::Dead => {
            format!("nothing: it was given up; `signalbox dead replay {id}` has it run again")
        }
        Status::Pending | Status::Retry | Status::Parked => {
            if let Some((_, pause)) = pauses.iter().find(|(name, _)| name == plugin) {
                return format!(
                    "it waits while its plugin is paused, since {}: {}; `signalbox plugins resume \
                     {plugin}` lets it run",
                    pause.at, pause.reason
                );
            }
            if table.get(plugin).is_none() {
                return format!(
                    "it waits for its plugin: no `{plugin}` is loaded; put its file back into the \
                     plugins directory, or see `signalbox plugins list` for why it is refused"
                );
            }
            if let Some(first) = &delivery.behind {
                return format!("it waits behind {first}, which is about the same object");
            }
            match delivery.next_attempt_at.filter(|at| *at > now) {
                Some(at) => {
                    format!("it waits for its moment: attempt {} at {at}", delivery.attempts + 1)
                }
                None => "it runs as soon as there is room".to_owned(),
            }
        }
    }
}

impl Shared {
    async fn all_deliveries(&self, event: &EventKey) -> Result<Vec<Delivery>, StoreError> {
        let query = DeliveryQuery {
            event: Some(event.clone()),
            plugin: None,
            status: None,
            group: None,
            page: PageRequest { limit: MOST, from: None },
        };
        Ok(self.deps.store.deliveries(query).await?.data)
    }

    async fn all_effects(&self, event: &EventKey) -> Result<Vec<Effect>, StoreError> {
        let query = EffectQuery {
            event: Some(event.clone()),
            plugin: None,
            status: None,
            page: PageRequest { limit: MOST, from: None },
        };
        Ok(self.deps.store.effects(query).await?.data)
    }
}

/// `GET /events/{id}/explain`
pub(super) async fn show(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    let stored = app.event(&id).await?;
    let event = &stored.event;
    let deliveries = app.all_deliveries(&event.key).await?;
    let effects = app.all_effects(&event.key).await?;
    let pauses = app.deps.store.pauses().await?;
    let runnable = app.runnable().await?;
    let table = app.deps.routes.current();
    let now = app.deps.clock.now();
    let explained = table.explain(event);
    let delivered = |name: &PluginName| deliveries.iter().any(|d| d.id.plugin == *name);
    let provider = app.deps.providers.get(&event.key.provider);
    let mut twin = provider.and_then(|provider| provider.thin(event)?.twin);
    if twin.is_none() {
        // It is named by the other one, if that came first.
        let by = app.deps.store.spared_by(&event.key).await?;
        twin = by.map(|by| by.event.key.clone());
    }
    let of_twin = match &twin {
        Some(twin) => app.all_deliveries(twin).await?,
        None => Vec::new(),
    };
    let given = |name: &PluginName| {
        let had = of_twin.iter().find(|delivery| delivery.id.plugin == *name);
        had.map(|delivery| &delivery.id.event)
    };
    let story = |delivery: &Delivery| DeliveryStory {
        delivery: DeliveryView::new(delivery, &runnable).whole(delivery),
        next: next(delivery, &table, &pauses, now),
        effects: effects
            .iter()
            .filter(|effect| effect.id.delivery == delivery.id)
            .map(EffectView::new)
            .collect(),
    };
    ok(&ExplainView {
        object: "explanation",
        event: &event.key.id,
        provider: &event.key.provider,
        r#type: &event.kind,
        received_at: stored.received_at.as_secs(),
        received_at_ms: stored.received_at.as_millis(),
        source: stored.source.name(),
        how: how(&stored),
        endpoint: stored.endpoint.to_string(),
        proof: Proved::of(event).map(|proved| proved.name()),
        secret: &event.secret.0,
        made: stored.source.made().map(MadeView::new),
        plugins: explained
            .iter()
            .map(|one| PluginView::new(&stored, one, delivered(&one.plugin), given(&one.plugin)))
            .collect(),
        deliveries: deliveries.iter().map(story).collect(),
    })
}
