//! How far something that is read from elsewhere was read: kept by name, durable before it counts.
//!
//! Not what was read (`Store::accept`): a mark is moved only after what lies before it is durable.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::clock::Timestamp;

/// Longest name of a mark in bytes.
pub const MAX_NAME: usize = 512;

/// How far something was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Everything before this moment was read.
    pub upto: Timestamp,
    /// Nothing before this moment is wanted.
    pub floor: Timestamp,
}

/// Keeps marks.
#[async_trait]
pub trait CursorStore: Send + Sync + fmt::Debug + 'static {
    /// The mark of this name.
    async fn mark(&self, name: &str) -> Result<Option<Mark>, StoreError>;

    /// Set it. When this returns, it is on stable storage.
    async fn set_mark(&self, name: &str, mark: Mark) -> Result<(), StoreError>;

    /// The name of what was read last, where no moment says how far it was. Its name is no mark's.
    async fn place(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Set it, or forget it. When this returns, that is on stable storage.
    async fn set_place(&self, name: &str, last: Option<&str>) -> Result<(), StoreError>;
}
