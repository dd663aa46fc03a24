//! Mirrored objects in a native test: read, absent, deleted, refused.

use serde::Deserialize;
use serde_json::json;
use signalbox_sdk::objects::Unread;
use signalbox_sdk::prelude::*;
use signalbox_sdk::testing::{Host, stripe};

plugin! {
    name: "greeter",
    version: "1.0.0",
    description: "",
    receivers: [greet],
    requests: [objects("stripe customer"), objects("stripe *")],
}

#[derive(Deserialize)]
struct Customer {
    name: String,
}

#[receiver("charge.succeeded")]
fn greet(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Charge {
        customer: String,
    }
    let charge: Charge = event.object()?;
    match objects::get::<Customer>("customer", &charge.customer)? {
        Some(customer) if customer.deleted => info!("goodbye {}", customer.body.name),
        Some(customer) => info!("hello {}", customer.body.name; event = customer.event_id),
        None => warn!("who is {}?", charge.customer),
    }
    Ok(())
}

fn charge(customer: &str) -> Event {
    stripe("charge.succeeded", json!({ "id": "ch_1", "customer": customer }))
}

#[test]
fn what_the_test_put_there_is_read() {
    assert_eq!(PLUGIN.requests(), [("objects", "stripe customer"), ("objects", "stripe *")]);
    let mut host = Host::new()
        .with_object("stripe", "customer", "cus_1", &json!({"name": "Ada"}))
        .with_deleted_object("stripe", "customer", "cus_2", &json!({"name": "Bob"}))
        .with_object("stripe", "customer", "cus_3", &json!({"name": 7}))
        .with_object("stripe", "price", "cus_4", &json!({"name": "no customer"}));
    let mut said = |id| host.deliver(&PLUGIN, &charge(id)).expect_ok().logs[0].message.clone();
    assert_eq!(said("cus_1"), "hello Ada");
    assert_eq!(said("cus_2"), "goodbye Bob");
    assert_eq!(said("cus_4"), "who is cus_4?");
    let odd = host.deliver(&PLUGIN, &charge("cus_3"));
    assert!(odd.expect_reject().starts_with("objects: stripe customer cus_3 has another shape"));
}

#[test]
fn a_missing_grant_and_a_limit_are_told() {
    let run = Host::new().granting_nothing().deliver(&PLUGIN, &charge("cus_1"));
    assert_eq!(run.expect_retry(), "objects: not granted: objects `stripe customer`");
    let mut host = Host::new()
        .with_object("stripe", "customer", "cus_1", &json!({"name": "Ada"}))
        .with_limits(|limits| (limits.object_reads, limits.object_bytes) = (2, 30));
    for _ in 0..2 {
        let run = host.run(|| {
            for _ in 0..2 {
                assert!(objects::get::<Customer>("customer", "cus_1")?.is_some());
            }
            let over = objects::get_bytes("stripe", "customer", "cus_1");
            assert!(matches!(over, Err(Unread::Operations)));
            Ok::<_, Failure>(())
        });
        // Each run has its own.
        run.expect_ok();
    }
    let mut host = host.with_limits(|limits| limits.object_bytes = 13);
    let run = host.run(|| {
        assert!(objects::get::<Customer>("customer", "cus_1")?.is_some());
        objects::get::<Customer>("customer", "cus_1")?;
        Ok::<_, Failure>(())
    });
    assert_eq!(run.expect_retry(), "objects: the delivery reads more than the host allows");
}
