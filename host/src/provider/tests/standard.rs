//! Standard Webhooks and Svix.

use super::super::standard::StandardProvider;
use super::*;

/// The secret of the specification's example.
const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &[u8] = br#"{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52","object":"person"}}"#;

fn sign(id: &str, seconds: &str, body: &[u8]) -> String {
    let key = STANDARD.decode(&WHSEC[6..]).unwrap();
    base64(&mac(&key, &[id.as_bytes(), b".", seconds.as_bytes(), b".", body]))
}

fn judge(
    id: &str,
    seconds: &str,
    signature: &str,
    body: &[u8],
) -> Result<VerifiedEvent, &'static str> {
    let headers =
        [("webhook-id", id), ("webhook-timestamp", seconds), ("webhook-signature", signature)];
    event_of(&StandardProvider::standard(), WHSEC, &request(&headers, body))
}

fn genuine(body: &[u8]) -> VerifiedEvent {
    let seconds = NOW.to_string();
    judge("msg_1", &seconds, &format!("v1,{}", sign("msg_1", &seconds, body)), body).unwrap()
}

#[test]
fn an_event_tells_its_id_type_object_and_time() {
    let event = genuine(BODY);
    assert_eq!(event.key.to_string(), "standardwebhooks.msg_1");
    assert_eq!(event.kind, "contact.created");
    assert_eq!(about(&event), Some(("person", "1f81eb52")));
    assert_eq!(event.occurred_at.as_secs(), 1_667_507_170);
    assert!(event.livemode && event.account.is_none());
    assert_eq!(event.proof.len(), 3);
}

#[test]
fn the_type_is_where_senders_put_it() {
    for (body, kind, object) in [
        (
            r#"{"type":"user.role.changed","data":{"id":7}}"#,
            "user.role.changed",
            Some(("user.role", "7")),
        ),
        (r#"{"event_type":"a.b","data":{}}"#, "a.b", None),
        (r#"{"eventType":"ping"}"#, "ping", None),
        (r#"{"event":"x","data":{"id":"1"}}"#, "x", Some(("x", "1"))),
        (r#"{"type":"has blank"}"#, "untyped", None),
        (r#"{"type":{"a":1}}"#, "untyped", None),
        ("[1]", "untyped", None),
        ("plain words", "untyped", None),
    ] {
        let event = genuine(body.as_bytes());
        assert_eq!((event.kind.as_str(), about(&event)), (kind, object), "{body}");
        if kind != "a.b" {
            assert_eq!(event.occurred_at.as_secs(), NOW);
        }
    }
}

#[test]
fn every_header_is_judged_as_the_libraries_do() {
    let t = NOW.to_string();
    let good = sign("msg_1", &t, BODY);
    let bad = base64(&[0; 32]);
    let many = format!("v1,{bad} ").repeat(31);
    for header in [
        format!("v1,{good}"),
        format!("v1,{bad} v1,{good}"),
        format!("v1,{good} v1,{bad}"),
        format!("v1a,{bad} v1,{good} v2,x"),
        format!("nonsense v1,{good}"),
        format!("{many}v1,{good}"),
        format!("v1,{}", good.trim_end_matches('=')),
    ] {
        assert!(judge("msg_1", &t, &header, BODY).is_ok(), "{header}");
    }
    for (header, code) in [
        (String::new(), "signature_empty"),
        (good.clone(), "signature_no_scheme"),
        (format!("v1={good}"), "signature_no_scheme"),
        (format!("v1a,{good}"), "signature_no_scheme"),
        (format!("V1,{good}"), "signature_no_scheme"),
        (format!("v1,{bad}"), "signature_mismatch"),
        (format!("v1,{}", &good[..40]), "signature_mismatch"),
        (format!("v1,{}", hex::encode(STANDARD.decode(&good).unwrap())), "signature_mismatch"),
        (format!("{many}v1,{bad} v1,{good}"), "signature_too_many"),
        (format!("v1,{}", "A".repeat(9_000)), "signature_too_long"),
    ] {
        assert_eq!(judge("msg_1", &t, &header, BODY).unwrap_err(), code, "{header}");
    }
}

#[test]
fn id_and_time_are_part_of_what_is_signed() {
    let t = NOW.to_string();
    let header = format!("v1,{}", sign("msg_1", &t, BODY));
    assert_eq!(judge("msg_2", &t, &header, BODY).unwrap_err(), "signature_mismatch");
    let later = (NOW + 1).to_string();
    assert_eq!(judge("msg_1", &later, &header, BODY).unwrap_err(), "signature_mismatch");
    assert_eq!(judge("msg_1", "1e9", &header, BODY).unwrap_err(), "timestamp_invalid");
    for id in ["", "has blank", "\u{fc}", &"x".repeat(256)] {
        let header = format!("v1,{}", sign(id, &t, BODY));
        assert_eq!(judge(id, &t, &header, BODY).unwrap_err(), "event_id_invalid", "{id}");
    }
    let signed = [("webhook-signature", &*header), ("webhook-timestamp", &*t)];
    let provider = StandardProvider::standard();
    let code = event_of(&provider, WHSEC, &request(&signed, BODY)).unwrap_err();
    assert_eq!(code, "header_missing");
    let code = event_of(&provider, WHSEC, &request(&[signed[0], ("webhook-id", "msg_1")], BODY));
    assert_eq!(code.unwrap_err(), "timestamp_missing");
}

/// `a.1.2.x` is what `("a", 1, "2.x")` and `("a.1", 2, "x")` sign alike.
#[test]
fn no_signature_can_be_read_in_two_ways() {
    let t = NOW.to_string();
    let body = format!("{t}.x");
    let stolen = format!("v1,{}", sign("a", &t, body.as_bytes()));
    assert!(judge("a", &t, &stolen, body.as_bytes()).is_ok());
    assert_eq!(judge(&format!("a.{t}"), &t, &stolen, b"x").unwrap_err(), "event_id_invalid");
    let dotted = format!("v1,{}", sign("a.b", &t, BODY));
    assert_eq!(judge("a.b", &t, &dotted, BODY).unwrap().key.id, "a.b");
}

#[test]
fn the_window_is_300_seconds_to_both_sides() {
    let t = NOW.to_string();
    let header = format!("v1,{}", sign("msg_1", &t, BODY));
    let headers =
        [("webhook-id", "msg_1"), ("webhook-timestamp", &t), ("webhook-signature", &header)];
    let at = |late| {
        receive_late(&StandardProvider::standard(), WHSEC, &request(&headers, BODY), late).err()
    };
    assert_eq!([at(0), at(300), at(-300)], [None; 3]);
    assert_eq!(at(301), Some("timestamp_too_old"));
    assert_eq!(at(-301), Some("timestamp_ahead"));
}

#[test]
fn svix_has_names_of_its_own_and_reads_the_others_too() {
    let t = NOW.to_string();
    let header = format!("v1,{}", sign("msg_1", &t, BODY));
    let own = [("svix-id", "msg_1"), ("svix-timestamp", &t), ("svix-signature", &header)];
    let general =
        [("webhook-id", "msg_1"), ("webhook-timestamp", &t), ("webhook-signature", &header)];
    let svix = StandardProvider::svix();
    let event = event_of(&svix, WHSEC, &request(&own, BODY)).unwrap();
    assert_eq!(event.key.to_string(), "svix.msg_1");
    assert!(event_of(&svix, WHSEC, &request(&general, BODY)).is_ok());
    let standard = event_of(&StandardProvider::standard(), WHSEC, &request(&own, BODY));
    assert_eq!(standard.unwrap_err(), "signature_missing");
    // One family counts: what of the other is unsigned decides nothing.
    let mixed = [general[0], general[1], own[2]];
    assert_eq!(event_of(&svix, WHSEC, &request(&mixed, BODY)).unwrap_err(), "header_missing");
}

#[test]
fn a_secret_is_base64_or_refused() {
    let check = |text| StandardProvider::svix().check_secret(&Secret::new(text).unwrap());
    for good in [WHSEC, &WHSEC[6..], "whsec_c2VjcmV0", "whsec_c2Vjcg", "whsec_c2VjcmV0\n"] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for bad in ["whsec_", "whsec_???", "not base64 at all", "whpk_c2VjcmV0", "whsk_c2VjcmV0"] {
        assert!(check(bad).is_err(), "{bad}");
    }
}
