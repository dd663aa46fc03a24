//! `/plugins/{name}/shadow`: a candidate beside the code that is loaded, over stored events.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;

use super::body::{Taken, taken};
use super::params::{Name, Params, invalid};
use super::{Answer, App, Shared, operations, runs};
use crate::domain::plugin::PluginName;
use crate::replay::{MAX_SHADOW, Progress, Shadow};

/// Events compared where no number is given.
const DEFAULT_LAST: u64 = 100;

/// `POST /plugins/{name}/shadow?last=`: the body is the candidate's component.
pub(super) async fn create(
    State(app): State<App>,
    Name(name): Name,
    headers: HeaderMap,
    mut params: Params,
    body: Taken,
) -> Answer {
    let last: u64 = params.parsed("last")?.unwrap_or(DEFAULT_LAST);
    params.finish()?;
    if !(1..=MAX_SHADOW).contains(&last) {
        return Err(invalid("last", format!("give a number from 1 to {MAX_SHADOW}")));
    }
    let plugin: PluginName = name.parse().map_err(|_| super::plugins::no_such(&name))?;
    let bytes = taken(body)?;
    if bytes.is_empty() {
        return Err(invalid("body", "it is empty; send the candidate's component"));
    }
    let path = format!("/plugins/{name}/shadow?last={last}");
    let started = app.idempotency.once(&headers, &path, &bytes, async || {
        operations::start(&app, "shadow", |app, operation| {
            let bytes = bytes.clone();
            async move { app.shadow(plugin, bytes, last, &operation.progress).await }
        })
    });
    started.await
}

impl Shared {
    async fn shadow(
        &self,
        plugin: PluginName,
        bytes: axum::body::Bytes,
        last: u64,
        progress: &Progress,
    ) -> Result<serde_json::Value, String> {
        let candidate = self.deps.engine.load(bytes, &self.deps.policy).await;
        let candidate = candidate.map_err(|error| error.to_string())?;
        let own = &candidate.manifest().name;
        if *own != plugin {
            return Err(format!(
                "the candidate calls itself `{own}`: it would be another plugin than `{plugin}`, with \
                 a state of its own; compare it as `{own}`"
            ));
        }
        let current = self.deps.routes.current().get(&plugin).cloned();
        let shadow = Shadow { candidate: Arc::new(candidate), current, last };
        let report = self.replay.shadow(&shadow, progress).await;
        let report = report.map_err(|error| error.to_string())?;
        runs::shadow(&shadow, &report).map_err(|error| error.to_string())
    }
}
