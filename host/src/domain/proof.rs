//! What an event rests on: a signature, the provider's own answer, or nothing.
//!
//! Written into the kept proof of an event as a header that only the host makes. Not the proving
//! (`provider`, `ingest::validate`).

use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::event::{Header, VerifiedEvent};

/// Name of the header. What comes from the wire never reaches a kept proof under this name: a
/// provider keeps the headers it looks at alone, and none may look at this one.
pub const HEADER: &str = "signalbox-proof";

/// What an event rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proved {
    /// The headers beside it prove the body.
    Signature,
    /// The body is the provider's answer to a question of ours.
    Retrieved {
        /// The configured account whose key was used, by the operator's name.
        account: String,
        /// The connected account that was asked for.
        on_behalf_of: Option<String>,
        /// When, in milliseconds.
        at: u64,
    },
    /// Nothing: the endpoint's validation is `none`.
    Nothing,
}

impl Proved {
    /// What `event` rests on; `None` where nothing is kept that says so: events made here.
    #[must_use]
    pub fn of(event: &VerifiedEvent) -> Option<Self> {
        match event.proof.iter().find(|header| header.name == HEADER) {
            Some(header) => serde_json::from_slice(&header.value).ok(),
            None => {
                let signed = !event.proof.is_empty() || !event.secret.0.is_empty();
                signed.then_some(Self::Signature)
            }
        }
    }

    /// The header that says so; none for a signature, which is a header itself.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        if *self == Self::Signature {
            return None;
        }
        let value = serde_json::to_vec(self).ok()?;
        Some(Header { name: HEADER.to_owned(), value })
    }

    /// As it is shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Retrieved { .. } => "retrieved",
            Self::Nothing => "none",
        }
    }

    /// As it is told: what follows "posted to the endpoint, ".
    #[must_use]
    pub fn told(&self, event: &VerifiedEvent) -> String {
        match self {
            Self::Signature => format!("proved by the secret {}", event.secret.0),
            Self::Retrieved { account, on_behalf_of, at } => {
                let whose = on_behalf_of
                    .as_ref()
                    .map(|id| format!(" for the connected account {id}"))
                    .unwrap_or_default();
                format!(
                    "fetched from {} with the key of the account `{account}`{whose} at {}",
                    event.key.provider,
                    Timestamp::from_millis(*at)
                )
            }
            Self::Nothing => "proved by nothing: its validation is `none`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::event::EventKey;

    #[test]
    fn what_an_event_rests_on_is_read_back_from_its_proof() {
        let key = EventKey { provider: "stripe".into(), id: "evt_1".into() };
        let mut event = VerifiedEvent::vouched(key, "a".into(), "x".into(), Bytes::new());
        assert_eq!(Proved::of(&event), None);
        event.proof = vec![Header { name: "stripe-signature".into(), value: vec![] }];
        assert_eq!(Proved::of(&event), Some(Proved::Signature));
        let fetched = Proved::Retrieved {
            account: "eu".into(),
            on_behalf_of: Some("acct_1".into()),
            at: 1_000,
        };
        for proved in [fetched, Proved::Nothing] {
            event.proof = proved.header().into_iter().collect();
            assert_eq!(Proved::of(&event), Some(proved));
        }
        assert_eq!(Proved::Signature.header(), None);
        assert!(Proved::Nothing.told(&event).contains("by nothing"));
    }
}
