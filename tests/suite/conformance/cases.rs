//! What is posted, and what each plugin must have made of it.

use std::pin::Pin;

use serde_json::{Value, json};
use signalbox_tests::stripe;

use super::languages::Language;
use super::{World, text};

type Checked<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;
type Check = for<'a> fn(&'a World, Language, &'a [(String, Value)]) -> Checked<'a>;

/// One promise of the contract.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Asked of those languages alone whose toolchains take some failures for success.
    silent: bool,
    pub(super) events: fn() -> Vec<Value>,
    pub(super) check: Check,
}

impl Case {
    pub(super) fn is_for(&self, language: Language) -> bool {
        !self.silent || language.silent
    }
}

/// Size of the largest body, whole.
const LARGE: usize = 1 << 20;

/// Letters of three lengths in UTF-8, one outside the first plane, quotes and a line's end.
const UNICODE: &str = "Zoë 雪 😀 \"\\\n\u{7f}";

fn event(kind: &str, object: Value) -> Value {
    let mut of = json!({"id": format!("thing_{}", stripe::fresh_id()), "object": "thing"});
    for (key, value) in object.as_object().unwrap() {
        of[key] = value.clone();
    }
    json!({
        "id": stripe::fresh_id(), "object": "event", "type": kind, "created": stripe::now(),
        "livemode": false, "api_version": "2026-10-28.endive", "data": {"object": of},
    })
}

fn padded() -> Value {
    let empty = event("conformance.large", json!({"padding": ""}));
    let padding = "x".repeat(LARGE - empty.to_string().len());
    let mut event = empty;
    event["data"]["object"]["padding"] = padding.into();
    event
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what} is {is:?}, not {should:?}")) }
}

/// The delivery of an event, ended as it should.
async fn ended(
    world: &World,
    language: Language,
    id: &str,
    (status, outcome): (&str, &str),
) -> Result<Value, String> {
    let id = format!("stripe.{id}.{}", language.plugin());
    let delivery = world.host.ended(&id).await.map_err(|error| format!("{error:#}"))?;
    let is = (text(&delivery, "status"), text(&delivery, "outcome"));
    if is != (status, outcome) {
        return Err(format!("it ended as {is:?}: {delivery:#}"));
    }
    Ok(delivery)
}

async fn done(world: &World, language: Language, id: &str) -> Result<Value, String> {
    ended(world, language, id, ("done", "ok")).await
}

async fn holds(world: &World, of: Language, key: &str, value: &str) -> Result<(), String> {
    let is = world.state(of, key).await;
    same(key, &is.as_deref(), &Some(value))
}

/// As [`holds`], once an event that the plugin made has come back to it.
async fn comes_to_hold(world: &World, of: Language, key: &str, value: &str) -> Result<(), String> {
    let path = format!("/plugins/{}/kv?limit=100", of.plugin());
    let found = world.host.until(&path, |page| {
        let entries = page["data"].as_array()?;
        entries.iter().find(|entry| entry["key"] == key).map(|entry| entry["value"].clone())
    });
    let found = found.await.map_err(|error| format!("{error:#}"))?;
    same(key, &found.as_str(), &Some(value))
}

/// All cases, in an order in which each finds what it needs.
pub(super) fn all() -> Vec<Case> {
    let case = |name, events, check| Case { name, silent: false, events, check };
    vec![
        case(
            "subscriptions",
            || {
                ["conformance.subscribed", "conformance.other", "conformance.family.deep.one"]
                    .map(|kind| event(kind, json!({})))
                    .to_vec()
            },
            |world, of, posted| {
                Box::pin(async move {
                    for (id, event) in posted {
                        done(world, of, id).await?;
                        holds(world, of, &format!("subscribed/{}", text(event, "type")), id)
                            .await?;
                    }
                    Ok(())
                })
            },
        ),
        case(
            "filters",
            || [50, 150].map(|n| event("conformance.filtered", json!({"amount": n}))).to_vec(),
            |world, of, posted| {
                Box::pin(async move {
                    let [(small, _), (big, _)] = posted else { panic!("two were posted") };
                    done(world, of, big).await?;
                    holds(world, of, &format!("filtered/{big}"), "seen").await?;
                    let path = format!("/deliveries/stripe.{small}.{}", of.plugin());
                    match world.host.get(&path).await {
                        Ok(delivery) => Err(format!("the filter let it through: {delivery:#}")),
                        Err(_) => Ok(()),
                    }
                })
            },
        ),
        case(
            "kv",
            || vec![event("conformance.kv", json!({})), event("conformance.kv", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    for (id, _) in posted {
                        done(world, of, id).await?;
                    }
                    holds(world, of, "kv/a", "1").await?;
                    same("kv/b", &world.state(of, "kv/b").await, &None)?;
                    holds(world, of, "kv-list", "kv/a,kv/c").await?;
                    holds(world, of, "kv-count", "2").await
                })
            },
        ),
        case(
            "retry with delay",
            || vec![event("conformance.retry", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    let delivery = done(world, of, &posted[0].0).await?;
                    let first = &delivery["history"][0];
                    same("outcome", &text(first, "outcome"), &"retry")?;
                    same("reason", &text(first, "reason"), &"not yet")?;
                    holds(world, of, "retry", "2").await
                })
            },
        ),
        case(
            "reject",
            || vec![event("conformance.reject", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    let delivery = ended(world, of, &posted[0].0, ("dead", "reject")).await?;
                    same("reason", &text(&delivery, "reason"), &"no such thing 雪")?;
                    same("attempts", &delivery["attempts"], &json!(1))
                })
            },
        ),
        case(
            "uncaught error",
            || vec![event("conformance.uncaught", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    let delivery = ended(world, of, &posted[0].0, ("dead", of.uncaught)).await?;
                    if of.uncaught == "retry" && !text(&delivery, "reason").contains("boom 雪") {
                        return Err(format!("the reason lacks the message: {delivery:#}"));
                    }
                    let logs = delivery["logs"].as_array().cloned().unwrap_or_default();
                    let told = |log: &Value| {
                        log["level"] == "error" && text(log, "message").contains("boom 雪")
                    };
                    if !logs.iter().any(told) {
                        return Err(format!("the log lacks the message: {logs:?}"));
                    }
                    same("uncaught", &world.state(of, "uncaught").await, &None)
                })
            },
        ),
        Case {
            name: "silent failures",
            silent: true,
            events: || vec![event("conformance.silent", json!({}))],
            check: |world, of, posted| {
                Box::pin(async move {
                    let delivery = ended(world, of, &posted[0].0, ("dead", "reject")).await?;
                    same("no reason", &text(&delivery, "reason").is_empty(), &false)
                })
            },
        },
        case(
            "1 MiB body",
            || vec![padded()],
            |world, of, posted| {
                Box::pin(async move {
                    let (id, event) = &posted[0];
                    done(world, of, id).await?;
                    let padding = text(&event["data"]["object"], "padding").len();
                    holds(world, of, "large", &format!("{LARGE}:{padding}")).await
                })
            },
        ),
        case(
            "unicode",
            || vec![event("conformance.unicode", json!({"text": UNICODE}))],
            |world, of, posted| {
                Box::pin(async move {
                    done(world, of, &posted[0].0).await?;
                    holds(world, of, "unicode", UNICODE).await
                })
            },
        ),
        case(
            "integers beyond 2^53",
            || vec![event("conformance.bigint", json!({"amount": 9_007_199_254_740_993_i64}))],
            |world, of, posted| {
                Box::pin(async move {
                    done(world, of, &posted[0].0).await?;
                    holds(world, of, "bigint", "9007199254740994").await
                })
            },
        ),
        case(
            "emit, empty body",
            || vec![event("conformance.emit", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    done(world, of, &posted[0].0).await?;
                    comes_to_hold(world, of, "empty", "0").await
                })
            },
        ),
        case(
            "outbox",
            || vec![event("conformance.outbox", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    let id = &posted[0].0;
                    done(world, of, id).await?;
                    let effect = format!("stripe.{id}.{}.0", of.plugin());
                    holds(world, of, "effect", &effect).await?;
                    holds(world, of, "refused", "not-granted").await?;
                    let request = world.sink.until(|all| all.get(&effect)?.first().cloned());
                    let request = request.await.map_err(|error| format!("{error:#}"))?;
                    same("body", &request.body.as_ref(), &id.as_bytes())?;
                    same("path", &request.path.as_str(), &"/hook")?;
                    let header = ("content-type".to_owned(), "text/plain".to_owned());
                    same("content-type", &request.headers.contains(&header), &true)
                })
            },
        ),
        case(
            "answers",
            || vec![event("conformance.reply", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    done(world, of, &posted[0].0).await?;
                    comes_to_hold(world, of, "reply", "200:pong").await
                })
            },
        ),
        case(
            "objects",
            || {
                let customer = json!({"id": "cus_conf", "object": "customer", "name": UNICODE});
                vec![
                    event("customer.created", customer),
                    event("conformance.objects", json!({"customer": "cus_conf"})),
                ]
            },
            |world, of, posted| {
                Box::pin(async move {
                    done(world, of, &posted[1].0).await?;
                    holds(world, of, "object", &format!("cus_conf:{UNICODE}")).await?;
                    holds(world, of, "object-refused", "not-granted").await?;
                    holds(world, of, "object-absent", "none").await
                })
            },
        ),
        case(
            "settings",
            || vec![event("conformance.config", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    done(world, of, &posted[0].0).await?;
                    holds(world, of, "config", "grüezi").await
                })
            },
        ),
        case(
            "log",
            || vec![event("conformance.log", json!({}))],
            |world, of, posted| {
                Box::pin(async move {
                    let delivery = done(world, of, &posted[0].0).await?;
                    let record = json!({
                        "level": "info", "message": "hello 雪", "attributes": {"kind": "log"},
                    });
                    let logs = delivery["logs"].as_array().cloned().unwrap_or_default();
                    let has = |log: &Value| {
                        ["level", "message", "attributes"].iter().all(|f| log[f] == record[f])
                    };
                    if logs.iter().any(has) { Ok(()) } else { Err(format!("{logs:?}")) }
                })
            },
        ),
    ]
}

/// An event whose handlers do nothing.
pub(super) fn noop() -> Value {
    event("conformance.noop", json!({}))
}
