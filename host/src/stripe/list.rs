//! A list of Stripe's, page by page, to its end.
//!
//! Each object is kept as the very bytes Stripe answered. A list that does not move on is an error,
//! not an endless loop; a page too large to be read is asked for in smaller parts.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::authority::Authority;
use super::call::{Answer, Call};
use super::client::Calls;
use super::error::ApiError;
use crate::domain::clock::Timestamp;

/// Most pages of one list: ten million objects. A list with more is taken for one without an end.
const MOST_PAGES: usize = 100_000;

/// One object of a list.
#[derive(Debug)]
pub struct Item {
    /// Its `id`.
    pub id: String,
    /// The object, byte for byte.
    pub raw: Box<RawValue>,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// In Stripe's order: the newest first.
    pub items: Vec<Item>,
    /// Whether the list goes on.
    pub has_more: bool,
    /// The present moment by Stripe's clock.
    pub date: Option<Timestamp>,
}

impl Page {
    fn read(answer: &Answer) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Whole {
            data: Vec<Box<RawValue>>,
            has_more: bool,
        }
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        let malformed = |error: serde_json::Error| ApiError::Malformed { cause: error.to_string() };
        let whole: Whole = serde_json::from_slice(&answer.body).map_err(malformed)?;
        let item = |raw: Box<RawValue>| {
            let named: Named = serde_json::from_str(raw.get()).map_err(malformed)?;
            Ok(Item { id: named.id, raw })
        };
        let items = whole.data.into_iter().map(item).collect::<Result<_, ApiError>>()?;
        Ok(Self { items, has_more: whole.has_more, date: answer.date })
    }
}

/// A list that is being read.
#[derive(Debug)]
pub struct List {
    authority: Authority,
    call: Call,
    size: u32,
    /// The last object of every page so far.
    seen: HashSet<String>,
    ended: bool,
}

impl List {
    /// Most objects that Stripe gives at a time.
    pub const PAGE: u32 = 100;

    /// The list that `call`, a `GET`, begins. Nothing is asked for yet.
    #[must_use]
    pub fn new(authority: Authority, call: Call) -> Self {
        Self { authority, call, size: Self::PAGE, seen: HashSet::new(), ended: false }
    }

    /// Go on behind the object `id`.
    #[must_use]
    pub fn after(mut self, id: &str) -> Self {
        self.call.set_query("starting_after", id);
        self
    }

    /// The next page; `None` after the last. After an error the same page is asked for again.
    ///
    /// # Errors
    /// As [`Calls::call`], and [`ApiError::Loop`].
    pub async fn next(&mut self, api: &dyn Calls) -> Result<Option<Page>, ApiError> {
        if self.ended {
            return Ok(None);
        }
        let answer = loop {
            self.call.set_query("limit", &self.size.to_string());
            match api.call(&self.authority, &self.call).await {
                Err(ApiError::TooLarge { .. }) if self.size > 1 => self.size /= 2,
                other => break other?,
            }
        };
        let page = Page::read(&answer)?;
        if page.has_more {
            let looped = |cause: &str| ApiError::Loop { cause: cause.to_owned() };
            let last = page.items.last().ok_or_else(|| {
                looped("a page is empty, and `has_more` says that the list goes on")
            })?;
            if self.seen.len() >= MOST_PAGES {
                return Err(looped("it has more pages than any list"));
            }
            if !self.seen.insert(last.id.clone()) {
                return Err(looped("a page ends with the same object as one before it"));
            }
            self.call.set_query("starting_after", &last.id);
        } else {
            self.ended = true;
        }
        Ok(Some(page))
    }
}
