//! The admin API as a client sees it: requests, answers, and what each refusal means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::domain::endpoint::Secret;

use super::connect::TokenSource;
use super::exit::Exit;

/// A host that does not accept a connection within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for one answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The bound of what has none; who reads it knows by its signs of life that it goes on.
const ENDLESS: Duration = Duration::from_secs(10 * 365 * 86_400);

/// An answer that goes on.
#[derive(Debug)]
pub(crate) struct Stream {
    response: Response,
    url: Url,
}

impl Stream {
    /// What came next; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.response.chunk().await.map_err(|error| failed(&self.url, &error))
    }

    /// It cannot be read on.
    pub(crate) fn broken(&self, cause: &str) -> ClientError {
        ClientError::Broken { url: self.url.clone(), cause: cause.to_owned() }
    }
}

/// A client of one host's admin API.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
    source: TokenSource,
}

/// Why the admin API did not give what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    #[error(
        "nothing answers at {url} ({cause}); start the host with `signalbox serve`, or name \
         another with --url"
    )]
    Unreachable { url: Url, cause: String },
    #[error("{url} did not answer: {cause}")]
    Broken { url: Url, cause: String },
    #[error(
        "the admin API at {url} does not accept the token ({source_of_token}); pass the right one \
         with --token, set SIGNALBOX_ADMIN_TOKEN, or name the host's data directory with --data: \
         a generated token is in its file `admin-token`"
    )]
    Auth { url: Url, source_of_token: String },
    #[error("{message}")]
    Api { status: u16, message: String },
    #[error("{url} does not answer as signalbox's admin API does: {cause}; is --url right?")]
    Foreign { url: Url, cause: String },
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

impl ClientError {
    /// Whether the same request may succeed later by itself.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Api { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// What it means to the shell.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Auth { .. } => Exit::Auth,
            Self::Api { status, .. } => match *status {
                400 | 422 => Exit::Usage,
                403 => Exit::Auth,
                404 | 410 => Exit::NotFound,
                409 => Exit::Conflict,
                _ => Exit::Failure,
            },
            _ => Exit::Failure,
        }
    }
}

/// An HTTP client that goes nowhere but where it is sent: no proxy, no redirects.
pub(crate) fn plain_http() -> Result<reqwest::Client, ClientError> {
    reqwest::Client::builder()
        .user_agent(concat!("signalbox/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        // No certificates: it speaks plain HTTP, and a bare container has none to load.
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| ClientError::Setup(causes(&error)))
}

/// What a failed request means. reqwest's own text repeats the URL and hides the cause.
pub(crate) fn failed(url: &Url, error: &reqwest::Error) -> ClientError {
    let (url, cause) = (url.clone(), causes(error));
    if error.is_connect() {
        ClientError::Unreachable { url, cause }
    } else {
        ClientError::Broken { url, cause }
    }
}

/// The innermost cause says what happened.
fn causes(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl Client {
    pub(crate) fn new(
        base: Url,
        token: Option<Secret>,
        source: TokenSource,
    ) -> Result<Self, ClientError> {
        Ok(Self { http: plain_http()?, base, token, source })
    }

    /// `GET /api/v1/{path}`; each part of the path is one segment, whatever it holds.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        let url = self.url(path)?;
        self.json(self.http.request(Method::GET, url.clone()).query(query), url).await
    }

    /// The token it shows.
    pub(crate) const fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// `GET`, the media type of the answer and its very bytes.
    pub(crate) async fn bytes_and_media(
        &self,
        path: &[&str],
    ) -> Result<(String, Bytes), ClientError> {
        let url = self.url(path)?;
        let response = self.send(self.http.get(url.clone()), &url).await?;
        let media = response.headers().get(reqwest::header::CONTENT_TYPE);
        let media = media.and_then(|media| media.to_str().ok()).unwrap_or("application/json");
        let media = media.to_owned();
        Ok((media, response.bytes().await.map_err(|error| failed(&url, &error))?))
    }

    /// `GET`, the very bytes of the answer.
    pub(crate) async fn bytes(&self, path: &[&str]) -> Result<Bytes, ClientError> {
        let url = self.url(path)?;
        let response = self.send(self.http.get(url.clone()), &url).await?;
        response.bytes().await.map_err(|error| failed(&url, &error))
    }

    /// As [`Self::bytes`], with a query.
    pub(crate) async fn bytes_of(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Bytes, ClientError> {
        let url = self.url(path)?;
        let response = self.send(self.http.get(url.clone()).query(query), &url).await?;
        response.bytes().await.map_err(|error| failed(&url, &error))
    }

    /// `GET` what goes on: Server-Sent Events, behind the one with the id `last`, or all there are.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        last: Option<&str>,
    ) -> Result<Stream, ClientError> {
        let url = self.url(path)?;
        let request = match last {
            Some(id) => self.http.get(url.clone()).header("last-event-id", id),
            None => self.http.get(url.clone()).query(&[("from", "oldest")]),
        };
        let response = self.send(request.timeout(ENDLESS), &url).await?;
        Ok(Stream { response, url })
    }

    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, ClientError> {
        let url = self.url(path)?;
        self.json(self.http.post(url.clone()).json(body), url).await
    }

    /// `POST` with a query and these bytes as its body.
    pub(crate) async fn post_bytes(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: Bytes,
    ) -> Result<Value, ClientError> {
        let url = self.url(path)?;
        self.json(self.http.post(url.clone()).query(query).body(body), url).await
    }

    pub(crate) async fn delete(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        let url = self.url(path)?;
        self.json(self.http.delete(url.clone()).query(query), url).await
    }

    fn url(&self, path: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(["api", "v1"]).extend(path);
            }
            Err(()) => {
                let cause = "it cannot have a path".to_owned();
                return Err(ClientError::Foreign { url: self.base.clone(), cause });
            }
        }
        Ok(url)
    }

    async fn json(&self, request: RequestBuilder, url: Url) -> Result<Value, ClientError> {
        let response = self.send(request, &url).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| failed(&url, &error))?;
        if body.is_empty() && status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::Foreign { url, cause: format!("no JSON ({error})") })
    }

    async fn send(&self, request: RequestBuilder, url: &Url) -> Result<Response, ClientError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let response = request.send().await.map_err(|error| failed(url, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            let mut url = url.clone();
            url.set_path("/");
            url.set_query(None);
            return Err(ClientError::Auth { url, source_of_token: self.source.to_string() });
        }
        let body = response.bytes().await.unwrap_or_default();
        Err(refused(url, status, &body))
    }
}

/// Stripe's error object, `{"error": {"type", "code", "message", "param"}}`.
fn refused(url: &Url, status: StatusCode, body: &[u8]) -> ClientError {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name| answer.pointer(&format!("/error/{name}")).and_then(Value::as_str);
    match field("message") {
        Some(message) => {
            let param = field("param").map(|param| format!(" (`{param}`)")).unwrap_or_default();
            ClientError::Api { status: status.as_u16(), message: format!("{message}{param}") }
        }
        None => ClientError::Foreign { url: url.clone(), cause: format!("status {status}") },
    }
}
