//! `/dead`: deliveries that were given up, with their whole story, and what they died of.
//!
//! They are replayed through `/replays`.

use axum::extract::State;
use serde::Serialize;

use super::deliveries::DeliveryView;
use super::list::List;
use super::params::Params;
use super::reply::ok;
use super::{Answer, App};
use crate::domain::dead::{DeadGroup, DeadGroupId, pattern};
use crate::domain::delivery::{Delivery, Outcome, Status};
use crate::domain::plugin::PluginName;
use crate::store::DeliveryQuery;

/// Deliveries that died alike, as they are shown.
#[derive(Debug, Serialize)]
struct GroupView {
    object: &'static str,
    id: String,
    plugin: PluginName,
    count: u64,
    /// Of the newest of them, as the next one.
    outcome: Option<Outcome>,
    reason: Option<String>,
    /// What the reasons of all of them have in common.
    pattern: String,
    /// The newest of them.
    newest: String,
    oldest_at: u64,
    oldest_at_ms: u64,
}

impl GroupView {
    fn new(group: DeadGroup, newest: Option<&Delivery>) -> Self {
        let last = newest.and_then(|delivery| delivery.history.last());
        Self {
            object: "dead_group",
            id: group.id.to_string(),
            plugin: group.plugin,
            count: group.count,
            outcome: last.map(|attempt| attempt.outcome),
            reason: last.map(|attempt| attempt.reason.clone()),
            pattern: last.map(|attempt| pattern(&attempt.reason)).unwrap_or_default(),
            newest: group.newest.to_string(),
            oldest_at: group.oldest.as_secs(),
            oldest_at_ms: group.oldest.as_millis(),
        }
    }
}

/// `GET /dead`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let plugin: Option<PluginName> = params.parsed("plugin")?;
    let group: Option<DeadGroupId> = params.parsed("group")?;
    let page = params.page()?;
    params.finish()?;
    let page = app.delivery_page(page).await?;
    let status = Some(Status::Dead);
    let query = DeliveryQuery { event: None, plugin, status, group, page };
    let page = app.deps.store.deliveries(query).await?;
    // Nothing dead is shown as parked.
    let data: Vec<_> = page.data.iter().map(|d| DeliveryView::new(d, &[]).whole(d)).collect();
    ok(&List::new("/api/v1/dead", data, page.has_more))
}

/// `GET /dead/groups`: those of most deliveries first.
pub(super) async fn groups(State(app): State<App>, mut params: Params) -> Answer {
    let plugin: Option<PluginName> = params.parsed("plugin")?;
    let page = params.page()?;
    params.finish()?;
    let all = app.deps.store.dead_groups(plugin).await?;
    let id = |group: &DeadGroup| group.id.to_string();
    let List { url, has_more, data, .. } =
        List::of("/api/v1/dead/groups", all, &page, id, DeadGroup::clone)?;
    let mut shown = Vec::with_capacity(data.len());
    for group in data {
        let newest = app.deps.store.delivery(&group.newest).await?;
        shown.push(GroupView::new(group, newest.as_ref()));
    }
    ok(&List::new(url, shown, has_more))
}
