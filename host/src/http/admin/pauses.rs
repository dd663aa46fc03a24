//! `/plugins/{name}/pause` and `/resume`: by hand.
//!
//! Not the pauses that the host makes itself after repeated failures.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use super::body::{Taken, object, taken};
use super::params::{Name, Params, invalid};
use super::reply::ok;
use super::{Answer, App, Shared};
use crate::domain::plugin::PluginName;
use crate::http::problem::Problem;

/// Longest reason in bytes: it is for a line in a list.
const MAX_REASON: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Why {
    reason: Option<String>,
}

impl Shared {
    /// The plugin of this name: one that is loaded, paused, or has deliveries that wait.
    async fn known(&self, name: &str) -> Result<PluginName, Problem> {
        let plugin: PluginName = name.parse().map_err(|_| super::plugins::no_such(name))?;
        let table = self.deps.routes.current();
        let reported = table.reports().iter().any(|report| report.name.as_ref() == Some(&plugin));
        let known = reported
            || self.deps.store.pauses().await?.iter().any(|(paused, _)| *paused == plugin)
            || self
                .deps
                .store
                .backlog(self.deps.clock.now())
                .await?
                .iter()
                .any(|b| b.plugin == plugin);
        if known { Ok(plugin) } else { Err(super::plugins::no_such(name)) }
    }
}

/// `POST /plugins/{name}/pause`: its deliveries wait until it is resumed; nothing is lost.
pub(super) async fn pause(
    State(app): State<App>,
    Name(name): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let body = taken(body)?;
    let path = format!("/plugins/{name}/pause");
    let paused = app.idempotency.once(&headers, &path, &body, async || {
        let Why { reason } = object(&body, "perhaps `reason`")?;
        let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
        if reason.len() > MAX_REASON {
            return Err(invalid("reason", format!("it is longer than {MAX_REASON} bytes")));
        }
        let plugin = app.known(&name).await?;
        app.deps.pauses.pause(&plugin, reason).await?;
        ok(&app.plugin(&name).await?)
    });
    paused.await
}

/// `POST /plugins/{name}/resume`
pub(super) async fn resume(
    State(app): State<App>,
    Name(name): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let body = taken(body)?;
    let path = format!("/plugins/{name}/resume");
    let resumed = app.idempotency.once(&headers, &path, &body, async || {
        let plugin = app.known(&name).await?;
        app.deps.pauses.resume(&plugin).await?;
        ok(&app.plugin(&name).await?)
    });
    resumed.await
}
