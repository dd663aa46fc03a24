//! Shopify.

use super::super::shopify::ShopifyProvider;
use super::*;

const BODY: &[u8] = br#"{"id":820982911946154508,"email":"jon@example.com"}"#;

fn judge(more: &[(&str, &str)], body: &[u8]) -> Result<VerifiedEvent, &'static str> {
    let signature = base64(&mac(SECRET.as_bytes(), &[body]));
    let mut headers = vec![("x-shopify-hmac-sha256", &*signature)];
    headers.extend(more);
    event_of(&ShopifyProvider, SECRET, &request(&headers, body))
}

const TOPIC: (&str, &str) = ("x-shopify-topic", "orders/create");
const ID: (&str, &str) = ("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5");

#[test]
fn the_headers_tell_what_the_body_does_not() {
    let more = [
        TOPIC,
        ID,
        ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"),
        ("x-shopify-shop-domain", "one.myshopify.com"),
        ("x-shopify-api-version", "2026-07"),
        ("x-shopify-triggered-at", "2026-11-24T01:02:03.123456789Z"),
    ];
    let event = judge(&more, BODY).unwrap();
    assert_eq!(event.kind, "orders.create");
    assert_eq!(event.key.id, format!("{}.orders.create", ID.1));
    assert_eq!(event.account.as_deref(), Some("one.myshopify.com"));
    assert_eq!(event.api_version.as_deref(), Some("2026-07"));
    assert_eq!(event.occurred_at.to_string(), "2026-11-24T01:02:03.123Z");
    assert_eq!(about(&event), Some(("orders", "820982911946154508")));
    assert!(event.livemode);
    let pattern: crate::domain::pattern::TypePattern = "orders.*".parse().unwrap();
    assert!(pattern.matches(&event.kind));
}

#[test]
fn one_change_under_two_topics_is_two_events_and_a_retry_is_none() {
    let id = |topic, webhook| {
        let more = [("x-shopify-topic", topic), ID, ("x-shopify-webhook-id", webhook)];
        judge(&more, BODY).unwrap().key.id
    };
    assert_eq!(id("orders/create", "1"), id("orders/create", "2"));
    assert_ne!(id("orders/create", "1"), id("orders/paid", "1"));
    let old = judge(&[TOPIC, ("x-shopify-webhook-id", "w")], BODY).unwrap();
    assert_eq!(old.key.id, "w.orders.create");
}

#[test]
fn test_webhooks_are_not_live_and_xml_is_kept_as_it_is() {
    let event = judge(&[TOPIC, ID, ("x-shopify-test", "true")], BODY).unwrap();
    assert!(!event.livemode);
    let xml = judge(&[TOPIC, ID, ("content-type", "application/xml")], b"<order/>").unwrap();
    assert_eq!((about(&xml), xml.content_type.as_str()), (None, "application/xml"));
    let deep = judge(&[("x-shopify-topic", "a/b/c"), ID], BODY).unwrap();
    assert_eq!((deep.kind.as_str(), about(&deep).unwrap().0), ("a.b.c", "a/b"));
}

#[test]
fn what_is_missing_or_wrong_is_told_apart() {
    assert_eq!(judge(&[ID], BODY).unwrap_err(), "event_type_invalid");
    assert_eq!(judge(&[TOPIC], BODY).unwrap_err(), "event_id_invalid");
    let good = base64(&mac(SECRET.as_bytes(), &[BODY]));
    for (value, code) in [
        (String::new(), "signature_empty"),
        (hex::encode(STANDARD.decode(&good).unwrap()), "signature_mismatch"),
        (good[..20].to_owned(), "signature_mismatch"),
        (format!("sha256={good}"), "signature_mismatch"),
        (base64(&mac(b"another", &[BODY])), "signature_mismatch"),
        ("A".repeat(8_193), "signature_too_long"),
    ] {
        let headers = [("x-shopify-hmac-sha256", &*value), TOPIC, ID];
        let refused = event_of(&ShopifyProvider, SECRET, &request(&headers, BODY)).unwrap_err();
        assert_eq!(refused, code, "{value}");
    }
    let headers = [TOPIC, ID];
    let refused = event_of(&ShopifyProvider, SECRET, &request(&headers, BODY)).unwrap_err();
    assert_eq!(refused, "signature_missing");
}

#[test]
fn the_newer_kind_has_names_without_x() {
    let signature = base64(&mac(SECRET.as_bytes(), &[BODY]));
    let headers = [
        ("shopify-hmac-sha256", &*signature),
        ("shopify-topic", "Product"),
        ("shopify-action", "update"),
        ("shopify-webhook-id", "w"),
        ("x-shopify-event-id", "unsigned"),
        ("shopify-shop-domain", "one.myshopify.com"),
    ];
    let event = event_of(&ShopifyProvider, SECRET, &request(&headers, BODY)).unwrap();
    assert_eq!(
        (event.kind.as_str(), event.key.id.as_str()),
        ("Product.update", "w.Product.update")
    );
    assert_eq!(about(&event).unwrap().0, "Product");
    assert_eq!(event.proof.len(), 5);
}
