//! The limit: hyper, the whole body, one HMAC, one answer.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::net::TcpListener;

use super::SECRET;

/// Serve from now on.
pub(crate) async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(connection);
        }
    });
    Ok(addr)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = request.headers().get("stripe-signature").cloned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let genuine = header.zip(body.ok()).and_then(|(header, body)| {
        let (t, v1) = header.to_str().ok()?.strip_prefix("t=")?.split_once(",v1=")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).ok()?;
        mac.update(t.as_bytes());
        mac.update(b".");
        mac.update(&body);
        mac.verify_slice(&hex::decode(v1).ok()?).ok()
    });
    let answer = Bytes::from_static(br#"{"id":"evt_x","status":"accepted"}"#);
    let mut response = Response::new(Full::new(answer));
    if genuine.is_none() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}
