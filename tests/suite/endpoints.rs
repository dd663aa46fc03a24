//! Endpoints at Stripe and how their requests are believed, through the real binary and a stand-in
//! for Stripe's API. The runtime has threads of its own for the stand-in: a command of the binary
//! blocks the one that waits for it.

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::fake_stripe::{
    CONNECTED, FAKE_ACCOUNT, FAKE_KEY, FakeEvent, FakeStripe, Fault, What,
};
use signalbox_tests::host::Host;
use signalbox_tests::stripe;

const BASE: &str = "https://hooks.example.com";
const PATH: &str = "/v1/webhook_endpoints";

async fn start() -> (FakeStripe, Host) {
    let fake = FakeStripe::start().await.unwrap();
    // No other part of the host asks this Stripe for anything.
    let config = format!("{}reconcile = false\n", fake.config());
    let mut host = Host::prepare(&[], &config).unwrap();
    host.set("SIGNALBOX_SERVER__PUBLIC_URL", BASE);
    host.run().unwrap();
    (fake, host)
}

/// What a command prints, which succeeds.
fn done(host: &Host, args: &[&str]) -> Value {
    let output = host.cli(&[&["endpoints"], args, &["--output", "json"]].concat()).unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains("whsec_"), "a secret shows: {said}");
    serde_json::from_str(&said).unwrap()
}

/// Exit code and words of a command that fails.
fn refused(host: &Host, args: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = host.cli(&[&["endpoints"], args].concat()).unwrap();
    assert!(!status.success(), "{args:?} succeeded");
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value:#}"))
}

/// The endpoints at Stripe.
fn there(fake: &FakeStripe) -> Vec<Value> {
    fake.with(|world| world.endpoints(FAKE_ACCOUNT, false).into_iter().cloned().collect())
}

/// Post a body to the endpoint `id`, signed if there is a secret: status, `Retry-After`, answer.
async fn post(host: &Host, id: &str, body: &str, secret: Option<&str>) -> (u16, bool, Value) {
    let url = format!("{}/webhooks/{id}", host.public);
    let mut request = reqwest::Client::new().post(url).header("content-type", "application/json");
    if let Some(secret) = secret {
        let header = stripe::sign(secret, stripe::now(), body.as_bytes());
        request = request.header("stripe-signature", header);
    }
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let again = answer.headers().contains_key("retry-after");
    (answer.status().as_u16(), again, answer.json().await.unwrap())
}

/// A fresh event, as its text.
fn event() -> String {
    stripe::fresh("charge.succeeded").to_string()
}

async fn accepted(host: &Host, id: &str, secret: &str) {
    let (status, _, answer) = post(host, id, &event(), Some(secret)).await;
    assert_eq!((status, text(&answer, "status")), (200, "accepted"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_lives_at_stripe_and_here_from_its_making_to_its_end() {
    let (fake, mut host) = start().await;
    let plan = done(&host, &["create", "--event", "charge.*", "--metadata", "a=b", "--dry-run"]);
    assert_eq!(plan["params"]["metadata"]["a"], "b");
    assert!(plan["params"]["enabled_events"].as_array().unwrap().len() > 5);
    for (args, words) in [
        (&["create", "--event", "*", "--base-url", "http://127.0.0.1:4242"][..], "stripe listen"),
        (&["create", "--event", "charge.suceeded"], "did you mean `charge.succeeded`?"),
        (&["create", "--event", "*", "--api-version", "newest"], "api_version"),
        (&["create", "--event", "*", "--live"], "no key of live mode"),
        (&["create", "--event", "*", "--account", "eu"], "configured are: default"),
        (&["create"], "--event TYPE"),
    ] {
        let (code, said) = refused(&host, args);
        assert_eq!(code, 2, "{args:?}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let asked = fake.with(|world| world.asked.iter().any(|asked| asked.path.starts_with(PATH)));
    assert!(!asked, "what is wrong never reaches Stripe");

    let made = done(&host, &["create", "--event", "charge.succeeded", "--description", "shop"]);
    let id = text(&made, "id").to_owned();
    assert_eq!(text(&made, "url"), format!("{BASE}/webhooks/{id}"));
    let at_stripe = &there(&fake)[0];
    assert_eq!(at_stripe["metadata"]["signalbox_uuid"], id.as_str());
    assert_eq!(made["provider_id"], at_stripe["id"]);
    let first = text(at_stripe, "secret").to_owned();
    accepted(&host, &id, &first).await;
    let (status, _, answer) = post(&host, &id, &event(), Some("whsec_other")).await;
    assert_eq!((status, text(&answer["error"], "code")), (400, "signature_mismatch"));
    let mut live = stripe::fresh("charge.succeeded");
    live["livemode"] = true.into();
    let (status, _, answer) = post(&host, &id, &live.to_string(), Some(&first)).await;
    assert_eq!((status, text(&answer["error"], "code")), (400, "livemode_mismatch"));

    done(&host, &["disable", &id]);
    let edited = done(&host, &["update", &id, "--event", "invoice.paid", "--metadata", "a=b"]);
    assert_eq!(
        (text(&edited, "status"), text(&there(&fake)[0], "status")),
        ("disabled", "disabled")
    );
    assert_eq!(there(&fake)[0]["enabled_events"], json!(["invoice.paid"]));
    assert_eq!(text(&done(&host, &["enable", &id]), "status"), "enabled");
    let listed = done(&host, &["list"]);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "beside the configured one");

    let rolled = done(&host, &["roll-secret", &id, "--replace", "--old-valid-for", "1h"]);
    assert_eq!((rolled["secrets"].as_array().unwrap().len(), there(&fake).len()), (2, 2));
    let second = text(&there(&fake)[1], "secret").to_owned();
    accepted(&host, &id, &first).await;
    accepted(&host, &id, &second).await;
    host.stop().unwrap();
    host.run().unwrap();
    let shown = done(&host, &["show", &id]);
    for secret in shown["secrets"].as_array().unwrap() {
        assert!(secret["last_matched_at"].is_u64(), "matches survive a restart: {shown:#}");
    }
    assert_eq!(shown["secrets"][0]["not_after"], Value::Null);
    assert!(shown["secrets"][1]["not_after"].is_u64());
    let old = text(&shown["secrets"][1], "id");
    let (code, said) = refused(&host, &["retire-secret", &id, old]);
    assert!(code == 5 && said.contains("not safe yet"), "{said}");

    done(&host, &["delete", &id]);
    assert!(there(&fake).is_empty(), "the replaced one is gone too");
    let (status, _, _) = post(&host, &id, &event(), Some(&second)).await;
    assert_eq!(status, 404);
    assert_eq!(refused(&host, &["delete", &id]).0, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_leaves_nothing_on_either_side() {
    let (fake, host) = start().await;
    for _ in 0..16 {
        done(&host, &["create", "--event", "*"]);
    }
    let here = done(&host, &["list", "--all"]);
    let (code, said) = refused(&host, &["create", "--event", "*"]);
    assert!(code == 2 && said.contains("maximum of 16"), "{said}");
    // Whatever is asked is done and not answered, for ever: what Stripe made is unmade.
    let first = text(&here["data"][0], "id").to_owned();
    done(&host, &["delete", &first]);
    let answer = "{}".to_owned();
    let odd = What::Answer(signalbox_tests::fake_stripe::Answer::text(answer));
    fake.with(|world| world.faults.push(Fault::always(PATH, odd)));
    assert_eq!(refused(&host, &["create", "--event", "*"]).0, 1);
    fake.with(|world| world.faults.clear());
    fake.with(|world| world.revoked.insert(FAKE_KEY.to_owned()));
    let (code, said) = refused(&host, &["create", "--event", "*"]);
    assert!(code == 5 && said.contains("stripe.account.api_key"), "{said}");
    assert_eq!(there(&fake).len(), 15);
    assert_eq!(done(&host, &["list", "--all"])["data"].as_array().unwrap().len(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_stripe_and_the_store_is_mended_by_a_start() {
    let (fake, mut host) = start().await;
    let slow = Fault::always(PATH, What::Slow(Duration::from_secs(2)));
    fake.with(|world| world.faults.push(slow));
    let admin = host.admin.clone();
    let body = json!({"enabled_events": ["charge.succeeded"]});
    let asking = tokio::spawn(async move {
        let url = format!("{admin}/api/v1/endpoints");
        let token = signalbox_tests::host::TOKEN;
        reqwest::Client::new().post(url).bearer_auth(token).json(&body).send().await
    });
    // Stripe has made it, and its answer is on its way.
    fake.until(|world| world.endpoints(FAKE_ACCOUNT, false).first().map(|_| ())).await.unwrap();
    host.kill().unwrap();
    assert!(asking.await.unwrap().is_err());
    let at_stripe = there(&fake).remove(0);
    let id = text(&at_stripe["metadata"], "signalbox_uuid").to_owned();
    let secret = text(&at_stripe, "secret").to_owned();

    // A Stripe that fails keeps no host from starting, and nothing is decided.
    fake.with(|world| {
        world.faults.clear();
        world.asked.clear();
        world.faults.push(Fault::always(PATH, What::Status(503)));
    });
    host.run().unwrap();
    fake.until(|world| (!world.asked_for("GET", PATH).is_empty()).then_some(())).await.unwrap();
    assert_eq!(text(&done(&host, &["show", &id]), "status"), "creating");
    let (status, again, answer) = post(&host, &id, &event(), Some(&secret)).await;
    assert_eq!((status, again), (503, true), "put off, for it may be genuine: {answer}");
    host.kill().unwrap();

    fake.with(|world| world.faults.clear());
    host.run().unwrap();
    let enabled = |endpoint: &Value| (endpoint["status"] == "enabled").then_some(());
    host.until(&format!("/endpoints/{id}"), enabled).await.unwrap();
    assert_eq!(there(&fake).len(), 1, "no second one was made");
    accepted(&host, &id, &secret).await;
    assert!(host.log().contains("cut short is finished"), "{}", host.log());
    assert!(!host.log().contains(&secret), "the secret is in the log");
    assert_eq!(text(&done(&host, &["sync"])["data"][0], "outcome"), "unchanged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retrieved_event_is_stripes_own_whatever_was_posted() {
    let (fake, host) = start().await;
    let made = done(&host, &["create", "--validation", "retrieve_event"]);
    let id = text(&made, "id").to_owned();
    let charge = json!({"id": "ch_1", "object": "charge", "amount": 5});
    let now = stripe::now();
    let own = FakeEvent::new("evt_own", "charge.failed", now, &charge);
    let connected = FakeEvent::new("evt_con", "charge.failed", now, &charge).of(CONNECTED);
    fake.with(|world| world.events.extend([own.clone(), connected.clone()]));

    let forged = own.webhook().replace("\"amount\": 5", "\"amount\": 5000000");
    let (status, _, answer) = post(&host, &id, &forged, None).await;
    assert_eq!((status, text(&answer, "status")), (200, "accepted"), "{answer}");
    let raw = host.get_bytes("/events/evt_own/raw").await.unwrap();
    let stored: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(stored["data"]["object"]["amount"], 5, "only what Stripe answered is kept");
    let explained = host.get("/events/evt_own/explain").await.unwrap();
    assert!(text(&explained, "how").contains("fetched from stripe with the key"), "{explained:#}");
    assert_eq!(text(&explained, "proof"), "retrieved");

    let (status, _, answer) = post(&host, &id, &connected.webhook(), None).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(host.get("/events/evt_con").await.unwrap()["account"], CONNECTED);
    let elsewhere = connected.webhook().replace(CONNECTED, "acct_stranger");
    let absent = own.webhook().replace("evt_own", "evt_absent");
    for (body, code) in [(absent, "event_unknown"), (elsewhere, "account_inaccessible")] {
        let (status, _, answer) = post(&host, &id, &body, None).await;
        assert_eq!((status, text(&answer["error"], "code")), (400, code));
    }
    fake.with(|world| world.faults.push(Fault::always("/v1/events", What::Status(500))));
    let (status, again, answer) = post(&host, &id, &own.webhook(), None).await;
    assert_eq!((status, again), (503, true), "{answer}");
    fake.with(|world| world.faults.clear());
    let (status, _, answer) = post(&host, &id, &own.webhook(), None).await;
    assert_eq!((status, text(&answer, "status")), (200, "duplicate"));
}
