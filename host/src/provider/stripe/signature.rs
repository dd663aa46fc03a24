//! The `Stripe-Signature` header: reading it and proving it.
//!
//! Not the envelope of the event. The work is bounded whatever the header: one pass over at most
//! [`MAX_HEADER`] bytes, one HMAC per live secret, one comparison per secret and candidate.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::refusal::Refusal;
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Secret, SecretId};

/// Longest header read, in bytes. Stripe sends a few hundred; its libraries set no limit, so this
/// leaves room for more than a thousand signatures.
pub const MAX_HEADER: usize = 96 * 1024;

/// Most `v1` signatures looked at. Stripe sends one per active secret.
pub const MAX_CANDIDATES: usize = 2_000;

/// Latest timestamp read, in seconds: the largest integer that Stripe's JavaScript library holds
/// exactly (2^53 - 1). Beyond it the libraries sign different texts.
pub const MAX_TIMESTAMP: u64 = (1 << 53) - 1;

/// Length of a signature: SHA-256 in lower-case hexadecimal.
const HEX: usize = 64;

/// What a header claims; nothing of it is believed yet.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// Seconds since the epoch.
    timestamp: u64,
    /// Those `v1` that have a signature's length.
    candidates: Vec<&'a [u8; HEX]>,
}

impl<'a> Claim<'a> {
    /// Read a header: items between commas, each a key up to its first `=` and a value up to the
    /// next one. Blanks are part of what they stand in. Unknown keys are skipped.
    pub(super) fn parse(header: &'a [u8]) -> Result<Self, Refusal> {
        if header.is_empty() {
            return Err(Refusal::SignatureEmpty);
        }
        if header.len() > MAX_HEADER {
            return Err(Refusal::SignatureTooLong(header.len()));
        }
        let mut timestamp = None;
        let mut candidates = Vec::with_capacity(2);
        let mut signatures = 0_usize;
        for item in header.split(|&b| b == b',') {
            let mut parts = item.split(|&b| b == b'=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
                if item == b"t" {
                    return Err(Refusal::TimestampInvalid);
                }
                continue;
            };
            match key {
                b"t" => {
                    let read = integer(value).ok_or(Refusal::TimestampInvalid)?;
                    if timestamp.is_some_and(|earlier| earlier != read) {
                        return Err(Refusal::TimestampConflict);
                    }
                    timestamp = Some(read);
                }
                b"v1" => {
                    signatures += 1;
                    if signatures > MAX_CANDIDATES {
                        return Err(Refusal::SignatureTooMany);
                    }
                    // The length of a signature is no secret; another length never matches.
                    candidates.extend(<&[u8; HEX]>::try_from(value).ok());
                }
                _ => {}
            }
        }
        let timestamp = timestamp.ok_or(Refusal::TimestampMissing)?;
        if signatures == 0 {
            return Err(Refusal::SignatureNoScheme);
        }
        Ok(Self { timestamp, candidates })
    }

    /// The secret, live at `now`, that some candidate proves to have signed `body`.
    pub(super) fn prove(
        &self,
        body: &[u8],
        secrets: &[Secret],
        now: Timestamp,
    ) -> Result<SecretId, Refusal> {
        let mut live = secrets.iter().filter(|secret| secret.is_live(now)).peekable();
        if live.peek().is_none() {
            return Err(Refusal::NoLiveSecret);
        }
        let seconds = self.timestamp.to_string();
        live.find(|secret| {
            mac(secret, seconds.as_bytes(), body).is_some_and(|expected| {
                self.candidates.iter().any(|candidate| candidate.ct_eq(&expected).into())
            })
        })
        .map(Secret::id)
        .ok_or(Refusal::SignatureMismatch)
    }

    /// Refuse a proved claim that is too old, or too far ahead where that is bounded. Whole
    /// seconds, as Stripe's libraries count: with a tolerance of 300 s, 300.9 s pass.
    pub(super) fn check_age(
        &self,
        tolerance: Duration,
        max_ahead: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let age = now.as_secs().saturating_sub(self.timestamp);
        if !tolerance.is_zero() && age > tolerance.as_secs() {
            return Err(Refusal::TimestampTooOld { age, tolerance: tolerance.as_secs() });
        }
        let ahead = self.timestamp.saturating_sub(now.as_secs());
        match max_ahead.map(|limit| limit.as_secs()) {
            Some(limit) if ahead > limit => Err(Refusal::TimestampAhead { ahead, limit }),
            _ => Ok(()),
        }
    }

    /// The moment the claim names.
    pub(super) const fn signed_at(&self) -> Timestamp {
        Timestamp::from_secs(self.timestamp)
    }
}

/// A decimal integer as both libraries read it: blanks around it, a `+` and leading zeros are
/// allowed. The signature covers its canonical form.
fn integer(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        let next = number.checked_mul(10)?.checked_add(digit)?;
        (next <= MAX_TIMESTAMP).then_some(next)
    })
}

/// Lower-case hexadecimal HMAC-SHA256 over `t.body`; the key is the whole secret string. `None`
/// never happens (an HMAC key may have any length), and would prove nothing.
fn mac(secret: &Secret, seconds: &[u8], body: &[u8]) -> Option<[u8; HEX]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(seconds);
    mac.update(b".");
    mac.update(body);
    let mut out = [0; HEX];
    hex::encode_to_slice(mac.finalize().into_bytes(), &mut out).ok()?;
    Some(out)
}
