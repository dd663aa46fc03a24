//! The providers other than Stripe: one row per case, each against a signature made here.
//!
//! That the senders' own libraries sign what is accepted here is shown by the suite.

mod github;
mod shopify;
mod slack;
mod standard;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::testing::NOW;
use super::*;
use crate::domain::event::Header;

/// A secret of every provider here but the standard ones.
const SECRET: &str = "It's a Secret to Everybody";

/// HMAC-SHA256, made without the code under test.
fn mac(key: &[u8], signed: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    signed.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn request(headers: &[(&str, &str)], body: &[u8]) -> RawRequest {
    let header = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        value: value.as_bytes().to_vec(),
    };
    RawRequest { headers: headers.iter().map(header).collect(), body: Bytes::copy_from_slice(body) }
}

/// What becomes of a request `late` seconds after [`NOW`].
fn receive_late(
    provider: &dyn Provider,
    secret: &str,
    request: &RawRequest,
    late: i64,
) -> Result<Verified, &'static str> {
    let secrets = [Secret::new("another-one").unwrap(), Secret::new(secret).unwrap()];
    let now = Timestamp::from_secs(NOW.checked_add_signed(late).unwrap());
    let proof = Proof { secrets: &secrets, tolerance: Duration::from_secs(300), now };
    provider.receive(request, proof).map_err(|rejection| rejection.code)
}

/// The event that a request is at [`NOW`], which must also prove itself again from what is kept.
fn event_of(
    provider: &dyn Provider,
    secret: &str,
    request: &RawRequest,
) -> Result<VerifiedEvent, &'static str> {
    match receive_late(provider, secret, request, 0)? {
        Verified::Handshake(_) => Err("handshake"),
        Verified::Event(event) => {
            let live = Secret::new(secret).unwrap();
            assert_eq!(event.secret, live.id());
            assert_eq!(provider.verify_again(&event, &live), Ok(()));
            let other = Secret::new("YW5vdGhlcg==").unwrap();
            let refused = provider.verify_again(&event, &other).unwrap_err();
            assert_eq!(refused.code, "signature_mismatch");
            assert_eq!(event.body, request.body);
            Ok(*event)
        }
    }
}

/// Kind and id of what an event is about.
fn about(event: &VerifiedEvent) -> Option<(&str, &str)> {
    event.object.as_ref().map(|object| (&*object.kind, &*object.id))
}

#[test]
fn each_name_is_that_of_a_provider_and_none_holds_a_dot() {
    let providers = Providers::new(built_in());
    assert_eq!(providers.names().collect::<Vec<_>>(), BUILT_IN);
    assert!(BUILT_IN.iter().all(|name| !name.contains('.')));
}

#[test]
fn each_takes_the_media_types_it_sends() {
    let form = "application/x-www-form-urlencoded";
    for provider in built_in() {
        let takes = |media: &str| provider.takes_media(media.as_bytes());
        for media in ["", "application/json", "text/plain", "application/cloudevents+json"] {
            assert!(takes(media), "{}: {media}", provider.name());
        }
        assert!(!takes("application/zip") && !takes("text/html"));
        assert_eq!(takes(form), ["github", "slack"].contains(&provider.name()));
        assert_eq!(takes("application/xml"), provider.name() == "shopify");
    }
}

#[test]
fn no_bytes_make_any_of_them_panic() {
    let names = [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "svix-signature",
        "svix-id",
        "svix-timestamp",
        "x-hub-signature-256",
        "x-github-event",
        "x-slack-signature",
        "x-slack-request-timestamp",
        "x-shopify-hmac-sha256",
        "x-shopify-topic",
    ];
    for value in ["", " ", "v1,", "v0=", "sha256=", "v1,%%% v1,AA==", "sha256=zz", "\u{fc}", "9"] {
        let headers: Vec<_> = names.iter().map(|name| (*name, value)).collect();
        for body in [&b""[..], b"{}", b"\xff\xfe", b"[", b"payload=%7B"] {
            for provider in built_in() {
                let answer = receive_late(&*provider, "c2VjcmV0", &request(&headers, body), 0);
                assert!(answer.is_err(), "{}: {value:?}", provider.name());
            }
        }
    }
}
