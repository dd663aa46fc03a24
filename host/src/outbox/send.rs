//! One request on the wire: where it may go, how long it may take, how much of its answer counts.
//!
//! Not what its end means for the effect (`settle`). Nothing leaves this file with a secret in it.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Request, Response, StatusCode, redirect, retry};
use url::{Host, Url};

use crate::domain::clock::Clock;
use crate::net::{retry_after, tls};

use super::OutboxError;
use super::config::OutboxConfig;
use super::guard::{Guard, Refused};
use super::resolve::{Guarded, Resolver};
use super::secrets::Secrets;

/// Most headers of an answer; with more it is no answer. As many as HTTP libraries take by default.
const MOST_HEADERS: usize = 100;
/// Most bytes of headers that are kept of an answer, names included. What does not fit is left out.
const HEADER_BYTES: usize = 16 << 10;
/// Most bytes of an answer's body or of an error that are told in a reason.
const EXCERPT: usize = 256;
/// Connections to one host that are kept for the next request, and for how long: a burst to one
/// receiver shares them, and a name that moved is soon asked for again.
const IDLE_CONNECTIONS: usize = 8;
const IDLE: Duration = Duration::from_secs(30);

/// An answer that is success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// By name; several of one name are joined by commas.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
    /// Whether the body went on.
    pub(super) cut: bool,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Of the answer that is no success.
    pub(super) status: Option<u16>,
    /// In words.
    pub(super) reason: String,
    /// What the receiver asked for.
    pub(super) retry_after: Option<Duration>,
    /// Whether another try would end the same.
    pub(super) hopeless: bool,
}

impl Failure {
    /// Another try would end the same.
    pub(super) const fn hopeless(reason: String) -> Self {
        Self { status: None, reason, retry_after: None, hopeless: true }
    }

    /// Another try may end well.
    pub(super) const fn passing(reason: String) -> Self {
        Self { status: None, reason, retry_after: None, hopeless: false }
    }
}

/// What sends.
#[derive(Debug)]
pub(super) struct Sender {
    /// For `https`, and for `http`: each with its rules for addresses.
    secure: (Client, Arc<Guard>),
    plain: (Client, Arc<Guard>),
    pub(super) secrets: Secrets,
    clock: Arc<dyn Clock>,
    response_bytes: usize,
    timeout: Duration,
    connect_timeout: Duration,
}

impl Sender {
    pub(super) fn new(
        config: &OutboxConfig,
        secrets: Secrets,
        resolver: &Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OutboxError> {
        let tls = tls::config(&config.extra_roots).map_err(OutboxError::Tls)?;
        let client = |only_allowed: bool| {
            let guard = Arc::new(Guard { allowed: config.allow_networks.clone(), only_allowed });
            let resolver = Guarded { resolver: Arc::clone(resolver), guard: Arc::clone(&guard) };
            let client = Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .https_only(!only_allowed)
                .dns_resolver(Arc::new(resolver))
                // A proxy would resolve names where the guard does not see it.
                .no_proxy()
                // Where a redirect points, no grant was asked for.
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .http1_only()
                .http1_max_headers(MOST_HEADERS)
                .connect_timeout(config.connect_timeout)
                .timeout(config.timeout)
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
                .pool_idle_timeout(IDLE)
                .build();
            client.map(|client| (client, guard)).map_err(OutboxError::Client)
        };
        Ok(Self {
            secure: client(false)?,
            plain: client(true)?,
            secrets,
            clock,
            response_bytes: config.response_bytes,
            timeout: config.timeout,
            connect_timeout: config.connect_timeout,
        })
    }

    /// What speaks to `url`, if it may be spoken to. A host that is an address is judged here, for
    /// no resolver is asked for it; a name is judged as it is resolved.
    pub(super) fn client(&self, url: &Url) -> Result<&Client, Refused> {
        let (client, guard) = if url.scheme() == "http" { &self.plain } else { &self.secure };
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(name)) => name.parse().ok(),
            None => None,
        };
        if let Some(address) = literal {
            guard.check(&address.to_string(), &[address])?;
        }
        Ok(client)
    }

    /// Send `request`; `whole` when the answer's body is of interest. Any `2xx` is success.
    pub(super) async fn send(&self, request: Request, whole: bool) -> Result<Answer, Failure> {
        let client =
            self.client(request.url()).map_err(|refused| Failure::passing(refused.to_string()))?;
        let response = client.execute(request).await.map_err(|error| self.failed(error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let read = self.read(response).await;
        if !status.is_success() {
            let body = read.map(|(body, _)| body).unwrap_or_default();
            return Err(self.no_success(status, &headers, &body));
        }
        let (body, cut) = match read {
            Ok(read) => read,
            // The request is performed, and nobody asked what the answer says.
            Err(_) if !whole => (Vec::new(), false),
            Err(failure) => {
                let reason = format!("answered {status}, and then: {}", failure.reason);
                return Err(Failure { status: Some(status.as_u16()), reason, ..failure });
            }
        };
        let content_type = headers.get(CONTENT_TYPE);
        Ok(Answer {
            status: status.as_u16(),
            content_type: content_type.map(|value| self.text(value.as_bytes(), HEADER_BYTES)),
            headers: self.kept(&headers),
            body,
            cut,
        })
    }

    /// The body without secrets, and whether it went on.
    async fn read(&self, mut response: Response) -> Result<(Vec<u8>, bool), Failure> {
        // A secret that begins before the limit is read whole, to be seen.
        let most = self.response_bytes.saturating_add(self.secrets.longest());
        let mut body = Vec::new();
        while body.len() <= most {
            match response.chunk().await.map_err(|error| self.failed(error))? {
                Some(chunk) => {
                    let room = most.saturating_add(1).saturating_sub(body.len());
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                }
                None => break,
            }
        }
        let cut = body.len() > self.response_bytes;
        Ok((self.secrets.redact(&body, self.response_bytes), cut))
    }

    fn kept(&self, headers: &HeaderMap) -> BTreeMap<String, String> {
        let mut kept = BTreeMap::new();
        let mut room = HEADER_BYTES;
        for name in headers.keys() {
            let values: Vec<_> = headers
                .get_all(name)
                .iter()
                .map(|value| self.text(value.as_bytes(), HEADER_BYTES))
                .collect();
            let value = values.join(", ");
            if let Some(left) = room.checked_sub(name.as_str().len() + value.len()) {
                room = left;
                kept.insert(name.as_str().to_owned(), value);
            }
        }
        kept
    }

    fn text(&self, bytes: &[u8], limit: usize) -> String {
        self.secrets.line(bytes, limit)
    }

    fn no_success(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let mut reason = format!("answered {status}");
        if status.is_redirection()
            && let Some(location) = headers.get(LOCATION)
        {
            let location = self.text(location.as_bytes(), EXCERPT);
            reason.push_str(&format!(
                ", which points to `{location}`; redirects are not followed: ask for the final URL"
            ));
        }
        let excerpt = self.text(body, EXCERPT);
        if !excerpt.is_empty() {
            reason.push_str(": ");
            reason.push_str(&excerpt);
        }
        let asked_to_wait =
            matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let retry_after = headers
            .get(RETRY_AFTER)
            .filter(|_| asked_to_wait)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after::parse(value, self.clock.now()));
        Failure { status: Some(status.as_u16()), reason, retry_after, hopeless: false }
    }

    /// What a failed request means. reqwest's own text repeats the URL and hides the cause.
    fn failed(&self, error: reqwest::Error) -> Failure {
        let error = error.without_url();
        let mut cause: &(dyn Error + 'static) = &error;
        loop {
            if let Some(refused) = cause.downcast_ref::<Refused>() {
                return Failure::passing(refused.to_string());
            }
            match cause.source() {
                Some(inner) => cause = inner,
                None => break,
            }
        }
        let reason = match (error.is_connect(), error.is_timeout()) {
            (true, true) => format!("no connection within {:?}", self.connect_timeout),
            (false, true) => format!("no answer within {:?}", self.timeout),
            (true, false) => format!("cannot connect: {cause}"),
            (false, false) => format!("broken off: {cause}"),
        };
        Failure::passing(self.text(reason.as_bytes(), 4 * EXCERPT))
    }
}
