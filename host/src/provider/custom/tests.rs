//! Descriptions, and what they take.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::*;
use crate::domain::clock::Timestamp;
use crate::domain::event::Header;

const NOW: u64 = 1_795_400_000;
const BODY: &[u8] = br#"{"kind":"order shipped","n":[{"id":41}],"a~b":{"c/d":"x"},"yes":true}"#;

fn plain() -> Description {
    Description {
        name: "acme".into(),
        header: "x-acme-signature".into(),
        algorithm: Algorithm::Sha256,
        encoding: Encoding::Hex,
        prefix: String::new(),
        separator: None,
        key: KeyForm::Text,
        signed: Template::default(),
        timestamp: None,
        id: None,
        kind: Source::Fixed("acme.event".into()),
        object: None,
        object_kind: None,
        account: None,
    }
}

fn judge(
    description: Description,
    secret: &str,
    headers: &[(&str, &str)],
) -> Result<VerifiedEvent, &'static str> {
    let provider = CustomProvider::new(description).unwrap();
    let header = |(name, value): &(&str, &str)| Header {
        name: (*name).to_owned(),
        value: value.as_bytes().to_vec(),
    };
    let headers = headers.iter().map(header).collect();
    let request = RawRequest { headers, body: Bytes::from_static(BODY) };
    let secrets = [Secret::new(secret).unwrap()];
    let now = Timestamp::from_secs(NOW);
    let proof = Proof { secrets: &secrets, tolerance: Duration::from_secs(300), now };
    let event = provider.verify(&request, proof).map_err(|error| error.code)?;
    assert_eq!(provider.verify_again(&event, &secrets[0]), Ok(()));
    Ok(event)
}

macro_rules! mac {
    ($hash:ty, $key:expr, $text:expr) => {{
        let mut mac = Hmac::<$hash>::new_from_slice($key).unwrap();
        mac.update($text);
        mac.finalize().into_bytes().to_vec()
    }};
}

#[test]
fn each_algorithm_and_way_of_writing() {
    let base64 = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    };
    let (one, two, five) =
        (mac!(Sha1, b"k", BODY), mac!(Sha256, b"k", BODY), mac!(Sha512, b"k", BODY));
    for (algorithm, mac) in
        [(Algorithm::Sha1, one), (Algorithm::Sha256, two), (Algorithm::Sha512, five)]
    {
        for (encoding, text) in
            [(Encoding::Hex, hex::encode(&mac)), (Encoding::Base64, base64(&mac))]
        {
            let description = Description { algorithm, encoding, ..plain() };
            let event = judge(description, "k", &[("x-acme-signature", &text)]).unwrap();
            assert_eq!(event.kind, "acme.event");
            assert_eq!(event.key.id, fields::digest(BODY));
            assert_eq!(event.occurred_at.as_secs(), NOW);
        }
    }
    let bare = hex::encode(mac!(Sha256, b"k", BODY));
    assert_eq!(
        judge(plain(), "x", &[("x-acme-signature", &bare)]).unwrap_err(),
        "signature_mismatch"
    );
    for (key, secret) in [(KeyForm::Hex, "6b"), (KeyForm::Base64, "whsec_aw==")] {
        assert!(
            judge(Description { key, ..plain() }, secret, &[("x-acme-signature", &bare)]).is_ok()
        );
        let provider = CustomProvider::new(Description { key, ..plain() }).unwrap();
        assert!(provider.check_secret(&Secret::new("!").unwrap()).is_err());
    }
}

#[test]
fn a_list_of_signatures_and_a_prefix() {
    let good = hex::encode(mac!(Sha256, b"k", BODY));
    let description = Description { prefix: "v1=".into(), separator: Some(", ".into()), ..plain() };
    let judge =
        |header: &str| judge(description.clone(), "k", &[("x-acme-signature", header)]).err();
    assert_eq!(judge(&format!("t=1, v1=00, v1={good}")), None);
    assert_eq!(judge(&format!("v1={good}, v2=x")), None);
    assert_eq!(judge(&format!("v2={good}")), Some("signature_no_scheme"));
    assert_eq!(judge("v1=00, v1=11"), Some("signature_mismatch"));
}

#[test]
fn time_and_id_are_signed_where_the_template_says_so() {
    let description = Description {
        signed: "{id}:{timestamp}:{body}".parse().unwrap(),
        timestamp: Some("x-time".into()),
        id: Some("header:X-Id".parse().unwrap()),
        ..plain()
    };
    let sign = |id: &str, time: &str| {
        hex::encode(mac!(
            Sha256,
            b"k",
            &[id.as_bytes(), b":", time.as_bytes(), b":", BODY].concat()
        ))
    };
    let judge = |id: &str, time: &str, signature: &str| {
        let headers = [("x-acme-signature", signature), ("x-id", id), ("x-time", time)];
        judge(description.clone(), "k", &headers).map(|event| event.key.id)
    };
    let (now, old, millis) = (NOW.to_string(), (NOW - 301).to_string(), format!("{NOW}250"));
    assert_eq!(judge("7", &now, &sign("7", &now)).unwrap(), "7");
    assert_eq!(judge("7", &millis, &sign("7", &millis)).unwrap(), "7");
    assert_eq!(judge("8", &now, &sign("7", &now)), Err("signature_mismatch"));
    assert_eq!(judge("7", &old, &sign("7", &old)), Err("timestamp_too_old"));
    assert_eq!(judge("7", &old, &sign("7", &now)), Err("signature_mismatch"));
    assert_eq!(judge("7", "soon", &sign("7", "soon")), Err("timestamp_invalid"));
    assert!(judge("a b", &now, &sign("a b", &now)).unwrap().starts_with("sha256_"));
    let good = sign("", &now);
    let without = [("x-acme-signature", &*good), ("x-time", &*now)];
    assert_eq!(
        super::tests::judge(description.clone(), "k", &without).unwrap_err(),
        "header_missing"
    );
}

#[test]
fn places_in_the_body() {
    let description = |kind: &str, id: &str| Description {
        kind: kind.parse().unwrap(),
        id: Some(id.parse().unwrap()),
        object: Some("json:/n/0/id".parse().unwrap()),
        object_kind: Some("fixed:order".parse().unwrap()),
        account: Some("json:/a~0b/c~1d".parse().unwrap()),
        ..plain()
    };
    let good = hex::encode(mac!(Sha256, b"k", BODY));
    let headers = [("x-acme-signature", &*good)];
    let event = judge(description("json:/kind", "json:/n/0/id"), "k", &headers).unwrap();
    assert_eq!((event.kind.as_str(), event.key.id.as_str()), ("order_shipped", "41"));
    assert_eq!(event.object.unwrap(), ObjectRef { kind: "order".into(), id: "41".into() });
    assert_eq!(event.account.as_deref(), Some("x"));
    for (kind, id, code) in [
        ("json:/absent", "json:/kind", "event_type_invalid"),
        ("json:/n", "json:/kind", "event_type_invalid"),
        ("json:/kind", "json:/n/1/id", "event_id_invalid"),
        ("json:/kind", "header:x-none", "event_id_invalid"),
    ] {
        assert_eq!(judge(description(kind, id), "k", &headers).unwrap_err(), code, "{kind} {id}");
    }
}

#[test]
fn a_description_that_proves_less_than_it_says_is_refused() {
    let signed = |text: &str| text.parse::<Template>().unwrap();
    let new = |description| CustomProvider::new(description).unwrap_err();
    let timed = Description { signed: signed("{timestamp}{body}"), ..plain() };
    assert_eq!(new(timed), DescriptionError::NoTimestamp);
    let unsigned = Description { timestamp: Some("x-time".into()), ..plain() };
    assert_eq!(new(unsigned), DescriptionError::UnsignedTimestamp);
    let named = Description { signed: signed("{id}{body}"), ..plain() };
    assert_eq!(new(named.clone()), DescriptionError::NoId);
    assert_eq!(
        new(Description { id: Some("json:/id".parse().unwrap()), ..named }),
        DescriptionError::NoId
    );
    for (bad, error) in [
        ("", TemplateError::Body),
        ("{timestamp}", TemplateError::Body),
        ("{body}{body}", TemplateError::Body),
        ("{bodies}", TemplateError::Unknown("bodies".into())),
        ("{body", TemplateError::Open),
    ] {
        assert_eq!(bad.parse::<Template>().unwrap_err(), error);
    }
    for bad in
        ["", "x-id", "header:", "header:a b", "json:id", "json:", "fixed:", "fixed:a b", "x:y"]
    {
        assert!(bad.parse::<Source>().is_err(), "{bad}");
    }
    for good in ["header:x-id", "json:/a~0b/c~1d/0", "fixed:a.b"] {
        assert_eq!(good.parse::<Source>().unwrap().to_string(), good);
    }
    assert_eq!(signed("v0:{timestamp}:{body}").to_string(), "v0:{timestamp}:{body}");
}
