//! The signature header: one row per case on which Stripe's libraries agree.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{Proof, Provider as _, RawRequest};
use super::testing::{BODY, NOW, SECRET, judge, judge_at, request, sign};
use super::{MAX_CANDIDATES, MAX_HEADER, MAX_TIMESTAMP, StripeProvider};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;
use crate::domain::event::VerifiedEvent;

fn good() -> String {
    sign(SECRET, &NOW.to_string(), BODY)
}

#[test]
fn what_both_libraries_accept_is_accepted() {
    let good = good();
    let bad = "0".repeat(64);
    let many = format!("v1={bad},").repeat(1_000);
    let t = NOW;
    for header in [
        format!("t={t},v1={good}"),
        format!("v1={good},t={t}"),
        format!("t={t},v0=abc,v2=def,scheme=x,v1={good}"),
        format!("key-without-value,t={t},v1={good},other"),
        format!("t={t},,v1={good},,"),
        format!(",t={t},v1={good}"),
        format!("=,t={t},=x,v1={good}"),
        format!("t={t},v1={bad},v1={good},v1={bad}"),
        format!("t={t},{many}v1={good}"),
        format!("t={t},v1={good},{many}"),
        format!("t={t},v1=,v1={good}"),
        format!("t={t},v1=\u{fc}\u{fc},v1={good}"),
        format!("t={t},t={t},v1={good}"),
        format!("t={t},t=+0{t},v1={good}"),
        format!("t= {t},v1={good}"),
        format!("t={t} ,v1={good}"),
        format!("t=\t {t} \t,v1={good}"),
        format!("t=000{t},v1={good}"),
        format!("t=+{t},v1={good}"),
        format!("t={t}=x,v1={good}=y"),
    ] {
        assert!(judge(&header, BODY).is_ok(), "{}", &header[..header.len().min(120)]);
    }
}

#[test]
fn what_both_libraries_refuse_is_refused_each_with_its_code() {
    let good = good();
    let t = NOW;
    let upper = good.to_uppercase();
    let (head, tail) = good.split_at(32);
    let two = t + 1;
    for (header, code) in [
        (String::new(), "signature_empty"),
        (format!("v1={good}"), "timestamp_missing"),
        (format!("T={t},v1={good}"), "timestamp_missing"),
        (format!(" t={t},v1={good}"), "timestamp_missing"),
        (",".into(), "timestamp_missing"),
        ("nonsense".into(), "timestamp_missing"),
        (format!("t={t}"), "signature_no_scheme"),
        (format!("t={t},v0={good}"), "signature_no_scheme"),
        (format!("t={t},v2={good}"), "signature_no_scheme"),
        (format!("t={t},V1={good}"), "signature_no_scheme"),
        (format!("t={t}, v1={good}"), "signature_no_scheme"),
        (format!("t={t},v1"), "signature_no_scheme"),
        (format!("t={t},v1 ={good}"), "signature_no_scheme"),
        (format!("t={t},v1="), "signature_mismatch"),
        (format!("t={t},v1={upper}"), "signature_mismatch"),
        (format!("t={t},v1={head}{}", tail.to_uppercase()), "signature_mismatch"),
        (format!("t={t},v1=\"{good}\""), "signature_mismatch"),
        (format!("t={t},v1={head}"), "signature_mismatch"),
        (format!("t={t},v1={good}00"), "signature_mismatch"),
        (format!("t={t},v1={good} "), "signature_mismatch"),
        (format!("t={t},v1= {good}"), "signature_mismatch"),
        (format!("t={t},v1=iLpTeP1bXQ1k0HsPq8mQ2b0tQm0hJ4b2K9vQx3w8Z7Y="), "signature_mismatch"),
        (format!("t={t},v1=\u{fc}{}", &good[2..]), "signature_mismatch"),
        (format!("t={two},v1={good}"), "signature_mismatch"),
        (format!("t=,v1={good}"), "timestamp_invalid"),
        (format!("t,v1={good}"), "timestamp_invalid"),
        (format!("t= ,v1={good}"), "timestamp_invalid"),
        (format!("t=1e9,v1={good}"), "timestamp_invalid"),
        (format!("t={t}abc,v1={good}"), "timestamp_invalid"),
        (format!("t={t}.0,v1={good}"), "timestamp_invalid"),
        (format!("t=1_795_400_000,v1={good}"), "timestamp_invalid"),
        (format!("t=\u{661}\u{662},v1={good}"), "timestamp_invalid"),
        (format!("t=NaN,v1={good}"), "timestamp_invalid"),
        (format!("t=-{t},v1={good}"), "timestamp_invalid"),
        (format!("t=-0,v1={good}"), "timestamp_invalid"),
        (format!("t=++{t},v1={good}"), "timestamp_invalid"),
        (format!("t=0x6B,v1={good}"), "timestamp_invalid"),
        (format!("t={},v1={good}", MAX_TIMESTAMP + 1), "timestamp_invalid"),
        (format!("t=18446744073709551616,v1={good}"), "timestamp_invalid"),
        (format!("t={},v1={good}", "9".repeat(400)), "timestamp_invalid"),
        (format!("t={t},t=x,v1={good}"), "timestamp_invalid"),
        (format!("t={t},t={two},v1={good}"), "timestamp_conflict"),
        (format!("t={two},t={t},v1={good}"), "timestamp_conflict"),
    ] {
        assert_eq!(judge(&header, BODY).unwrap_err(), code, "{header}");
    }
}

#[test]
fn an_absent_header_has_its_own_code() {
    let bare = RawRequest { headers: vec![], body: BODY.into() };
    assert_eq!(judge_at(&bare, Timestamp::from_secs(NOW)).unwrap_err(), "signature_missing");
}

#[test]
fn two_header_lines_are_one_list() {
    let mut split = request(format!("t={NOW}").as_bytes(), BODY);
    let second = request(format!("v1={}", good()).as_bytes(), BODY);
    split.headers.extend(second.headers);
    let event = judge_at(&split, Timestamp::from_secs(NOW)).unwrap();
    assert_eq!(event.proof[0].value, format!("t={NOW},v1={}", good()).into_bytes());
}

#[test]
fn hostile_headers_meet_a_limit_with_a_name() {
    let good = good();
    let fits = "x".repeat(MAX_HEADER - good.len() - format!("t={NOW},v1=,").len());
    assert!(judge(format!("t={NOW},v1={good},{fits}"), BODY).is_ok());
    assert_eq!(
        judge(format!("t={NOW},v1={good},{fits}x"), BODY).unwrap_err(),
        "signature_too_long"
    );
    let most = "v1=,".repeat(MAX_CANDIDATES - 1);
    assert!(judge(format!("t={NOW},{most}v1={good}"), BODY).is_ok());
    assert_eq!(
        judge(format!("t={NOW},{most}v1=,v1={good}"), BODY).unwrap_err(),
        "signature_too_many"
    );
}

#[test]
fn age_counts_in_whole_seconds_and_after_the_signature() {
    let header = format!("t={NOW},v1={}", good());
    let at = |millis: u64| {
        judge_at(&request(header.as_bytes(), BODY), Timestamp::from_millis(NOW * 1_000 + millis))
    };
    assert!(at(300_000).is_ok());
    assert!(at(300_999).is_ok());
    assert_eq!(at(301_000).unwrap_err(), "timestamp_too_old");
    let stale_and_wrong = request(format!("t={NOW},v1={}", "0".repeat(64)).as_bytes(), BODY);
    let later = Timestamp::from_secs(NOW + 1_000);
    assert_eq!(judge_at(&stale_and_wrong, later).unwrap_err(), "signature_mismatch");
}

#[test]
fn the_future_is_open_unless_bounded() {
    let far = MAX_TIMESTAMP;
    let header = format!("t={far},v1={}", sign(SECRET, &far.to_string(), BODY));
    assert!(judge(&header, BODY).is_ok());

    let bounded = StripeProvider { max_ahead: Some(Duration::from_secs(60)) };
    let secrets = [Secret::new(SECRET).unwrap()];
    let ahead = |seconds: u64| {
        let t = NOW + seconds;
        let header = format!("t={t},v1={}", sign(SECRET, &t.to_string(), BODY));
        let now = Timestamp::from_secs(NOW);
        let proof = Proof { secrets: &secrets, tolerance: Duration::from_secs(300), now };
        bounded.verify(&request(header.as_bytes(), BODY), proof).map_err(|r| r.code)
    };
    assert!(ahead(60).is_ok());
    assert_eq!(ahead(61).unwrap_err(), "timestamp_ahead");
}

#[test]
fn no_tolerance_means_no_check_of_age() {
    let secrets = [Secret::new(SECRET).unwrap()];
    let header = format!("t=0,v1={}", sign(SECRET, "0", BODY));
    let now = Timestamp::from_secs(NOW);
    let verify = |tolerance| {
        let proof = Proof { secrets: &secrets, tolerance, now };
        StripeProvider::default().verify(&request(header.as_bytes(), BODY), proof)
    };
    assert!(verify(Duration::ZERO).is_ok());
    assert_eq!(verify(Duration::from_millis(1)).unwrap_err().code, "timestamp_too_old");
}

#[test]
fn any_live_secret_proves_and_is_named() {
    let old = Secret::new("whsec_old").unwrap();
    let mut dead = Secret::new("whsec_dead").unwrap();
    dead.not_after = Some(Timestamp::from_secs(NOW));
    let new = Secret::new(SECRET).unwrap();
    let now = Timestamp::from_secs(NOW);
    let verify = |secrets: &[Secret], signer: &str| {
        let header = format!("t={NOW},v1={}", sign(signer, &NOW.to_string(), BODY));
        let proof = Proof { secrets, tolerance: Duration::from_secs(300), now };
        StripeProvider::default().verify(&request(header.as_bytes(), BODY), proof)
    };
    let all = [old.clone(), dead.clone(), new.clone()];
    assert_eq!(verify(&all, SECRET).unwrap().secret, new.id());
    assert_eq!(verify(&all, "whsec_old").unwrap().secret, old.id());
    assert_eq!(verify(&all, "whsec_dead").unwrap_err().code, "signature_mismatch");
    assert_eq!(verify(&[dead], "whsec_dead").unwrap_err().code, "no_live_secret");
    assert_eq!(verify(&[], SECRET).unwrap_err().code, "no_live_secret");
}

#[test]
fn a_kept_event_is_proved_again_and_an_altered_one_is_not() {
    let mut secret = Secret::new(SECRET).unwrap();
    let event = judge(format!("t={NOW},v1={}", good()), BODY).unwrap();
    secret.not_after = Some(Timestamp::from_secs(1));
    let bounded = StripeProvider { max_ahead: Some(Duration::ZERO) };
    bounded.verify_again(&event, &secret).unwrap();

    let other = Secret::new("whsec_other").unwrap();
    let code =
        |event: &VerifiedEvent, secret| bounded.verify_again(event, secret).unwrap_err().code;
    assert_eq!(code(&event, &other), "signature_mismatch");
    let mut altered = event.clone();
    altered.body = [BODY, b" "].concat().into();
    assert_eq!(code(&altered, &secret), "signature_mismatch");
}

proptest! {
    #[test]
    fn no_header_and_no_body_makes_it_panic_or_pass(
        header in proptest::collection::vec(any::<u8>(), 0..400),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(judge(&header, &body).is_err());
    }

    #[test]
    fn nothing_shaped_like_a_header_passes_unsigned(
        items in proptest::collection::vec("(t|v1|v0)?=?[0-9a-f+ ]{0,66}", 0..12),
        body in ".{0,80}",
    ) {
        prop_assert!(judge(items.join(","), body.as_bytes()).is_err());
    }

    #[test]
    fn a_genuine_signature_is_found_among_any_noise(
        before in proptest::collection::vec("(v1|v0|x)=?[0-9a-z]{0,66}", 0..20),
        after in proptest::collection::vec("(v1|v0|x)=?[0-9a-z]{0,66}", 0..20),
    ) {
        let own = [format!("t={NOW}"), format!("v1={}", good())];
        let header = [before, own.to_vec(), after].concat().join(",");
        prop_assert!(judge(header, BODY).is_ok());
    }

    #[test]
    fn one_changed_byte_of_the_body_is_noticed(at in 0..BODY.len(), flip in 1_u8..) {
        let mut body = BODY.to_vec();
        body[at] ^= flip;
        prop_assert_eq!(judge(format!("t={NOW},v1={}", good()), &body).unwrap_err(), "signature_mismatch");
    }
}
