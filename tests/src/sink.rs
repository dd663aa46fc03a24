//! Where effects arrive: an HTTP server that keeps every request by its `Idempotency-Key` and
//! answers as a test wants.
//!
//! Not a model of any real service.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::host::PATIENCE;

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Its `Idempotency-Key`; empty without one.
    pub key: String,
    /// How many with this key came before it.
    pub before: usize,
    /// When it came.
    pub at: Instant,
    /// Upper-case method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What the server does about a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answer with this status.
    Status(u16),
    /// Answer with this status, this header and this body.
    Full(u16, (&'static str, String), Vec<u8>),
    /// Close the connection without an answer.
    Drop,
    /// Wait, then do this.
    After(Duration, Box<Self>),
}

type Script = dyn Fn(&Arrived) -> Reply + Send + Sync;

/// A running server.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    arrived: Arc<Mutex<BTreeMap<String, Vec<Arrived>>>>,
    task: JoinHandle<()>,
}

impl Sink {
    /// One that answers every request `200`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        Self::scripted(|_| Reply::Status(200)).await
    }

    /// One that answers as `script` says, which is asked once for each request.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn scripted(
        script: impl Fn(&Arrived) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrived: Arc<Mutex<BTreeMap<String, Vec<Arrived>>>> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let kept = Arc::clone(&arrived);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, script) = (Arc::clone(&kept), Arc::clone(&script));
                let service =
                    service_fn(move |request| answer(request, kept.clone(), script.clone()));
                // A peer that goes, or is sent away, is no trouble of the server's.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, arrived, task })
    }

    /// Where it listens, e.g. `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, by key.
    #[must_use]
    pub fn arrived(&self) -> BTreeMap<String, Vec<Arrived>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Wait until `good` finds in what arrived what it waits for.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`].
    pub async fn until<T>(
        &self,
        good: impl Fn(&BTreeMap<String, Vec<Arrived>>) -> Option<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = good(&self.arrived.lock().unwrap_or_else(PoisonError::into_inner))
            {
                return Ok(found);
            }
            ensure!(begun.elapsed() < PATIENCE, "at the sink: {:#?}", self.arrived());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a connection was closed without an answer.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("as the test wants")]
    Wanted,
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

impl From<Infallible> for Closed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<BTreeMap<String, Vec<Arrived>>>>,
    script: Arc<Script>,
) -> Result<Response<Full<Bytes>>, Closed> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let key = head.headers.get("idempotency-key").map(text).unwrap_or_default();
    let mut arrived = Arrived {
        key: key.clone(),
        before: 0,
        at,
        method: head.method.as_str().to_owned(),
        path: head.uri.to_string(),
        headers: headers.collect(),
        body,
    };
    {
        let mut all = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = all.entry(key).or_default();
        arrived.before = same.len();
        same.push(arrived.clone());
    }
    let mut reply = script(&arrived);
    while let Reply::After(wait, then) = reply {
        tokio::time::sleep(wait).await;
        reply = *then;
    }
    let response = Response::builder();
    let response = match reply {
        Reply::Full(status, (name, value), body) => {
            response.status(status).header(name, value).body(Full::new(body.into()))
        }
        Reply::Status(status) => response.status(status).body(Full::default()),
        Reply::Drop | Reply::After(..) => return Err(Closed::Wanted),
    };
    response.map_err(|_| Closed::Wanted)
}
