//! A provider's object as the mirror holds it, and what an event shows of one.
//!
//! Not how one state follows another (`mirror`) and not how a provider writes objects into its events.

use std::fmt;

use bytes::Bytes;

use super::clock::Timestamp;
use super::event::EventKey;
use super::json::ContentDigest;

/// What makes an object one object.
///
/// The mode is part of it: identifiers that people choose (of coupons, plans, products) exist in both
/// modes, and a test must never write over what is real.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectKey {
    /// Name of the provider, e.g. `stripe`.
    pub provider: String,
    /// Whether it is real.
    pub livemode: bool,
    /// The provider's name of the type, e.g. `customer`.
    pub kind: String,
    /// The connected account it belongs to; `None` for the endpoint's own.
    pub account: Option<String>,
    /// The provider's identifier, e.g. `cus_...`.
    pub id: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.provider, self.kind, self.id)?;
        if let Some(account) = &self.account {
            write!(f, " of {account}")?;
        }
        if self.livemode { Ok(()) } else { f.write_str(" (test)") }
    }
}

/// Where in an object's life a state stands. Within one second, an earlier stage is earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// Its first state.
    Created,
    /// Any other.
    Live,
    /// It is over but still there, and does not begin again: a cancelled subscription.
    Ended,
    /// It is no longer there.
    Gone,
}

/// What an event tells of the state right before the one that it shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Before {
    /// Nothing, nor does its type promise to (`invoice.paid`, `payment_intent.succeeded`): it may show
    /// what was there already, or a change that no other event tells of.
    Silent,
    /// It was this.
    Was(ContentDigest),
    /// Nothing, though its type is that of a change (`product.updated`): it may have been anything.
    Untold,
}

/// One object as one event shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// The provider's name of the type.
    pub kind: String,
    /// The provider's identifier.
    pub id: String,
    /// Where in its life this state stands.
    pub stage: Stage,
    /// Whether the event is about this object; otherwise it only contains it, and the state may have
    /// been old by then.
    pub subject: bool,
    /// Whether `body` says no more than that it is gone; of one that is not gone, no more than which
    /// object it is ([`Sighting::unkept`]).
    pub stub: bool,
    /// When the object says it was made.
    pub born: Option<Timestamp>,
    /// What is told of the state right before.
    pub before: Before,
    /// Stands for `body`.
    pub content: ContentDigest,
    /// What changed, as it was before; its very bytes.
    pub previous: Option<Bytes>,
    /// The object's very bytes.
    pub body: Bytes,
}

impl Sighting {
    /// The same without its body, which is too large to be kept: the object is in doubt until it is
    /// fetched or changes again.
    #[must_use]
    pub fn unkept(self) -> Self {
        let body = serde_json::json!({ "id": self.id, "object": self.kind }).to_string().into();
        Self { stub: true, previous: None, body, ..self }
    }
}

/// How the mirror came by a state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// An event was about the object.
    Event,
    /// An event about another object contained it.
    Embedded,
    /// It was fetched from the provider.
    Fetched,
}

impl Origin {
    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Embedded => "embedded",
            Self::Fetched => "fetched",
        }
    }
}

/// The state of an object that the mirror holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectState {
    /// Which object.
    pub key: ObjectKey,
    /// The object as the provider sent it; of a deleted one the last state before.
    pub body: Bytes,
    /// When the provider says that the event happened which this state came from; of a fetched one,
    /// about when the fetch began.
    pub as_of: Timestamp,
    /// The event it came from; `None` for one that was only ever fetched.
    pub event: Option<EventKey>,
    /// When it came here.
    pub received_at: Timestamp,
    /// The latest moment at which any state of it came here that counts: a fetch that began later has
    /// seen it.
    pub arrived_at: Timestamp,
    /// How it came.
    pub origin: Origin,
    /// The provider said that it is gone.
    pub deleted: bool,
    /// Another state of the same second may be the later one: nothing tells.
    pub ambiguous: bool,
}

/// A state that was fetched from the provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// Which object.
    pub key: ObjectKey,
    /// When the fetch began, by the host's clock: it has seen what happened before.
    pub began: Timestamp,
    /// What was found; its `subject` and `previous` do not count. `None`: the provider has no such object.
    pub found: Option<Sighting>,
}

/// What became of a fetched state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchEnd {
    /// The mirror holds it now.
    Held,
    /// Something came while it was being fetched: it may be older. Nothing changed; fetch again.
    Overtaken,
    /// There was nothing to find, and nothing is held either.
    Nothing,
}
