//! A receiver on this machine: notes every request, answers by a script, `200` after its end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What one request is answered with.
pub(super) enum Step {
    /// These bytes.
    Answer(Vec<u8>),
    /// Nothing, ever.
    Hang,
    /// These bytes, once there is a permit.
    Held(Arc<Semaphore>, Vec<u8>),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Received {
    /// All values of a header.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Step>>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    /// A permit per request that came.
    came: Option<Semaphore>,
}

/// See the module.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(super) async fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(script.into()),
            came: Some(Semaphore::new(0)),
            ..Shared::default()
        });
        let own = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&own)));
            }
        });
        Self { addr, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Resolves once for each request that came.
    pub(super) async fn came(&self) {
        self.shared.came.as_ref().unwrap().acquire().await.unwrap().forget();
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut read = Vec::new();
    while let Some(received) = request(&mut stream, &mut read).await {
        shared.received.lock().unwrap().push(received);
        shared.came.as_ref().unwrap().add_permits(1);
        let step = shared.script.lock().unwrap().pop_front();
        let bytes = match step {
            Some(Step::Answer(bytes)) => bytes,
            Some(Step::Hang) => std::future::pending().await,
            Some(Step::Held(permits, bytes)) => {
                permits.acquire().await.unwrap().forget();
                bytes
            }
            None => answer("200 OK", &[], b""),
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(read.drain(..end).collect()).unwrap();
    let mut received = Received { head, body: Vec::new() };
    let length = received.header("content-length").first().map_or(0, |n| n.parse().unwrap());
    while read.len() < length {
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
    received.body = read.drain(..length).collect();
    Some(received)
}

/// An answer in bytes.
pub(super) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
