//! `/reconcile` where nothing is looked for; the rest is proved through the real binary.

use serde_json::json;

use super::*;

#[tokio::test]
async fn without_an_account_it_is_off_and_says_so() {
    let host = Host::start().await;
    let status = host.json("/reconcile").await;
    assert_eq!(status, json!({ "object": "reconcile", "enabled": false, "accounts": [] }));
    let refused = host.posted("/reconcile", json!({}), 409).await;
    assert_eq!(refused["error"]["code"], "reconcile_off");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("[[stripe.account]]"), "{message}");
}

#[tokio::test]
async fn a_moment_that_stripe_no_longer_lists_is_refused() {
    let host = Host::start().await;
    let ago = |days: u64| json!({ "since": NOW - days * 86_400 });
    let refused = host.posted("/reconcile", ago(31), 400).await;
    assert_eq!(refused["error"]["param"], "since");
    assert_eq!(host.posted("/reconcile", ago(30), 409).await["error"]["code"], "reconcile_off");
    let unknown = host.posted("/reconcile", json!({ "sinse": 1 }), 400).await;
    assert!(unknown["error"]["message"].as_str().unwrap().contains("dry_run"), "{unknown}");
}
