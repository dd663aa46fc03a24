//! A request that was refused, as it is kept: enough to see why, and to judge it again.
//!
//! Nothing of it is believed. It is cut to fit before it is kept: [`RefusedRequest::headers_of`] and
//! [`RefusedRequest::body`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bytes::Bytes;

use super::clock::Timestamp;
use super::endpoint::EndpointId;
use super::event::Header;

/// Most headers kept of one request. Providers send some twenty.
pub const MAX_HEADERS: usize = 64;

/// Most bytes of headers kept of one request, names included. Providers send about one KiB; a
/// signature header may be longer than all others together.
pub const MAX_HEADER_BYTES: usize = 8 << 10;

/// Most bytes of a path kept: those that lead to an endpoint are shorter.
pub const MAX_PATH: usize = 512;

/// What stands in the place of a value that is nobody's business.
pub const REDACTED: &[u8] = b"[redacted]";

/// Headers whose values are never kept: they open other doors.
const PRIVATE: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];

/// The number of a kept request. A later one has a larger number. Written `req_42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req_{}", self.0)
    }
}

/// The text is not a kept request's identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a request id; one looks like `req_42`")]
pub struct RequestIdError(pub String);

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        let number = text.strip_prefix("req_").and_then(|number| number.parse().ok());
        number.map(Self).ok_or_else(|| RequestIdError(text.to_owned()))
    }
}

/// Who sent it, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address of the client: the peer's, or the one that a trusted proxy names.
    pub address: IpAddr,
    /// The proxy that names it.
    pub proxy: Option<IpAddr>,
}

/// A request to a known endpoint that was answered with an error of the sender's doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    /// When it came.
    pub at: Timestamp,
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// The status it was answered with.
    pub status: u16,
    /// The code of the error.
    pub code: String,
    /// Cause and remedy, as the sender was told.
    pub message: String,
    /// Who sent it.
    pub client: Client,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its headers, private values redacted.
    pub headers: Vec<Header>,
    /// Headers that did not fit.
    pub headers_left_out: u32,
    /// The beginning of its body; empty when it was refused before the body was read.
    pub body: Bytes,
    /// Bytes of the whole body; what it announced if it was not read; `None` when neither is known.
    pub length: Option<u64>,
    /// Requests to this endpoint that were refused since the one kept before and not kept: there
    /// were too many.
    pub unkept: u64,
}

impl RefusedRequest {
    /// Whether everything that could prove it is here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.headers_left_out == 0 && self.length == u64::try_from(self.body.len()).ok()
    }

    /// The headers that are kept of `headers`, and how many did not fit. Those that prove a request
    /// come first, so that a flood of others leaves them in.
    #[must_use]
    pub fn headers_of(headers: &[(&str, &[u8])]) -> (Vec<Header>, u32) {
        let proves = |name: &str| name.contains("signature") || name.contains("hmac");
        let first = headers.iter().filter(|(name, _)| proves(name));
        let rest = headers.iter().filter(|(name, _)| !proves(name));
        let (mut kept, mut bytes, mut left_out) = (Vec::new(), 0_usize, 0_u32);
        for &(name, value) in first.chain(rest) {
            let value = if PRIVATE.contains(&name) { REDACTED } else { value };
            let size = name.len() + value.len();
            if kept.len() >= MAX_HEADERS || bytes + size > MAX_HEADER_BYTES {
                left_out = left_out.saturating_add(1);
                continue;
            }
            bytes += size;
            kept.push(Header { name: name.to_owned(), value: value.to_vec() });
        }
        (kept, left_out)
    }

    /// Bytes that keeping it takes, about.
    #[must_use]
    pub fn size(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|h| h.name.len() + h.value.len() + 4).sum();
        let texts = self.code.len() + self.message.len() + self.method.len() + self.path.len();
        u64::try_from(headers + texts + self.body.len() + 128).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back() {
        assert_eq!(RequestId(42).to_string().parse(), Ok(RequestId(42)));
        for bad in ["42", "req_", "req_x", "req_-1"] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_opens_other_doors_is_not_kept_and_what_proves_is() {
        let filler = vec![b'x'; 1_000];
        let mut headers: Vec<(&str, &[u8])> = vec![("x-filler", &filler); 100];
        headers
            .extend([("authorization", &b"Bearer s3cret"[..]), ("stripe-signature", b"t=1,v1=0")]);
        let (kept, left_out) = RefusedRequest::headers_of(&headers);
        assert_eq!(kept[0].name, "stripe-signature");
        assert_eq!(usize::try_from(left_out).unwrap() + kept.len(), 102);
        assert!(
            kept.iter().map(|h| h.name.len() + h.value.len()).sum::<usize>() <= MAX_HEADER_BYTES
        );
        let few = [("cookie", &b"session=1"[..]), ("x-a", b"1")];
        let (kept, left_out) = RefusedRequest::headers_of(&few);
        assert_eq!((kept[0].value.as_slice(), left_out), (REDACTED, 0));
        let many = vec![("a", &b"b"[..]); 100];
        assert_eq!(RefusedRequest::headers_of(&many).0.len(), MAX_HEADERS);
    }
}
