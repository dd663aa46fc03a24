//! The real listener: connections, limits, routes, verification, ingest; over a store.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use async_trait::async_trait;
use signalbox::domain::clock::{Clock, SystemClock, Timestamp};
use signalbox::domain::dead::DeadGroup;
use signalbox::domain::delivery::{Delivery, DeliveryId};
use signalbox::domain::effect::{Effect, EffectId};
use signalbox::domain::endpoint::{Endpoint, EndpointId, Secret};
use signalbox::domain::event::{EventKey, EventSeq, StoredEvent};
use signalbox::domain::kv::{KvEntry, KvPage, KvRange};
use signalbox::domain::plugin::{Pause, PluginName};
use signalbox::http::Metrics;
use signalbox::http::webhook::{WebhookConfig, WebhookDeps, WebhookServer};
use signalbox::ingest::Ingest;
use signalbox::ingest::endpoints::Endpoints;
use signalbox::ingest::validate::Validator;
use signalbox::plugin::routes::Routes;
use signalbox::provider::Providers;
use signalbox::provider::stripe::StripeProvider;
use signalbox::store::sled::{SledConfig, SledStore};
use signalbox::store::{
    Admission, Backlog, Claim, ClaimRequest, DeliveryQuery, EffectChange, EffectChanged,
    EffectClaim, EffectClaimRequest, EffectQuery, EffectSettlement, EventQuery, NewEvent, Page,
    Replayed, Retained, RetentionPolicy, Settled, Settlement, Store, StoreError, StoreStats,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::SECRET;

/// The one endpoint's UUID.
pub(crate) const ENDPOINT: &str = "6f2c6d8e-3c1f-4a43-9d0e-0c5b3f1a7e11";

/// The stores to receive into, each with a name for the table. The durable one lives in `dir`.
pub(crate) fn stores(dir: &Path) -> anyhow::Result<Vec<(&'static str, Arc<dyn Store>)>> {
    let durable = SledStore::open(&SledConfig::new(dir.join("store")))?;
    Ok(vec![
        ("signalbox, keeping nothing", Arc::new(Nothing::default())),
        ("signalbox, durable", durable),
    ])
}

/// Serve from now on.
pub(crate) async fn start(store: Arc<dyn Store>) -> anyhow::Result<SocketAddr> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let providers = Providers::new(vec![Arc::new(StripeProvider::default())]);
    let id = EndpointId(Uuid::parse_str(ENDPOINT).context("the endpoint's id")?);
    let endpoint = Endpoint::new(id, "stripe", vec![Secret::new(SECRET)?]);
    let endpoints =
        Endpoints::load(store.clone(), providers.clone(), clock.clone(), vec![endpoint]).await?;
    let deps = WebhookDeps {
        endpoints,
        providers,
        ingest: Ingest::new(store, Routes::default(), clock.clone()),
        validator: Validator::offline(clock),
        metrics: Metrics::new(),
    };
    let config = WebhookConfig::new((Ipv4Addr::LOCALHOST, 0).into());
    let (server, handle) = WebhookServer::new(deps, config).await?;
    tokio::spawn(server.run(CancellationToken::new()));
    Ok(handle.local_addr)
}

/// A store that forgets at once: what is left is the cost of receiving.
#[derive(Debug, Default)]
struct Nothing(AtomicU64);

#[async_trait]
impl Store for Nothing {
    async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError> {
        let accept = |_| Admission::Accepted(EventSeq(self.0.fetch_add(1, Ordering::Relaxed) + 1));
        Ok(events.iter().map(accept).collect())
    }

    async fn claim(&self, _: ClaimRequest) -> Result<Claim, StoreError> {
        Ok(Claim::default())
    }

    async fn work(&self) {
        std::future::pending().await
    }

    async fn settle(&self, _: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn replay(
        &self,
        _deliveries: Vec<DeliveryId>,
        _now: Timestamp,
    ) -> Result<Vec<Replayed>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn claim_effects(&self, _request: EffectClaimRequest) -> Result<EffectClaim, StoreError> {
        Ok(EffectClaim::default())
    }

    async fn effect_work(&self) {
        std::future::pending().await
    }

    async fn settle_effects(
        &self,
        _settlements: Vec<EffectSettlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn change_effect(
        &self,
        _id: &EffectId,
        _change: EffectChange,
        _now: Timestamp,
    ) -> Result<EffectChanged, StoreError> {
        Ok(EffectChanged::Unknown)
    }

    async fn effect(&self, _id: &EffectId) -> Result<Option<Effect>, StoreError> {
        Ok(None)
    }

    async fn effects(&self, _query: EffectQuery) -> Result<Page<Effect>, StoreError> {
        Ok(Page { data: Vec::new(), has_more: false })
    }

    async fn dead_groups(&self, _plugin: Option<PluginName>) -> Result<Vec<DeadGroup>, StoreError> {
        Ok(Vec::new())
    }

    async fn set_pause(
        &self,
        _plugin: &PluginName,
        _pause: Option<Pause>,
        _then: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn pauses(&self) -> Result<Vec<(PluginName, Pause)>, StoreError> {
        Ok(Vec::new())
    }

    async fn backlog(&self, _now: Timestamp) -> Result<Vec<Backlog>, StoreError> {
        Ok(Vec::new())
    }

    async fn kv_get(&self, _: &PluginName, _: &str) -> Result<Option<KvEntry>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_keys(&self, _: &PluginName, _: &KvRange) -> Result<KvPage, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_usage(&self, _: &PluginName) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }

    async fn event(&self, _: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn events(&self, _: EventQuery) -> Result<Page<Arc<StoredEvent>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn delivery(&self, _: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn deliveries(&self, _: DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn put_endpoint(&self, _: Endpoint) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn delete_endpoint(&self, _: EndpointId) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        Ok(Vec::new())
    }

    async fn retain(&self, _: &RetentionPolicy, _: Timestamp) -> Result<Retained, StoreError> {
        Ok(Retained::default())
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        Ok(StoreStats::default())
    }

    async fn failed(&self) -> String {
        std::future::pending().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
