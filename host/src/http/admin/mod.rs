//! The admin listener: the API under `/api/v1`, health and figures.
//!
//! Not the public listener and not the command line. Everything under `/api` needs the bearer token;
//! the rest tells nothing about events.
//!
//! # Shapes
//!
//! Stripe's: lists are `{object: "list", url, has_more, data}` and take `limit` (1 to 100, 10 by
//! default), `starting_after` and `ending_before`, the newest first; errors are
//! `{error: {type, code, message, param?}}`; a `POST` takes an `Idempotency-Key`. Times are whole
//! seconds since the epoch, as in Stripe's `created`; those the host measured itself have a twin
//! ending in `_ms` in milliseconds.

mod auth;
mod backfill;
mod body;
mod dead;
mod deliveries;
mod effects;
mod endpoints;
mod events;
mod explain;
mod health;
mod idempotency;
mod kv;
mod list;
mod objects;
mod operations;
mod params;
mod pauses;
mod plugins;
mod reconcile;
mod replays;
mod reply;
mod requests;
pub(crate) mod runs;
mod shadow;
mod stream;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::guard::guarded;
use super::listener::{ConnectionLimits, Listener};
use super::metrics::Metrics;
use super::problem::Problem;
use crate::dispatch::DispatchHandle;
use crate::dispatch::pauses::PauseHandle;
use crate::domain::clock::Clock;
use crate::domain::endpoint::Secret;
use crate::ingest::Ingest;
use crate::ingest::at_stripe::AtStripe;
use crate::ingest::endpoints::Endpoints;
use crate::plugin::limits::MAX_COMPONENT;
use crate::plugin::{Engine, Policy, Routes};
use crate::provider::Providers;
use crate::reconcile::ReconcileHandle;
use crate::refresh::{Backfill, RefreshHandle};
use crate::replay::{Replay, ReplayDeps};
use crate::store::{RequestStore, Store};
use idempotency::Idempotency;
use operations::Operations;

/// Bytes of a request's body: an endpoint with all its secrets is a few KB, a replay of a thousand
/// events by their identifiers fifty.
const MAX_BODY: usize = 64 << 10;

/// How long one request may take: longer than any page takes to read.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the listener works with.
#[derive(Debug, Clone)]
pub struct AdminDeps {
    /// What is shown.
    pub store: Arc<dyn Store>,
    /// The live endpoints.
    pub endpoints: Endpoints,
    /// Makes and changes endpoints, at Stripe too.
    pub at_stripe: AtStripe,
    /// Which plugins there are.
    pub routes: Routes,
    /// Whose events there may be.
    pub providers: Providers,
    /// Runs dry runs, and loads candidates for shadow runs.
    pub engine: Engine,
    /// What the operator says of plugins, for candidates.
    pub policy: Policy,
    /// Pauses and resumes plugins.
    pub pauses: PauseHandle,
    /// What runs, and how it went.
    pub dispatch: DispatchHandle,
    /// Looks for missed events; `None` where nothing is looked for.
    pub reconcile: Option<ReconcileHandle>,
    /// Fetches unsure objects; `None` where none is fetched.
    pub refresh: Option<RefreshHandle>,
    /// Takes in what the provider lists; `None` where there is no key or no mirror.
    pub backfill: Option<Backfill>,
    /// For ages.
    pub clock: Arc<dyn Clock>,
    /// Requests that were refused.
    pub requests: Arc<dyn RequestStore>,
    /// Takes one of them that is found genuine after all.
    pub ingest: Ingest,
    /// What is shown at `/metrics`.
    pub metrics: Metrics,
}

/// How the listener behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Opens the API.
    pub token: Secret,
    /// What a connection may be.
    pub connections: ConnectionLimits,
    /// Where the public listener is reached from outside, without a trailing slash; for the URLs of
    /// endpoints.
    pub public_url: Option<String>,
}

impl AdminConfig {
    /// All limits at their defaults; 64 connections, for the operator's own tools.
    #[must_use]
    pub fn new(listen: SocketAddr, token: Secret) -> Self {
        let connections = ConnectionLimits { connections: 64, ..ConnectionLimits::default() };
        Self { listen, token, connections, public_url: None }
    }
}

/// What every request may use.
#[derive(Debug)]
struct Shared {
    deps: AdminDeps,
    config: AdminConfig,
    idempotency: Idempotency,
    replay: Replay,
    operations: Operations,
    /// Streams that may still be opened.
    streams: Arc<Semaphore>,
}

impl Shared {
    fn new(deps: AdminDeps, config: AdminConfig) -> Self {
        let replay = Replay::new(ReplayDeps {
            store: Arc::clone(&deps.store),
            routes: deps.routes.clone(),
            engine: deps.engine.clone(),
            clock: Arc::clone(&deps.clock),
        });
        let (idempotency, operations) = (Idempotency::default(), Operations::default());
        let streams = Arc::new(Semaphore::new(stream::MOST_STREAMS));
        Self { deps, config, idempotency, replay, operations, streams }
    }
}

type App = Arc<Shared>;

/// The admin listener, bound and not yet serving.
#[derive(Debug)]
pub struct AdminServer {
    listener: Listener,
    router: Router,
    app: App,
}

/// What others may know of the listener.
#[derive(Debug, Clone, Copy)]
pub struct AdminHandle {
    /// Where it listens, with the port that was really taken.
    pub local_addr: SocketAddr,
}

impl AdminServer {
    /// Bind the socket; requests are served by [`Self::run`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn new(deps: AdminDeps, config: AdminConfig) -> io::Result<(Self, AdminHandle)> {
        let listener = Listener::bind(config.listen, config.connections.clone()).await?;
        let local_addr = listener.local_addr()?;
        let app = Arc::new(Shared::new(deps, config));
        let router = router(Arc::clone(&app));
        Ok((Self { listener, router, app }, AdminHandle { local_addr }))
    }

    /// Serve until `shutdown`, then finish the requests under way within
    /// [`ConnectionLimits::drain`].
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, router, app } = self;
        let service = |_, _| {
            let router = TowerToHyperService::new(router.clone());
            service_fn(move |request: Request<Incoming>| {
                let answer = router.call(request);
                async move {
                    let answer = match guarded(timeout(DEADLINE, answer)).await {
                        Ok(Ok(Ok(response))) => response,
                        Ok(Err(_)) => too_long().into_response(),
                        Err(_) => Problem::panicked().into_response(),
                    };
                    Ok::<_, Infallible>(answer)
                }
            })
        };
        listener.run(shutdown, service).await;
        app.stop().await;
    }
}

fn too_long() -> Problem {
    let message = format!("the request took longer than {DEADLINE:?}; ask for less at once");
    Problem::unavailable("deadline_exceeded", message)
}

fn router(app: App) -> Router {
    let api = Router::new()
        .route("/events", get(events::list))
        .route("/events/stream", get(stream::stream))
        .route("/events/{id}", get(events::show))
        .route("/events/{id}/raw", get(events::raw))
        .route("/events/{id}/explain", get(explain::show))
        .route("/events/{id}/replay", post(replays::of_event))
        .route("/events/{id}/dry-run", post(replays::dry_run))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/{id}", get(deliveries::show))
        .route("/plugins", get(plugins::list))
        .route("/plugins/{name}", get(plugins::show))
        .route("/plugins/{name}/kv", get(kv::list))
        .route("/plugins/{name}/pause", post(pauses::pause))
        .route("/plugins/{name}/resume", post(pauses::resume))
        .route("/effects", get(effects::list))
        .route("/effects/{id}", get(effects::show))
        .route("/effects/{id}/retry", post(effects::retry))
        .route("/effects/{id}/cancel", post(effects::cancel))
        .route("/dead", get(dead::list))
        .route("/dead/groups", get(dead::groups))
        .route("/objects", get(objects::list))
        .route("/objects/backfill", post(backfill::start))
        .route("/objects/{provider}/{kind}/{id}", get(objects::show))
        .route("/objects/{provider}/{kind}/{id}/raw", get(objects::raw))
        .route("/objects/{provider}/{kind}/{id}/history", get(objects::history))
        .route("/replays", post(replays::create))
        .route("/replays/count", post(replays::count))
        .route("/reconcile", get(reconcile::status).post(reconcile::look))
        .route("/operations", get(operations::list))
        .route("/operations/{id}", get(operations::show))
        .route("/operations/{id}/cancel", post(operations::cancel))
        .route("/endpoints", get(endpoints::list).post(endpoints::create))
        .route("/endpoints/sync", post(endpoints::sync))
        .route(
            "/endpoints/{id}",
            get(endpoints::show)
                .post(endpoints::update)
                .patch(endpoints::update)
                .delete(endpoints::delete),
        )
        .route("/endpoints/{id}/roll-secret", post(endpoints::roll_secret))
        .route("/endpoints/{id}/secrets", post(endpoints::add_secret))
        .route("/endpoints/{id}/secrets/{secret}", delete(endpoints::retire_secret))
        .route("/requests", get(requests::list))
        .route("/requests/{id}", get(requests::show))
        .route("/requests/{id}/retry", post(requests::retry))
        .fallback(reply::no_such_path)
        .method_not_allowed_fallback(reply::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // A component is larger than any other body.
        .route(
            "/plugins/{name}/shadow",
            post(shadow::create).layer(DefaultBodyLimit::max(MAX_COMPONENT)),
        )
        .layer(from_fn_with_state(app.clone(), auth::token));
    Router::new()
        .nest("/api/v1", api)
        .route("/", get(health::index))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(reply::no_such_path)
        .method_not_allowed_fallback(reply::wrong_method)
        .layer(from_fn(auth::same_origin))
        .with_state(app)
}

/// What a handler returns.
type Answer = Result<Response, Problem>;
