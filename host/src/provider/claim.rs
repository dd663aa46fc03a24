//! What the providers other than Stripe share: a keyed hash over the body, and a window of time.
//!
//! Not which header it stands in or what it covers (each provider's file). The work is bounded
//! whatever the headers: one hash per live secret, one comparison per secret and candidate, both
//! numbers limited. Comparisons take constant time. Nothing of a body is parsed before it is proved,
//! and nothing about its age is told to someone who holds no secret.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::Rejection;
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Secret, SecretId};

/// Longest signature header read, in bytes. Senders use a hundred for each secret.
pub(super) const MAX_HEADER: usize = 8 << 10;

/// Most signatures looked at. Senders put one for each active secret.
pub(super) const MAX_CANDIDATES: usize = 32;

/// Longest signature in text: SHA-512 in hexadecimal has 128 characters.
const MAX_SIGNATURE: usize = 160;

/// The hash of the keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// SHA-1: weak as a plain hash, still sound within an HMAC.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Hexadecimal, either case.
    #[default]
    Hex,
    /// Base64, of either alphabet, padded or not.
    Base64,
}

const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LAX);

impl Encoding {
    /// The bytes that `text` stands for.
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok(),
        }
    }
}

fn hash<M: Mac + hmac::digest::KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = <M as Mac>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

impl Algorithm {
    /// The keyed hash of `parts`, one after another. `None` never happens (a key may have any
    /// length), and would prove nothing.
    fn mac(self, key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
        match self {
            Self::Sha1 => hash::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => hash::<Hmac<Sha256>>(key, parts),
            Self::Sha512 => hash::<Hmac<Sha512>>(key, parts),
        }
    }
}

/// Who is spoken of in a refusal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    /// The provider as people call it.
    pub(super) who: &'a str,
    /// The signature's header as its documentation writes it.
    pub(super) header: &'a str,
    /// Where the operator finds the right secret.
    pub(super) secret: &'a str,
}

/// The signatures of a request, none of them believed yet.
#[derive(Debug)]
pub(super) struct Claim {
    algorithm: Algorithm,
    candidates: Vec<Vec<u8>>,
}

impl Claim {
    /// Those of `texts` that could be signatures.
    pub(super) fn of<'t>(
        algorithm: Algorithm,
        encoding: Encoding,
        texts: impl IntoIterator<Item = &'t [u8]>,
        sender: &Sender<'_>,
    ) -> Result<Self, Rejection> {
        let mut candidates = Vec::with_capacity(1);
        for (at, text) in texts.into_iter().enumerate() {
            if at >= MAX_CANDIDATES {
                return Err(sender.too_many());
            }
            // The length of a signature is no secret; another length never matches.
            if text.len() <= MAX_SIGNATURE {
                candidates.extend(encoding.decode(text));
            }
        }
        Ok(Self { algorithm, candidates })
    }

    /// The secret, live at `now`, that some candidate proves to have signed `parts`. `key` makes
    /// the key of a secret.
    pub(super) fn prove(
        &self,
        parts: &[&[u8]],
        (secrets, now): (&[Secret], Timestamp),
        key: impl Fn(&Secret) -> Option<Vec<u8>>,
        sender: &Sender<'_>,
    ) -> Result<SecretId, Rejection> {
        let mut live = secrets.iter().filter(|secret| secret.is_live(now)).peekable();
        if live.peek().is_none() {
            return Err(sender.no_live_secret());
        }
        let proves = |secret: &&Secret| {
            let expected = key(secret).and_then(|key| self.algorithm.mac(&key, parts));
            expected.is_some_and(|expected| {
                self.candidates.iter().any(|candidate| candidate.ct_eq(&expected).into())
            })
        };
        live.find(proves).map(Secret::id).ok_or_else(|| sender.mismatch())
    }
}

/// The whole secret as the key.
pub(super) fn as_text(secret: &Secret) -> Option<Vec<u8>> {
    Some(secret.expose().as_bytes().to_vec())
}

/// Seconds since the epoch, written in decimal; milliseconds where the number is that large.
pub(super) fn moment(text: &[u8]) -> Option<Timestamp> {
    /// No sender means the year 5138.
    const MILLIS_FROM: u64 = 100_000_000_000;
    /// Digits of a number that surely fits.
    const DIGITS: usize = 15;
    let text = text.trim_ascii();
    if text.is_empty() || text.len() > DIGITS || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = str::from_utf8(text).ok()?.parse().ok()?;
    Some(match number {
        MILLIS_FROM.. => Timestamp::from_millis(number),
        _ => Timestamp::from_secs(number),
    })
}

impl Sender<'_> {
    /// The header, within its limit.
    pub(super) fn bounded<'h>(&self, value: Option<&'h [u8]>) -> Result<&'h [u8], Rejection> {
        let value = value.ok_or_else(|| self.missing(self.header))?;
        if value.is_empty() {
            return Err(Rejection::new(
                "signature_empty",
                format!("the {} header is empty; let it pass unchanged", self.header),
            ));
        }
        if value.len() > MAX_HEADER {
            let (header, length) = (self.header, value.len());
            return Err(Rejection::new(
                "signature_too_long",
                format!("the {header} header has {length} bytes, more than {MAX_HEADER}"),
            ));
        }
        Ok(value)
    }

    pub(super) fn missing(&self, header: &str) -> Rejection {
        let who = self.who;
        let code = if header == self.header { "signature_missing" } else { "header_missing" };
        Rejection::new(
            code,
            format!(
                "no {header} header: the request is not from {who}, no secret is set there, or a \
                 proxy in front of this host removed the header; let it pass unchanged"
            ),
        )
    }

    pub(super) fn no_scheme(&self, scheme: &str) -> Rejection {
        let header = self.header;
        Rejection::new(
            "signature_no_scheme",
            format!("the {header} header has no signature that begins with `{scheme}`"),
        )
    }

    fn too_many(&self) -> Rejection {
        let header = self.header;
        Rejection::new(
            "signature_too_many",
            format!("the {header} header has more than {MAX_CANDIDATES} signatures"),
        )
    }

    fn no_live_secret(&self) -> Rejection {
        Rejection::new(
            "no_live_secret",
            format!(
                "this endpoint has no secret that is still valid, so nothing can be proved; give \
                 it {}",
                self.secret
            ),
        )
    }

    fn mismatch(&self) -> Rejection {
        Rejection::new(
            "signature_mismatch",
            format!(
                "no signature matches: the secret of this endpoint is not the one the request was \
                 signed with ({}), or the body was changed on the way (it must be passed on byte \
                 by byte)",
                self.secret
            ),
        )
    }

    /// The moment that the header `name` tells, not yet proved.
    pub(super) fn moment(&self, name: &str, value: Option<&[u8]>) -> Result<Timestamp, Rejection> {
        let value = value.ok_or_else(|| {
            let message = format!("no {name} header; let it pass unchanged");
            Rejection::new("timestamp_missing", message)
        })?;
        moment(value).ok_or_else(|| {
            let message = format!("the {name} header is not a whole number of seconds");
            Rejection::new("timestamp_invalid", message)
        })
    }

    /// Refuse a proved request that is too old or too far ahead, in whole seconds.
    pub(super) fn check_window(
        &self,
        signed_at: Timestamp,
        tolerance: Duration,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let (age, ahead) = (
            now.as_secs().saturating_sub(signed_at.as_secs()),
            signed_at.as_secs().saturating_sub(now.as_secs()),
        );
        let limit = tolerance.as_secs();
        if tolerance.is_zero() || age.max(ahead) <= limit {
            return Ok(());
        }
        let (code, seconds, place) = if age > 0 {
            ("timestamp_too_old", age, "old")
        } else {
            ("timestamp_ahead", ahead, "in the future")
        };
        Err(Rejection::new(
            code,
            format!(
                "the signature is genuine but {seconds} s {place}, and at most {limit} s are \
                 tolerated; set this machine's clock right, or raise the endpoint's tolerance if \
                 {} holds requests back",
                self.who
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Sender<'_> = Sender { who: "Acme", header: "X-Sig", secret: "the secret" };

    #[test]
    fn a_moment_is_digits_alone() {
        assert_eq!(moment(b" 1795400000 "), Some(Timestamp::from_secs(1_795_400_000)));
        assert_eq!(moment(b"1795400000123"), Some(Timestamp::from_millis(1_795_400_000_123)));
        for bad in ["", "-1", "+1", "1.0", "1e9", "0x1", "1_0", "1234567890123456", "٣"] {
            assert_eq!(moment(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_window_is_open_to_both_sides_and_ends_with_the_second() {
        let (now, most) = (Timestamp::from_secs(1_000), Duration::from_secs(300));
        let check = |at| {
            SENDER.check_window(Timestamp::from_secs(at), most, now).map_err(|error| error.code)
        };
        assert_eq!([check(700), check(1_000), check(1_300)], [Ok(()); 3]);
        assert_eq!(check(699), Err("timestamp_too_old"));
        assert_eq!(check(1_301), Err("timestamp_ahead"));
        assert!(SENDER.check_window(Timestamp::from_secs(0), Duration::ZERO, now).is_ok());
    }

    #[test]
    fn what_is_hostile_costs_little() {
        let long = vec![b'a'; MAX_HEADER + 1];
        assert_eq!(SENDER.bounded(Some(&long)).unwrap_err().code, "signature_too_long");
        assert_eq!(SENDER.bounded(Some(b"")).unwrap_err().code, "signature_empty");
        assert_eq!(SENDER.bounded(None).unwrap_err().code, "signature_missing");
        let many = vec![&b"00"[..]; MAX_CANDIDATES + 1];
        let refused = Claim::of(Algorithm::Sha256, Encoding::Hex, many, &SENDER).unwrap_err();
        assert_eq!(refused.code, "signature_too_many");
    }

    #[test]
    fn the_hashes_are_those_of_rfc_2202_and_4231() {
        let mac = |algorithm: Algorithm| {
            hex::encode(algorithm.mac(b"Jefe", &[b"what do ya want ", b"for nothing?"]).unwrap())
        };
        assert_eq!(mac(Algorithm::Sha1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert!(mac(Algorithm::Sha256).starts_with("5bdcc146bf60754e6a042426089575c7"));
        assert!(mac(Algorithm::Sha512).starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
    }
}
