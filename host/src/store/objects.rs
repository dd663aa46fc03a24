//! The mirror: what is kept of the provider's objects, and what is asked of it.
//!
//! Not the rules (`domain::mirror`). States come in with the events that show them, in transaction A;
//! nothing here folds an event by itself, and a replay never does.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::event::{EventKey, EventSeq, StoredEvent, VerifiedEvent};
use crate::domain::object::{FetchEnd, Fetched, ObjectKey, ObjectState, Sighting};

use super::{ObjectView, Page, PageRequest, StoreError};

/// Tells a store which objects an event shows. Asked on the caller's thread, before transaction A.
pub trait Sight: Send + Sync + fmt::Debug + 'static {
    /// The objects, each once.
    fn objects(&self, event: &VerifiedEvent) -> Vec<Sighting>;

    /// Whether objects are kept at all.
    fn mirrors(&self) -> bool {
        true
    }

    /// Another event that tells of the same change, if `event` names one. A plugin that was given
    /// either is not given the other, whichever comes first.
    fn twin(&self, event: &VerifiedEvent) -> Option<EventKey> {
        let _ = event;
        None
    }
}

/// Which objects to list, by provider, kind, mode (test first), account and identifier, ascending.
#[derive(Debug, Clone)]
pub struct ObjectQuery {
    /// Only of this provider.
    pub provider: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this mode.
    pub livemode: Option<bool>,
    /// Only of this connected account.
    pub account: Option<String>,
    /// Only those that are, or are not, ambiguous.
    pub ambiguous: Option<bool>,
    /// Only those that are, or are not, deleted.
    pub deleted: Option<bool>,
    /// Which page. `After` goes on in the order told above.
    pub page: PageRequest<ObjectKey>,
}

impl ObjectQuery {
    /// All objects.
    #[must_use]
    pub const fn all(page: PageRequest<ObjectKey>) -> Self {
        Self {
            provider: None,
            kind: None,
            livemode: None,
            account: None,
            ambiguous: None,
            deleted: None,
            page,
        }
    }
}

/// An event that showed an object.
#[derive(Debug, Clone)]
pub struct Touch {
    /// Its number.
    pub seq: EventSeq,
    /// The event; `None` once retention let it go.
    pub event: Option<Arc<StoredEvent>>,
}

/// Figures of the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectFigures {
    /// Objects held, deleted ones included.
    pub held: u64,
    /// Those of which the last state is not sure.
    pub ambiguous: u64,
}

/// The mirror. Objects stay when their events go.
#[async_trait]
pub trait ObjectStore: ObjectView + Send + Sync + fmt::Debug + 'static {
    /// One object.
    async fn object(&self, key: &ObjectKey) -> Result<Option<ObjectState>, StoreError>;

    /// Objects.
    async fn objects(&self, query: ObjectQuery) -> Result<Page<ObjectState>, StoreError>;

    /// Events that were about an object, or changed what is held of it: newest first. A cursor names
    /// one of them.
    async fn object_history(
        &self,
        key: &ObjectKey,
        page: PageRequest<EventKey>,
    ) -> Result<Page<Touch>, StoreError>;

    /// Objects that are ambiguous: those to be fetched.
    async fn ambiguous(
        &self,
        page: PageRequest<ObjectKey>,
    ) -> Result<Page<ObjectState>, StoreError> {
        let query = ObjectQuery { ambiguous: Some(true), ..ObjectQuery::all(page) };
        self.objects(query).await
    }

    /// Take in states that were fetched or listed; of objects not seen yet as well. Each stands for
    /// itself and wins only if its fetch began after everything held of the object had come. Answers in
    /// order, durable.
    async fn refetched(&self, fetched: Vec<Fetched>) -> Result<Vec<FetchEnd>, StoreError>;

    /// Figures.
    async fn object_figures(&self) -> Result<ObjectFigures, StoreError>;
}
