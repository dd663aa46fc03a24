//! A stand-in for Stripe's API, written from its public documentation, with faults on demand.
//!
//! Serves what signalbox asks for: the account, events (thin ones too), webhook endpoints, connected
//! accounts, and lists of any other objects. Not a model of what Stripe does by itself: nothing
//! happens here unless a test says so. Apart from the host's code, so that a mistake in one is not
//! repeated in the other.

mod answer;
mod endpoints;
mod events;
mod faults;
mod lists;
mod params;
mod route;
mod world;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use answer::Answer;
pub use events::FakeEvent;
pub use faults::{Fault, What};
pub use world::{Asked, CONNECTED, FAKE_ACCOUNT, FAKE_KEY, FAKE_LIVE_KEY, World};

use crate::host::PATIENCE;
use answer::CutBody;

/// A running stand-in.
#[derive(Debug)]
pub struct FakeStripe {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    task: JoinHandle<()>,
}

impl FakeStripe {
    /// One with the account [`FAKE_ACCOUNT`], to which [`CONNECTED`] is connected, and nothing in it.
    /// It takes any secret or restricted key that was not revoked.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let world = Arc::new(Mutex::new(World::default()));
        let shared = Arc::clone(&world);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let world = Arc::clone(&shared);
                let service = service_fn(move |request| serve(request, Arc::clone(&world)));
                // A peer that goes, or an answer cut short, is no trouble of the server's.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, world, task })
    }

    /// Where it listens, for `api_base`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lines of configuration for a host: the account `default` with a test key, at this stand-in.
    #[must_use]
    pub fn config(&self) -> String {
        format!("[[stripe.account]]\napi_key = \"{FAKE_KEY}\"\napi_base = \"{}\"\n", self.url())
    }

    /// Look at the world, or change it.
    pub fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wait until `good` finds in the world what it waits for.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`].
    pub async fn until<T>(&self, good: impl Fn(&World) -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.with(|world| good(world)) {
                return Ok(found);
            }
            ensure!(begun.elapsed() < PATIENCE, "at Stripe: {:#?}", self.with(|w| w.asked.clone()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    request: Request<Incoming>,
    world: Arc<Mutex<World>>,
) -> Result<Response<CutBody>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let asked = Asked::read(&head, &body);
    let (answer, wait) = {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        world.asked.push(asked.clone());
        faults::answer(&mut world, &asked)
    };
    if let Some(wait) = wait {
        tokio::time::sleep(wait).await;
    }
    Ok(answer.into_response())
}
