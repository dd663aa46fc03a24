//! Which deliveries a replay is about: a filter, and the walk that finds what passes it.
//!
//! Not what is done with them (`replay::execute`). The walk goes from the newest event to the oldest, a
//! page at a time, and holds one page: its memory does not grow with the store.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroupId;
use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::event::{EventKey, Source, StoredEvent};
use crate::domain::pattern::TypePattern;
use crate::domain::plugin::PluginName;
use crate::plugin::filter::{Filter, Subject};
use crate::plugin::{Routes, RoutingTable};
use crate::store::{Cursor, DeliveryQuery, EventQuery, PageRequest, Store, StoreError};

use super::{Progress, ReplayError};

/// Entries read at once.
const PAGE: usize = 100;

/// Deliveries of one event: more plugins than anyone has.
const MAX_OF_EVENT: usize = 1_000;

/// How far the times of events may run against the order of acceptance: a clock that was set back
/// by more makes a walk bounded by time end early.
const DISORDER: Duration = Duration::from_secs(3_600);

/// What is to be replayed: all that passes every part. Without any, everything kept.
#[derive(Debug, Default)]
pub struct Selection {
    /// Only these deliveries; empty for any.
    pub deliveries: Vec<DeliveryId>,
    /// Only these events; empty for any.
    pub events: Vec<EventKey>,
    /// Only events of these types.
    pub kind: Option<TypePattern>,
    /// Only events accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// Only events accepted before this moment.
    pub until: Option<Timestamp>,
    /// Only events for which this holds. Unlike with subscriptions, which must not lose an event,
    /// one for which that cannot be found out is left alone, and counted (`where_failed`).
    pub condition: Option<Filter>,
    /// Only deliveries of this status. Without one, those too that were never made because their
    /// plugin was not loaded then, and matches now.
    pub status: Option<Status>,
    /// Only dead deliveries of this group.
    pub group: Option<DeadGroupId>,
    /// Only deliveries of these plugins; empty for any.
    pub plugins: Vec<PluginName>,
    /// At most this many deliveries, those of the newest events.
    pub limit: Option<u64>,
}

impl Selection {
    /// What was asked for one by one is walked as it was given; deliveries of a status or a group
    /// by the store's index of them; everything else by events.
    fn source(&self) -> From {
        if !self.deliveries.is_empty() {
            From::Deliveries(self.deliveries.iter().cloned().collect())
        } else if !self.events.is_empty() {
            From::Events(self.events.iter().cloned().collect())
        } else if self.status.is_some() || self.group.is_some() {
            From::DeliveryPages(None)
        } else {
            From::EventPages(None)
        }
    }

    fn holds(&self, event: &StoredEvent, progress: &Progress) -> bool {
        let holds = self.kind.as_ref().is_none_or(|kind| kind.matches(&event.event.kind))
            && self.since.is_none_or(|since| event.received_at >= since)
            && self.until.is_none_or(|until| event.received_at < until);
        let Some(condition) = self.condition.as_ref().filter(|_| holds) else { return holds };
        condition.judge(&Subject::new(&event.event)).unwrap_or_else(|_| {
            progress.note(|figures| figures.skip("where_failed"));
            false
        })
    }

    fn wants(&self, plugin: &PluginName) -> bool {
        self.plugins.is_empty() || self.plugins.contains(plugin)
    }

    /// Whether no older event can be in it.
    fn ends_before(&self, event: &StoredEvent) -> bool {
        self.since.is_some_and(|since| event.received_at.plus(DISORDER) < since)
    }
}

/// Where the walk stands.
enum From {
    Deliveries(VecDeque<DeliveryId>),
    Events(VecDeque<EventKey>),
    /// After this one.
    DeliveryPages(Option<DeliveryId>),
    EventPages(Option<EventKey>),
    End,
}

/// A walk over the deliveries of a selection.
pub(super) struct Walk<'a> {
    selection: &'a Selection,
    store: Arc<dyn Store>,
    table: Arc<RoutingTable>,
    from: From,
    left: u64,
}

/// An event and those of its deliveries that are in the selection.
pub(super) struct Chosen {
    pub(super) event: Arc<StoredEvent>,
    pub(super) deliveries: Vec<DeliveryId>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(selection: &'a Selection, store: Arc<dyn Store>, routes: &Routes) -> Self {
        let left = selection.limit.unwrap_or(u64::MAX);
        Self { selection, store, table: routes.current(), from: selection.source(), left }
    }

    /// The next of them, a page's worth; `None` at the end.
    pub(super) async fn next(
        &mut self,
        progress: &Progress,
    ) -> Result<Option<Vec<Chosen>>, ReplayError> {
        progress.go_on()?;
        if self.left == 0 {
            return Ok(None);
        }
        let found = match std::mem::replace(&mut self.from, From::End) {
            From::End => return Ok(None),
            From::Deliveries(mut ids) => {
                let now: Vec<_> = ids.drain(..ids.len().min(PAGE)).collect();
                if !ids.is_empty() {
                    self.from = From::Deliveries(ids);
                }
                self.of_deliveries(now, progress).await?
            }
            From::Events(mut keys) => {
                let now: Vec<_> = keys.drain(..keys.len().min(PAGE)).collect();
                if !keys.is_empty() {
                    self.from = From::Events(keys);
                }
                let mut events = Vec::with_capacity(now.len());
                for key in now {
                    match self.store.event(&key).await? {
                        Some(event) => events.push(event),
                        None => progress.note(|figures| figures.skip("no_event")),
                    }
                }
                self.of_events(events, progress).await?
            }
            From::DeliveryPages(after) => self.delivery_page(after, progress).await?,
            From::EventPages(after) => self.event_page(after, progress).await?,
        };
        Ok(Some(self.cut(found)))
    }

    async fn event_page(
        &mut self,
        after: Option<EventKey>,
        progress: &Progress,
    ) -> Result<Vec<Chosen>, ReplayError> {
        let kind = match &self.selection.kind {
            Some(TypePattern::Exact(kind)) => Some(kind.clone()),
            _ => None,
        };
        let page = PageRequest { limit: PAGE, from: after.map(Cursor::After) };
        let page = match self.store.events(EventQuery { kind, status: None, page }).await {
            // Retention let go of the cursor, and so of all that is older.
            Err(StoreError::NoSuchCursor { .. }) => return Ok(Vec::new()),
            page => page?,
        };
        if let Some(last) = page.data.last().filter(|_| page.has_more)
            && !self.selection.ends_before(last)
        {
            self.from = From::EventPages(Some(last.event.key.clone()));
        }
        self.of_events(page.data, progress).await
    }

    async fn delivery_page(
        &mut self,
        after: Option<DeliveryId>,
        progress: &Progress,
    ) -> Result<Vec<Chosen>, ReplayError> {
        let plugin = match self.selection.plugins.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        let query = DeliveryQuery {
            event: None,
            plugin,
            status: self.selection.status,
            group: self.selection.group,
            page: PageRequest { limit: PAGE, from: after.map(Cursor::After) },
        };
        let page = match self.store.deliveries(query).await {
            Err(StoreError::NoSuchCursor { .. }) => return Ok(Vec::new()),
            page => page?,
        };
        let last = page.data.last().filter(|_| page.has_more).map(|d| d.id.clone());
        if let Some(last) = last {
            let event = self.store.event(&last.event).await?;
            if !event.is_some_and(|event| self.selection.ends_before(&event)) {
                self.from = From::DeliveryPages(Some(last));
            }
        }
        self.of_deliveries(page.data.into_iter().map(|d| d.id).collect(), progress).await
    }

    /// Those of `ids` that are in the selection.
    async fn of_deliveries(
        &self,
        ids: Vec<DeliveryId>,
        progress: &Progress,
    ) -> Result<Vec<Chosen>, ReplayError> {
        let mut chosen: Vec<Chosen> = Vec::new();
        for id in ids.into_iter().filter(|id| self.selection.wants(&id.plugin)) {
            if let Some(last) = chosen.last_mut()
                && last.event.event.key == id.event
            {
                last.deliveries.push(id);
                continue;
            }
            let Some(event) = self.store.event(&id.event).await? else {
                progress.note(|figures| figures.skip("no_event"));
                continue;
            };
            progress.note(|figures| figures.looked_at += 1);
            if self.selection.holds(&event, progress) {
                chosen.push(Chosen { event, deliveries: vec![id] });
            }
        }
        Ok(chosen)
    }

    /// The deliveries of `events` that are in the selection.
    async fn of_events(
        &self,
        events: Vec<Arc<StoredEvent>>,
        progress: &Progress,
    ) -> Result<Vec<Chosen>, ReplayError> {
        let mut chosen = Vec::new();
        for event in events {
            progress.note(|figures| figures.looked_at += 1);
            if !self.selection.holds(&event, progress) {
                continue;
            }
            let plugins = self.plugins(&event).await?;
            let id = |plugin| DeliveryId { event: event.event.key.clone(), plugin };
            let deliveries: Vec<_> =
                plugins.into_iter().filter(|p| self.selection.wants(p)).map(id).collect();
            if !deliveries.is_empty() {
                chosen.push(Chosen { event, deliveries });
            }
        }
        Ok(chosen)
    }

    /// Plugins with a delivery of `event` and, where no status is asked for, those that would get
    /// one now.
    async fn plugins(&self, event: &StoredEvent) -> Result<BTreeSet<PluginName>, StoreError> {
        let query = DeliveryQuery {
            event: Some(event.event.key.clone()),
            plugin: None,
            status: self.selection.status,
            group: self.selection.group,
            page: PageRequest { limit: MAX_OF_EVENT, from: None },
        };
        let made = self.store.deliveries(query).await?.data;
        let mut plugins: BTreeSet<_> = made.into_iter().map(|d| d.id.plugin).collect();
        let any = self.selection.status.is_none() && self.selection.group.is_none();
        // An answer is for the plugin that asked.
        if any && !matches!(event.source, Source::Reply(_)) {
            plugins.extend(self.table.matching(&event.event));
        }
        Ok(plugins)
    }

    /// No more than the selection's limit.
    fn cut(&mut self, mut chosen: Vec<Chosen>) -> Vec<Chosen> {
        for one in &mut chosen {
            let left = usize::try_from(self.left).unwrap_or(usize::MAX);
            one.deliveries.truncate(left);
            self.left -= one.deliveries.len() as u64;
        }
        chosen.retain(|one| !one.deliveries.is_empty());
        chosen
    }
}
