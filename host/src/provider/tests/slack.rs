//! Slack.

use super::super::slack::SlackProvider;
use super::*;

const FORM: &str = "application/x-www-form-urlencoded";

fn sign(body: &[u8]) -> String {
    let signed = [b"v0:", NOW.to_string().as_bytes(), b":", body].concat();
    format!("v0={}", hex::encode(mac(SECRET.as_bytes(), &[&signed])))
}

fn signed(media: &str, body: &[u8]) -> RawRequest {
    let (signature, seconds) = (sign(body), NOW.to_string());
    let headers = [
        ("x-slack-signature", &*signature),
        ("x-slack-request-timestamp", &*seconds),
        ("content-type", media),
    ];
    request(&headers, body)
}

fn judge(body: &str) -> Result<VerifiedEvent, &'static str> {
    event_of(&SlackProvider, SECRET, &signed("application/json", body.as_bytes()))
}

/// The example of Slack's documentation.
#[test]
fn the_documented_signature_is_accepted() {
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let headers = [
        (
            "x-slack-signature",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
        ("x-slack-request-timestamp", "1531420618"),
        ("content-type", FORM),
    ];
    let request = request(&headers, body.as_bytes());
    let late = 1_531_420_618 - i64::try_from(NOW).unwrap();
    let received = receive_late(&SlackProvider, secret, &request, late + 300).unwrap();
    let Verified::Event(event) = received else { panic!("no event") };
    assert_eq!(event.kind, "slash_command.webhook-collect");
    assert_eq!(event.account.as_deref(), Some("T1DC2JH3J"));
    assert_eq!(about(&event), Some(("channel", "G8PSS9T3V")));
    assert!(event.key.id.starts_with("sha256_"));
    assert!(SlackProvider.is_answered_blank(&event));
    let at = |late| receive_late(&SlackProvider, secret, &request, late).err();
    assert_eq!(at(late + 301), Some("timestamp_too_old"));
    assert_eq!(at(late - 301), Some("timestamp_ahead"));
}

#[test]
fn the_handshake_is_answered_once_it_is_proved_and_is_no_event() {
    let body = br#"{"token":"x","challenge":"3eZbrw1a","type":"url_verification"}"#;
    let answer = receive_late(&SlackProvider, SECRET, &signed("application/json", body), 0);
    let content_type = "text/plain; charset=utf-8";
    let expected = Handshake { content_type, body: Bytes::from_static(b"3eZbrw1a") };
    assert_eq!(answer, Ok(Verified::Handshake(expected)));
    let forged = signed("application/json", body);
    let refused = receive_late(&SlackProvider, "another", &forged, 0);
    assert_eq!(refused, Err("signature_mismatch"));
    assert_eq!(receive_late(&SlackProvider, SECRET, &forged, 301), Err("timestamp_too_old"));

    let secrets = [Secret::new(SECRET).unwrap()];
    let now = Timestamp::from_secs(NOW);
    let proof = Proof { secrets: &secrets, tolerance: Duration::from_secs(300), now };
    assert_eq!(SlackProvider.verify(&forged, proof).unwrap_err().code, "not_an_event");

    let long = format!(r#"{{"challenge":"{}","type":"url_verification"}}"#, "x".repeat(1_025));
    assert_eq!(judge(&long).unwrap_err(), "challenge_invalid");
    assert_eq!(judge(r#"{"type":"url_verification"}"#).unwrap_err(), "challenge_invalid");
    let check = signed(FORM, b"ssl_check=1&token=x");
    let blank = Handshake { content_type, body: Bytes::new() };
    let answer = receive_late(&SlackProvider, SECRET, &check, 0);
    assert_eq!(answer, Ok(Verified::Handshake(blank)));
}

#[test]
fn an_event_tells_its_inner_type_and_where_it_happened() {
    let outer = |event: &str| {
        format!(
            r#"{{"type":"event_callback","event_id":"Ev1","event_time":1234567890,"team_id":"T1","event":{event}}}"#
        )
    };
    for (inner, kind, object) in [
        (
            r#"{"type":"app_mention","channel":"C1","user":"U1"}"#,
            "app_mention",
            Some(("channel", "C1")),
        ),
        (
            r#"{"type":"message","subtype":"channel_join","channel":"C1"}"#,
            "message.channel_join",
            Some(("channel", "C1")),
        ),
        (
            r#"{"type":"channel_rename","channel":{"id":"C2"}}"#,
            "channel_rename",
            Some(("channel", "C2")),
        ),
        (
            r#"{"type":"reaction_added","user":"U1","item":{"channel":"C3"}}"#,
            "reaction_added",
            Some(("channel", "C3")),
        ),
        (r#"{"type":"team_join","user":{"id":"U2"}}"#, "team_join", Some(("user", "U2"))),
        (r#"{"type":"emoji_changed"}"#, "emoji_changed", None),
    ] {
        let event = judge(&outer(inner)).unwrap();
        assert_eq!((event.kind.as_str(), about(&event)), (kind, object));
        assert_eq!((event.key.id.as_str(), event.account.as_deref()), ("Ev1", Some("T1")));
        assert_eq!(event.occurred_at.as_secs(), 1_234_567_890);
        assert!(!SlackProvider.is_answered_blank(&event));
    }
    let limited = judge(r#"{"type":"app_rate_limited","minute_rate_limited":1518467820}"#).unwrap();
    assert_eq!(limited.kind, "app_rate_limited");
    assert!(limited.key.id.starts_with("sha256_"));
    assert_eq!(judge("{}").unwrap_err(), "event_type_invalid");
}

#[test]
fn interactions_have_their_own_types() {
    let payload =
        r#"{"type":"block_actions","team":{"id":"T1"},"user":{"id":"U1"},"channel":{"id":"C1"}}"#;
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", payload)
        .finish();
    let event = event_of(&SlackProvider, SECRET, &signed(FORM, body.as_bytes())).unwrap();
    assert_eq!((event.kind.as_str(), about(&event)), ("block_actions", Some(("channel", "C1"))));
    assert_eq!(event.account.as_deref(), Some("T1"));
    for nothing in ["payload=x", "payload=%7B%7D", "a=b", ""] {
        let request = signed(FORM, nothing.as_bytes());
        let refused = event_of(&SlackProvider, SECRET, &request).unwrap_err();
        assert_eq!(refused, "event_type_invalid", "{nothing}");
    }
}

#[test]
fn what_is_missing_or_wrong_is_told_apart() {
    let body = br#"{"type":"x"}"#;
    let (good, t) = (sign(body), NOW.to_string());
    let judge = |headers: &[(&str, &str)]| {
        event_of(&SlackProvider, SECRET, &request(headers, body)).unwrap_err()
    };
    let time = ("x-slack-request-timestamp", &*t);
    assert_eq!(judge(&[time]), "signature_missing");
    assert_eq!(judge(&[("x-slack-signature", &good)]), "timestamp_missing");
    for (value, code) in [
        ("", "signature_empty"),
        (&good[3..], "signature_no_scheme"),
        (&format!("v1={}", &good[3..]), "signature_no_scheme"),
        ("v0=", "signature_mismatch"),
        (&good[..60], "signature_mismatch"),
    ] {
        assert_eq!(judge(&[("x-slack-signature", value), time]), code, "{value}");
    }
    let later = (NOW + 1).to_string();
    let moved = [("x-slack-signature", &*good), ("x-slack-request-timestamp", &*later)];
    assert_eq!(judge(&moved), "signature_mismatch");
    let odd = [("x-slack-signature", &*good), ("x-slack-request-timestamp", "-1")];
    assert_eq!(judge(&odd), "timestamp_invalid");
}
