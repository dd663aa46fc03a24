//! What the tests of this provider share: a few shorthands.

use std::time::Duration;

use bytes::Bytes;

use super::super::{Proof, Provider as _, RawRequest};
use super::StripeProvider;
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;
use crate::domain::event::{Header, VerifiedEvent};

pub(super) use crate::provider::testing::{NOW, SECRET, sign};

pub(super) const BODY: &[u8] =
    br#"{"id":"evt_1","object":"event","type":"charge.succeeded","created":1795400000}"#;

pub(super) fn request(header: &[u8], body: &[u8]) -> RawRequest {
    let header = Header { name: "stripe-signature".into(), value: header.to_vec() };
    RawRequest { headers: vec![header], body: Bytes::copy_from_slice(body) }
}

/// What becomes of `request` at `now`, with one live secret and Stripe's tolerance: the event, or
/// the code of its refusal.
pub(super) fn judge_at(
    request: &RawRequest,
    now: Timestamp,
) -> Result<VerifiedEvent, &'static str> {
    let secrets = [Secret::new(SECRET).unwrap()];
    let proof = Proof { secrets: &secrets, tolerance: Duration::from_secs(300), now };
    StripeProvider::default().verify(request, proof).map_err(|rejection| rejection.code)
}

/// The same at the moment of signing.
pub(super) fn judge(header: impl AsRef<[u8]>, body: &[u8]) -> Result<VerifiedEvent, &'static str> {
    judge_at(&request(header.as_ref(), body), Timestamp::from_secs(NOW))
}

/// A body that is genuine, whatever else it is.
pub(super) fn genuine(body: &[u8]) -> Result<VerifiedEvent, &'static str> {
    judge(format!("t={NOW},v1={}", sign(SECRET, &NOW.to_string(), body)), body)
}
