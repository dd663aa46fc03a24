//! Genuine bodies: which are events, and what is read of them.

use proptest::prelude::*;

use super::testing::{NOW, genuine};
use super::{MAX_ID, MAX_TEXT};
use crate::domain::clock::Timestamp;

const EVENTS: &str = include_str!("../../../../tests/fixtures/stripe/events.jsonl");
const TYPES: &str = include_str!("../../../../tests/fixtures/stripe/event_types.txt");
const THIN_TYPES: &str = include_str!("../../../../tests/fixtures/stripe/event_types_thin.txt");

#[test]
fn every_fixture_is_read_as_its_own_json_says() {
    let mut kinds = Vec::new();
    for line in EVENTS.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let event = genuine(line.as_bytes()).unwrap();
        assert_eq!(event.key.to_string(), format!("stripe.{}", json["id"].as_str().unwrap()));
        assert_eq!(event.kind, json["type"].as_str().unwrap());
        assert_eq!(event.livemode, json["livemode"].as_bool().unwrap());
        assert_eq!(event.api_version.as_deref(), json["api_version"].as_str());
        assert_eq!(event.account.as_deref(), json["account"].as_str());
        assert_eq!(event.request_id.as_deref(), json["request"]["id"].as_str());
        assert_eq!(event.occurred_at.as_secs(), json["created"].as_u64().unwrap());
        let object = &json["data"]["object"];
        assert_eq!(event.object.as_ref().map(|o| o.id.as_str()), object["id"].as_str());
        if let Some(read) = &event.object {
            assert_eq!(read.kind, object["object"].as_str().unwrap());
        }
        assert_eq!(event.body, line.as_bytes());
        kinds.push(event.kind);
    }
    let mut all: Vec<_> = TYPES.lines().map(str::to_owned).collect();
    kinds.sort();
    all.sort();
    assert_eq!(kinds, all);
}

#[test]
fn every_thin_type_is_an_event() {
    for (number, kind) in THIN_TYPES.lines().enumerate() {
        let body = format!(
            r#"{{"id":"evt_test_{number}","object":"v2.core.event","type":"{kind}",
            "created":"2024-09-17T06:20:52.246Z","livemode":true,"context":"acct_1","reason":
            {{"type":"request","request":{{"id":"req_1","idempotency_key":null}}}},
            "related_object":{{"id":"mtr_1","type":"billing.meter","url":"/v1/x"}}}}"#
        );
        let event = genuine(body.as_bytes()).unwrap();
        assert_eq!(event.kind, kind);
        assert!(event.livemode);
        assert_eq!(event.account.as_deref(), Some("acct_1"));
        assert_eq!(event.request_id.as_deref(), Some("req_1"));
        assert_eq!(event.occurred_at, Timestamp::from_millis(1_726_554_052_246));
        let object = event.object.unwrap();
        assert_eq!((object.kind.as_str(), object.id.as_str()), ("billing.meter", "mtr_1"));
    }
}

fn with(fields: &str) -> String {
    format!(r#"{{"id":"evt_1","type":"a.b"{fields}}}"#)
}

#[test]
fn what_is_genuine_but_no_event_has_its_code() {
    let deep = |levels: usize| {
        with(&format!(r#","x":{}{}"#, "[".repeat(levels), "]".repeat(levels))).into_bytes()
    };
    let long = "x".repeat(MAX_ID + 1);
    for (body, code) in [
        (b"".to_vec(), "body_empty"),
        (b"{\"id\":\"\xff\"}".to_vec(), "body_not_utf8"),
        (b"null".to_vec(), "body_not_object"),
        (b" [] ".to_vec(), "body_not_object"),
        (b"\"evt_1\"".to_vec(), "body_not_object"),
        (b"17".to_vec(), "body_not_object"),
        (b"1e999".to_vec(), "body_not_object"),
        (b"true".to_vec(), "body_not_object"),
        (b"NaN".to_vec(), "body_not_json"),
        (b"{".to_vec(), "body_not_json"),
        (b"   ".to_vec(), "body_not_json"),
        (b"id=evt_1".to_vec(), "body_not_json"),
        (with(r#","x":NaN"#).into_bytes(), "body_not_json"),
        (with(r#","x":[1,]"#).into_bytes(), "body_not_json"),
        ([with("").as_bytes(), b"x"].concat(), "body_not_json"),
        ([with("").as_bytes(), with("").as_bytes()].concat(), "body_not_json"),
        ([b"\xef\xbb\xbf", with("").as_bytes()].concat(), "body_not_json"),
        (with("\n,\"x\":\"a\nb\"").into_bytes(), "body_not_json"),
        (deep(128), "body_too_deep"),
        (deep(100_000), "body_too_deep"),
        (br#"{"type":"a.b"}"#.to_vec(), "event_id_invalid"),
        (br#"{"id":null,"type":"a.b"}"#.to_vec(), "event_id_invalid"),
        (br#"{"id":7,"type":"a.b"}"#.to_vec(), "event_id_invalid"),
        (br#"{"id":"","type":"a.b"}"#.to_vec(), "event_id_invalid"),
        (br#"{"id":"evt 1","type":"a.b"}"#.to_vec(), "event_id_invalid"),
        (br#"{"id":"evt/1","type":"a.b"}"#.to_vec(), "event_id_invalid"),
        (br#"{"id":"evt.1","type":"a.b"}"#.to_vec(), "event_id_invalid"),
        (br#"{"id":"evt\u00001","type":"a.b"}"#.to_vec(), "event_id_invalid"),
        ("{\"id\":\"evt\u{e9}\",\"type\":\"a.b\"}".into(), "event_id_invalid"),
        (format!(r#"{{"id":"{long}","type":"a.b"}}"#).into(), "event_id_invalid"),
        (br#"{"id":"evt_1"}"#.to_vec(), "event_type_invalid"),
        (br#"{"id":"evt_1","type":""}"#.to_vec(), "event_type_invalid"),
        (br#"{"id":"evt_1","type":"a b"}"#.to_vec(), "event_type_invalid"),
        (br#"{"id":"evt_1","type":{}}"#.to_vec(), "event_type_invalid"),
        (with(r#","object":"customer""#).into(), "not_an_event"),
        (with(r#","object":null"#).into(), "not_an_event"),
        (with(r#","account":7"#).into(), "event_account_invalid"),
        (with(r#","account":"a b""#).into(), "event_account_invalid"),
        (with(r#","context":{}"#).into(), "event_account_invalid"),
    ] {
        let name = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        assert_eq!(genuine(&body).unwrap_err(), code, "{name}");
    }
    assert!(genuine(&deep(127)).is_ok());
}

#[test]
fn what_is_odd_but_an_event_is_taken() {
    let longest = "x".repeat(MAX_TEXT);
    for fields in [
        "",
        r#","object":"event""#,
        r#","object":"v3.core.event""#,
        r#","livemode":null,"created":null,"account":null,"context":null,"request":null"#,
        r#","x":"\u0000","y":"\ud800""#,
        r#","x":123456789012345678901234567890,"y":-1e999,"created":99999999999999999999"#,
        r#","data":null,"related_object":[],"request":7,"api_version":{"a":[1]}"#,
        r#","data":{"object":[]}"#,
        r#","data":[{"object":{}}],"livemode":"yes","created":"yesterday""#,
        r#","data":{"object":{"id":null,"object":7,"x":{"id":"no"}}}"#,
        &format!(r#","account":"{longest}""#),
        "\r\n\t ",
    ] {
        let event = genuine(with(fields).as_bytes()).unwrap_or_else(|e| panic!("{e}: {fields}"));
        assert_eq!(event.object, None, "{fields}");
        assert!(!event.livemode);
        assert_eq!(event.occurred_at, Timestamp::from_secs(NOW), "{fields}");
    }
}

#[test]
fn names_are_read_in_every_form() {
    let request = |json: &str| genuine(with(json).as_bytes()).unwrap().request_id;
    assert_eq!(request(r#","request":"req_1""#).as_deref(), Some("req_1"));
    assert_eq!(request(r#","request":{"id":"req_1"}"#).as_deref(), Some("req_1"));
    assert_eq!(request(r#","request":{"id":null}"#), None);

    let event = genuine(with(r#","account":null,"context":"acct_1/sub_2""#).as_bytes()).unwrap();
    assert_eq!(event.account.as_deref(), Some("acct_1/sub_2"));
    let event = genuine(br#"{"\u0069d":"evt_\u0031","type":"a","type":"b"}"#).unwrap();
    assert_eq!((event.key.id.as_str(), event.kind.as_str()), ("evt_1", "b"));
    assert_eq!(event.content_type, "application/json");
}

proptest! {
    #[test]
    fn no_genuine_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = genuine(&body);
    }

    #[test]
    fn no_change_of_a_genuine_event_makes_it_panic(
        line in 0..275_usize, at in 0..2_000_usize, put in any::<u8>(), cut in 0..4_000_usize,
    ) {
        let mut body = EVENTS.lines().nth(line).unwrap().as_bytes().to_vec();
        let at = at % body.len();
        body[at] = put;
        body.truncate(cut.max(1));
        if let Ok(event) = genuine(&body) {
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
            prop_assert!(!event.key.id.is_empty() && !event.kind.is_empty());
        }
    }
}

#[test]
fn the_list_of_types_is_the_one_of_the_fixtures() {
    assert_eq!(super::EVENT_TYPES, TYPES);
}

#[test]
fn what_is_vouched_for_otherwise_is_read_and_what_to_ask_for_is_found() {
    use crate::provider::Provider as _;
    let provider = super::StripeProvider::default();
    let now = Timestamp::from_secs(NOW);
    let body = bytes::Bytes::from_static(
        br#"{"id":"evt_1","object":"event","type":"a","account":"acct_1","livemode":true}"#,
    );
    let event = provider.read(&body, now).unwrap();
    assert_eq!(
        (event.key.id.as_str(), event.occurred_at, event.body),
        ("evt_1", now, body.clone())
    );
    assert!(event.proof.is_empty() && event.secret.0.is_empty());
    let lookup = provider.lookup(&body).unwrap();
    assert_eq!((lookup.path.as_str(), lookup.livemode), ("/v1/events/evt_1", true));
    assert_eq!(lookup.account.as_deref(), Some("acct_1"));
    let thin = br#"{"id":"evt_2","object":"v2.core.event","type":"a"}"#;
    assert_eq!(provider.lookup(thin).unwrap().path, "/v2/core/events/evt_2");
    for bad in [&b"null"[..], b"{}", br#"{"id":"../x","type":"a"}"#] {
        assert!(provider.lookup(bad).is_err());
    }
}
