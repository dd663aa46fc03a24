//! The answer to a request that asked for one with `reply_as`.
//!
//! Not the asking (`outbox`).

use std::any::type_name;

use serde::de::DeserializeOwned;

use crate::event::{Event, ShapeError, read};
use crate::outbox::EffectId;

/// What a receiver answered, or that it never did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply<'a> {
    /// The status of the answer; 0 when the host gave the request up, and the body says why.
    pub status: u16,
    /// Which effect was answered: what `send` returned.
    pub effect: EffectId,
    /// Names in lower case, and values.
    pub headers: Vec<(&'a str, &'a str)>,
    /// What came.
    pub body: &'a [u8],
    kind: &'a str,
}

impl Event {
    /// The answer that this event brings; `None` when it is no answer.
    #[must_use]
    pub fn reply(&self) -> Option<Reply<'_>> {
        let status = self.attribute("status")?.parse().ok()?;
        let effect = EffectId(self.attribute("effect-id")?.to_owned());
        let headers = self
            .attributes
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("header-")?, value.as_str())))
            .collect();
        Some(Reply { status, effect, headers, body: &self.body, kind: &self.kind })
    }
}

impl Reply<'_> {
    /// Whether the receiver took it.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The body as a type of the plugin's.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ShapeError> {
        read(self.body, "the answer", self.kind, type_name::<T>())
    }
}
