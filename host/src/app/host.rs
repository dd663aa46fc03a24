//! A host: every part, wired and running.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::dispatch::pauses::{PauseDeps, Pauses};
use crate::dispatch::{DispatchDeps, DispatchHandle, Dispatcher};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::endpoint::Secret;
use crate::http::Metrics;
use crate::http::admin::{AdminConfig, AdminDeps, AdminServer};
use crate::http::webhook::{WebhookDeps, WebhookServer};
use crate::ingest::Ingest;
use crate::ingest::at_stripe::{AtStripe, Begun, Retiring};
use crate::ingest::endpoints::{Endpoints, Matches};
use crate::ingest::refusals::{RefusalConfig, Refusals};
use crate::ingest::requests::Requests;
use crate::ingest::validate::{RetrievalLimits, Validator};
use crate::outbox::{Outbox, OutboxDeps, SystemResolver};
use crate::plugin::{Engine, Routes};
use crate::registry::{Registry, RegistryDeps};
use crate::retention::Retention;
use crate::store::cursors::CursorStore;
use crate::store::sled::SledStore;
use crate::store::{RequestStore, Store};
use crate::stripe::StripeApi;

use super::{reconcile, refresh, token, wiring};

/// A running part and the switch that stops it.
#[derive(Debug)]
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Part {
    /// Start `run`. `ended` is cancelled when it ends, by a panic too.
    fn start<F>(
        name: &'static str,
        ended: &CancellationToken,
        run: impl FnOnce(CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let run = run(stop.clone());
        let ended = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _ended = ended;
            run.await;
        });
        Self { name, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(part = self.name, %error, "ended badly");
        }
    }
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    /// Where providers post to.
    pub public: SocketAddr,
    /// Where the admin API answers.
    pub admin: SocketAddr,
    /// The admin token and the file it is kept in, when it was made at this start.
    pub new_token: Option<(PathBuf, Secret)>,
    /// What the dispatcher does.
    pub dispatch: DispatchHandle,
    /// Which plugins there are.
    pub routes: Routes,
    /// What is kept. To look at.
    pub store: Arc<dyn Store>,
    /// In the order in which they stop.
    parts: Vec<Part>,
    /// Cancelled when the first of them ends.
    ended: CancellationToken,
}

impl Host {
    /// Start every part. When this returns, webhooks are accepted and handled.
    ///
    /// # Errors
    /// With the cause and the remedy, when a part cannot start; nothing is left running.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let data = &config.store.path;
        std::fs::create_dir_all(data)
            .with_context(|| format!("cannot make the data directory {}", data.display()))?;

        let settings = wiring::store(config, Arc::clone(&clock));
        let store = tokio::task::spawn_blocking(move || SledStore::open(&settings)).await??;
        let started = Self::start_on(Arc::clone(&store), config, clock).await;
        if started.is_err() {
            // What kept the host from starting is no unclean stop of the store.
            store.close().await?;
        }
        started
    }

    /// Start every part but the store, which is open.
    async fn start_on(
        sled: Arc<SledStore>,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let store: Arc<dyn Store> = sled.clone();
        let cursors: Arc<dyn CursorStore> = sled.clone();
        let refused: Arc<dyn RequestStore> = sled;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let engine = Engine::new(&wiring::engine(config, processors), Arc::clone(&clock))?;
        let routes = Routes::default();
        let providers = wiring::providers(config);
        let deps = RegistryDeps {
            engine: engine.clone(),
            routes: routes.clone(),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
        };
        let (mut registry, _) = Registry::new(deps, wiring::registry(config, &providers));
        registry.load_all().await?;
        let deps = PauseDeps {
            store: Arc::clone(&store),
            routes: routes.clone(),
            clock: Arc::clone(&clock),
        };
        let (pauses, pause_handle) = Pauses::new(deps);
        pauses.load().await?;

        let now = clock.now();
        let declared = config.endpoints.iter().map(|e| e.to_endpoint(now)).collect();
        let endpoints =
            Endpoints::load(Arc::clone(&store), providers.clone(), Arc::clone(&clock), declared)
                .await?;

        let stripe = StripeApi::new(wiring::stripe(config)?, Arc::clone(&clock))?;
        let accounts = config.stripe_accounts.clone();
        let parts = reconcile::Parts {
            api: stripe.clone(),
            store: Arc::clone(&store),
            cursors: Arc::clone(&cursors),
            routes: routes.clone(),
            endpoints: endpoints.clone(),
            clock: Arc::clone(&clock),
        };
        let (reconciler, reconcile_handle) = reconcile::reconcile(config, parts).unzip();
        let backfill = refresh::backfill(config, &stripe, &store, cursors, &clock);
        let parts = refresh::Parts {
            api: stripe.clone(),
            store: Arc::clone(&store),
            endpoints: endpoints.clone(),
            clock: Arc::clone(&clock),
        };
        let (refresher, refresh_handle) = refresh::refresh(config, parts).unzip();
        let validator = Validator::new(
            accounts.clone(),
            Some(stripe.clone()),
            Arc::clone(&clock),
            RetrievalLimits::default(),
        );
        let at_stripe = AtStripe::new(
            endpoints.clone(),
            accounts,
            stripe,
            Arc::clone(&clock),
            config.server.public_url.clone(),
        );
        let (matches, retiring) =
            (Matches::new(endpoints.clone()), Retiring::new(at_stripe.clone()));
        let begun = Begun::new(at_stripe.clone());

        let file = config.store.admin_token_file();
        let (token, is_new) = match &config.server.admin_token {
            Some(token) => (token.clone(), false),
            None => token::load_or_create(&file)?,
        };
        let deps = DispatchDeps {
            store: Arc::clone(&store),
            routes: routes.clone(),
            engine: engine.clone(),
            clock: Arc::clone(&clock),
            pauses: pause_handle.clone(),
        };
        let (dispatcher, dispatch) = Dispatcher::new(deps, wiring::dispatch(config));
        let metrics = Metrics::new();
        let ingest = Ingest::new(Arc::clone(&store), routes.clone(), Arc::clone(&clock));
        let deps = AdminDeps {
            store: Arc::clone(&store),
            routes: routes.clone(),
            endpoints: endpoints.clone(),
            at_stripe,
            policy: wiring::policy(config, &providers),
            providers: providers.clone(),
            engine,
            pauses: pause_handle,
            dispatch: dispatch.clone(),
            reconcile: reconcile_handle,
            refresh: refresh_handle,
            backfill,
            requests: Arc::clone(&refused),
            ingest: ingest.clone(),
            clock: Arc::clone(&clock),
            metrics: metrics.clone(),
        };
        let settings = AdminConfig {
            public_url: config.server.public_url.clone(),
            ..AdminConfig::new(config.server.admin_listen, token.clone())
        };
        let (admin, admin_handle) = AdminServer::new(deps, settings)
            .await
            .with_context(|| cannot_listen("admin_listen", config.server.admin_listen))?;

        let requests = Requests::new(ingest.clone(), refused);
        let refusals = Refusals::new(ingest.clone(), RefusalConfig::default());
        let deps = WebhookDeps { endpoints, providers, validator, ingest, metrics };
        let (webhook, webhook_handle) = WebhookServer::new(deps, wiring::webhook(config))
            .await
            .with_context(|| cannot_listen("listen", config.server.listen))?;

        let deps = OutboxDeps {
            store: Arc::clone(&store),
            routes: routes.clone(),
            clock: Arc::clone(&clock),
            secrets: config.secrets.clone(),
            grants: wiring::grants(config),
            resolver: Arc::new(SystemResolver),
        };
        let (outbox, _) = Outbox::new(deps, wiring::outbox(config)?)?;
        let retention = Retention::new(Arc::clone(&store), clock, wiring::retention(config));

        let ended = CancellationToken::new();
        let mut parts = vec![
            Part::start("retention", &ended, |stop| retention.run(stop)),
            Part::start("registry", &ended, |stop| registry.run(stop)),
            Part::start("pauses", &ended, |stop| pauses.run(stop)),
            Part::start("admin listener", &ended, |stop| admin.run(stop)),
            Part::start("outbox", &ended, |stop| outbox.run(stop)),
            Part::start("dispatch", &ended, |stop| dispatcher.run(stop)),
            Part::start("replaced endpoints", &ended, |stop| retiring.run(stop)),
            Part::start("endpoints that were begun", &ended, |stop| begun.run(stop)),
            Part::start("matches of secrets", &ended, |stop| matches.run(stop)),
            Part::start("refused requests", &ended, |stop| requests.run(stop)),
            Part::start("refusals", &ended, |stop| refusals.run(stop)),
            Part::start("public listener", &ended, |stop| webhook.run(stop)),
        ];
        if let Some(reconciler) = reconciler {
            parts.push(Part::start("reconcile", &ended, |stop| reconciler.run(stop)));
        }
        if let Some(refresher) = refresher {
            parts.push(Part::start("refresh", &ended, |stop| refresher.run(stop)));
        }
        parts.reverse();
        Ok(Self {
            public: webhook_handle.local_addr,
            admin: admin_handle.local_addr,
            new_token: is_new.then_some((file, token)),
            dispatch,
            routes,
            store,
            parts,
            ended,
        })
    }

    /// Run until `stop` resolves, then stop in good order.
    ///
    /// # Errors
    /// When the store or a part fails. After a failed store nothing is finished: the process must
    /// end, and the next start finds what was acknowledged.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::select! {
            () = stop => {}
            reason = self.store.failed() => bail!("the store failed: {reason}"),
            () = self.ended.cancelled() => {}
        }
        let broken = self.parts.iter().find(|part| part.task.is_finished()).map(|part| part.name);
        for part in self.parts {
            part.stop().await;
        }
        self.store.close().await?;
        match broken {
            Some(name) => bail!("the {name} ended by itself; the log says why"),
            None => Ok(()),
        }
    }
}

fn cannot_listen(key: &str, address: SocketAddr) -> String {
    format!("cannot listen on {address}; free the port or set another (server.{key})")
}

/// Run a host until SIGINT or SIGTERM. `ready` is told once it serves.
///
/// # Errors
/// As [`Host::start`] and [`Host::run_until`].
pub async fn serve(config: &Config, ready: impl FnOnce(&Host)) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let host = Host::start(config).await?;
    ready(&host);
    host.run_until(async {
        stop.await;
        tracing::info!("stopping");
    })
    .await
}

/// Resolves at SIGINT or SIGTERM; neither ends the process by itself any more.
///
/// # Errors
/// When the system does not let them be heard.
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_that_fails_leaves_a_closed_store() {
        let dir = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        config.store.path = dir.path().join("data");
        config.plugins.dir = dir.path().to_owned();
        config.server.listen = ([127, 0, 0, 1], 0).into();
        config.server.admin_listen = taken.local_addr().unwrap();
        let refused = Host::start(&config).await.unwrap_err();
        assert!(refused.to_string().contains("server.admin_listen"), "{refused:#}");
        // The store's mark of a process that uses it; what it leaves behind is an unclean stop.
        let store = config.store.path.join("store");
        assert!(store.join("FORMAT").exists());
        assert!(!store.join("RUNNING").exists());
    }
}
