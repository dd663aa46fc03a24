//! Providers that ask before they send, and those that show their users every answer.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::*;
use crate::domain::endpoint::Endpoint;

/// An endpoint of Slack's.
pub(super) fn slack() -> Endpoint {
    Endpoint { provider: "slack".into(), ..endpoint(5) }
}

fn post(media: &str, body: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{NOW}:{body}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let (path, length) = (PATH.replace('1', "5"), body.len());
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\
         x-slack-request-timestamp: {NOW}\r\nx-slack-signature: v0={signature}\r\n\r\n{body}"
    )
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_proved_handshake_is_echoed_and_nothing_is_stored() {
    let host = Host::start().await;
    let mut client = host.client().await;
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"}"#;
    let reply = client.ask(post("application/json", body, SECRET)).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
    assert_eq!(reply.body, b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd");
    let forged = client.ask(post("application/json", body, "another")).await;
    assert_eq!((forged.status, forged.code().as_str()), (400, "signature_mismatch"));
    assert_eq!(host.kept(), 0);
}

#[tokio::test]
async fn a_form_is_stored_and_acknowledged_without_a_word() {
    let host = Host::start().await;
    let mut client = host.client().await;
    let body = "command=%2Fdeploy&team_id=T1&channel_id=C1&trigger_id=1.2.3";
    let reply = client.ask(post(FORM, body, SECRET)).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let kept = host.store.kept();
    assert_eq!(kept[0].event.kind, "slash_command.deploy");
    assert_eq!(kept[0].event.body, body.as_bytes());
    assert_eq!(kept[0].event.content_type, FORM);
    let event = r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}"#;
    let reply = client.ask(post("application/json", event, SECRET)).await;
    assert_eq!(reply.body, br#"{"id":"Ev1","status":"accepted"}"#);
}

#[tokio::test]
async fn a_form_is_none_of_stripes() {
    let host = Host::start().await;
    let request = post(FORM, "a=b", SECRET).replace(&PATH.replace('1', "5"), PATH);
    let reply = host.client().await.ask(request).await;
    assert_eq!((reply.status, reply.code().as_str()), (415, "content_type_unsupported"));
}
