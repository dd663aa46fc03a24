//! What a guest can see of the store while it runs: its own state, the effects that still wait, and
//! the provider's objects. Read only.
//!
//! Every [`Store`] is one. Not every view is a store: a handler that is tried out sees one that lives in
//! memory ([`super::scratch`]).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::objects::ObjectStore;
use super::{Store, StoreError};
use crate::domain::effect::{EffectId, EffectStatus};
use crate::domain::kv::{KvEntry, KvPage, KvRange};
use crate::domain::object::{ObjectKey, ObjectState};
use crate::domain::plugin::PluginName;

/// The store as a running guest sees it.
#[async_trait]
pub trait View: Send + Sync + fmt::Debug + 'static {
    /// One value of a plugin's state.
    async fn value(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError>;

    /// Keys of a plugin's state.
    async fn keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError>;

    /// Bytes (keys and values) a plugin holds.
    async fn held(&self, plugin: &PluginName) -> Result<u64, StoreError>;

    /// Whether an effect waits still, and so can be withdrawn.
    async fn waits(&self, effect: &EffectId) -> Result<bool, StoreError>;

    /// The provider's objects, if any are kept.
    fn shown(self: Arc<Self>) -> Option<Arc<dyn ObjectView>>;
}

/// The mirror as a running guest sees it.
#[async_trait]
pub trait ObjectView: Send + Sync + fmt::Debug + 'static {
    /// One object.
    async fn state(&self, key: &ObjectKey) -> Result<Option<ObjectState>, StoreError>;
}

#[async_trait]
impl<S: Store> View for S {
    async fn value(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError> {
        self.kv_get(plugin, key).await
    }

    async fn keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError> {
        self.kv_keys(plugin, range).await
    }

    async fn held(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.kv_usage(plugin).await
    }

    async fn waits(&self, effect: &EffectId) -> Result<bool, StoreError> {
        Ok(self.effect(effect).await?.is_some_and(|effect| EffectStatus::waits(effect.status)))
    }

    fn shown(self: Arc<Self>) -> Option<Arc<dyn ObjectView>> {
        Some(self.mirror()?)
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectView for S {
    async fn state(&self, key: &ObjectKey) -> Result<Option<ObjectState>, StoreError> {
        self.object(key).await
    }
}
