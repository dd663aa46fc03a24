//! The way of one request: from its head to its answer.
//!
//! Each step takes what the one before it returned. Whatever comes in, the answer is never a 500: it
//! is the sender's doing (4xx), or something that the sender should try again (429, 503).

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::answer::Answer;
use super::body::{self, BodyError};
use super::client::client;
use super::route::{Route, route};
use super::{WebhookConfig, WebhookDeps};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::EndpointId;
use crate::domain::event::Header;
use crate::domain::request::{MAX_PATH, RefusedRequest};
use crate::http::guard::guarded;
use crate::http::linger::LingerFlag;
use crate::http::problem::{Problem, RETRY_AFTER};
use crate::ingest::validate::Refused;
use crate::provider::{Provider, RawRequest, Rejection, Verified};

/// Everything a request needs on its way.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) deps: WebhookDeps,
    pub(super) config: WebhookConfig,
    /// Requests whose body is here.
    pub(super) in_flight: Semaphore,
    /// Large bodies that are being read or worked on.
    pub(super) large: Semaphore,
}

impl Receiver {
    /// Answer one request. A body that was not read to its end closes the connection.
    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        linger: &LingerFlag,
    ) -> Response<Full<Bytes>> {
        let started = Instant::now();
        let mut unread = !request.body().is_end_stream();
        let answer = match guarded(self.answer(request, peer, &mut unread)).await {
            Ok(answer) => answer,
            Err(_) => Answer::Problem(Problem::panicked()),
        };
        if let Some(code) = answer.code() {
            self.deps.metrics.refused(code);
        }
        if unread {
            linger.raise();
        }
        let response = answer.response(unread);
        self.deps.metrics.request(response.status().as_u16(), started.elapsed());
        response
    }

    async fn answer(&self, request: Request<Incoming>, peer: IpAddr, unread: &mut bool) -> Answer {
        match route(request.method(), request.uri().path(), &self.config.aliases) {
            Route::Live => Answer::Live,
            Route::WrongMethod(allowed) => Answer::WrongMethod(allowed),
            Route::Unknown => Answer::Problem(unknown()),
            Route::Webhook(id) => {
                let (head, body) = request.into_parts();
                let announced = body.size_hint().exact();
                let mut read = None;
                match self.receive(id, &head, body, (unread, &mut read)).await {
                    Ok(answer) => answer,
                    Err(problem) => {
                        self.note(id, &problem, || Seen { head, peer, read, announced });
                        Answer::Problem(problem)
                    }
                }
            }
        }
    }

    /// Have an event tell of a request that its sender has to change, and have it kept. What the
    /// host could not take is the metrics' business: the sender tries it again.
    fn note(&self, id: EndpointId, problem: &Problem, seen: impl FnOnce() -> Seen) {
        let senders = problem.status.is_client_error()
            && problem.status != StatusCode::TOO_MANY_REQUESTS
            && self.deps.endpoints.get(id).is_some();
        if senders {
            self.deps.ingest.refused(id, problem.code);
            let make = |now| self.refused(id, problem, &seen(), now);
            self.deps.ingest.keep(id, make);
        }
    }

    /// What is kept of it.
    fn refused(
        &self,
        id: EndpointId,
        problem: &Problem,
        seen: &Seen,
        now: Timestamp,
    ) -> RefusedRequest {
        let Seen { head, peer, read, announced } = seen;
        let lines = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let lines: Vec<_> = lines.collect();
        let (headers, headers_left_out) = RefusedRequest::headers_of(&lines);
        let most = self.config.refused_body;
        let body = read.as_deref().map(|body| body.get(..most).unwrap_or(body));
        let length = read.as_ref().and_then(|body| u64::try_from(body.len()).ok());
        RefusedRequest {
            at: now,
            endpoint: id,
            status: problem.status.as_u16(),
            code: problem.code.to_owned(),
            message: problem.message.clone(),
            client: client(*peer, &head.headers, &self.config.trusted_proxies),
            method: head.method.as_str().to_owned(),
            path: head.uri.path().chars().take(MAX_PATH).collect(),
            headers,
            headers_left_out,
            // A copy: the whole body must not stay for the sake of its beginning.
            body: Bytes::copy_from_slice(body.unwrap_or_default()),
            length: length.or(*announced),
            unkept: 0,
        }
    }

    async fn receive(
        &self,
        id: EndpointId,
        head: &Parts,
        body: Incoming,
        (unread, read): (&mut bool, &mut Option<Bytes>),
    ) -> Result<Answer, Problem> {
        let WebhookDeps { endpoints, providers, validator, ingest, metrics } = &self.deps;
        let endpoint = endpoints.get(id).ok_or_else(unknown)?;
        let provider = providers.get(&endpoint.provider).ok_or_else(|| {
            let message = format!("this host does not know the provider `{}`", endpoint.provider);
            Problem::unavailable("provider_unknown", message)
        })?;
        check_media(&head.headers, provider.as_ref())?;

        let (body, _large) = self.read(body).await?;
        *unread = false;
        *read = Some(body.clone());
        // Not before the body is here: who sends it slowly, or never, takes nobody's turn.
        let _turn = self.in_flight.try_acquire().map_err(|_| overloaded())?;
        let raw = RawRequest { headers: headers(&head.headers), body };
        let verified = validator.validate(&endpoint, provider.as_ref(), &raw).await;
        let event = match verified.map_err(|refused| not_believed(id, refused))? {
            Verified::Event(event) => *event,
            Verified::Handshake(handshake) => {
                tracing::info!(endpoint = %id, "a handshake was answered");
                return Ok(Answer::Handshake(handshake));
            }
        };
        endpoints.matched(id, &event.secret);

        let blank = provider.is_answered_blank(&event);
        let name = event.key.id.clone();
        // Before the event: its handlers are to find the state it tells of.
        let companions = validator.companions(&endpoint, provider.as_ref(), &event).await;
        ingest.mirror(companions).await;
        let admission = ingest.accept(&endpoint, event).await.map_err(|error| {
            tracing::warn!(endpoint = %id, event = name, %error, "an event could not be stored");
            Problem::from(error)
        })?;
        metrics.event(admission);
        tracing::debug!(endpoint = %id, event = name, ?admission, "an event came in");
        Ok(if blank { Answer::Blank } else { Answer::Admitted { id: name, admission } })
    }

    async fn read(&self, body: Incoming) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Problem> {
        let WebhookConfig { body_bytes, body: deadline, .. } = &self.config;
        let refuse = |code, message: String| Problem::new(StatusCode::BAD_REQUEST, code, message);
        match timeout(*deadline, body::read(body, *body_bytes, &self.large)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error @ BodyError::TooLarge(_))) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                Err(Problem::new(status, "body_too_large", error.to_string()))
            }
            Ok(Err(BodyError::Crowded)) => Err(overloaded()),
            Ok(Err(error @ BodyError::Broken(_))) => {
                Err(refuse("body_incomplete", error.to_string()))
            }
            Err(_) => {
                let message = format!("the body did not come whole within {deadline:?}");
                Err(refuse("body_too_slow", message))
            }
        }
    }
}

/// Of a request that brings no event, or none that can be believed now.
fn not_believed(endpoint: EndpointId, refused: Refused) -> Problem {
    match refused {
        Refused::Rejected(Rejection { code, message }) => {
            tracing::warn!(%endpoint, code, %message, "a request was refused");
            Problem::new(StatusCode::BAD_REQUEST, code, message)
        }
        Refused::Later { code, message, retry_after } => {
            tracing::warn!(%endpoint, code, %message, "a request was put off");
            Problem { retry_after: Some(retry_after), ..Problem::unavailable(code, message) }
        }
    }
}

/// What is known of a request when it is refused.
struct Seen {
    head: Parts,
    peer: IpAddr,
    /// The body, if it was read.
    read: Option<Bytes>,
    /// Bytes that the body was said to have.
    announced: Option<u64>,
}

/// The same for every path that leads nowhere, so that it tells nothing about those that do not.
fn unknown() -> Problem {
    let message = "there is no endpoint at this URL; it must be \
                   /webhooks/ and the id of an endpoint of this host";
    Problem::new(StatusCode::NOT_FOUND, "endpoint_unknown", message)
}

fn overloaded() -> Problem {
    let message = "too many requests are under way; try again shortly";
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    Problem { retry_after: Some(RETRY_AFTER), ..problem }
}

/// Refuse a body that cannot be the event's own bytes: a compressed one, or one of a media type that
/// the provider does not use.
fn check_media(headers: &HeaderMap, provider: &dyn Provider) -> Result<(), Problem> {
    let refuse =
        |code, message: &str| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message));
    let coded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"));
    if coded {
        return refuse(
            "content_encoding_unsupported",
            "the body is compressed, so the bytes that were signed are not here; send it as it is",
        );
    }
    let media = headers.get(CONTENT_TYPE).map(|value| {
        let media = value.as_bytes().split(|&b| b == b';').next().unwrap_or_default();
        media.trim_ascii().to_ascii_lowercase()
    });
    if provider.takes_media(media.as_deref().unwrap_or_default()) {
        return Ok(());
    }
    refuse(
        "content_type_unsupported",
        "the body is not JSON by its Content-Type; send it as application/json",
    )
}

fn headers(map: &HeaderMap) -> Vec<Header> {
    map.iter()
        .map(|(name, value)| Header {
            name: name.as_str().to_owned(),
            value: value.as_bytes().to_vec(),
        })
        .collect()
}
