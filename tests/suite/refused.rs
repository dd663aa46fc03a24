//! Refused requests: kept over a restart with their cause, and not lost once the secret is right.

use signalbox_tests::host::{ENDPOINT, Host, SECRET};
use signalbox_tests::stripe;

const BODY: &[u8] = br#"{"id":"evt_typo","object":"event","type":"charge.succeeded"}"#;

#[tokio::test]
async fn what_a_mistyped_secret_refused_is_retried_once_it_is_right() {
    let mut host = Host::start(&[], "").unwrap();
    let header = stripe::sign("whsec_the_right_one", stripe::now(), BODY);
    let (status, answer) = host.post_signed(BODY.to_vec(), &header).await.unwrap();
    assert_eq!((status, &answer["error"]["code"]), (400, &"signature_mismatch".into()));
    let kept = |list: &serde_json::Value| {
        list["data"].as_array().filter(|data| data.len() == 1).map(|data| data[0].clone())
    };
    let path = format!("/requests?outcome=refused&endpoint={ENDPOINT}&code=signature_mismatch");
    let request = host.until(&path, kept).await.unwrap();
    assert_eq!(request["body"]["value"], std::str::from_utf8(BODY).unwrap());
    assert_eq!((&request["client"], &request["whole"]), (&"127.0.0.1".into(), &true.into()));
    let id = request["id"].as_str().unwrap().to_owned();
    let early = host.cli(&["requests", "retry", &id]).unwrap();
    assert_eq!(early.status.code(), Some(5));

    host.stop().unwrap();
    let file = host.dir().join("signalbox.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace(SECRET, "whsec_the_right_one")).unwrap();
    host.run().unwrap();
    let retried = host.cli(&["requests", "retry", &id, "--output", "json"]).unwrap();
    assert!(retried.status.success(), "{}", String::from_utf8_lossy(&retried.stderr));
    let raw = host.get_bytes("/events/evt_typo/raw").await.unwrap();
    assert_eq!(raw, BODY);
    let shown = host.cli(&["requests", "show", &id]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("signature_mismatch") && shown.contains("stripe-signature: t="),
        "{shown}"
    );
}
