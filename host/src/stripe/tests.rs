//! Accounts, authorities and the client, against a double of Stripe's API.

use std::sync::Arc;
use std::time::Duration;

use super::testing::{CUT, Double, account, answer, ok};
use super::*;
use crate::domain::backoff::Backoff;
use crate::domain::clock::{ManualClock, Timestamp};

const BASE: &str = "https://api.stripe.com";

/// Short waits: the rules are tested, not the defaults.
fn api(change: impl FnOnce(&mut ApiLimits)) -> StripeApi {
    let mut limits = ApiLimits {
        backoff: Backoff {
            first: Duration::from_millis(2),
            longest: Duration::from_millis(4),
            ..ApiLimits::default().backoff
        },
        test_per_second: 10_000,
        ..ApiLimits::default()
    };
    change(&mut limits);
    StripeApi::new(limits, Arc::new(ManualClock::at(Timestamp::from_secs(1_000)))).unwrap()
}

fn own(account: Account) -> Authority {
    Authority::own(&Arc::new(account))
}

fn id(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

#[test]
fn accounts_that_cannot_be_told_apart_are_refused() {
    let named = |name: &str, key: &str, own: Option<&str>| Account {
        id: own.map(id),
        ..account(name, key, BASE)
    };
    let refused = |first, second| Accounts::new(vec![first, second]).unwrap_err().to_string();
    assert_eq!(
        refused(named("a", "sk_test_1", None), named("a", "sk_test_2", None)),
        "`a` is another account's name; each needs its own"
    );
    assert_eq!(
        refused(named("a", "sk_test_1", Some("acct_1")), named("b", "rk_test_2", Some("acct_1"))),
        "`b` is acct_1 in test mode, and so is `a`; keep one of them"
    );
    assert_eq!(
        refused(named("a", "sk_test_1", None), named("b", "sk_test_1", None)),
        "`b` has the key of `a`; keep one of them"
    );
    // Test and live of one account are two keys.
    let both = vec![
        named("a", "sk_test_1", Some("acct_1")),
        named("b", "sk_live_1", Some("acct_1")),
        named("default", "sk_live_2", None),
    ];
    let both = Accounts::new(both).unwrap();
    assert_eq!(both.default_of(Some(Mode::Test)).unwrap().name, "a");
    assert_eq!(both.default_of(Some(Mode::Live)).unwrap().name, "default");
    assert_eq!(both.default_of(None).unwrap().name, "default");
    assert!(Accounts::default().default_of(None).is_none());
}

#[test]
fn a_key_is_chosen_for_an_event_only_where_no_other_could_be_meant() {
    let accounts = Accounts::new(vec![
        Account { id: Some(id("acct_1")), ..account("one", "sk_live_1", BASE) },
        Account { id: Some(id("acct_2")), ..account("two", "sk_live_2", BASE) },
        account("trial", "sk_test_1", BASE),
    ])
    .unwrap();
    let chosen = |named, mode, of| accounts.authority(named, mode, of).map(|a| a.to_string());
    let cases = [
        // The only key of the mode.
        (None, Mode::Test, None, Ok("trial".to_owned())),
        (None, Mode::Test, Some("acct_9"), Ok("trial/acct_9".to_owned())),
        // The event says whose it is, and one account is just that.
        (None, Mode::Live, Some("acct_2"), Ok("two".to_owned())),
        // The endpoint is tied to an account.
        (Some("one"), Mode::Live, None, Ok("one".to_owned())),
        (Some("one"), Mode::Live, Some("acct_9"), Ok("one/acct_9".to_owned())),
        (Some("one"), Mode::Live, Some("acct_1"), Ok("one".to_owned())),
        (
            None,
            Mode::Live,
            Some("acct_9"),
            Err(NoKey::Ambiguous { mode: Mode::Live, names: vec!["one".into(), "two".into()] }),
        ),
        (
            None,
            Mode::Live,
            None,
            Err(NoKey::Ambiguous { mode: Mode::Live, names: vec!["one".into(), "two".into()] }),
        ),
        (
            Some("one"),
            Mode::Test,
            None,
            Err(NoKey::Mode { name: "one".into(), has: Mode::Live, wanted: Mode::Test }),
        ),
        (Some("three"), Mode::Test, None, Err(NoKey::Unknown("three".into()))),
        (None, Mode::Test, Some("acct_1\r\nx"), Err(NoKey::Account("acct_1\r\nx".into()))),
    ];
    for (named, mode, of, expected) in cases {
        assert_eq!(chosen(named, mode, of), expected, "{named:?} {mode} {of:?}");
    }
    let none = Accounts::default().authority(None, Mode::Live, None);
    assert_eq!(none.unwrap_err(), NoKey::None(Mode::Live));
}

#[tokio::test]
async fn a_call_says_key_account_version_and_what_it_asks() {
    let double = Double::start(|_, _| ok("{}")).await;
    let connected = Authority::on_behalf_of(&Arc::new(double.account("a")), id("acct_9"));
    let api = api(|_| {});
    let list = Call::get("/v1/events").query("created[gte]", 7).query("types[]", "a&b");
    api.call(&connected, &list).await.unwrap();
    let made = Call::post("/v1/webhook_endpoints")
        .form("enabled_events[]", "*")
        .form("metadata[a b]", "1=2")
        .idempotency_key("k1")
        .version("2024-01-01");
    api.call(&own(double.account("a")), &made).await.unwrap();
    api.call(&connected, &Call::get("/v2/core/events/evt_1")).await.unwrap();

    let asked = double.asked();
    assert_eq!(asked[0].line(), "GET /v1/events?created%5Bgte%5D=7&types%5B%5D=a%26b");
    assert_eq!(asked[0].header("authorization"), Some("Bearer sk_test_a"));
    assert_eq!(asked[0].header("stripe-account"), Some("acct_9"));
    assert_eq!(asked[0].header("stripe-version"), None);
    assert_eq!(asked[1].line(), "POST /v1/webhook_endpoints");
    assert_eq!(asked[1].body, "enabled_events%5B%5D=*&metadata%5Ba+b%5D=1%3D2");
    assert_eq!(asked[1].header("idempotency-key"), Some("k1"));
    assert_eq!(asked[1].header("stripe-account"), None);
    assert_eq!(asked[1].header("stripe-version"), Some("2024-01-01"));
    assert_eq!(asked[2].header("stripe-context"), Some("acct_9"));
    assert_eq!(asked[2].header("stripe-account"), None);
    assert!(asked[2].header("stripe-version").is_some());
}

#[tokio::test]
async fn errors_are_told_apart_and_never_hold_the_key() {
    let double = Double::start(|_, asked| {
        let key = asked.header("authorization").unwrap().trim_start_matches("Bearer ");
        let body = format!(
            r#"{{"error":{{"type":"x","code":"c","param":"url","message":"no: {key}\nor so"}}}}"#
        );
        let status = asked.line().rsplit('/').next().unwrap();
        answer(&format!("{status} X"), &[("retry-after", "3600")], &body)
    })
    .await;
    let api = api(|_| {});
    let authority = own(double.account("secretpart"));
    let mut kinds = Vec::new();
    for status in [401, 403, 404, 429, 503, 302, 400] {
        let error = api.call(&authority, &Call::get(format!("/v1/{status}"))).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk_test_secretpart"), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error:?}");
        kinds.push(error.kind());
        if let ApiError::Refused { status: 400, code, param, message } = &error {
            assert_eq!((code.as_deref(), param.as_deref()), (Some("c"), Some("url")));
            assert_eq!(message, "no: [key] or so");
        }
    }
    let expected =
        ["unauthorised", "forbidden", "not_found", "rate_limited", "server", "refused", "refused"];
    assert_eq!(kinds, expected);
    assert!(kinds.iter().all(|kind| ApiError::KINDS.contains(kind)));
    // Each was asked for once: an hour is for the caller to wait.
    assert_eq!(double.asked().len(), 7);
    let shown = format!("{api:?} {authority:?} {:?}", authority.account());
    assert!(!shown.contains("sk_test_"), "{shown}");
}

#[tokio::test]
async fn what_passes_is_tried_again_within_bounds() {
    let faults = [
        answer("429 X", &[("retry-after", "0")], "{}"),
        answer("500 X", &[], "<html>"),
        [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"data\"" as &[u8], CUT].concat(),
    ];
    let double = Double::start(move |before, _| match faults.get(before) {
        Some(fault) => fault.clone(),
        None => ok(r#"{"ok":true}"#),
    })
    .await;
    let authority = own(double.account("a"));
    let answer = api(|_| {}).call(&authority, &Call::get("/v1/x")).await.unwrap();
    assert_eq!(answer.value().unwrap()["ok"], true);
    assert_eq!(double.asked().len(), 4);

    let down = Double::start(|_, _| testing::answer("500 X", &[], "")).await;
    let authority = own(down.account("a"));
    let calls = [
        (Call::get("/v1/x"), 4),
        (Call::post("/v1/x").idempotency_key("k"), 4),
        // It may have been done: nobody knows.
        (Call::post("/v1/x"), 1),
    ];
    for (call, tries) in calls {
        let before = down.asked().len();
        let error = api(|_| {}).call(&authority, &call).await.unwrap_err();
        assert_eq!(error.kind(), "server");
        assert_eq!(down.asked().len() - before, tries, "{call:?}");
    }
}

#[tokio::test]
async fn stripes_own_word_on_trying_again_wins() {
    let double = Double::start(|before, _| match before {
        0 => answer("409 X", &[("stripe-should-retry", "true")], "{}"),
        1 => answer("500 X", &[("stripe-should-retry", "false")], "{}"),
        _ => ok("{}"),
    })
    .await;
    let error = api(|_| {}).call(&own(double.account("a")), &Call::get("/v1/x")).await.unwrap_err();
    assert_eq!(error.kind(), "server");
    assert_eq!(double.asked().len(), 2);
}

#[tokio::test]
async fn an_answer_is_bounded_in_time_and_size() {
    let slow =
        Double::start(|_, _| b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec()).await;
    let hurried = api(|limits| {
        limits.timeout = Duration::from_millis(50);
        limits.backoff.attempts = 1;
    });
    let error = hurried.call(&own(slow.account("a")), &Call::get("/v1/x")).await.unwrap_err();
    assert_eq!(error, ApiError::Timeout { within: Duration::from_millis(50) });

    let long = Double::start(|_, _| ok(&"x".repeat(1_001))).await;
    let narrow = api(|limits| limits.answer_bytes = 1_000);
    let error = narrow.call(&own(long.account("a")), &Call::get("/v1/x")).await.unwrap_err();
    assert_eq!(error, ApiError::TooLarge { most: 1_000 });
    let wide = api(|limits| limits.answer_bytes = 1_001);
    wide.call(&own(long.account("a")), &Call::get("/v1/x")).await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_told_as_such() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let error = api(|_| {})
        .call(&own(account("a", "sk_test_1", &base)), &Call::get("/v1/x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "unreachable");
}

#[tokio::test]
async fn a_path_stays_within_the_api() {
    let double = Double::start(|_, _| ok("{}")).await;
    let (api, authority) = (api(|_| {}), own(double.account("a")));
    let long = format!("/v1/{}", "x".repeat(2_048));
    for path in
        ["/v3/x", "x", "/v1/../x", "/v1/%2e%2e/x", "/v1/x?y", "/v1/x#y", "/v1/ x", "/v1/\\x", &long]
    {
        let error = api.call(&authority, &Call::get(path)).await.unwrap_err();
        assert_eq!(error.kind(), "bad_path", "{path}");
    }
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn a_key_of_another_account_is_found_out_before_its_first_use() {
    let double = Double::start(|_, asked| match asked.line() {
        "GET /v1/account" => ok(r#"{"id":"acct_1","object":"account"}"#),
        _ => ok("{}"),
    })
    .await;
    let api = api(|_| {});
    let right = own(Account { id: Some(id("acct_1")), ..double.account("right") });
    api.call(&right, &Call::get("/v1/x")).await.unwrap();
    api.call(&right, &Call::get("/v1/y")).await.unwrap();
    let lines = || double.asked().iter().map(|a| a.line().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(), ["GET /v1/account", "GET /v1/x", "GET /v1/y"]);

    let wrong = own(Account { id: Some(id("acct_2")), ..double.account("wrong") });
    for _ in 0..2 {
        let error = api.call(&wrong, &Call::get("/v1/z")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key of the account `wrong` is that of acct_1, and the configuration says acct_2; \
             correct stripe.account.id or its api_key"
        );
    }
    assert!(!lines().contains(&"GET /v1/z".to_owned()));
}

async fn walk(double: &Double, api: &StripeApi) -> Result<Vec<String>, ApiError> {
    let mut list = List::new(own(double.account("a")), Call::get("/v1/events"));
    let mut found = Vec::new();
    while let Some(page) = list.next(api).await? {
        found.extend(page.items.iter().map(|item| item.raw.get().to_owned()));
    }
    Ok(found)
}

#[tokio::test]
async fn a_list_is_walked_to_its_end_byte_for_byte() {
    let double = Double::start(|before, _| match before {
        0 => ok(r#"{"data":[ {"id":"b",  "n":1.0} ,{"id":"a","x":"\u00e9"}],"has_more":true}"#),
        _ => ok(r#"{"data":[],"has_more":false}"#),
    })
    .await;
    let found = walk(&double, &api(|_| {})).await.unwrap();
    assert_eq!(found, [r#"{"id":"b",  "n":1.0}"#, r#"{"id":"a","x":"\u00e9"}"#]);
    let asked = double.asked();
    assert_eq!(asked[0].line(), "GET /v1/events?limit=100");
    assert_eq!(asked[1].line(), "GET /v1/events?starting_after=a&limit=100");
}

#[tokio::test]
async fn a_list_that_does_not_move_on_is_an_error() {
    let stuck = Double::start(|_, _| ok(r#"{"data":[{"id":"a"}],"has_more":true}"#)).await;
    let error = walk(&stuck, &api(|_| {})).await.unwrap_err();
    assert_eq!(error.kind(), "loop");
    assert_eq!(stuck.asked().len(), 2);
    let empty = Double::start(|_, _| ok(r#"{"data":[],"has_more":true}"#)).await;
    assert_eq!(walk(&empty, &api(|_| {})).await.unwrap_err().kind(), "loop");
    let ring = Double::start(|before, _| {
        ok(&format!(r#"{{"data":[{{"id":"{}"}}],"has_more":true}}"#, before % 3))
    })
    .await;
    assert_eq!(walk(&ring, &api(|_| {})).await.unwrap_err().kind(), "loop");
    assert_eq!(ring.asked().len(), 4);
    for odd in [r#"{"data":[{}],"has_more":false}"#, r#"{"data":{}}"#, "[]", "<html>"] {
        let double = Double::start(move |_, _| ok(odd)).await;
        assert_eq!(walk(&double, &api(|_| {})).await.unwrap_err().kind(), "malformed", "{odd}");
    }
}

#[tokio::test]
async fn a_page_too_large_is_asked_for_in_parts() {
    let double = Double::start(|_, asked| {
        let limit: usize = asked.line().rsplit('=').next().unwrap().parse().unwrap();
        let one = format!(r#"{{"id":"a{}","x":"{}"}}"#, asked.line().len(), "y".repeat(20));
        let data = vec![one; limit.min(30)].join(",");
        ok(&format!(r#"{{"data":[{data}],"has_more":false}}"#))
    })
    .await;
    let narrow = api(|limits| limits.answer_bytes = 500);
    assert_eq!(walk(&double, &narrow).await.unwrap().len(), 6);
    let sizes: Vec<_> =
        double.asked().iter().map(|a| a.line().rsplit('=').next().unwrap().to_owned()).collect();
    assert_eq!(sizes, ["100", "50", "25", "12", "6"]);
}
