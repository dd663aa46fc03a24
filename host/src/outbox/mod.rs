//! From asked for to performed: claims due effects, sends or emits them, commits their ends.
//!
//! Not the asking (`plugin`) and not the queue (`store`). An effect is here only after its
//! delivery committed, and is performed at least once: under one `idempotency-key`, however often.
//!
//! ```text
//! claim -> [request] judge, fill -> [guard, resolve] where -> [send] wire -> [settle] what it means
//! ```

mod config;
mod guard;
mod relay;
mod request;
mod resolve;
mod secrets;
mod send;
mod settle;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::effect::{Action, EffectAttempt, EffectId, EffectStatus};
use crate::domain::endpoint::Secret;
use crate::domain::grant::Grant;
use crate::domain::plugin::PluginName;
use crate::net::TlsError;
use crate::plugin::Routes;
use crate::store::{ClaimedEffect, EffectClaimRequest, Store};

pub use config::OutboxConfig;
pub use guard::{AddressClass, Refused};
pub use resolve::{Resolver, SystemResolver};
pub use settle::emission;

use relay::Relay;
use secrets::Secrets;
use send::Sender;
use settle::Rules;

/// What the outbox works with.
#[derive(Clone, Debug)]
pub struct OutboxDeps {
    /// Where effects wait.
    pub store: Arc<dyn Store>,
    /// Who receives the events that effects make.
    pub routes: Routes,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// What stands for `{{secret:NAME}}`.
    pub secrets: BTreeMap<String, Secret>,
    /// What each plugin is granted, loaded or not.
    pub grants: BTreeMap<PluginName, Vec<Grant>>,
    /// Where names are looked up.
    pub resolver: Arc<dyn Resolver>,
}

/// Why there can be no outbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// Nobody could be trusted.
    #[error("cannot prepare TLS for the outbox: {0}")]
    Tls(TlsError),
    /// Nothing could be sent.
    #[error("cannot prepare the outbox's HTTP client: {0}")]
    Client(reqwest::Error),
}

/// A try at an effect that was committed. Holds no secret.
#[derive(Clone, Debug)]
pub struct Ended {
    /// At which effect.
    pub effect: EffectId,
    /// Where it left the effect.
    pub status: EffectStatus,
    /// Its story.
    pub attempt: EffectAttempt,
}

/// Tries a slow listener may fall behind before it misses some. They are for watching: the store
/// has them all.
const ENDED_BACKLOG: usize = 1_024;

/// Shows from outside what the outbox does.
#[derive(Clone, Debug)]
pub struct OutboxHandle {
    running: Arc<AtomicUsize>,
    ended: broadcast::Sender<Arc<Ended>>,
}

impl OutboxHandle {
    /// Effects that are being performed now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Every try from now on, as it is committed. A listener that falls behind misses some.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Ended>> {
        self.ended.subscribe()
    }
}

/// The part that claims, performs and settles.
pub struct Outbox {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: OutboxConfig,
    tasks: JoinSet<()>,
    claims: HashMap<Id, Arc<[ClaimedEffect]>>,
    /// How many `claims` hold.
    running: Arc<AtomicUsize>,
    relay: Arc<Relay>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Outbox {
    /// An outbox that does nothing yet.
    ///
    /// # Errors
    /// TLS or the HTTP client cannot be prepared.
    pub fn new(
        deps: OutboxDeps,
        config: OutboxConfig,
    ) -> Result<(Self, OutboxHandle), OutboxError> {
        let OutboxDeps { store, routes, clock, secrets, grants, resolver } = deps;
        let secrets = Secrets::new(secrets);
        let sender = Sender::new(&config, secrets, &resolver, Arc::clone(&clock))?;
        let handle =
            OutboxHandle { running: Arc::default(), ended: broadcast::Sender::new(ENDED_BACKLOG) };
        let relay = Arc::new(Relay {
            store: Arc::clone(&store),
            routes,
            clock: Arc::clone(&clock),
            grants,
            rules: Rules {
                backoff: config.backoff.clone(),
                retry_after_most: config.retry_after_most,
                fault_wait: config.fault_wait,
            },
            sender,
            ended: handle.ended.clone(),
        });
        let outbox = Self {
            store,
            clock,
            config,
            tasks: JoinSet::new(),
            claims: HashMap::new(),
            running: Arc::clone(&handle.running),
            relay,
        };
        Ok((outbox, handle))
    }

    /// Work until `shutdown`, then wait for what is being performed, at most `drain` long.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let store = Arc::clone(&self.store);
        while !shutdown.is_cancelled() {
            let room = self.room();
            let mut next_due = None;
            if room > 0 {
                match self.claim(room).await {
                    Ok((claimed, due)) => {
                        next_due = due;
                        // A full claim may have left more behind.
                        if claimed == room {
                            self.reap();
                            continue;
                        }
                    }
                    Err(wait) => next_due = Some(wait),
                }
            }
            let timer = async {
                match next_due {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = store.effect_work(), if room > 0 => {}
                () = timer => {}
            }
            self.reap();
        }
        self.drain().await;
    }

    /// How many more may be claimed.
    fn room(&self) -> usize {
        self.config.concurrency.saturating_sub(self.running.load(Ordering::Relaxed))
    }

    /// Claim up to `room` effects and start them. Answers how many, and how long until the next
    /// falls due; after a store error, how long to wait before asking again.
    async fn claim(&mut self, room: usize) -> Result<(usize, Option<Duration>), Duration> {
        let now = self.clock.steady();
        let per_plugin = self.config.per_plugin;
        let request = EffectClaimRequest { limit: room, per_plugin, now };
        let claim = match self.store.claim_effects(request).await {
            Ok(claim) => claim,
            Err(error) => {
                tracing::error!(%error, "cannot claim effects");
                return Err(self.config.fault_wait);
            }
        };
        let count = claim.effects.len();
        // What needs no network ends at once, and so in one commit.
        let (emitted, sent): (Vec<_>, Vec<_>) = claim
            .effects
            .into_iter()
            .partition(|claimed| matches!(claimed.action, Action::Emit { .. }));
        if !emitted.is_empty() {
            self.start(emitted.into());
        }
        for claimed in sent {
            self.start([claimed].into());
        }
        Ok((count, claim.next_due.map(|due| due.since(now))))
    }

    fn start(&mut self, effects: Arc<[ClaimedEffect]>) {
        self.running.fetch_add(effects.len(), Ordering::Relaxed);
        let (relay, task) = (Arc::clone(&self.relay), Arc::clone(&effects));
        let started = self.tasks.spawn(async move { relay.run(&task).await });
        self.claims.insert(started.id(), effects);
    }

    /// Take note of every task that has ended.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, panic) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let Some(effects) = self.claims.remove(&id) else { return };
        self.running.fetch_sub(effects.len(), Ordering::Relaxed);
        if let Some(panic) = panic {
            for claimed in effects.iter() {
                tracing::error!(effect = %claimed.id, error = %panic, "the host failed in an effect");
            }
            let relay = Arc::clone(&self.relay);
            // One of `tasks`, so that a stop waits for it too.
            self.tasks.spawn(async move { relay.broken_off(&effects).await });
        }
    }

    async fn drain(mut self) {
        let bound = self.config.drain;
        let ended = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(bound, ended).await.is_err() {
            let left = self.running.load(Ordering::Relaxed);
            tracing::warn!(
                left,
                "stopped with effects running; the next start performs them again"
            );
        }
    }
}

#[cfg(test)]
mod tests;
