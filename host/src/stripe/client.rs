//! Sends calls to Stripe: at a bounded pace, with bounded tries, and only with the right key.
//!
//! Not what a call is about. The key is put into one header and nowhere else: no error, log line or
//! `Debug` output holds it, even if Stripe's answer repeats it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect, retry};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use crate::domain::clock::Clock;
use crate::domain::endpoint::SecretId;
use crate::net::{TlsError, retry_after, tls};

use super::account::{Account, AccountId};
use super::authority::Authority;
use super::call::{Answer, Body, Call, Method};
use super::error::ApiError;
use super::limits::ApiLimits;
use super::pace::Pace;

/// Most headers of an answer, as many as HTTP libraries take by default.
const MOST_HEADERS: usize = 100;
/// Most characters of Stripe's words that are told.
const WORDS: usize = 512;
/// Most bytes of an error's body that are read.
const ERROR_BYTES: usize = 64 << 10;
/// How long an idle connection is kept: a reconciliation's next look may use it, Stripe ends it.
const IDLE: Duration = Duration::from_secs(60);
/// The version that calls to `/v2/` ask for unless they say otherwise: there it must be said.
const V2_VERSION: &str = "2025-03-31.basil";

const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const STRIPE_CONTEXT: HeaderName = HeaderName::from_static("stripe-context");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StripeApiError {
    /// TLS cannot be set up.
    #[error("TLS for Stripe's API cannot be set up: {0}")]
    Tls(TlsError),
    /// The HTTP client cannot.
    #[error("the client of Stripe's API cannot be set up: {0}")]
    Client(reqwest::Error),
}

/// What is known of one key.
struct Known {
    pace: Pace,
    /// Whose key it is, once Stripe has said so.
    owner: OnceCell<AccountId>,
}

struct Inner {
    client: Client,
    limits: ApiLimits,
    clock: Arc<dyn Clock>,
    /// By account's name and key's fingerprint: as many as the configuration has.
    known: Mutex<HashMap<(String, SecretId), Arc<Known>>>,
    /// Seeds the jitter.
    tries: AtomicU64,
}

/// The client. Cheap to clone; clones share the pace.
#[derive(Clone)]
pub struct StripeApi(Arc<Inner>);

impl fmt::Debug for StripeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeApi").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Makes calls: Stripe's API, or what stands for it in a test.
#[async_trait]
pub trait Calls: Send + Sync + fmt::Debug + 'static {
    /// Make `call` for the account that `authority` is for.
    async fn call(&self, authority: &Authority, call: &Call) -> Result<Answer, ApiError>;
}

#[async_trait]
impl Calls for StripeApi {
    async fn call(&self, authority: &Authority, call: &Call) -> Result<Answer, ApiError> {
        Self::call(self, authority, call).await
    }
}

/// What became of one try.
struct Failed {
    error: ApiError,
    /// Stripe's own word on whether to try again.
    should_retry: Option<bool>,
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self { error, should_retry: None }
    }
}

impl StripeApi {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(limits: ApiLimits, clock: Arc<dyn Clock>) -> Result<Self, StripeApiError> {
        let tls = tls::config(&limits.extra_roots).map_err(StripeApiError::Tls)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            // A redirect would take the key to where it was not meant for.
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only()
            .http1_max_headers(MOST_HEADERS)
            .user_agent(concat!("signalbox/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.timeout)
            .pool_max_idle_per_host(limits.concurrency)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(StripeApiError::Client)?;
        Ok(Self(Arc::new(Inner {
            client,
            limits,
            clock,
            known: Mutex::default(),
            tries: AtomicU64::new(0),
        })))
    }

    /// Make `call` for the account that `authority` is for. Where the operator said whose key it
    /// is, Stripe is asked first, once.
    ///
    /// # Errors
    /// [`ApiError`], after as many tries as the limits and the call allow.
    pub async fn call(&self, authority: &Authority, call: &Call) -> Result<Answer, ApiError> {
        call.check()?;
        let account = authority.account();
        if account.id.is_some() {
            self.owner(account).await?;
        }
        self.tries(authority, call).await
    }

    /// Whose key the account's is: Stripe is asked, once a process.
    ///
    /// # Errors
    /// [`ApiError::OtherAccount`] when the configuration says otherwise; as [`StripeApi::call`].
    pub async fn owner(&self, account: &Arc<Account>) -> Result<AccountId, ApiError> {
        #[derive(Deserialize)]
        struct Own {
            id: String,
        }
        let known = self.known(account);
        let ask = async || {
            let own = Authority::own(account);
            let answer = self.tries(&own, &Call::get("/v1/account")).await?;
            let id = AccountId::parse(&answer.read::<Own>()?.id);
            id.map_err(|error| ApiError::Malformed { cause: error.to_string() })
        };
        let found = known.owner.get_or_try_init(ask).await?.clone();
        match &account.id {
            Some(configured) if *configured != found => Err(ApiError::OtherAccount {
                account: account.name.clone(),
                configured: configured.clone(),
                found,
            }),
            _ => Ok(found),
        }
    }

    fn known(&self, account: &Account) -> Arc<Known> {
        let limits = &self.0.limits;
        let key = (account.name.clone(), account.key.fingerprint());
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(key).or_insert_with(|| {
            let pace = Pace::new(limits.per_second(account.mode()), limits.concurrency);
            Arc::new(Known { pace, owner: OnceCell::new() })
        });
        Arc::clone(entry)
    }

    async fn tries(&self, authority: &Authority, call: &Call) -> Result<Answer, ApiError> {
        let limits = &self.0.limits;
        let known = self.known(authority.account());
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let turn = known.pace.turn().await;
            let failed = match self.once(authority, call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            drop(turn);
            let again = failed.should_retry.unwrap_or_else(|| failed.error.is_passing());
            let spent = attempt >= limits.backoff.attempts || begun.elapsed() >= limits.backoff.age;
            let asked = failed.error.retry_after().unwrap_or_default();
            if !again || spent || !call.is_repeatable() || asked > limits.retry_after_most {
                return Err(failed.error);
            }
            let seed = self.0.tries.fetch_add(1, Ordering::Relaxed);
            let wait = limits.backoff.wait(attempt, seed).max(asked);
            let (error, account) = (&failed.error, &authority.account().name);
            tracing::debug!(%error, account, path = call.path, attempt, ?wait, "trying again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn once(&self, authority: &Authority, call: &Call) -> Result<Answer, Failed> {
        let request = self.request(authority, call)?;
        let response = request.send().await.map_err(|error| self.broken(authority, error))?;
        let status = response.status();
        let headers = response.headers().clone();
        if !status.is_success() {
            // What cannot be read of an error's body is not told.
            let body = self.read(authority, response, ERROR_BYTES).await.unwrap_or_default();
            let error = self.refusal(authority, status, &headers, &body);
            let word = headers.get(SHOULD_RETRY).map(HeaderValue::as_bytes);
            let should_retry = match word {
                Some(b"true") => Some(true),
                Some(b"false") => Some(false),
                _ => None,
            };
            return Err(Failed { error, should_retry });
        }
        let body = self.read(authority, response, self.0.limits.answer_bytes).await?;
        let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        Ok(Answer {
            request_id: request_id.map(str::to_owned),
            date: date.and_then(retry_after::date),
            body,
        })
    }

    fn request(&self, authority: &Authority, call: &Call) -> Result<RequestBuilder, ApiError> {
        let client = &self.0.client;
        let url = url(authority.account(), call)?;
        let mut request = match call.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url),
            Method::Delete => client.delete(url),
        };
        let mut bearer = header(&format!("Bearer {}", authority.account().key.expose()))?;
        bearer.set_sensitive(true);
        request = request.header(AUTHORIZATION, bearer).header(ACCEPT, "application/json");
        if let Some(id) = authority.connected() {
            let name = if call.is_v2() { STRIPE_CONTEXT } else { STRIPE_ACCOUNT };
            request = request.header(name, header(id.as_str())?);
        }
        let version = call.version.as_deref().or(call.is_v2().then_some(V2_VERSION));
        if let Some(version) = version {
            request = request.header(STRIPE_VERSION, header(version)?);
        }
        if let Some(key) = &call.idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, header(key)?);
        }
        Ok(match &call.body {
            Body::Empty => request,
            Body::Form(fields) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(fields);
                let kind = "application/x-www-form-urlencoded";
                request.header(reqwest::header::CONTENT_TYPE, kind).body(form.finish())
            }
            Body::Json(value) => request.json(value),
        })
    }

    async fn read(
        &self,
        authority: &Authority,
        mut response: Response,
        most: usize,
    ) -> Result<Bytes, ApiError> {
        let mut body = BytesMut::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.broken(authority, error))?
        {
            if body.len() + chunk.len() > most {
                return Err(ApiError::TooLarge { most });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn refusal(
        &self,
        authority: &Authority,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> ApiError {
        let told = Told::read(body);
        let account = authority.account();
        let message = match told.message {
            Some(message) => words(account, &message),
            None => format!("status {status}, without a word"),
        };
        let code = told.code.map(|code| words(account, &code));
        let param = told.param.map(|param| words(account, &param));
        let after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after::parse(value, self.0.clock.now()));
        let name = account.name.clone();
        match status.as_u16() {
            401 => ApiError::Unauthorised { account: name, message },
            403 => ApiError::Forbidden { account: name, message, code },
            404 => ApiError::NotFound { message, code },
            429 => ApiError::RateLimited { after },
            500.. => ApiError::Server { status: status.as_u16(), message, after },
            status @ 300..=399 => {
                let message = "it is a redirect; correct stripe.account.api_base".to_owned();
                ApiError::Refused { status, code, param, message }
            }
            status => ApiError::Refused { status, code, param, message },
        }
    }

    /// What a failed request means. reqwest's own text repeats the URL and hides the cause.
    fn broken(&self, authority: &Authority, error: reqwest::Error) -> ApiError {
        let error = error.without_url();
        if error.is_timeout() {
            let limits = &self.0.limits;
            let connect = error.is_connect();
            let within = if connect { limits.connect_timeout } else { limits.timeout };
            return ApiError::Timeout { within };
        }
        let mut cause: &(dyn std::error::Error + 'static) = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let how = if error.is_connect() { "no connection" } else { "broken off" };
        let cause = words(authority.account(), &format!("{how}: {cause}"));
        ApiError::Unreachable { cause }
    }
}

fn url(account: &Account, call: &Call) -> Result<Url, ApiError> {
    let mut url = account.api_base.clone();
    let path = format!("{}{}", url.path().trim_end_matches('/'), call.path);
    url.set_path(&path);
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    // A path that means something else once it is parsed would go elsewhere.
    if url.path() == path { Ok(url) } else { Err(ApiError::BadPath { path: call.path.clone() }) }
}

fn header(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|_| ApiError::Refused {
        status: 0,
        code: Some("header_invalid".to_owned()),
        param: None,
        message: "a header of the call holds a character that no header may hold".to_owned(),
    })
}

/// Somebody else's words: without the key, on one line, no longer than needed.
fn words(account: &Account, text: &str) -> String {
    let text = text.replace(account.key.expose(), "[key]");
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).take(WORDS).collect()
}

/// What Stripe tells of an error.
#[derive(Default, Deserialize)]
struct Told {
    message: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

impl Told {
    fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Whole {
            error: Told,
        }
        serde_json::from_slice::<Whole>(body).map(|whole| whole.error).unwrap_or_default()
    }
}
