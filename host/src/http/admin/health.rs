//! Health and figures: open to whoever reaches the listener, and telling nothing about events.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;

use super::{Answer, App};
use crate::http::metrics::Waits;

const INDEX: &str = "signalbox admin\n\n\
    API      /api/v1/events, /deliveries, /dead, /effects, /replays, /operations, /plugins,\n\
    \x20        /endpoints, /objects, /reconcile (Authorization: Bearer TOKEN)\n\
    health   /livez, /readyz\n\
    figures  /metrics\n";

/// `GET /`
pub(super) async fn index() -> &'static str {
    INDEX
}

/// `GET /livez`: the process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the store answers, so webhooks are taken. Both listeners serve only once every
/// part has started.
pub(super) async fn ready(State(app): State<App>) -> Answer {
    app.deps.store.stats().await?;
    Ok("ready\n".into_response())
}

/// `GET /metrics`
pub(super) async fn metrics(State(app): State<App>) -> Answer {
    // Figures are wanted most when the store fails: then its own are as they were.
    let stats = app.deps.store.stats().await;
    if let Err(error) = &stats {
        tracing::warn!(%error, "the store gave no figures");
    }
    let now = app.deps.clock.now();
    let waits = match (app.deps.store.backlog(now).await, app.deps.store.pauses().await) {
        (Ok(backlog), Ok(pauses)) => {
            let loaded =
                app.deps.routes.current().plugins().map(|p| p.manifest().name.clone()).collect();
            Some(Waits { backlog, pauses, loaded })
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "the store gave no figures of plugins");
            None
        }
    };
    if let Some(mirror) = Arc::clone(&app.deps.store).mirror() {
        match mirror.object_figures().await {
            Ok(figures) => app.deps.metrics.objects(figures),
            Err(error) => tracing::warn!(%error, "the store gave no figures of objects"),
        }
    }
    app.deps.metrics.set_dispatch(&app.deps.dispatch.figures());
    if let Some(reconcile) = &app.deps.reconcile {
        app.deps.metrics.set_reconcile(&reconcile.figures());
    }
    if let Some(refresh) = &app.deps.refresh {
        app.deps.metrics.set_refresh(refresh.figures());
    }
    let text = app.deps.metrics.text(stats.as_ref().ok(), waits.as_ref(), now);
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(media))];
    Ok((StatusCode::OK, headers, text).into_response())
}
