//! What is kept of refused requests.

use super::*;
use crate::domain::request::{REDACTED, RefusedRequest};
use crate::ingest::requests::Requests;
use crate::store::requests::memory::MemoryRequests;

/// What `host` was told to keep, the oldest first.
async fn kept(host: &Host) -> Vec<RefusedRequest> {
    let store = Arc::new(MemoryRequests::default());
    let stop = CancellationToken::new();
    stop.cancel();
    Requests::new(host.ingest.clone(), store.clone()).run(stop).await;
    let rows = store.rows.lock().unwrap();
    rows.values().cloned().collect()
}

#[tokio::test]
async fn a_refused_request_is_kept_with_its_cause_and_cut_short() {
    let host = Host::with(MemoryStore::default(), |config| config.refused_body = 40).await;
    let mut client = host.client().await;
    let wrong = String::from_utf8(post(BODY)).unwrap().replace("v1=", "v1=00");
    let wrong = wrong.replace(
        "Host: x\r\n",
        "Host: x\r\nCookie: session=1\r\nAuthorization: Bearer s3cret\r\nX-Forwarded-For: 6.6.6.6\r\n",
    );
    assert_eq!(client.ask(wrong.replace(PATH, &format!("{PATH}?token=secret"))).await.status, 400);
    let media = String::from_utf8(post(BODY)).unwrap().replace("application/json", "text/html");
    assert_eq!(client.ask(media).await.status, 415);
    // Accepted, at nobody's endpoint, by the wrong method: none of them is kept.
    let mut client = host.client().await;
    assert_eq!(client.ask(post(BODY)).await.status, 200);
    let unknown = wrong.replace(PATH, &PATH.replace('1', "2"));
    assert_eq!(client.ask(unknown).await.status, 404);
    let get = format!("GET {PATH} HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(host.client().await.ask(get).await.status, 405);

    let kept = kept(&host).await;
    assert_eq!(kept.len(), 2, "{kept:#?}");
    let first = &kept[0];
    assert_eq!((first.status, first.code.as_str()), (400, "signature_mismatch"));
    assert!(first.message.contains("whsec_"));
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", PATH));
    assert_eq!((first.body.as_ref(), first.length), (&BODY[..40], Some(BODY.len() as u64)));
    assert!(!first.is_whole());
    assert!(first.client.address.is_loopback() && first.client.proxy.is_none());
    assert_eq!(first.at, Timestamp::from_secs(NOW));
    let value = |name: &str| {
        let header = first.headers.iter().find(|header| header.name == name).unwrap();
        header.value.clone()
    };
    assert_eq!((value("cookie"), value("authorization")), (REDACTED.to_vec(), REDACTED.to_vec()));
    assert!(value("stripe-signature").starts_with(b"t="));

    let second = &kept[1];
    assert_eq!((second.status, second.code.as_str()), (415, "content_type_unsupported"));
    assert_eq!((second.body.len(), second.length), (0, Some(BODY.len() as u64)));
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let trust = |config: &mut WebhookConfig| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    let host = Host::with(MemoryStore::default(), trust).await;
    let wrong = String::from_utf8(post(BODY)).unwrap().replace("v1=", "v1=00");
    let wrong = wrong.replace("Host: x\r\n", "Host: x\r\nX-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n");
    assert_eq!(host.client().await.ask(wrong).await.status, 400);
    let kept = kept(&host).await;
    assert_eq!(kept[0].client.address.to_string(), "1.2.3.4");
    assert_eq!(kept[0].client.proxy.unwrap().to_string(), "127.0.0.1");
}
