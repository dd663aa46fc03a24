//! `localstripe`, a Stripe that nobody here wrote, as the API and as the sender; Stripe's own library
//! makes the objects.
//!
//! What it has none of is proved against our own stand-in: endpoints (`/v1/webhook_endpoints`), thin
//! events, Connect, `previous_attributes`, retries. It lists events the oldest first, unlike Stripe.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use signalbox_tests::host::{ENDPOINT, Host, PATIENCE, SECRET, root};

const KEY: &str = "sk_test_localstripe";

/// Nothing is looked for by itself but what is in doubt, and that every second.
const QUIET: &str =
    "[reconcile]\ninterval = \"1h\"\ngrace = \"0s\"\n[mirror]\nrefetch_interval = \"1s\"\n";

fn python() -> Command {
    let program = root().join("target/senders/python/bin/python");
    assert!(program.exists(), "run tests/run once: it installs the senders' libraries");
    Command::new(program)
}

/// A running one, with nothing in it.
struct LocalStripe {
    child: Child,
    url: String,
    client: reqwest::Client,
}

impl LocalStripe {
    async fn start() -> Self {
        // It takes a port and does not say which it has.
        let free = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
        let mut command = python();
        command.args(["-m", "localstripe", "--from-scratch", "--port", &free.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let url = format!("http://127.0.0.1:{free}");
        let mut started = Self { child, url, client: reqwest::Client::new() };
        let begun = Instant::now();
        while started.ask("/v1/customers").await.is_none() {
            assert!(started.child.try_wait().unwrap().is_none(), "localstripe ended");
            assert!(begun.elapsed() < PATIENCE, "localstripe does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        started
    }

    fn config(&self) -> String {
        format!("[[stripe.account]]\napi_key = \"{KEY}\"\napi_base = \"{}\"\n{QUIET}", self.url)
    }

    async fn ask(&self, path: &str) -> Option<Value> {
        let asked = self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY).send().await;
        asked.ok()?.error_for_status().ok()?.json().await.ok()
    }

    /// From now on it posts to `host`.
    async fn posts_to(&self, host: &Host) {
        let url = format!("{}/_config/webhooks/signalbox", self.url);
        let body = json!({ "url": host.webhook_url(), "secret": SECRET });
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// What a shop does; the objects in the end.
    async fn shop(&self) -> Vec<Value> {
        let mut command = python();
        command.arg(root().join("tests/senders/python/shop.py")).arg(&self.url);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// All its events, by id.
    async fn events(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.ask(&format!("/v1/events?limit=100{after}")).await.unwrap();
            for event in page["data"].as_array().unwrap() {
                let id = event["id"].as_str().unwrap().to_owned();
                after = format!("&starting_after={id}");
                all.insert(id, event.clone());
            }
            if page["has_more"] != true {
                return all;
            }
        }
    }
}

impl Drop for LocalStripe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Once nothing that can be fetched is in doubt: each object is held as `shop` told it.
async fn mirrored(host: &Host, objects: &[Value]) {
    let settled = |list: &Value| {
        // These live below another object and have no path of their own.
        let pathless = |object: &Value| object["kind"] == "card" || object["kind"] == "line_item";
        list["data"].as_array()?.iter().all(pathless).then_some(())
    };
    host.until("/objects?ambiguous=true&limit=100", settled).await.unwrap();
    for object in objects {
        let (kind, id) = (object["object"].as_str().unwrap(), object["id"].as_str().unwrap());
        let held = host.get(&format!("/objects/stripe/{kind}/{id}?livemode=false")).await.unwrap();
        if object["deleted"] == true {
            assert_eq!(held["deleted"], true, "{held:#}");
        } else {
            assert_eq!(held["deleted"], false, "{held:#}");
            assert_eq!(&held["body"], object, "{kind} {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_localstripe_posts_is_believed_stored_and_mirrored() {
    let there = LocalStripe::start().await;
    let mut host = Host::start(&[], &there.config()).unwrap();
    there.posts_to(&host).await;
    let objects = there.shop().await;
    let events = there.events().await;
    assert!(events.len() > 50, "{}", events.len());

    host.until("/events?limit=1&type=customer.deleted", |page| {
        (!page["data"].as_array()?.is_empty()).then_some(())
    })
    .await
    .unwrap();
    let begun = Instant::now();
    let mut stored = host.list("/events").await.unwrap();
    while stored.len() < events.len() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        stored = host.list("/events").await.unwrap();
    }
    assert_eq!(stored.len(), events.len());
    for event in &stored {
        let id = event["id"].as_str().unwrap();
        assert_eq!((&event["source"], &event["endpoint"]), (&json!("webhook"), &json!(ENDPOINT)));
        let raw = host.get_bytes(&format!("/events/{id}/raw")).await.unwrap();
        let raw: Value = serde_json::from_slice(&raw).unwrap();
        assert_eq!(Some(&raw), events.get(id), "what it lists is what it posted");
    }
    let id = stored[0]["id"].as_str().unwrap();
    let explained = host.get(&format!("/events/{id}/explain")).await.unwrap();
    assert_eq!(explained["proof"], "signature", "{explained:#}");

    mirrored(&host, &objects).await;
    // Changes of one second, with no word on their order: it was asked for the last state.
    let cleared = host.figure("signalbox_objects_refetched_total{outcome=\"cleared\"}").await;
    assert!(cleared.unwrap() >= 1.0);
    let fetched = host.list("/objects?kind=customer").await.unwrap();
    assert!(fetched.iter().any(|object| object["origin"] == "fetched"), "{fetched:#?}");
    // A secret that is not the endpoint's proves nothing.
    let url = format!("{}/_config/webhooks/signalbox", there.url);
    let body = json!({ "url": host.webhook_url(), "secret": "whsec_of_somebody_else" });
    there.client.post(url).json(&body).send().await.unwrap();
    there.shop().await;
    let refused = |list: &Value| {
        let first = list["data"].as_array()?.first()?.clone();
        Some(first["code"].clone())
    };
    let code = host.until("/requests?outcome=refused&limit=1", refused).await.unwrap();
    assert_eq!(code, "signature_mismatch");
    host.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_localstripe_posted_to_nobody_is_found_in_its_lists() {
    let there = LocalStripe::start().await;
    let mut host = Host::start(&[], &there.config()).unwrap();
    there.posts_to(&host).await;
    host.kill().unwrap();
    // It posts once, and nobody is there.
    let mut objects = there.shop().await;
    objects.extend(there.shop().await);
    let events = there.events().await;
    assert!(events.len() > 100, "more than a page: {}", events.len());
    host.run().unwrap();

    let look = || {
        let ran = host.cli(&["reconcile", "--since", "1h", "--output", "jsonl"]).unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let operation: Value = serde_json::from_slice(&ran.stdout).unwrap();
        operation["result"]["accounts"][0]["found"].clone()
    };
    // What is of this very second is left to its webhook, for a look that is later.
    let (begun, mut found) = (Instant::now(), look());
    while found["young"] != 0 && begun.elapsed() < PATIENCE {
        found = look();
    }
    assert_eq!(found["listed"], events.len(), "{found:#}");
    let stored = host.list("/events").await.unwrap();
    assert_eq!(stored.len(), events.len());
    for event in &stored {
        assert_eq!(event["source"], "reconcile", "{event:#}");
        assert!(events.contains_key(event["id"].as_str().unwrap()));
    }
    let again = look();
    assert_eq!((&again["known"], &again["listed"]), (&found["listed"], &found["listed"]));
    mirrored(&host, &objects).await;

    // What no event tells of is in its lists.
    let script = "import stripe, sys; stripe.api_key = sys.argv[2]; stripe.api_base = sys.argv[1]; \
                  stripe.Coupon.create(id='spring-25', percent_off=25, duration='once')";
    let mut command = python();
    command.args(["-c", script, &there.url, KEY]);
    let made = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let filled = host
        .cli(&["objects", "backfill", "--kind", "coupon", "--kind", "plan", "--output", "jsonl"])
        .unwrap();
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    let filled: Value = serde_json::from_slice(&filled.stdout).unwrap();
    let lists = filled["result"]["lists"].as_array().unwrap();
    let of = |kind: &str| lists.iter().find(|list| list["kind"] == kind).unwrap();
    assert_eq!((&of("coupon")["listed"], &of("coupon")["held"]), (&json!(1), &json!(1)));
    assert_eq!((&of("plan")["listed"], &of("plan")["held"]), (&json!(2), &json!(2)));
    let coupon = host.get("/objects/stripe/coupon/spring-25?livemode=false").await.unwrap();
    assert_eq!(Some(&coupon["body"]), there.ask("/v1/coupons/spring-25").await.as_ref());
    assert!(!host.log().contains(KEY), "the key is in the log");
    host.stop().unwrap();
}
