//! What a handler asks the world for: what is kept of it, what is refused, and why.

use std::sync::atomic::Ordering;

use super::components::Ask;
use super::memory::MemoryStore;
use super::*;
use crate::domain::delivery::{LogLevel, Outcome};
use crate::domain::effect::{Action, EffectStatus};
use crate::domain::event::Made;
use crate::domain::grant::{EMIT, Grant, HTTP};
use crate::domain::notice::MAX_DEPTH;
use crate::plugin::PluginSettings;
use crate::plugin::error::Step;
use crate::plugin::limits::{BEGINS_ANEW, MAX_DELAY};

const KINDS: &[&str] = &["charge.succeeded"];
const URL: &str = "https://a.com/hook";

fn grants() -> Vec<Grant> {
    vec![
        Grant::parse(HTTP, "POST https://a.com/*", vec!["TOKEN".to_owned()]).unwrap(),
        Grant::parse(HTTP, "POST http://127.0.0.1:8080/*", vec![]).unwrap(),
        Grant::parse(EMIT, "reminder.*", vec![]).unwrap(),
    ]
}

async fn granted(engine: &Engine, bytes: Vec<u8>, limits: Limits, grants: Vec<Grant>) -> Loaded {
    let own = PluginSettings { limits, grants, ..PluginSettings::default() };
    let policy = Policy { plugins: [("a".parse().unwrap(), own)].into(), ..Policy::default() };
    engine.load(bytes.into(), &policy).await.unwrap()
}

async fn run_from(
    bytes: Vec<u8>,
    limits: Limits,
    source: Source,
    store: Arc<MemoryStore>,
) -> Execution {
    let engine = engine();
    let plugin = granted(&engine, bytes, limits, grants()).await;
    let call = call_from(&plugin, source);
    engine.guests().spawn(async move { plugin.call(call, store).await }).await.unwrap()
}

/// What each asked-for thing is answered, as the component logs it.
async fn answers(
    asks: &[Ask],
    limits: Limits,
    store: Arc<MemoryStore>,
) -> (Vec<String>, Execution) {
    answers_from(asks, limits, Source::Webhook, store).await
}

async fn answers_from(
    asks: &[Ask],
    limits: Limits,
    source: Source,
    store: Arc<MemoryStore>,
) -> (Vec<String>, Execution) {
    let limits = Limits { log_records: 1_000, log_bytes: 1 << 20, ..limits };
    let ended = run_from(components::asks("a", KINDS, asks), limits, source, store).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    let answer = |record: &crate::domain::delivery::LogRecord| match record.level {
        LogLevel::Debug => record.message.clone(),
        LogLevel::Warn => format!("not granted: {}", record.message),
        LogLevel::Error => format!("invalid: {}", record.message),
        _ => record.message.clone(),
    };
    (ended.logs.records.iter().map(answer).collect(), ended)
}

fn with(change: impl FnOnce(&mut String, &mut String, &mut Vec<(String, String)>)) -> Ask {
    let mut ask = Ask::post(URL);
    if let Ask::Http { method, url, headers, .. } = &mut ask {
        change(method, url, headers);
    }
    ask
}

fn header(name: &str, value: &str) -> Ask {
    with(|_, _, headers| *headers = vec![(name.to_owned(), value.to_owned())])
}

#[tokio::test]
async fn what_was_accepted_is_numbered_and_kept_in_order() {
    let asks = [
        Ask::post(URL),
        Ask::post("https://b.com/"),
        Ask::emit("reminder.due", Some(90_000)),
        Ask::cancel("stripe.evt_0.a.0"),
        header("authorization", "Bearer {{secret:TOKEN}}"),
    ];
    let (answers, ended) = answers(&asks, Limits::default(), MemoryStore::shared()).await;
    assert_eq!(
        answers,
        [
            "stripe.evt_1.a.0",
            "not granted: outbox.http `POST https://b.com/`",
            "stripe.evt_1.a.1",
            "false",
            "stripe.evt_1.a.2",
        ]
    );
    let kept: Vec<_> = ended.effects.iter().map(|effect| effect.id.to_string()).collect();
    assert_eq!(kept, ["stripe.evt_1.a.0", "stripe.evt_1.a.1", "stripe.evt_1.a.2"]);
    let Action::Http { request, reply: None } = &ended.effects[0].action else { panic!() };
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", URL));
    assert_eq!(request.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    assert_eq!(request.body, b"{}");
    assert_eq!(ended.effects[0].delay, Duration::ZERO);
    let Action::Emit { kind, content_type, body } = &ended.effects[1].action else { panic!() };
    assert_eq!((kind.as_str(), content_type.as_str()), ("reminder.due", "application/json"));
    assert_eq!(body, b"{}");
    assert_eq!(ended.effects[1].delay, Duration::from_secs(90));
    let Action::Http { request, .. } = &ended.effects[2].action else { panic!() };
    assert_eq!(request.headers[0].1, "Bearer {{secret:TOKEN}}", "no secret enters before sending");
}

#[tokio::test]
async fn an_answer_is_asked_for_by_its_type() {
    let bytes = components::posts_for_reply("a", KINDS, URL, "mail.answered");
    let ended = run_from(bytes, Limits::default(), Source::Webhook, MemoryStore::shared()).await;
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    let Action::Http { reply, .. } = &ended.effects[0].action else { panic!() };
    assert_eq!(reply.as_deref(), Some("mail.answered"), "it needs no grant of its own");
}

#[tokio::test]
async fn what_is_not_granted_is_named() {
    let cases = [
        (Ask::post("https://a.com.evil.com/"), "outbox.http `POST https://a.com.evil.com/`"),
        (Ask::post("http://a.com/"), "outbox.http `POST http://a.com/`"),
        (with(|method, _, _| *method = "GET".to_owned()), "outbox.http `GET https://a.com/hook`"),
        (
            header("x", "{{secret:OTHER}}"),
            "`POST https://a.com/hook` does not name the secret `OTHER`",
        ),
        (Ask::emit("invoice.paid", None), "outbox.emit `invoice.paid`"),
    ];
    let asks: Vec<_> = cases.iter().map(|(ask, _)| ask.clone()).collect();
    let (answers, ended) = answers(&asks, Limits::default(), MemoryStore::shared()).await;
    for (answer, (_, says)) in answers.iter().zip(cases) {
        assert!(answer.starts_with("not granted: ") && answer.contains(says), "{answer}: {says}");
    }
    assert!(ended.effects.is_empty());
    // `http` is sent where it was granted as that.
    let http = components::posts("a", KINDS, "http://127.0.0.1:8080/x");
    let ended = run_from(http, Limits::default(), Source::Webhook, MemoryStore::shared()).await;
    assert_eq!(ended.effects.len(), 1, "{}", ended.reason);
}

#[tokio::test]
async fn what_is_not_well_formed_is_told() {
    let day = 86_400_000;
    let most = u64::try_from(MAX_DELAY.as_millis()).unwrap();
    let cases = [
        (with(|method, _, _| *method = "post".to_owned()), "`post` is no upper-case method"),
        (Ask::post("/hook"), "is not an absolute `https` URL"),
        (Ask::post("https://u:p@a.com/"), "holds a user or a password"),
        (Ask::post("https://a.com/{{secret:TOKEN}}"), "a secret stands in the URL"),
        (header("Host", "b"), "`Host` is no header name in lower case"),
        (header("host", "b"), "the header `host` is the host's"),
        (header("idempotency-key", "1"), "the header `idempotency-key` is the host's"),
        (header("x", "a\r\nb: c"), "control character"),
        (Ask::emit("reminder.*", None), "`reminder.*` is no event type"),
        (Ask::emit("", None), "`` is no event type"),
        (Ask::emit("reminder.due", Some(most + 1)), "longer than 400 days"),
        (Ask::emit("reminder.due", Some(u64::MAX)), "longer than 400 days"),
        (Ask::cancel("nonsense"), "`nonsense` is not an effect id"),
        (Ask::cancel("stripe.evt_0.b.0"), "an effect of the plugin `b`"),
        (Ask::cancel("stripe.evt_1.a.0"), "of this very delivery"),
    ];
    let asks: Vec<_> = cases.iter().map(|(ask, _)| ask.clone()).collect();
    let store = MemoryStore::shared();
    let (told, ended) = answers(&asks, Limits::default(), Arc::clone(&store)).await;
    assert_eq!(told.len(), cases.len());
    for (answer, (_, says)) in told.iter().zip(cases) {
        assert!(answer.starts_with("invalid: ") && answer.contains(says), "{answer}: {says}");
    }
    assert!(ended.effects.is_empty() && ended.cancels.is_empty());
    assert_eq!(store.looked_up.load(Ordering::SeqCst), 0);
    let longest = [Ask::emit("reminder.due", Some(400 * day))];
    let (told, _) = answers(&longest, Limits::default(), store).await;
    assert_eq!(told, ["stripe.evt_1.a.0"]);
}

#[tokio::test]
async fn effects_are_bounded_in_number_and_in_bytes() {
    let limits = Limits { effects: 2, ..Limits::default() };
    let asks = [
        Ask::emit("reminder.due", None),
        // What is refused is not counted.
        Ask::emit("invoice.paid", None),
        Ask::cancel("stripe.evt_0.a.0"),
        Ask::emit("reminder.due", None),
        Ask::cancel("stripe.evt_0.a.1"),
    ];
    let store = MemoryStore::shared();
    let (told, ended) = answers(&asks, limits, Arc::clone(&store)).await;
    assert_eq!(
        told,
        ["stripe.evt_1.a.0", "not granted: outbox.emit `invoice.paid`", "false", "quota", "quota"]
    );
    assert_eq!((ended.effects.len(), ended.cancels.len()), (1, 1));
    assert_eq!(store.looked_up.load(Ordering::SeqCst), 1);

    // A type of 12 bytes, a media type of 16 and a body of 2; POST, the URL of 18, one header of 28
    // and a body of 2.
    let asks = [Ask::emit("reminder.due", None), Ask::post(URL), Ask::emit("reminder.due", None)];
    let bytes = Limits { effect_bytes: 60, ..Limits::default() };
    let (told, _) = answers(&asks, bytes, MemoryStore::shared()).await;
    assert_eq!(told, ["stripe.evt_1.a.0", "quota", "stripe.evt_1.a.1"]);
    let bytes = Limits { effect_bytes: 30 + 52, ..Limits::default() };
    let (told, _) = answers(&asks, bytes, MemoryStore::shared()).await;
    assert_eq!(told, ["stripe.evt_1.a.0", "stripe.evt_1.a.1", "quota"]);
}

#[tokio::test]
async fn a_withdrawal_tells_whether_the_effect_waits() {
    let store = MemoryStore::shared();
    let stands = [
        (EffectStatus::Pending, "true"),
        (EffectStatus::Retry, "true"),
        (EffectStatus::Running, "false"),
        (EffectStatus::Done, "false"),
        (EffectStatus::Dead, "false"),
        (EffectStatus::Cancelled, "false"),
    ];
    let mut asks = Vec::new();
    for (ordinal, (status, _)) in stands.iter().enumerate() {
        store.put_effect(&format!("stripe.evt_0.a.{ordinal}"), *status);
        asks.push(Ask::cancel(&format!("stripe.evt_0.a.{ordinal}")));
    }
    asks.push(Ask::cancel("stripe.evt_0.a.99"));
    // Withdrawn already, by this delivery.
    asks.push(Ask::cancel("stripe.evt_0.a.0"));
    let (told, ended) = answers(&asks, Limits::default(), store).await;
    let mut expected: Vec<_> = stands.iter().map(|(_, told)| *told).collect();
    expected.extend(["false", "false"]);
    assert_eq!(told, expected);
    let kept: Vec<_> = ended.cancels.iter().map(|c| (c.id.ordinal, c.waiting)).collect();
    assert_eq!(
        kept,
        [(0, true), (1, true), (2, false), (3, false), (4, false), (5, false), (99, false)],
        "each is kept once, with what was told first"
    );
}

#[tokio::test]
async fn what_fails_asks_for_nothing_but_keeps_what_it_was_told() {
    let store = MemoryStore::shared();
    store.put_effect("stripe.evt_0.a.0", EffectStatus::Pending);
    let asks = [Ask::post(URL), Ask::cancel("stripe.evt_0.a.0"), Ask::post("https://b.com/")];
    let strict = components::asking(components::spec("a", KINDS), &asks, true);
    let bytes = components::build(&strict);
    let ended = run_from(bytes, Limits::default(), Source::Webhook, Arc::clone(&store)).await;
    assert_eq!(ended.outcome, Outcome::Crashed);
    assert!(ended.effects.is_empty());
    assert_eq!(ended.cancels.len(), 1, "a decision that rests on it is as good as the answer");

    store.broken.store(true, Ordering::SeqCst);
    let bytes = components::cancels("a", KINDS, "stripe.evt_0.a.0");
    let ended = run_from(bytes, Limits::default(), Source::Webhook, store).await;
    assert_eq!(ended.outcome, Outcome::HostFault);
    assert!(ended.reason.contains("its effects could not be looked up"), "{}", ended.reason);
}

#[tokio::test]
async fn events_that_lead_to_one_another_come_to_an_end() {
    let mut reply = Ask::post(URL);
    if let Ask::Http { reply, .. } = &mut reply {
        *reply = Some("answered".to_owned());
    }
    let anew = u64::try_from(BEGINS_ANEW.as_millis()).unwrap();
    let asks = [
        Ask::emit("reminder.due", None),
        Ask::emit("reminder.due", Some(anew - 1)),
        reply,
        Ask::emit("reminder.due", Some(anew)),
        Ask::post(URL),
    ];
    let at = |depth| Source::Emitted(Made { depth, ..Made::default() });
    let (told, _) =
        answers_from(&asks, Limits::default(), at(MAX_DEPTH - 1), MemoryStore::shared()).await;
    assert!(told.iter().all(|answer| answer.starts_with("stripe.")), "{told:?}");
    let (told, ended) =
        answers_from(&asks, Limits::default(), at(MAX_DEPTH), MemoryStore::shared()).await;
    for answer in &told[..3] {
        assert!(answer.starts_with("invalid: 16 events led to one another"), "{answer}");
    }
    assert_eq!(told[3..], ["stripe.evt_1.a.0", "stripe.evt_1.a.1"]);
    assert_eq!(ended.effects.len(), 2, "a timer begins anew, and a request makes no event");
}

#[tokio::test]
async fn a_description_asks_for_nothing() {
    let code = |call: &str| components::Spec { describe: call.to_owned(), ..asking() };
    let zeros = |n: usize| "(i32.const 0) ".repeat(n);
    for (call, name) in [
        (format!("(call $outbox_http {} (i64.const 0) (i32.const 128))", zeros(9)), "outbox.http"),
        (
            format!("(call $outbox_reply {} (i64.const 0) (i32.const 128))", zeros(11)),
            "outbox.http-with-reply",
        ),
        (format!("(call $outbox_emit {} (i64.const 0) (i32.const 128))", zeros(7)), "outbox.emit"),
        (format!("(call $outbox_cancel {} (i32.const 128))", zeros(2)), "outbox.cancel"),
    ] {
        let error = load(&engine(), components::build(&code(&call))).await.unwrap_err();
        assert_eq!(error.step(), Step::Describe);
        assert!(error.to_string().contains(&format!("`{name}` inside `describe`")), "{error}");
    }
}

fn asking() -> components::Spec {
    components::asking(components::spec("a", KINDS), &[], false)
}

#[tokio::test]
async fn counting_and_posting_go_together() {
    let bytes = components::counts_and_posts("a", KINDS, URL);
    let ended = run_from(bytes, Limits::default(), Source::Webhook, MemoryStore::shared()).await;
    assert_eq!((ended.writes.len(), ended.effects.len()), (1, 1), "{}", ended.reason);
    let bytes = components::emits("a", KINDS, "reminder.due", Some(5));
    let ended = run_from(bytes, Limits::default(), Source::Webhook, MemoryStore::shared()).await;
    assert_eq!(ended.effects[0].delay, Duration::from_millis(5), "{}", ended.reason);
}
