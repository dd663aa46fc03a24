//! Connections: how many there may be, how slow they may be, how they end.
//!
//! Not what is asked over them. Both listeners are made of this.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::linger::{Linger, LingerFlag};

/// What a connection may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once. Default 1,024: within the usual limit of open files. When they are
    /// used up, those with no request under way, half a head included, are closed to make room and
    /// new ones wait to be accepted.
    pub connections: usize,
    /// From a connection's opening, or the end of its last request, to the whole head of the next
    /// one: how slowly a head may come and how long a connection may idle. Default 20 s: longer
    /// than a provider's pause within a burst, short enough that idle ones give way.
    pub head: Duration,
    /// Bytes of a request's head. Default 128 KiB: room for the longest signature header that is
    /// read (`provider::stripe::MAX_HEADER`).
    pub head_bytes: usize,
    /// How long a peer may take none of an answer. Default 10 s.
    pub write: Duration,
    /// How long requests under way may take once the host is told to stop. Default 10 s: more than
    /// the slowest commit.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            head: Duration::from_secs(20),
            head_bytes: 128 << 10,
            write: Duration::from_secs(10),
            drain: Duration::from_secs(10),
        }
    }
}

/// Smallest buffer that hyper takes.
const MIN_BUFFER: usize = 8 << 10;

/// How long to wait after a failed `accept` (no descriptors left): the cause does not go at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection is left alone before it counts as idle: its first request is on the way.
const FRESH: Duration = Duration::from_millis(100);

/// How long a connection that was asked to end may take to come up with the request it has begun
/// to send. A head is one packet; who needs longer holds up those that wait for a connection.
const LAST_HEAD: Duration = Duration::from_millis(250);

/// Time between two warnings that all connections are in use: whoever opens them must not fill the
/// log as well.
const CROWDED_WARNING: Duration = Duration::from_secs(10);

/// A bound socket and the limits of its connections.
#[derive(Debug)]
pub(super) struct Listener {
    tcp: TcpListener,
    limits: ConnectionLimits,
}

impl Listener {
    pub(super) async fn bind(addr: SocketAddr, limits: ConnectionLimits) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(addr).await?, limits })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Serve until `shutdown`: then accept nothing more, end idle connections, let requests under
    /// way finish within the limit, and cut what is left. `service` is called once per connection;
    /// the flag it gets asks the connection to linger when it closes; the address is the peer's.
    pub(super) async fn run<S, B>(
        self,
        shutdown: CancellationToken,
        service: impl Fn(LingerFlag, SocketAddr) -> S,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let http = self.http();
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let tasks = TaskTracker::new();
        // Ends the idle connections of now; replaced each time.
        let mut idle = shutdown.child_token();
        let mut warned = None;
        let cut = CancellationToken::new();
        while let Some((stream, peer)) = self.accept(&shutdown).await {
            let Some(permit) = free_slot(&slots, &mut idle, &mut warned, &shutdown).await else {
                break;
            };
            let flag = LingerFlag::default();
            let service = service(flag.clone(), peer);
            let io = self.dress(stream, flag);
            let under_way = Arc::new(AtomicBool::new(false));
            let service = Watched { inner: service, under_way: Arc::clone(&under_way) };
            let connection = http.serve_connection(io, service);
            let connection = serve(connection, under_way, idle.clone(), permit);
            tasks.spawn(cut.clone().run_until_cancelled_owned(connection));
        }
        let Self { tcp, limits } = self;
        drop(tcp);
        tasks.close();
        if timeout(limits.drain, tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "cutting connections that did not end in time"
            );
            cut.cancel();
            tasks.wait().await;
        }
    }

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(self.limits.head_bytes.max(MIN_BUFFER))
            // A client may close its sending half and still wait for the answer.
            .half_close(true);
        http
    }

    /// The next connection, or `None` once `shutdown` is called.
    async fn accept(&self, shutdown: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
        loop {
            match shutdown.run_until_cancelled(self.tcp.accept()).await? {
                Ok(accepted) => return Some(accepted),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    shutdown.run_until_cancelled(sleep(ACCEPT_PAUSE)).await?;
                }
            }
        }
    }

    fn dress(&self, stream: TcpStream, flag: LingerFlag) -> Wire {
        // Answers are small and whole: waiting to fill a packet only delays them. Best effort.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.write));
        TokioIo::new(Linger::new(Box::pin(stream), flag))
    }
}

type Wire = TokioIo<Linger<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>>;

/// A slot for one connection. When none is free, the connections that idle are asked to end.
async fn free_slot(
    slots: &Arc<Semaphore>,
    idle: &mut CancellationToken,
    warned: &mut Option<Instant>,
    shutdown: &CancellationToken,
) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = slots.clone().try_acquire_owned() {
        return Some(permit);
    }
    if warned.is_none_or(|at| at.elapsed() >= CROWDED_WARNING) {
        *warned = Some(Instant::now());
        tracing::warn!("all connections are in use; ending those that idle");
    }
    idle.cancel();
    *idle = shutdown.child_token();
    shutdown.run_until_cancelled(slots.clone().acquire_owned()).await?.ok()
}

/// A service that tells whether a request is under way.
struct Watched<S> {
    inner: S,
    under_way: Arc<AtomicBool>,
}

impl<S> Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<Incoming>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.under_way.store(true, Ordering::Release);
        let (answer, under_way) = (self.inner.call(request), Arc::clone(&self.under_way));
        Box::pin(async move {
            let answer = answer.await;
            under_way.store(false, Ordering::Release);
            answer
        })
    }
}

/// One connection to its end. Once `idle` is called, and it is no longer fresh, it ends with the
/// request under way; where there is none, soon.
async fn serve<S, B>(
    connection: http1::Connection<Wire, S>,
    under_way: Arc<AtomicBool>,
    idle: CancellationToken,
    permit: OwnedSemaphorePermit,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body<Error: std::error::Error + Send + Sync> + 'static,
{
    let fresh = sleep(FRESH);
    let asked = async {
        idle.cancelled().await;
        fresh.await;
    };
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = asked => {
            connection.as_mut().graceful_shutdown();
            loop {
                match timeout(LAST_HEAD, connection.as_mut()).await {
                    Ok(ended) => break ended,
                    Err(_) if under_way.load(Ordering::Acquire) => {}
                    // hyper waits for a head that has begun; its sender may never end it.
                    Err(_) => break Ok(()),
                }
            }
        }
    };
    // Peers vanish and dawdle all day; that is for those who look for it.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}
