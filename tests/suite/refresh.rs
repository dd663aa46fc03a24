//! Objects of which the events leave the last state open, through the real binary, against a stand-in
//! for Stripe's API.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::dice::Dice;
use signalbox_tests::fake_stripe::{
    CONNECTED, FAKE_ACCOUNT, FAKE_KEY, FakeEvent, FakeStripe, Fault, What, World,
};
use signalbox_tests::host::{Host, TOKEN};
use signalbox_tests::stripe;

/// Fetches every second.
const QUICK: &str = "[mirror]\nrefetch_interval = \"1s\"\n[reconcile]\nenabled = false\n";

fn customer(id: &str, balance: u64) -> Value {
    json!({ "id": id, "object": "customer", "balance": balance, "livemode": false })
}

/// Two events of one second in which the object is not the same, and nothing to tell their order by.
async fn unsure(host: &Host, account: &str, one: &Value, other: &Value) {
    let (id, second) = (one["id"].as_str().unwrap(), stripe::now());
    for (n, object) in [one, other].into_iter().enumerate() {
        let kind = format!("{}.updated", object["object"].as_str().unwrap());
        let event = FakeEvent::new(&format!("evt_{id}_{n}"), &kind, second, object).of(account);
        let (status, answer) = host.post(event.webhook()).await.unwrap();
        assert_eq!((status, &answer["status"]), (200, &json!("accepted")), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_events_of_one_second_leave_open_stripe_is_asked_for() {
    let fake = FakeStripe::start().await.unwrap();
    let mut host = Host::start(&[], &format!("{}{QUICK}", fake.config())).unwrap();
    // Nothing can be fetched yet, so that the doubt is seen.
    fake.with(|world| world.faults.push(Fault::always("/v1/customers", What::Status(403))));
    unsure(&host, FAKE_ACCOUNT, &customer("cus_own", 1), &customer("cus_own", 2)).await;
    unsure(&host, CONNECTED, &customer("cus_theirs", 1), &customer("cus_theirs", 2)).await;
    let card = |n: u64| json!({ "id": "card_1", "object": "card", "exp_month": n });
    unsure(&host, FAKE_ACCOUNT, &card(1), &card(2)).await;
    assert_eq!(host.list("/objects?ambiguous=true").await.unwrap().len(), 3);
    fake.until(|world| (!world.asked_for("GET", "/v1/customers/").is_empty()).then_some(()))
        .await
        .unwrap();
    host.kill().unwrap();

    fake.with(|world| {
        world.faults.clear();
        let mut put = |account: &str, object: Value| {
            let all = world.objects.entry((account.to_owned(), "customers".to_owned()));
            all.or_default().push(object);
        };
        // Each account has its own, and the other has none of that name.
        put(FAKE_ACCOUNT, customer("cus_own", 9_007_199_254_740_993));
        put(CONNECTED, customer("cus_theirs", 4));
    });
    host.run().unwrap();
    let sure =
        |list: &Value| (list["data"].as_array()?.len() == 1).then(|| list["data"][0].clone());
    let left = host.until("/objects?ambiguous=true", sure).await.unwrap();
    assert_eq!(left["id"], "card_1", "it has no path of its own");

    let own = host.get("/objects/stripe/customer/cus_own?livemode=false").await.unwrap();
    assert_eq!((&own["origin"], &own["ambiguous"]), (&json!("fetched"), &json!(false)));
    assert!(own.to_string().contains("9007199254740993"), "{own}");
    let path = format!("/objects/stripe/customer/cus_theirs?livemode=false&account={CONNECTED}");
    let theirs = host.get(&path).await.unwrap();
    assert_eq!((&theirs["origin"], &theirs["body"]["balance"]), (&json!("fetched"), &json!(4)));
    let asked = fake.with(|world| {
        let asked = world.asked_for("GET", "/v1/customers/cus_theirs");
        asked
            .iter()
            .map(|asked| asked.header("stripe-account").map(str::to_owned))
            .collect::<Vec<_>>()
    });
    assert!(asked.iter().all(|account| account.as_deref() == Some(CONNECTED)), "{asked:?}");
    let version = fake.with(|world| {
        let asked = world.asked_for("GET", "/v1/customers/cus_own");
        asked.last().and_then(|asked| asked.header("stripe-version").map(str::to_owned))
    });
    assert_eq!(version.as_deref(), Some("2026-03-25.dahlia"), "in the shape of its events");
    for (name, expected) in [
        ("signalbox_objects_refetched_total{outcome=\"cleared\"}", 2.0),
        ("signalbox_objects_not_fetchable{reason=\"no_path\"}", 1.0),
    ] {
        let mut found = 0.0;
        for _ in 0..100 {
            // Counted after it is durable, so perhaps a moment after it was seen.
            found = host.figure(name).await.unwrap_or_default();
            if (found - expected).abs() < 0.1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!((found - expected).abs() < 0.1, "{name} is {found}");
    }
    assert!(!host.log().contains(FAKE_KEY), "the key is in the log");
    host.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_was_killed_goes_on_where_it_was() {
    let fake = FakeStripe::start().await.unwrap();
    let mut host = Host::start(&[], &format!("{}{QUICK}", fake.config())).unwrap();
    let begun = stripe::now() - 1_000;
    fake.with(|world| {
        let all = (0..250).map(|n| {
            let mut customer = customer(&format!("cus_{n:03}"), n);
            customer["created"] = json!(begun + n);
            customer
        });
        world.objects.insert((FAKE_ACCOUNT.to_owned(), "customers".to_owned()), all.collect());
        // The first page comes, the second does not.
        world.faults.push(Fault::once("/v1/customers", What::Slow(Duration::ZERO)));
        world.faults.push(Fault::always("/v1/customers", What::Slow(Duration::from_secs(60))));
    });
    let url = format!("{}/api/v1/objects/backfill", host.admin);
    let wanted = json!({ "kinds": ["customer"] });
    let begun = reqwest::Client::new().post(url).bearer_auth(TOKEN).json(&wanted).send().await;
    assert_eq!(begun.unwrap().status(), 202);
    let second = |world: &World| (world.asked_for("GET", "/v1/customers").len() == 2).then_some(());
    fake.until(second).await.unwrap();
    host.kill().unwrap();
    fake.with(|world| {
        world.faults.clear();
        world.asked.clear();
    });
    host.run().unwrap();
    assert_eq!(host.list("/objects?kind=customer").await.unwrap().len(), 100);

    let ran =
        host.cli(&["objects", "backfill", "--kind", "customer", "--output", "jsonl"]).unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let operation: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let list = &operation["result"]["lists"][0];
    // One of them is the last of the first page: others might have been made in its second.
    assert_eq!((&list["listed"], &list["resumed"]), (&json!(151), &json!(true)), "{operation}");
    let held = host.figure("signalbox_objects").await.unwrap();
    assert!((held - 250.0).abs() < 0.1, "{held}");
    let first = host.get("/objects/stripe/customer/cus_000?livemode=false").await.unwrap();
    assert_eq!((&first["origin"], &first["body"]["balance"]), (&json!("fetched"), &json!(0)));

    let ran = host.cli(&["objects", "backfill", "--kind", "customer", "--since", "1h"]).unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(out.contains("customer") && out.contains("250"), "{out}");
    let ran = host.cli(&["objects", "backfill", "--kind", "card"]).unwrap();
    let error = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.code() == Some(2) && error.contains("these can be"), "{error}");
    host.stop().unwrap();
}

/// What happens to a product: its events in order, and what is left of it at Stripe.
fn history(dice: &mut Dice, number: u64, second: u64) -> (Vec<FakeEvent>, Option<Value>) {
    let id = format!("prod_{number}");
    let mut product = json!({
        "id": id, "object": "product", "created": second, "livemode": false, "name": "0", "x": 1.5,
    });
    let mut at = second;
    let mut events = vec![FakeEvent::new(&format!("evt_{id}_0"), "product.created", at, &product)];
    for step in 1..=1 + dice.below(5) {
        at += u64::from(dice.below(3) == 0);
        let before = product["name"].clone();
        // Three names in turn, so that longer histories come back to one they had.
        let name = before.as_str().unwrap().parse::<u64>().unwrap();
        product["name"] = json!(((name + 1 + dice.below(2)) % 3).to_string());
        let mut event =
            FakeEvent::new(&format!("evt_{id}_{step}"), "product.updated", at, &product);
        event.body["data"]["previous_attributes"] = json!({ "name": before });
        events.push(event);
        if dice.below(4) == 0 {
            // Another event of the same change, which does not say what changed.
            let event = format!("evt_{id}_{step}_too");
            events.push(FakeEvent::new(&event, "product.renamed", at, &product));
        }
    }
    if dice.below(4) > 0 {
        return (events, Some(product));
    }
    events.push(FakeEvent::new(&format!("evt_{id}_gone"), "product.deleted", at, &product));
    (events, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_history_the_mirror_is_what_a_full_refetch_finds() {
    const PRODUCTS: u64 = 100;
    let fake = FakeStripe::start().await.unwrap();
    let mut host = Host::start(&[], &format!("{}{QUICK}", fake.config())).unwrap();
    let (mut dice, second) = (Dice::of_run(), stripe::now() - 5);
    let (mut coming, mut left) = (Vec::new(), Vec::new());
    for number in 0..PRODUCTS {
        let (events, product) = history(&mut dice, number, second);
        coming.extend(events);
        left.push(product);
    }
    // All has happened when the first event comes; they come in any order, and some again.
    let products = left.iter().flatten().cloned().collect();
    fake.with(|world| {
        world.objects.insert((FAKE_ACCOUNT.to_owned(), "products".to_owned()), products);
    });
    for at in (1..coming.len()).rev() {
        coming.swap(at, usize::try_from(dice.below(at as u64 + 1)).unwrap());
    }
    for event in &coming {
        for _ in 0..=dice.below(5) / 4 {
            assert_eq!(host.post(event.webhook()).await.unwrap().0, 200);
        }
    }
    let settled = |list: &Value| list["data"].as_array()?.is_empty().then_some(());
    host.until("/objects?ambiguous=true", settled).await.unwrap();
    let fetched = fake.with(|world| world.asked_for("GET", "/v1/products/").len());
    assert!(fetched > 0, "nothing was in doubt");

    let mirror = async || {
        let page = host.get("/objects?kind=product&limit=100").await.unwrap();
        let named = |one: &Value| (one["id"].as_str().unwrap().to_owned(), one.clone());
        let all: BTreeMap<String, Value> =
            page["data"].as_array().unwrap().iter().map(named).collect();
        assert_eq!(all.len() as u64, PRODUCTS);
        all
    };
    let held = mirror().await;
    for (number, product) in left.iter().enumerate() {
        let one = &held[&format!("prod_{number}")];
        match product {
            Some(product) => assert_eq!((&one["deleted"], &one["body"]), (&json!(false), product)),
            None => assert_eq!(one["deleted"], true, "{one:#}"),
        }
    }
    let ran = host.cli(&["objects", "backfill", "--kind", "product", "--output", "jsonl"]).unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for (id, again) in mirror().await {
        let before = &held[&id];
        assert_eq!(
            (&again["body"], &again["deleted"]),
            (&before["body"], &before["deleted"]),
            "a full refetch finds another {id}"
        );
    }
    println!("{PRODUCTS} histories, {} events, {fetched} fetches", coming.len());
    host.stop().unwrap();
}
