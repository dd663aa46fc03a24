//! The load: kept-alive connections, each sending one signed event after another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use signalbox_tests::stripe;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::SECRET;
use super::receiver::ENDPOINT;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 64;

/// What one round showed.
pub(crate) struct Round {
    /// Events a second.
    pub(crate) rate: f64,
    /// From the first byte of a request to the last of its answer.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Mean bytes of a body.
pub(crate) fn mean_size() -> usize {
    let lines = stripe::EVENTS.lines();
    lines.clone().map(str::len).sum::<usize>() / lines.count().max(1)
}

/// Send `events` events; every one must be answered 200.
pub(crate) async fn round(addr: SocketAddr, events: usize) -> anyhow::Result<Round> {
    let each = events.div_ceil(CONNECTIONS);
    // All are made and signed before the clock starts.
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        senders.push((stream, requests(each)?));
    }
    let started = Instant::now();
    let tasks: Vec<_> =
        senders.into_iter().map(|(stream, all)| tokio::spawn(send(stream, all))).collect();
    let mut times = Vec::with_capacity(each * CONNECTIONS);
    for task in tasks {
        times.extend(task.await??);
    }
    let took = started.elapsed();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let count = u32::try_from(times.len())?;
    Ok(Round { rate: f64::from(count) / took.as_secs_f64(), p50: at(50), p99: at(99) })
}

fn requests(count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = stripe::now();
    let lines = stripe::EVENTS.lines().cycle();
    let request = |line: &str| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // A fixture's id is its first field.
        let (_, rest) = line.split_once("\",").context("a fixture without an id")?;
        let body = format!("{{\"id\":\"evt_{number:012}\",{rest}");
        let signature = stripe::sign(SECRET, now, body.as_bytes());
        let head = format!(
            "POST /webhooks/{ENDPOINT} HTTP/1.1\r\nHost: hooks.example.com\r\n\
             User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
             Accept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\n\
             Content-Type: application/json; charset=utf-8\r\n\
             Stripe-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok([head.into_bytes(), body.into_bytes()].concat())
    };
    lines.skip(NEXT.load(Ordering::Relaxed) as usize % 275).take(count).map(request).collect()
}

async fn send(mut stream: TcpStream, requests: Vec<Vec<u8>>) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(requests.len());
    let mut answer = Vec::with_capacity(1024);
    for request in requests {
        let started = Instant::now();
        stream.write_all(&request).await?;
        answer.clear();
        loop {
            ensure!(stream.read_buf(&mut answer).await? > 0, "the server closed the connection");
            // Every answer here is JSON and ends with its one closing brace.
            if answer.ends_with(b"}") {
                break;
            }
        }
        times.push(started.elapsed());
        let text = String::from_utf8_lossy(&answer);
        ensure!(text.starts_with("HTTP/1.1 200"), "not taken: {text}");
    }
    Ok(times)
}
