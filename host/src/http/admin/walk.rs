//! Lists by a status that the store does not know.
//!
//! A delivery is shown as `parked` while it waits (`pending` or `retry` in the store) and its plugin is
//! not one that can run; then it is not shown as `pending` or `retry`. Which plugins can run is not
//! the store's to know, so entries are read in its order and kept or passed over here. The list of
//! what is parked is what was never attempted, then what waits for another attempt.

use std::fmt::Debug;

use crate::domain::delivery::Status;
use crate::domain::plugin::PluginName;
use crate::http::problem::Problem;
use crate::store::{Cursor, Page, PageRequest, StoreError};

use super::params::invalid;

/// Most entries passed over for one page: what cannot be found by then needs a narrower question.
const MAX_PASSED: usize = 10_000;

/// Entries read at once.
const CHUNK: usize = 200;

/// How a delivery of `status` in the store is shown.
pub(super) fn shown(status: Status, plugin: &PluginName, runnable: &[PluginName]) -> Status {
    match status {
        Status::Pending | Status::Retry if !runnable.contains(plugin) => Status::Parked,
        status => status,
    }
}

/// The statuses in the store among which entries shown as `status` are; `None` where the store
/// knows it itself.
pub(super) const fn stored(status: Option<Status>) -> Option<&'static [Status]> {
    match status {
        Some(Status::Pending) => Some(&[Status::Pending]),
        Some(Status::Retry) => Some(&[Status::Retry]),
        Some(Status::Parked) => Some(&[Status::Pending, Status::Retry]),
        _ => None,
    }
}

/// Entries that can be read by their status in the store.
pub(super) trait Source {
    type Item;
    type Key: Clone + Debug;

    fn key(&self, item: &Self::Item) -> Self::Key;

    /// Entries of `status`.
    async fn page(
        &self,
        status: Status,
        request: PageRequest<Self::Key>,
    ) -> Result<Page<Self::Item>, StoreError>;

    /// Whether `item`, found under `status`, belongs on the list there.
    async fn wanted(&self, status: Status, item: &Self::Item) -> Result<bool, StoreError>;

    /// Under which of `statuses` the list holds the entry of this key.
    async fn place(&self, statuses: &[Status], key: &Self::Key) -> Result<usize, StoreError>;
}

/// The page of the list that is `source` under each of `statuses` in turn.
pub(super) async fn walk<S: Source>(
    source: &S,
    statuses: &[Status],
    request: PageRequest<S::Key>,
) -> Result<Page<S::Item>, Problem> {
    let PageRequest { limit, mut from } = request;
    let back = matches!(from, Some(Cursor::Before(_)));
    if back && statuses.len() > 1 {
        return Err(invalid("ending_before", "not with status=parked; use starting_after"));
    }
    let begin = match &from {
        Some(Cursor::After(key)) => source.place(statuses, key).await?,
        _ => 0,
    };
    let (mut data, mut has_more, mut passed) = (Vec::new(), false, 0);
    'list: for &status in statuses.iter().skip(begin) {
        loop {
            let request = PageRequest { limit: CHUNK, from: from.take() };
            let mut page = source.page(status, request).await?;
            if back {
                page.data.reverse();
            }
            let edge = page.data.last().map(|item| source.key(item));
            for item in page.data {
                if !source.wanted(status, &item).await? {
                    passed += 1;
                } else if data.len() == limit {
                    has_more = true;
                    break 'list;
                } else {
                    data.push(item);
                }
            }
            let Some(edge) = edge.filter(|_| page.has_more) else { break };
            if passed > MAX_PASSED {
                let message = "too many waiting deliveries to look through; narrow it by plugin";
                return Err(invalid("status", message));
            }
            from = Some(if back { Cursor::Before(edge) } else { Cursor::After(edge) });
        }
    }
    if back {
        data.reverse();
    }
    Ok(Page { data, has_more })
}
