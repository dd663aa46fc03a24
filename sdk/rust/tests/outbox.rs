//! Effects in a native test: what is asked for, withdrawn, fired and answered.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_sdk::outbox::{EffectId, Refused};
use signalbox_sdk::prelude::*;
use signalbox_sdk::testing::{Action, EffectStatus, Host, Verdict, signalbox, stripe, stripe_as};

plugin! {
    name: "notes",
    version: "1.0.0",
    description: "",
    receivers: [write, forget, answered, due, alarm],
    limits: { cpu: "200ms", wall: "2s", memory: "16MiB" },
    requests: [
        http("POST https://api.example.com/notes/*"),
        secret("API_KEY"),
        emit("note.*"),
    ],
}

const HOUR: Duration = Duration::from_secs(3600);

#[receiver("charge.succeeded")]
fn write(event: &Event) -> Result<(), Failure> {
    outbox::post("https://api.example.com/notes/new")
        .secret_header("authorization", "Bearer {{secret:API_KEY}}")
        .header("x-note", "1")
        .json(&json!({ "event": event.id() }))
        .reply_as("note.answered")
        .send()?;
    let timer = timer::set("note.due", &json!({ "of": event.id() }), HOUR)?;
    kv::set("timer", &timer)?;
    Ok(())
}

#[receiver("charge.refunded")]
fn forget(_: &Event) -> Result<(), Failure> {
    let timer: EffectId = kv::get("timer")?.or_reject("there is no timer")?;
    let first = timer::cancel(&timer)?;
    let again = timer::cancel(&timer)?;
    info!("withdrawn"; first = first, again = again);
    Ok(())
}

#[receiver("note.answered", provider = "notes")]
fn answered(event: &Event) -> Result<(), Failure> {
    let reply = event.reply().or_reject("no answer")?;
    if reply.status == 0 {
        warn!("given up: {}", String::from_utf8_lossy(reply.body));
        return Ok(());
    }
    let answer: Value = reply.json()?;
    info!("answered"; status = reply.status, effect = reply.effect, id = answer["id"],
          kind = reply.header("content-type").unwrap_or_default(), good = reply.is_success());
    Ok(())
}

#[receiver("note.due", provider = "notes")]
fn due(event: &Event) -> Result<(), Failure> {
    let data: Value = event.parse()?;
    info!("due"; of = data["of"]);
    Ok(())
}

#[receiver("signalbox.delivery.dead", provider = "signalbox")]
fn alarm(event: &Event) -> Result<(), Failure> {
    let dead: Value = event.object()?;
    info!("dead: {}", dead["id"]);
    Ok(())
}

#[test]
fn requests_and_limits_become_the_manifest() {
    assert_eq!(
        PLUGIN.requests(),
        [
            ("outbox.http", "POST https://api.example.com/notes/*"),
            ("secret", "API_KEY"),
            ("outbox.emit", "note.*"),
        ]
    );
    assert_eq!(
        PLUGIN.attributes()[1..],
        [("limit-cpu", "200ms"), ("limit-wall", "2s"), ("limit-memory", "16MiB")]
    );
}

#[test]
fn what_a_run_asked_for_is_kept_with_its_success() {
    let mut host = Host::new();
    let run = host.deliver(&PLUGIN, &stripe("charge.succeeded", json!({}))).expect_ok();
    assert_eq!(run.effects, host.effects());
    let [note, timer] = host.effects() else { panic!() };
    assert_eq!(note.id.as_str(), "stripe.evt_test.notes.0");
    let Action::Http { method, url, headers, reply, .. } = &note.action else { panic!() };
    assert_eq!((method.as_str(), url.as_str()), ("POST", "https://api.example.com/notes/new"));
    assert_eq!(reply.as_deref(), Some("note.answered"));
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["authorization", "x-note", "content-type"]);
    assert_eq!(note.header("authorization"), Some("Bearer {{secret:API_KEY}}"));
    assert_eq!(note.json(), json!({"event": "evt_test"}));
    assert_eq!((timer.kind(), timer.delay), (Some("note.due"), HOUR));
    assert_eq!(host.get::<String>("timer").as_deref(), Some("stripe.evt_test.notes.1"));

    let mut host = Host::new();
    let run = host.run(|| -> Result<(), Failure> {
        outbox::emit("note.sent", &1)?;
        reject!("no")
    });
    assert!(run.effects.is_empty() && host.effects().is_empty());
}

#[test]
fn timers_fire_and_requests_are_answered() {
    let mut host = Host::new();
    let run = host.deliver(&PLUGIN, &stripe("charge.succeeded", json!({}))).expect_ok();
    let [note, timer] = &run.effects[..] else { panic!() };
    let due = host.fire(&PLUGIN, &timer.id).expect_ok();
    assert_eq!(due.logs[0].attribute("of"), Some("\"evt_test\""));
    let headers = [("content-type", "application/json")];
    let run = host.reply(&PLUGIN, &note.id, 201, &headers, r#"{"id": 7}"#).expect_ok();
    let answer = &run.logs[0];
    assert_eq!(answer.attribute("status"), Some("201"));
    assert_eq!(answer.attribute("effect"), Some(note.id.as_str()));
    assert_eq!(answer.attribute("id"), Some("7"));
    assert_eq!(answer.attribute("kind"), Some("application/json"));
    assert_eq!(answer.attribute("good"), Some("true"));
    assert_eq!(host.waiting().count(), 0);
    // A replay does not do again what was done.
    host.deliver(&PLUGIN, &stripe("charge.succeeded", json!({}))).expect_ok();
    assert_eq!(host.waiting().count(), 0);

    let mut host = Host::new();
    let run = host.deliver(&PLUGIN, &stripe("charge.succeeded", json!({}))).expect_ok();
    let run = host.reply(&PLUGIN, &run.effects[0].id, 0, &[], "no route").expect_ok();
    assert!(run.logged("given up: no route"));
}

#[test]
fn what_waits_is_withdrawn_once() {
    let mut host = Host::new();
    host.deliver(&PLUGIN, &stripe_as("evt_1", "charge.succeeded", json!({}))).expect_ok();
    let refund = |id| stripe_as(id, "charge.refunded", json!({}));
    let run = host.deliver(&PLUGIN, &refund("evt_2")).expect_ok();
    assert_eq!(run.logs[0].attribute("first"), Some("true"));
    assert_eq!(run.logs[0].attribute("again"), Some("false"), "it is withdrawn by this very run");
    assert_eq!(host.effects()[1].status, EffectStatus::Cancelled);
    let run = host.deliver(&PLUGIN, &refund("evt_3")).expect_ok();
    assert_eq!(run.logs[0].attribute("first"), Some("false"));
    for (id, says) in [
        ("stripe.evt_1.other.0", "of another plugin"),
        ("stripe.evt_4.notes.0", "of this very delivery"),
        ("nonsense", "not an effect id"),
    ] {
        host.set("timer", id);
        let run = host.deliver(&PLUGIN, &refund("evt_4"));
        assert!(run.expect_retry().contains(says), "{id}: {:?}", run.verdict);
    }
}

#[test]
fn what_is_refused_says_why() {
    type Ask<'a> = &'a dyn Fn() -> Result<EffectId, Refused>;
    let mut host = Host::new();
    let url = "https://a.com/";
    let unwritable = std::collections::BTreeMap::from([((), 1)]);
    let cases: [(Ask<'_>, &str); 8] = [
        (&|| outbox::request("post", url).send(), "upper-case"),
        (&|| outbox::post("a.com").send(), "absolute"),
        (&|| outbox::post("https://a.com/{{secret:A}}").send(), "header alone"),
        (&|| outbox::post(url).body("text/plain", "{{secret:A}}").send(), "header alone"),
        (&|| outbox::get(url).header("Accept", "*/*").send(), "lower case"),
        (&|| outbox::get(url).secret_header("x", "sk_live_1").send(), "names no secret"),
        (&|| outbox::emit("note.*", &1), "no event type"),
        (&|| outbox::emit("note.sent", &unwritable), "as JSON: key"),
    ];
    for (ask, says) in cases {
        let run = host.run(|| ask().map(drop));
        assert!(run.expect_retry().contains(says), "{:?} has no `{says}`", run.verdict);
    }
    let run = Host::new().granting_nothing().run(|| outbox::delete(url).send().map(drop));
    assert_eq!(run.expect_retry(), "outbox: not granted: outbox.http `DELETE https://a.com/`");
    let mut host = Host::new().with_limits(|limits| limits.effects = 1);
    let run = host.run(|| -> Result<(), Refused> {
        outbox::put(url).after(HOUR).send()?;
        outbox::emit("a", &1).map(drop)
    });
    assert!(run.expect_retry().ends_with("more than the host allows"));
    let mut host = Host::new().with_limits(|limits| limits.effect_bytes = 10);
    assert!(host.run(|| outbox::put(url).send().map(drop)).expect_retry().ends_with("allows"));
}

#[test]
fn the_hosts_own_events_are_events_like_any_other() {
    let mut host = Host::new();
    let dead = signalbox("signalbox.delivery.dead", json!({"id": "stripe.evt_1.notes"}));
    assert!(host.deliver(&PLUGIN, &dead).expect_ok().logged("stripe.evt_1.notes"));
    let paused = signalbox("signalbox.plugin.paused", json!({}));
    assert_eq!(host.deliver(&PLUGIN, &paused).verdict, Verdict::NotSubscribed);
    assert!(dead.reply().is_none());
}
