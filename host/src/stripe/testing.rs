//! The smallest stand-in for Stripe's API: answers as a test says, and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Account, ApiKey, Connected};
use crate::domain::endpoint::Secret;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    /// Method and target.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

type Script = dyn Fn(usize, &Asked) -> Vec<u8> + Send + Sync;

/// See the module.
pub(crate) struct Double {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Double {
    /// `script` is told how many requests came before, and says what is written.
    pub(crate) async fn start(
        script: impl Fn(usize, &Asked) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (script, kept): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Self { addr, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// An account at this double, with the key `sk_test_NAME`.
    pub(crate) fn account(&self, name: &str) -> Account {
        account(name, &format!("sk_test_{name}"), &format!("http://{}", self.addr))
    }
}

pub(crate) fn account(name: &str, key: &str, base: &str) -> Account {
    Account {
        name: name.to_owned(),
        key: ApiKey::parse(Secret::new(key).unwrap()).unwrap(),
        api_base: base.parse().unwrap(),
        id: None,
        connected: Connected::default(),
        reconcile: true,
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, kept: Arc<Mutex<Vec<Asked>>>) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8(read.drain(..end).collect()).unwrap();
        let mut asked = Asked { head, body: String::new() };
        let length = asked.header("content-length").map_or(0, |n| n.parse().unwrap());
        while read.len() < length {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        }
        asked.body = String::from_utf8(read.drain(..length).collect()).unwrap();
        let before = {
            let mut kept = kept.lock().unwrap();
            kept.push(asked.clone());
            kept.len() - 1
        };
        let bytes = script(before, &asked);
        let cut = bytes.ends_with(CUT);
        let bytes = bytes.strip_suffix(CUT).unwrap_or(&bytes);
        if stream.write_all(bytes).await.is_err() || cut {
            return;
        }
    }
}

/// At the end of an answer: the connection ends there.
pub(crate) const CUT: &[u8] = b"\0cut";

/// An answer in bytes.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// `200` with this body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", &[], body)
}
