//! What a handler reads of the mirror: what is granted, whose it is, and how much.

use super::*;
use crate::domain::delivery::{LogLevel, Outcome};
use crate::domain::event::Made;
use crate::domain::grant::{Grant, OBJECTS};
use crate::plugin::PluginSettings;
use crate::plugin::error::Step;
use crate::store::contract::objects::{TestSight, customer, shows};
use crate::store::sled::{SledConfig, SledStore};
use crate::store::{NewEvent, Store};

const KINDS: &[&str] = &["charge.succeeded"];
const A: (&str, &str, &str) = ("stripe", "customer", "a");

/// A store with a mirror of these events.
struct Kept {
    store: Arc<SledStore>,
    _dir: tempfile::TempDir,
}

async fn kept(events: Vec<NewEvent>) -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let config = SledConfig::new(dir.path().join("store"));
    let store =
        SledStore::open(&SledConfig { sight: Some(Arc::new(TestSight)), ..config }).unwrap();
    for event in events {
        store.accept(vec![event]).await.unwrap();
    }
    Kept { store, _dir: dir }
}

fn of(account: Option<&str>, livemode: bool, mut new: NewEvent) -> NewEvent {
    new.event.account = account.map(str::to_owned);
    new.event.livemode = livemode;
    new
}

fn policy(limits: Limits, grants: &[&str]) -> Policy {
    let grants = grants.iter().map(|scope| Grant::parse(OBJECTS, scope, vec![]).unwrap());
    let own = PluginSettings { limits, grants: grants.collect(), ..PluginSettings::default() };
    Policy { plugins: [("a".parse().unwrap(), own)].into(), ..Policy::default() }
}

/// What the component logs, one line each.
async fn lines(
    kept: &Kept,
    bytes: Vec<u8>,
    policy: &Policy,
    call: impl FnOnce(&mut StoredEvent),
) -> Vec<String> {
    let engine = engine();
    let plugin = engine.load(bytes.into(), policy).await.unwrap();
    let Call { event, delivery, .. } = call_of(&plugin);
    let mut event = Arc::unwrap_or_clone(event);
    call(&mut event);
    let call = Call { event: Arc::new(event), delivery, attempt: 1, replay: false };
    let store: Arc<dyn Store> = kept.store.clone();
    let ended = engine.guests().spawn(async move { plugin.call(call, store).await }).await.unwrap();
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    let line = |record: &crate::domain::delivery::LogRecord| match record.level {
        LogLevel::Info => format!("deleted: {}", record.message),
        _ => record.message.clone(),
    };
    ended.logs.records.iter().map(line).collect()
}

fn named(name: &str) -> String {
    format!(r#"{{"id":"a","object":"customer","name":"{name}"}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_sees_what_it_is_granted_and_no_more() {
    let gone = r#"{"own":{"id":"a","object":"price"},"stage":"gone"}"#;
    let kept = kept(vec![
        of(None, false, customer("1", 1, "a", "one", "")),
        of(None, false, customer("2", 2, "a", "two", "")),
        of(None, false, shows("3", 3, gone)),
    ])
    .await;
    let asked =
        [A, ("stripe", "customer", "none"), ("stripe", "price", "a"), ("github", "customer", "a")];
    let spec = components::reading(components::spec("a", KINDS), &asked);
    let read = async |grants: &[&str]| {
        let policy = policy(Limits::default(), grants);
        lines(&kept, components::build(&spec), &policy, |_| {}).await
    };
    let (two, refused) = (named("two"), "not-granted");
    assert_eq!(read(&[]).await, [refused; 4]);
    assert_eq!(read(&["stripe customer"]).await, [two.as_str(), "none", refused, refused]);
    let deleted = r#"deleted: {"id":"a","object":"price"}"#;
    assert_eq!(read(&["stripe *"]).await, [two.as_str(), "none", deleted, refused]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_sees_its_events_account_and_mode() {
    let kept = kept(vec![
        of(None, true, customer("1", 1, "a", "own", "")),
        of(None, false, customer("2", 1, "a", "test", "")),
        of(Some("acct_1"), true, customer("3", 1, "a", "theirs", "")),
        of(None, false, customer("4", 1, "b", "test alone", "")),
    ])
    .await;
    let policy = policy(Limits::default(), &["stripe customer"]);
    let read = async |account: Option<&str>, livemode, source: Source| {
        let b = ("stripe", "customer", "b");
        lines(&kept, components::reads("a", KINDS, &[A, b]), &policy, |event| {
            event.event.account = account.map(str::to_owned);
            event.event.livemode = livemode;
            event.source = source;
        })
        .await
    };
    let b = r#"{"id":"b","object":"customer","name":"test alone"}"#;
    assert_eq!(read(None, true, Source::Webhook).await, [named("own").as_str(), "none"]);
    assert_eq!(read(None, false, Source::Webhook).await, [named("test").as_str(), b]);
    assert_eq!(
        read(Some("acct_1"), true, Source::Webhook).await,
        [named("theirs").as_str(), "none"]
    );
    assert_eq!(read(Some("acct_2"), true, Source::Webhook).await, ["none", "none"]);
    let made = Source::Emitted(Made::default());
    assert_eq!(read(None, false, made).await, [named("own").as_str(), b]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_their_bytes_are_bounded() {
    let kept = kept(vec![of(None, false, customer("1", 1, "a", "one", ""))]).await;
    let read = async |limits| {
        let policy = policy(limits, &["stripe customer"]);
        lines(&kept, components::reads("a", KINDS, &[A, A, A]), &policy, |_| {}).await
    };
    let (one, over) = (named("one"), "operations".to_owned());
    let limits = Limits { object_reads: 2, ..Limits::default() };
    assert_eq!(read(limits).await, [one.clone(), one.clone(), over.clone()]);
    let limits = Limits { object_bytes: one.len() as u64, ..Limits::default() };
    assert_eq!(read(limits).await, [one.clone(), over.clone(), over]);
    assert_eq!(read(Limits::default()).await, [one.clone(), one.clone(), one]);
}

#[tokio::test]
async fn a_plugin_without_the_grant_is_refused_with_the_line_to_paste() {
    let bytes = components::reads("a", KINDS, &[A]);
    let refused = engine().load(bytes.into(), &policy(Limits::default(), &["stripe price"])).await;
    let error = refused.unwrap_err();
    assert_eq!(error.step(), Step::Grants);
    assert!(error.to_string().contains("objects `stripe customer`"), "{error}");
    let line = "{ capability = \"objects\", scope = \"stripe customer\" }";
    assert!(error.remedy().contains(line), "{}", error.remedy());
    let odd = components::reads("a", KINDS, &[("stripe", "cust*", "a")]);
    let error = engine().load(odd.into(), &policy(Limits::default(), &["stripe *"])).await;
    assert_eq!(error.unwrap_err().step(), Step::Manifest);
}

#[tokio::test]
async fn describe_reads_nothing() {
    let error = load(&engine(), components::reads_in_describe("a", KINDS)).await.unwrap_err();
    assert!(error.to_string().contains("`objects.get` inside `describe`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mirror_nothing_is_granted() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(&SledConfig::new(dir.path().join("store"))).unwrap();
    let kept = Kept { store, _dir: dir };
    let policy = policy(Limits::default(), &["stripe customer"]);
    let read = lines(&kept, components::reads("a", KINDS, &[A]), &policy, |_| {}).await;
    assert_eq!(read, ["not-granted"]);
}
