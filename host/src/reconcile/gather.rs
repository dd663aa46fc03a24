//! One stretch of Stripe's list, read into memory within bounds.
//!
//! Not the choice of the stretch (`look`) and not what is done with it (`take`).

use bytes::Bytes;
use serde::Deserialize;

use super::config::ReconcileConfig;
use crate::domain::clock::Timestamp;
use crate::stripe::{ApiError, Authority, Call, Calls, Item, List};

/// From one second to another, that one not included; without an end, to the newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) until: Option<u64>,
}

/// An event of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: String,
    /// In seconds; the beginning of time where it does not say.
    pub(super) created: u64,
    /// As Stripe answered it, byte for byte.
    pub(super) body: Bytes,
}

impl Listed {
    fn of(item: Item) -> Self {
        #[derive(Deserialize)]
        struct Stamp {
            created: u64,
        }
        let stamp: Option<Stamp> = serde_json::from_str(item.raw.get()).ok();
        Self {
            id: item.id,
            created: stamp.map_or(0, |stamp| stamp.created),
            body: Bytes::from(String::from(Box::<str>::from(item.raw))),
        }
    }
}

/// What a stretch held.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The newest first, as Stripe lists them.
    pub(super) events: Vec<Listed>,
    /// Stripe's clock at the first page.
    pub(super) date: Option<Timestamp>,
    /// How it ended.
    pub(super) end: End,
}

/// How reading a stretch ended.
#[derive(Debug, Default)]
pub(super) enum End {
    /// All of it is there.
    #[default]
    Whole,
    /// There is more than may be held.
    TooMuch,
    /// The list has no end: what it showed is there, and this is what is wrong with it.
    Odd(ApiError),
}

/// Read `stretch`. Bounded only if `bounded`: events of one second cannot be told apart further.
pub(super) async fn gather(
    calls: &dyn Calls,
    authority: &Authority,
    stretch: Stretch,
    config: &ReconcileConfig,
    bounded: bool,
) -> Result<Gathered, ApiError> {
    let mut call = Call::get("/v1/events").query("created[gte]", stretch.from);
    if let Some(until) = stretch.until {
        call = call.query("created[lt]", until);
    }
    let mut list = List::new(authority.clone(), call);
    let mut gathered = Gathered::default();
    let mut bytes = 0;
    loop {
        let page = match list.next(calls).await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(gathered),
            Err(odd @ ApiError::Loop { .. }) => {
                return Ok(Gathered { end: End::Odd(odd), ..gathered });
            }
            Err(error) => return Err(error),
        };
        gathered.date = gathered.date.or(page.date);
        for item in page.items {
            bytes += item.raw.get().len();
            gathered.events.push(Listed::of(item));
        }
        let full = gathered.events.len() >= config.held_events || bytes >= config.held_bytes;
        if bounded && full && page.has_more {
            return Ok(Gathered { end: End::TooMuch, ..gathered });
        }
    }
}
