//! The conformance plugin in Rust: `../README.md` says what each case does.

use std::time::Duration;

use serde::Deserialize;
use signalbox_sdk::outbox::Refused;
use signalbox_sdk::prelude::*;

plugin! {
    name: "conformance-rust",
    description: "What the contract promises, asked in Rust",
    receivers: [
        subscribed, filtered, state, again, rejected, uncaught, large, unicode, bigint, emitting,
        emitted, posting, asking, answered, mirrored, setting, logging, noop,
    ],
    requests: [emit("echo.*"), objects("stripe customer")],
}

fn put(key: impl AsRef<str>, text: impl AsRef<str>) -> Result<(), Failure> {
    Ok(kv::set_bytes(key, text.as_ref().as_bytes())?)
}

#[receiver("conformance.subscribed", "conformance.other", "conformance.family.*")]
fn subscribed(event: &Event) -> Result<(), Failure> {
    put(format!("subscribed/{}", event.kind()), event.id())
}

#[receiver("conformance.filtered", filter = "event.data.object.amount > 100")]
fn filtered(event: &Event) -> Result<(), Failure> {
    put(format!("filtered/{}", event.id()), "seen")
}

#[receiver("conformance.kv")]
fn state(_: &Event) -> Result<(), Failure> {
    for (key, value) in [("kv/a", "1"), ("kv/b", "2"), ("kv/c", "3")] {
        put(key, value)?;
    }
    kv::delete("kv/b")?;
    if kv::get_bytes("kv/b")?.is_some() {
        reject!("a deleted key has a value");
    }
    let keys: Vec<String> = kv::keys("kv/").collect::<Result<_, _>>()?;
    put("kv-list", keys.join(","))?;
    let count = kv::get_bytes("kv-count")?.unwrap_or_else(|| b"0".to_vec());
    let count: u64 =
        String::from_utf8(count).or_reject("no text")?.parse().or_reject("no number")?;
    put("kv-count", (count + 1).to_string())
}

#[receiver("conformance.retry")]
fn again(_: &Event, delivery: &Delivery) -> Result<(), Failure> {
    if delivery.attempt == 1 {
        return Err(Failure::retry_after(Duration::from_millis(50), "not yet"));
    }
    put("retry", delivery.attempt.to_string())
}

#[receiver("conformance.reject")]
fn rejected(_: &Event) -> Result<(), Failure> {
    reject!("no such thing 雪")
}

#[receiver("conformance.uncaught")]
fn uncaught(_: &Event) -> Result<(), Failure> {
    put("uncaught", "1")?;
    panic!("boom 雪")
}

#[receiver("conformance.large")]
fn large(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Padded {
        padding: String,
    }
    let padding = event.object::<Padded>()?.padding.len();
    put("large", format!("{}:{padding}", event.body().len()))
}

#[receiver("conformance.unicode")]
fn unicode(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Text {
        text: String,
    }
    put("unicode", event.object::<Text>()?.text)
}

#[receiver("conformance.bigint")]
fn bigint(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Amount {
        amount: i64,
    }
    put("bigint", (event.object::<Amount>()?.amount + 1).to_string())
}

#[receiver("conformance.emit")]
fn emitting(_: &Event) -> Result<(), Failure> {
    outbox::emit_bytes("echo.empty", "text/plain", Vec::new(), Duration::ZERO)?;
    Ok(())
}

#[receiver("echo.empty", provider = "conformance-rust")]
fn emitted(event: &Event) -> Result<(), Failure> {
    put("empty", event.body().len().to_string())
}

fn sink() -> Result<String, Failure> {
    config::get("sink").or_reject("no setting `sink`")
}

#[receiver("conformance.outbox")]
fn posting(event: &Event) -> Result<(), Failure> {
    let effect = outbox::post(sink()?).body("text/plain", event.id()).send()?;
    put("effect", effect.as_str())?;
    match outbox::emit("forbidden.kind", &()) {
        Err(Refused::NotGranted { .. }) => put("refused", "not-granted"),
        other => reject!("an emit without a grant: {other:?}"),
    }
}

#[receiver("conformance.reply")]
fn asking(_: &Event) -> Result<(), Failure> {
    outbox::post(sink()?).body("text/plain", "ping").reply_as("echo.reply").send()?;
    Ok(())
}

#[receiver("echo.reply", provider = "conformance-rust")]
fn answered(event: &Event) -> Result<(), Failure> {
    let reply = event.reply().or_reject("it is no answer")?;
    put("reply", format!("{}:{}", reply.status, String::from_utf8_lossy(event.body())))
}

#[receiver("conformance.objects")]
fn mirrored(event: &Event) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Of {
        customer: String,
    }
    #[derive(Deserialize)]
    struct Customer {
        name: String,
    }
    let of: Of = event.object()?;
    let customer = objects::get::<Customer>("customer", &of.customer)?;
    let customer = customer.or_reject("the customer is not there")?;
    put("object", format!("{}:{}", customer.id, customer.body.name))?;
    match objects::get::<Customer>("charge", "ch_1") {
        Err(objects::Unread::NotGranted { .. }) => put("object-refused", "not-granted")?,
        other => reject!("a kind without a grant: {:?}", other.map(|_| ())),
    }
    if objects::get::<Customer>("customer", "cus_absent")?.is_none() {
        put("object-absent", "none")?;
    }
    Ok(())
}

#[receiver("conformance.config")]
fn setting(_: &Event) -> Result<(), Failure> {
    put("config", config::get("greeting").or_reject("no setting `greeting`")?)
}

#[receiver("conformance.log")]
fn logging(_: &Event) -> Result<(), Failure> {
    info!("hello 雪"; kind = "log");
    Ok(())
}

#[receiver("conformance.noop")]
fn noop(_: &Event) -> Result<(), Failure> {
    Ok(())
}
