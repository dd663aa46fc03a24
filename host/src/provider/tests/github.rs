//! GitHub.

use super::super::github::GitHubProvider;
use super::*;

fn sign(body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(SECRET.as_bytes(), &[body])))
}

fn judge(kind: &str, body: &[u8]) -> Result<VerifiedEvent, &'static str> {
    let signature = sign(body);
    let headers = [
        ("x-hub-signature-256", &*signature),
        ("x-github-event", kind),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("content-type", "application/json"),
    ];
    event_of(&GitHubProvider, SECRET, &request(&headers, body))
}

/// The example of GitHub's documentation.
#[test]
fn the_documented_signature_is_accepted() {
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(sign(b"Hello, World!"), expected);
    assert_eq!(judge("push", b"Hello, World!").unwrap_err(), "body_not_json");
}

#[test]
fn the_type_is_the_event_and_its_action() {
    for (name, body, kind) in [
        ("issues", r#"{"action":"opened"}"#, "issues.opened"),
        ("push", "{}", "push"),
        ("ping", r#"{"zen":"x","hook_id":1}"#, "ping"),
        ("repository_dispatch", r#"{"action":"has blank"}"#, "repository_dispatch"),
        ("repository_dispatch", r#"{"action":"a.b"}"#, "repository_dispatch.a.b"),
        ("star", r#"{"action":null}"#, "star"),
    ] {
        assert_eq!(judge(name, body.as_bytes()).unwrap().kind, kind);
    }
    let pattern: crate::domain::pattern::TypePattern = "issues.*".parse().unwrap();
    assert!(pattern.matches(&judge("issues", br#"{"action":"opened"}"#).unwrap().kind));
}

#[test]
fn what_concerns_one_thing_is_about_it() {
    let comment = br#"{"action":"created","issue":{"id":5},"comment":{"id":6},"repository":{"id":7,"owner":{"login":"octo"}}}"#;
    let event = judge("issue_comment", comment).unwrap();
    assert_eq!(about(&event), Some(("issue", "5")));
    assert_eq!(event.account.as_deref(), Some("octo"));
    assert_eq!(event.key.id, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(event.occurred_at.as_secs(), NOW);
    for (body, object) in [
        (
            r#"{"repository":{"id":7},"organization":{"id":8,"login":"o"}}"#,
            Some(("repository", "7")),
        ),
        (r#"{"organization":{"id":8,"login":"o"}}"#, Some(("organization", "8"))),
        (r#"{"alert":{"number":3},"repository":{"id":7}}"#, Some(("alert", "7/3"))),
        (r#"{"pull_request":{"id":1},"repository":{"id":7}}"#, Some(("pull_request", "1"))),
        (r#"{"sender":{"id":1}}"#, None),
    ] {
        assert_eq!(about(&judge("x", body.as_bytes()).unwrap()), object, "{body}");
    }
}

#[test]
fn what_is_missing_or_wrong_is_told_apart() {
    let body = br#"{"action":"opened"}"#;
    let good = sign(body);
    let upper = good.to_uppercase().replace("SHA256", "sha256");
    let rest = [("x-github-event", "issues"), ("x-github-delivery", "1")];
    let judge = |signature: (&str, &str)| {
        let headers = [signature, rest[0], rest[1]];
        event_of(&GitHubProvider, SECRET, &request(&headers, body)).err()
    };
    assert_eq!(judge(("x-hub-signature-256", &good)), None);
    assert_eq!(judge(("x-hub-signature-256", &upper)), None);
    for (name, value, code) in [
        ("x-other", "", "signature_missing"),
        ("x-hub-signature", "sha1=00", "signature_no_scheme"),
        ("x-hub-signature-256", "", "signature_empty"),
        ("x-hub-signature-256", "sha1=00", "signature_no_scheme"),
        ("x-hub-signature-256", &good[7..], "signature_no_scheme"),
        ("x-hub-signature-256", "sha256=", "signature_mismatch"),
        ("x-hub-signature-256", &good[..70], "signature_mismatch"),
        ("x-hub-signature-256", &format!("{good}00"), "signature_mismatch"),
    ] {
        assert_eq!(judge((name, value)), Some(code), "{name}: {value}");
    }
    let signed = ("x-hub-signature-256", &*good);
    let without = |headers: &[(&str, &str)]| {
        event_of(&GitHubProvider, SECRET, &request(headers, body)).unwrap_err()
    };
    assert_eq!(without(&[signed, rest[0]]), "event_id_invalid");
    assert_eq!(without(&[signed, rest[1]]), "event_type_invalid");
}

#[test]
fn a_form_is_told_which_setting_to_change_once_it_is_proved() {
    let body = b"payload=%7B%22zen%22%3A%22x%22%7D";
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let judge = |signature: &str| {
        let headers = [("x-hub-signature-256", signature), form];
        event_of(&GitHubProvider, SECRET, &request(&headers, body)).unwrap_err()
    };
    assert_eq!(judge(&sign(body)), "content_type_form");
    assert_eq!(judge(&sign(b"another")), "signature_mismatch");
}
