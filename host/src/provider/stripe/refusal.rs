//! Every way in which a request is not a Stripe event, with its stable code and its remedy.
//!
//! Not a fault of the host: each of these is answered with status 400.

use super::super::Rejection;
use super::depth::MAX_DEPTH;
use super::envelope::{MAX_ID, MAX_TEXT};
use super::signature::{MAX_CANDIDATES, MAX_HEADER, MAX_TIMESTAMP};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "no Stripe-Signature header: the request is not from Stripe, or a proxy in front of this \
         host removed the header; let it pass unchanged"
    )]
    SignatureMissing,
    #[error(
        "the Stripe-Signature header is empty: a proxy in front of this host emptied it; let it \
         pass unchanged"
    )]
    SignatureEmpty,
    #[error(
        "the Stripe-Signature header has {0} bytes, more than the {MAX_HEADER} that are read; \
         Stripe sends a few hundred"
    )]
    SignatureTooLong(usize),
    #[error(
        "the Stripe-Signature header has more than {MAX_CANDIDATES} `v1` signatures; Stripe sends \
         one per active secret"
    )]
    SignatureTooMany,
    #[error(
        "the Stripe-Signature header has no timestamp (`t=`); it must be passed on exactly as \
         Stripe sent it, without blanks between its parts"
    )]
    TimestampMissing,
    #[error(
        "the timestamp (`t=`) of the Stripe-Signature header is not a whole number of seconds \
         from 0 to {MAX_TIMESTAMP}; it must be passed on exactly as Stripe sent it"
    )]
    TimestampInvalid,
    #[error(
        "the Stripe-Signature header has two different timestamps; two headers may have been \
         merged into one on the way"
    )]
    TimestampConflict,
    #[error(
        "the Stripe-Signature header has no signature of scheme `v1`, the only one that proves \
         an event; it must be passed on exactly as Stripe sent it, without blanks between its \
         parts"
    )]
    SignatureNoScheme,
    #[error(
        "this endpoint has no secret that is still valid, so nothing can be proved; give it the \
         endpoint's current signing secret (`whsec_...`)"
    )]
    NoLiveSecret,
    #[error(
        "no signature matches: the secret of this endpoint is not the one the request was signed \
         with (each endpoint at Stripe, and each `stripe listen`, has its own `whsec_...`), or the \
         body was changed on the way (it must be passed on byte by byte)"
    )]
    SignatureMismatch,
    #[error(
        "the signature is genuine but {age} s old, and at most {tolerance} s are tolerated; if \
         it was not held back or replayed, set this machine's clock right or raise the \
         endpoint's tolerance"
    )]
    TimestampTooOld { age: u64, tolerance: u64 },
    #[error(
        "the signature is genuine but {ahead} s in the future, and at most {limit} s are \
         tolerated; set this machine's clock right"
    )]
    TimestampAhead { ahead: u64, limit: u64 },
    #[error("the body is empty; an event is a JSON object")]
    BodyEmpty,
    #[error("the body is not UTF-8 (byte {0}); an event is a JSON object encoded in UTF-8")]
    BodyNotUtf8(usize),
    #[error("the body is not JSON: {0}; an event is a JSON object")]
    BodyNotJson(String),
    #[error(
        "the body is nested more than {MAX_DEPTH} levels deep, which no event of \
         Stripe's is"
    )]
    BodyTooDeep,
    #[error("the body is JSON but not an object; an event is a JSON object")]
    BodyNotObject,
    #[error(
        "the body is no event: its `object` is not `event` or `v2.core.event`; post \
         events to this endpoint, not the objects they are about"
    )]
    NotAnEvent,
    #[error(
        "the event has no `id`, or one that is not 1 to {MAX_ID} letters, digits, `_` or `-`; \
         without it the event cannot be told from its repetitions"
    )]
    EventIdInvalid,
    #[error(
        "the event has no `type`, or one that is not 1 to {MAX_TEXT} visible ASCII characters; \
         without it the event cannot be routed"
    )]
    EventTypeInvalid,
    #[error(
        "the event's `account` (or `context`) is not 1 to {MAX_TEXT} visible ASCII characters; \
         it names whose objects the event is about and cannot be left out"
    )]
    EventAccountInvalid,
}

impl Refusal {
    /// Stable: programs and dashboards know it.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature_missing",
            Self::SignatureEmpty => "signature_empty",
            Self::SignatureTooLong(_) => "signature_too_long",
            Self::SignatureTooMany => "signature_too_many",
            Self::TimestampMissing => "timestamp_missing",
            Self::TimestampInvalid => "timestamp_invalid",
            Self::TimestampConflict => "timestamp_conflict",
            Self::SignatureNoScheme => "signature_no_scheme",
            Self::NoLiveSecret => "no_live_secret",
            Self::SignatureMismatch => "signature_mismatch",
            Self::TimestampTooOld { .. } => "timestamp_too_old",
            Self::TimestampAhead { .. } => "timestamp_ahead",
            Self::BodyEmpty => "body_empty",
            Self::BodyNotUtf8(_) => "body_not_utf8",
            Self::BodyNotJson(_) => "body_not_json",
            Self::BodyTooDeep => "body_too_deep",
            Self::BodyNotObject => "body_not_object",
            Self::NotAnEvent => "not_an_event",
            Self::EventIdInvalid => "event_id_invalid",
            Self::EventTypeInvalid => "event_type_invalid",
            Self::EventAccountInvalid => "event_account_invalid",
        }
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code(), message: refusal.to_string() }
    }
}
