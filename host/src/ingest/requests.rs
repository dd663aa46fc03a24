//! Refused requests on their way into the store: which of them are kept, and for how long.
//!
//! Not the refusing (`http::webhook`) and not the counting ([`super::refusals`]). An answer never
//! waits for any of it: what is offered goes into a small memory, and once a second what is there
//! becomes one commit. Two floods are held off: of one endpoint, which has a share of its own in the
//! memory and in the store, and of all, where the endpoint that holds most gives up its oldest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Ingest;
use super::endpoints::unfit;
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Endpoint, EndpointId, Secret, Validation};
use crate::domain::request::{RefusedRequest, RequestId};
use crate::provider::{Proof, Provider, RawRequest, Rejection, Verified};
use crate::store::RequestStore;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Time between two commits. Default one second.
    pub interval: Duration,
    /// Requests of one commit. Default 64: a flood costs as much as this and no more.
    pub per_commit: usize,
    /// Requests to one endpoint among them. Default 16.
    pub per_commit_endpoint: usize,
    /// Requests kept. Default 5,000.
    pub requests: usize,
    /// Their bytes. Default 32 MiB.
    pub bytes: u64,
    /// Requests to one endpoint among them. Default 500.
    pub endpoint_requests: usize,
    /// Their bytes. Default 4 MiB.
    pub endpoint_bytes: u64,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            per_commit: 64,
            per_commit_endpoint: 16,
            requests: 5_000,
            bytes: 32 << 20,
            endpoint_requests: 500,
            endpoint_bytes: 4 << 20,
        }
    }
}

/// What waits for the next commit.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    inner: Mutex<Offered>,
}

#[derive(Debug, Default)]
struct Offered {
    requests: Vec<RefusedRequest>,
    /// How many of them are of each endpoint.
    of: HashMap<EndpointId, usize>,
    /// Those that found no place, by endpoint.
    unkept: HashMap<EndpointId, u64>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Offered> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ingest {
    /// Have a refused request to `endpoint`, which exists, kept. `make` is called only if there is
    /// room for it, with the present moment.
    pub fn keep(&self, endpoint: EndpointId, make: impl FnOnce(Timestamp) -> RefusedRequest) {
        let limits = &self.limits;
        let mut offered = self.waiting.lock();
        let own = offered.of.get(&endpoint).copied().unwrap_or_default();
        if offered.requests.len() >= limits.per_commit || own >= limits.per_commit_endpoint {
            let unkept = offered.unkept.entry(endpoint).or_default();
            *unkept = unkept.saturating_add(1);
            return;
        }
        *offered.of.entry(endpoint).or_default() += 1;
        offered.requests.push(make(self.clock.now()));
    }
}

/// What the store holds, as far as choosing needs it.
#[derive(Debug, Default)]
struct Ring {
    of: HashMap<EndpointId, Share>,
    requests: usize,
    bytes: u64,
    /// The number of the next request.
    next: u64,
}

/// What one endpoint holds, the oldest first.
#[derive(Debug, Default)]
struct Share {
    requests: VecDeque<(RequestId, u64)>,
    bytes: u64,
}

impl Ring {
    fn add(&mut self, endpoint: EndpointId, id: RequestId, bytes: u64) {
        let share = self.of.entry(endpoint).or_default();
        share.requests.push_back((id, bytes));
        share.bytes += bytes;
        self.requests += 1;
        self.bytes += bytes;
        self.next = self.next.max(id.0 + 1);
    }

    /// Let go of the oldest of `endpoint`.
    fn drop_oldest(&mut self, endpoint: EndpointId) -> Option<RequestId> {
        let share = self.of.get_mut(&endpoint)?;
        let (id, bytes) = share.requests.pop_front()?;
        share.bytes -= bytes;
        self.requests -= 1;
        self.bytes -= bytes;
        if share.requests.is_empty() {
            self.of.remove(&endpoint);
        }
        Some(id)
    }

    /// Let go of what is over the limits.
    fn shrink(&mut self, limits: &RequestLimits) -> Vec<RequestId> {
        let mut gone = Vec::new();
        let over = |share: &Share| {
            share.requests.len() > limits.endpoint_requests || share.bytes > limits.endpoint_bytes
        };
        while let Some(endpoint) = self.of.iter().find(|(_, share)| over(share)).map(|(id, _)| *id)
        {
            gone.extend(self.drop_oldest(endpoint));
        }
        while self.requests > limits.requests || self.bytes > limits.bytes {
            let largest = self.of.iter().max_by_key(|(id, share)| (share.bytes, **id));
            let Some(endpoint) = largest.map(|(id, _)| *id) else { break };
            gone.extend(self.drop_oldest(endpoint));
        }
        gone
    }
}

/// The part that writes.
#[derive(Debug)]
pub struct Requests {
    ingest: Ingest,
    store: Arc<dyn RequestStore>,
    ring: Option<Ring>,
}

impl Requests {
    /// A part that keeps in `store` what `ingest` is told to keep. It needs no handle.
    #[must_use]
    pub fn new(ingest: Ingest, store: Arc<dyn RequestStore>) -> Self {
        Self { ingest, store, ring: None }
    }

    /// Write until `shutdown`, and what is left then. Stops after the listener that refuses.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.ingest.limits.interval) => self.write().await,
            }
        }
        self.write().await;
    }

    /// Make one commit of what waits. What the store does not take now counts as not kept: support
    /// needs examples, and a store in trouble needs rest.
    async fn write(&mut self) {
        let mut offered = std::mem::take(&mut *self.ingest.waiting.lock());
        if offered.requests.is_empty() {
            // A count is told with a request; it waits for the next one.
            self.put_back(offered.unkept);
            return;
        }
        if let Err(error) = self.try_write(&mut offered).await {
            tracing::warn!(%error, "refused requests could not be kept");
            for (endpoint, count) in offered.of {
                let unkept = offered.unkept.entry(endpoint).or_default();
                *unkept = unkept.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            }
            // What the store holds is looked up again.
            self.ring = None;
            self.put_back(offered.unkept);
        }
    }

    async fn try_write(&mut self, offered: &mut Offered) -> Result<(), crate::store::StoreError> {
        if self.ring.is_none() {
            let mut ring = Ring { next: 1, ..Ring::default() };
            for kept in self.store.kept_requests().await? {
                ring.add(kept.endpoint, kept.id, kept.bytes);
            }
            self.ring = Some(ring);
        }
        let Some(ring) = &mut self.ring else { return Ok(()) };
        let mut unkept = offered.unkept.clone();
        let mut add = Vec::with_capacity(offered.requests.len());
        for request in &offered.requests {
            let mut request = request.clone();
            request.unkept = unkept.remove(&request.endpoint).unwrap_or_default();
            let id = RequestId(ring.next);
            ring.add(request.endpoint, id, request.size());
            add.push((id, request));
        }
        let mut remove = ring.shrink(&self.ingest.limits);
        // What would go at once is not written at all.
        add.retain(|(id, _)| !remove.contains(id));
        remove.retain(|id| add.first().is_none_or(|(first, _)| id < first));
        self.store.keep_requests(add, remove).await?;
        self.put_back(unkept);
        Ok(())
    }

    fn put_back(&self, counts: HashMap<EndpointId, u64>) {
        if counts.is_empty() {
            return;
        }
        let mut offered = self.ingest.waiting.lock();
        for (endpoint, count) in counts {
            let unkept = offered.unkept.entry(endpoint).or_default();
            *unkept = unkept.saturating_add(count);
        }
    }
}

/// Judge a kept request again, as of the moment when it came, by the secrets that are live `now`.
///
/// # Errors
/// A [`Rejection`] when it is still not genuine, or was not kept whole.
pub fn judge_again(
    request: &RefusedRequest,
    endpoint: &Endpoint,
    provider: &dyn Provider,
    now: Timestamp,
) -> Result<Verified, Rejection> {
    if !request.is_whole() {
        return Err(Rejection {
            code: "request_incomplete",
            message: "the request was not kept whole, so nothing can be proved; have its sender \
                      send it again, or raise `server.limits.refused_body`"
                .to_owned(),
        });
    }
    if endpoint.validation != Validation::VerifySignature {
        return Err(Rejection {
            code: "validation_unsupported",
            message:
                "the endpoint does not go by signatures, and only they prove a request again; \
                      have its sender send it again"
                    .to_owned(),
        });
    }
    let live = |secret: &&Secret| secret.is_live(now);
    let secrets: Vec<Secret> = endpoint
        .secrets
        .iter()
        .filter(live)
        .cloned()
        .map(|mut secret| {
            secret.not_after = None;
            secret
        })
        .collect();
    let raw = RawRequest { headers: request.headers.clone(), body: request.body.clone() };
    let proof = Proof { secrets: &secrets, tolerance: endpoint.tolerance, now: request.at };
    if !provider.takes_media(&raw.media()) {
        return Err(Rejection {
            code: "content_type_unsupported",
            message: "the body's Content-Type is none that the provider uses".to_owned(),
        });
    }
    let verified = provider.receive(&raw, proof)?;
    match &verified {
        Verified::Event(event) => unfit(endpoint, event, None).map_or(Ok(verified), Err),
        Verified::Handshake(_) => Ok(verified),
    }
}

#[cfg(test)]
mod tests;
