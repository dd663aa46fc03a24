//! Requests at endpoints of every validation, with a stand-in for Stripe's API.

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::domain::backoff::Backoff;
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::event::Header;
use crate::provider::stripe::StripeProvider;
use crate::provider::testing::{NOW, SECRET, endpoint, sign};
use crate::stripe::testing::{Asked, Double, answer, ok};
use crate::stripe::{AccountId, ApiLimits};

fn event() -> Value {
    json!({"id": "evt_1", "object": "event", "type": "charge.failed", "livemode": false,
           "created": 7, "data": {"object": {"id": "ch_1", "object": "charge", "amount": 5}}})
}

fn with(change: Value) -> Value {
    let mut event = event();
    for (name, field) in change.as_object().unwrap() {
        event[name] = field.clone();
    }
    event
}

fn request(body: &Value, signed: bool) -> RawRequest {
    let body = Bytes::from(body.to_string());
    let value = format!("t={NOW},v1={}", sign(SECRET, &NOW.to_string(), &body));
    let header = Header { name: "stripe-signature".into(), value: value.into_bytes() };
    RawRequest { headers: if signed { vec![header] } else { vec![] }, body }
}

fn fetching() -> Endpoint {
    Endpoint { validation: Validation::RetrieveEvent, secrets: vec![], ..endpoint(1) }
}

struct World {
    double: Double,
    validator: Validator,
}

impl World {
    /// Stripe answers this to whatever it is asked.
    async fn answering(bytes: Vec<u8>) -> Self {
        Self::with(bytes, RetrievalLimits::default(), |_| {}).await
    }

    async fn with(
        bytes: Vec<u8>,
        limits: RetrievalLimits,
        change: impl FnOnce(&mut crate::stripe::Account),
    ) -> Self {
        Self::serving(limits, change, move |_| bytes.clone()).await
    }

    async fn serving(
        limits: RetrievalLimits,
        change: impl FnOnce(&mut crate::stripe::Account),
        serve: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let double = Double::start(move |_, asked| match asked.line() {
            "GET /v1/account" => ok(r#"{"id":"acct_own"}"#),
            _ => serve(asked),
        })
        .await;
        let mut one = double.account("default");
        change(&mut one);
        let accounts = Accounts::new(vec![one]).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
        let backoff = Backoff { attempts: 1, ..ApiLimits::default().backoff };
        let api = StripeApi::new(ApiLimits { backoff, ..ApiLimits::default() }, clock.clone());
        let validator = Validator::new(accounts, Some(api.unwrap()), clock, limits);
        Self { double, validator }
    }

    async fn validate(
        &self,
        endpoint: &Endpoint,
        request: &RawRequest,
    ) -> Result<VerifiedEvent, Refused> {
        match self.validator.validate(endpoint, &StripeProvider::default(), request).await? {
            Verified::Event(event) => Ok(*event),
            Verified::Handshake(_) => panic!("Stripe asks no questions"),
        }
    }

    /// The code of the refusal, and whether the sender should try again.
    async fn code(&self, endpoint: &Endpoint, body: &Value) -> (&'static str, bool) {
        match self.validate(endpoint, &request(body, false)).await.unwrap_err() {
            Refused::Rejected(rejection) => (rejection.code, false),
            Refused::Later { code, retry_after, .. } => (code, retry_after > 0),
        }
    }
}

#[tokio::test]
async fn only_what_stripe_answers_is_believed() {
    let genuine = event();
    let world = World::answering(ok(&genuine.to_string())).await;
    let mut forged = event();
    forged["data"]["object"]["amount"] = 5_000_000.into();
    forged["type"] = "charge.succeeded".into();
    let believed = world.validate(&fetching(), &request(&forged, false)).await.unwrap();
    assert_eq!(believed.body, genuine.to_string(), "the very bytes of Stripe's answer");
    assert_eq!((believed.kind.as_str(), believed.secret.0.as_str()), ("charge.failed", ""));
    let asked = world.double.asked();
    assert_eq!(asked[0].line(), "GET /v1/events/evt_1");
    assert_eq!(asked[0].header("stripe-account"), None);
    let proved = Proved::of(&believed).unwrap();
    assert!(matches!(&proved, Proved::Retrieved { account, .. } if account == "default"));
    assert!(proved.told(&believed).contains("fetched from stripe with the key"));
    let secret = crate::domain::endpoint::Secret::new(SECRET).unwrap();
    let again = StripeProvider::default().verify_again(&believed, &secret).unwrap_err();
    assert_eq!(again.code, "not_signed");
}

#[tokio::test]
async fn the_account_of_the_body_only_says_what_to_ask_for() {
    let connected = with(json!({"account": "acct_c"}));
    // Stripe, asked for a connected account, need not name it again.
    for answered in [event(), connected.clone()] {
        let world = World::answering(ok(&answered.to_string())).await;
        let believed = world.validate(&fetching(), &request(&connected, false)).await.unwrap();
        assert_eq!(believed.account.as_deref(), Some("acct_c"));
        assert_eq!(world.double.asked()[0].header("stripe-account"), Some("acct_c"));
    }
    for (posted, answered) in [
        (with(json!({"account": "acct_c"})), with(json!({"account": "acct_d"}))),
        (event(), with(json!({"account": "acct_d"}))),
        (event(), with(json!({"id": "evt_2"}))),
        (event(), with(json!({"livemode": true}))),
    ] {
        let world = World::answering(ok(&answered.to_string())).await;
        assert_eq!(
            world.code(&fetching(), &posted).await,
            ("retrieved_differs", false),
            "{answered}"
        );
    }
    let world = World::answering(ok(&event().to_string())).await;
    let odd = with(json!({"account": "acct_x\r\nstripe-version: 1"}));
    assert_eq!(world.code(&fetching(), &odd).await, ("event_account_invalid", false));
    let odd = with(json!({"account": "cus_1"}));
    assert_eq!(world.code(&fetching(), &odd).await, ("event_account_invalid", false));
    assert!(world.double.asked().is_empty());
    // An account that says it is the key's own is asked for without a header.
    let own = |account: &mut crate::stripe::Account| {
        account.id = Some(AccountId::parse("acct_own").unwrap());
    };
    let limits = RetrievalLimits::default();
    let world = World::with(ok(&event().to_string()), limits, own).await;
    let posted = with(json!({"account": "acct_own"}));
    let believed = world.validate(&fetching(), &request(&posted, false)).await.unwrap();
    assert_eq!(believed.account, None);
    assert_eq!(world.double.asked().last().unwrap().header("stripe-account"), None);
}

#[tokio::test]
async fn an_absent_event_is_a_refusal_and_trouble_is_put_off() {
    let told = r#"{"error":{"message":"no","code":"resource_missing"}}"#;
    for (bytes, posted, expected) in [
        (answer("404 Not Found", &[], told), event(), ("event_unknown", false)),
        (answer("400 Bad Request", &[], told), event(), ("event_unknown", false)),
        (
            answer("403 Forbidden", &[], told),
            with(json!({"account": "acct_c"})),
            ("account_inaccessible", false),
        ),
        (answer("403 Forbidden", &[], told), event(), ("stripe_unavailable", true)),
        (answer("401 Unauthorized", &[], told), event(), ("stripe_unavailable", true)),
        (answer("429 Too Many", &[], told), event(), ("stripe_unavailable", true)),
        (answer("500 Oh", &[], told), event(), ("stripe_unavailable", true)),
        (ok("<html>"), event(), ("stripe_unavailable", true)),
        (ok(r#"{"object":"charge"}"#), event(), ("stripe_unavailable", true)),
        (Vec::new(), event(), ("stripe_unavailable", true)),
    ] {
        let limits = RetrievalLimits { deadline: Duration::from_millis(300), ..Default::default() };
        let world = World::with(bytes.clone(), limits, |_| {}).await;
        let found = world.code(&fetching(), &posted).await;
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(&bytes));
    }
    let nobody = Validator::offline(Arc::new(ManualClock::at(Timestamp::from_secs(NOW))));
    let request = request(&event(), false);
    let refused = nobody.validate(&fetching(), &StripeProvider::default(), &request).await;
    assert!(matches!(refused, Err(Refused::Later { code: "stripe_key_missing", .. })));
}

#[tokio::test]
async fn with_secrets_the_signature_comes_first_and_costs_no_call() {
    let world = World::answering(ok(&event().to_string())).await;
    let both = Endpoint { validation: Validation::RetrieveEvent, ..endpoint(1) };
    assert_eq!(world.code(&both, &event()).await, ("signature_missing", false));
    assert!(world.double.asked().is_empty());
    let believed = world.validate(&both, &request(&event(), true)).await.unwrap();
    assert_eq!(believed.secret, both.secrets[0].id(), "its match is noted");
    assert!(matches!(Proved::of(&believed), Some(Proved::Retrieved { .. })));
}

#[tokio::test]
async fn what_does_not_fit_is_not_asked_for() {
    let world = World::answering(ok(&event().to_string())).await;
    let live = Endpoint { livemode: Some(true), ..fetching() };
    assert_eq!(world.code(&live, &event()).await, ("livemode_mismatch", false));
    let own = Endpoint { connect: Some(false), ..fetching() };
    let connected = with(json!({"account": "acct_c"}));
    assert_eq!(world.code(&own, &connected).await, ("account_unexpected", false));
    // The key of the named account is of test mode.
    let named = Endpoint { account: Some("default".into()), ..fetching() };
    let claimed = with(json!({"livemode": true}));
    assert_eq!(world.code(&named, &claimed).await, ("livemode_mismatch", false));
    // No key of that mode is here at all: that can be mended.
    assert_eq!(world.code(&fetching(), &claimed).await, ("stripe_key_missing", true));
    assert!(world.double.asked().is_empty());
    let verified = Endpoint { livemode: Some(true), ..endpoint(1) };
    let refused = world.validate(&verified, &request(&event(), true)).await.unwrap_err();
    assert!(matches!(refused, Refused::Rejected(Rejection { code: "livemode_mismatch", .. })));
}

#[tokio::test]
async fn no_more_are_fetched_or_wait_than_may() {
    let limits = RetrievalLimits { concurrency: 1, waiting: 2, ..Default::default() };
    let world = World::with(ok(&event().to_string()), limits, |_| {}).await;
    let held = world.validator.inner.turns.acquire().await.unwrap();
    let (endpoint, request) = (fetching(), request(&event(), false));
    let first = world.validate(&endpoint, &request);
    let second = world.validate(&endpoint, &request);
    let third = async {
        let refused = world.validate(&endpoint, &request).await.unwrap_err();
        assert!(matches!(refused, Refused::Later { code: "retrieval_busy", .. }), "{refused}");
        assert!(world.double.asked().is_empty());
        drop(held);
    };
    let (first, second, ()) = tokio::join!(first, second, third);
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test]
async fn nothing_is_believed_without_proof_but_where_that_is_meant() {
    let world = World::answering(ok("{}")).await;
    let none = Endpoint {
        validation: Validation::None,
        livemode: Some(false),
        secrets: vec![],
        ..endpoint(1)
    };
    let believed = world.validate(&none, &request(&event(), false)).await.unwrap();
    assert_eq!(Proved::of(&believed), Some(Proved::Nothing));
    let live = with(json!({"livemode": true}));
    assert_eq!(world.code(&none, &live).await, ("livemode_mismatch", false));
    let unsaid = Endpoint { livemode: None, ..none.clone() };
    assert_eq!(world.code(&unsaid, &live).await, ("livemode_mismatch", false));
    let forced = Endpoint { force_unverified: true, ..unsaid };
    assert!(world.validate(&forced, &request(&live, false)).await.unwrap().livemode);
    assert_eq!(world.code(&forced, &json!([])).await, ("body_not_object", false));
    assert!(world.double.asked().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_is_not_in_use_puts_its_requests_off() {
    let world = World::answering(ok("{}")).await;
    let creating = Endpoint { status: EndpointStatus::Creating, ..endpoint(1) };
    assert_eq!(world.code(&creating, &event()).await, ("endpoint_creating", true));
    let disabled = Endpoint { status: EndpointStatus::Disabled, ..endpoint(1) };
    assert_eq!(world.code(&disabled, &event()).await, ("endpoint_disabled", true));
    // Stripe posts nothing new to one that is disabled there: what comes is what was under way.
    let there = Endpoint { at_provider: Some(Default::default()), ..disabled };
    assert!(world.validate(&there, &request(&event(), true)).await.is_ok());
}

#[tokio::test]
async fn thin_events_are_asked_for_where_they_are() {
    let thin = json!({"id": "evt_2", "object": "v2.core.event", "type": "v1.a", "livemode": false,
                      "context": "acct_c", "created": "2026-01-01T00:00:00Z"});
    let world = World::answering(ok(&thin.to_string())).await;
    let believed = world.validate(&fetching(), &request(&thin, false)).await.unwrap();
    assert_eq!(believed.account.as_deref(), Some("acct_c"));
    let asked = world.double.asked();
    assert_eq!(asked[0].line(), "GET /v2/core/events/evt_2");
    assert_eq!(asked[0].header("stripe-context"), Some("acct_c"));
}

#[tokio::test]
async fn a_thin_event_brings_what_it_points_at() {
    let event = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.customer.updated",
        "created": "2026-11-24T10:00:00.000Z", "livemode": false, "context": "acct_c",
        "related_object": {"id": "cus_1", "type": "customer", "url": "/v1/customers/cus_1"},
    });
    let thin = event.clone();
    let world = World::serving(
        RetrievalLimits::default(),
        |_| {},
        move |asked| match asked.line() {
            "GET /v2/core/events/evt_thin" => ok(&thin.to_string()),
            "GET /v1/customers/cus_1" => ok(r#"{"id":"cus_1","object":"customer","balance":7}"#),
            other => panic!("asked for {other}"),
        },
    )
    .await;
    let endpoint = endpoint(1);
    let believed = world.validate(&endpoint, &request(&event, true)).await.unwrap();
    let provider = StripeProvider::default();
    let mut found = world.validator.companions(&endpoint, &provider, &believed).await;
    found.sort_by(|a, b| a.key.kind.cmp(&b.key.kind));
    let [customer, itself] = &found[..] else { panic!("{found:?}") };
    assert_eq!((customer.key.kind.as_str(), customer.key.id.as_str()), ("customer", "cus_1"));
    assert_eq!(customer.key.account.as_deref(), Some("acct_c"));
    let body = &customer.found.as_ref().unwrap().body;
    assert_eq!(&body[..], br#"{"id":"cus_1","object":"customer","balance":7}"#);
    assert_eq!((itself.key.kind.as_str(), itself.key.id.as_str()), ("v2.core.event", "evt_thin"));

    let snapshot = world.validate(&endpoint, &request(&self::event(), true)).await.unwrap();
    assert_eq!(world.validator.companions(&endpoint, &provider, &snapshot).await, []);
}

#[tokio::test]
async fn a_thin_event_about_what_is_gone_tells_so_and_one_that_cannot_be_fetched_nothing() {
    let event = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": "v1.customer.deleted",
        "created": "2026-11-24T10:00:00.000Z", "livemode": false,
        "related_object": {"id": "cus_1", "type": "customer", "url": "/v1/customers/cus_1"},
    });
    let world = World::serving(
        RetrievalLimits::default(),
        |_| {},
        |asked| match asked.line() {
            "GET /v1/customers/cus_1" => {
                answer("404 Not Found", &[], r#"{"error":{"message":"none"}}"#)
            }
            _ => answer("500 Internal Server Error", &[], "{}"),
        },
    )
    .await;
    let endpoint = endpoint(1);
    let believed = world.validate(&endpoint, &request(&event, true)).await.unwrap();
    let found = world.validator.companions(&endpoint, &StripeProvider::default(), &believed).await;
    let [gone] = &found[..] else { panic!("{found:?}") };
    assert_eq!((gone.key.id.as_str(), &gone.found), ("cus_1", &None));

    // What is not to be seen after an update is not gone for that.
    let mut event = event;
    event["type"] = "v1.customer.updated".into();
    let believed = world.validate(&endpoint, &request(&event, true)).await.unwrap();
    let found = world.validator.companions(&endpoint, &StripeProvider::default(), &believed).await;
    assert_eq!(found, []);
}
