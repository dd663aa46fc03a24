//! The events that the ends of effects lead to.

use bytes::Bytes;

use crate::domain::endpoint::EndpointId;
use crate::domain::event::Source;
use crate::domain::notice::{self, MAX_DEPTH};
use crate::plugin::tests::components::{self, Spec};
use crate::plugin::{Engine, EngineConfig, Policy, RoutingTable};
use crate::store::NewEvent;

use super::*;

fn attribute<'a>(new: &'a NewEvent, name: &str) -> Option<&'a str> {
    let attributes = &new.source.made().unwrap().attributes;
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Routes with a plugin that hears of these providers.
async fn routes(listener: &str, providers: &[&str]) -> Routes {
    let clock = Arc::new(ManualClock::at(START));
    let engine = Engine::new(&EngineConfig { pool: 0, ..EngineConfig::default() }, clock).unwrap();
    let every = |provider: &&str| ((*provider).to_owned(), "*".to_owned(), None);
    let spec = Spec {
        subscriptions: providers.iter().map(every).collect(),
        ..components::spec(listener, &[])
    };
    let bytes = Bytes::from(components::build(&spec));
    let loaded = engine.load(bytes, &Policy::default()).await.unwrap();
    let routes = Routes::default();
    routes.swap(RoutingTable::new([Arc::new(loaded)], Vec::new()));
    routes
}

#[tokio::test]
async fn an_answer_comes_back_to_the_plugin_that_asked() {
    let headers = [("content-type", "application/json"), ("x-id", "7"), ("x-a", "1"), ("x-a", "2")];
    let server = Server::start(vec![Step::Answer(answer("201 Created", &headers, b"[1]"))]).await;
    let mut setup = Setup::at(&server);
    setup.routes = routes("listener", &["notifier"]).await;
    let bench = &mut setup.start();
    let settled = bench.perform(0, ask(&server.url("/"), &[])).await;
    assert_eq!(settled.verdict, EffectVerdict::Done);
    let [reply] = &settled.then[..] else { panic!("not one event") };
    assert_eq!(reply.event.key, id(0).event_key());
    assert_eq!(reply.event.key.provider, "notifier");
    assert_eq!(reply.event.kind, "notifier.answered");
    assert_eq!(reply.event.content_type, "application/json");
    assert_eq!(&reply.event.body[..], b"[1]");
    assert_eq!((reply.endpoint, reply.received_at), (EndpointId::NONE, START));
    // Though another listens to the provider.
    assert_eq!(reply.plugins, [plugin()]);
    let Source::Reply(made) = &reply.source else { panic!("{:?}", reply.source) };
    assert_eq!((made.depth, made.effect.as_ref()), (1, Some(&id(0))));
    for (name, value) in [
        ("status", Some("201")),
        ("effect-id", Some("stripe.evt_1.notifier.0")),
        ("header-x-id", Some("7")),
        ("header-x-a", Some("1, 2")),
        ("truncated", None),
    ] {
        assert_eq!(attribute(reply, name), value, "{name}");
    }
}

#[tokio::test]
async fn a_long_answer_is_cut_and_long_headers_are_left_out() {
    let long = "h".repeat(20_000);
    let big = vec![b'x'; 200_000];
    let steps = vec![
        Step::Answer(answer("200 OK", &[("x-long", &long), ("x-short", "s")], &big)),
        Step::Answer(answer("200 OK", &[], &big[..1_000])),
        // It ends before it said it would.
        Step::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\nonly this".to_vec()),
    ];
    let server = Server::start(steps).await;
    let mut setup = Setup::at(&server);
    setup.config.response_bytes = 1_000;
    setup.config.timeout = Duration::from_millis(500);
    let bench = &mut setup.start();
    let settled = bench.perform(0, ask(&server.url("/"), &[])).await;
    let reply = &settled.then[0];
    assert_eq!(reply.event.body.len(), 1_000);
    assert_eq!(attribute(reply, "truncated"), Some("true"));
    assert_eq!(attribute(reply, "header-x-short"), Some("s"));
    let kept: usize = reply
        .source
        .made()
        .unwrap()
        .attributes
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert!(kept < 20_000, "{kept}");
    let exact = bench.perform(1, ask(&server.url("/"), &[])).await;
    assert_eq!(attribute(&exact.then[0], "truncated"), None);
    let half = bench.perform(2, ask(&server.url("/"), &[])).await;
    retry_at(&half);
    assert!(half.attempt.reason.starts_with("answered 200 OK, and then: "));
}

#[tokio::test]
async fn a_dead_effect_is_told_to_its_plugin_and_to_all() {
    let server = Server::start(vec![Step::Answer(answer("404 Not Found", &[], b"no"))]).await;
    let mut setup = Setup::at(&server);
    setup.routes = routes("pager", &[notice::PROVIDER]).await;
    let mut bench = setup.start();
    bench.store.ask_as(id(0), ask(&server.url("/"), &[]), 3, 15);
    let settled = bench.next().await;
    assert_eq!(settled.verdict, EffectVerdict::Dead);
    let [reply, notice] = &settled.then[..] else { panic!("{:?}", settled.then) };
    let reason = "answered 404 Not Found: no (try 15 was the last)";
    assert_eq!(&reply.event.body[..], reason.as_bytes());
    assert_eq!(attribute(reply, "status"), Some("0"));
    assert_eq!(reply.plugins, [plugin()]);
    assert_eq!(reply.event.kind, "notifier.answered");
    assert_eq!(notice.event.kind, "signalbox.effect.dead");
    assert_eq!(notice.plugins, ["pager".parse().unwrap()]);
    assert_eq!(notice.source.depth(), 4);
    let body = String::from_utf8(notice.event.body.to_vec()).unwrap();
    assert!(body.contains(reason) && body.contains("stripe.evt_1.notifier.0"), "{body}");
    bench.stop().await;
}

#[tokio::test]
async fn emitted_events_are_routed_and_committed_together() {
    let setup = Setup { routes: routes("listener", &["notifier"]).await, ..Setup::default() };
    for ordinal in 0..5 {
        setup.store.ask(id(ordinal), emit("reminder.due"));
    }
    let mut bench = setup.start();
    for ordinal in 0..5 {
        let settled = bench.next().await;
        assert_eq!((&settled.id, settled.verdict), (&id(ordinal), EffectVerdict::Done));
        let [new] = &settled.then[..] else { panic!("not one event") };
        assert_eq!(new.event.key, id(ordinal).event_key());
        assert_eq!((new.event.kind.as_str(), &new.event.body[..]), ("reminder.due", &b"{}"[..]));
        assert_eq!(new.event.occurred_at, START);
        assert_eq!(new.plugins, ["listener".parse().unwrap()]);
        let Source::Emitted(made) = &new.source else { panic!("{:?}", new.source) };
        assert_eq!(made.depth, 1);
        assert_eq!(attribute(new, "effect-id"), Some(id(ordinal).to_string().as_str()));
    }
    assert_eq!(*bench.store.commits.lock().unwrap(), [5]);
    bench.stop().await;
}

#[tokio::test]
async fn what_is_granted_no_more_is_not_done() {
    let server = Server::start(vec![]).await;
    let grants = vec![
        Grant::parse(grant::HTTP, "POST https://a.com/*", vec![]).unwrap(),
        Grant::parse(grant::EMIT, "reminder.*", vec![]).unwrap(),
    ];
    let mut bench = Setup { grants, ..Setup::at(&server) }.start();
    let url = server.url("/x");
    let sent = bench.perform(0, post(&url, &[])).await;
    let missing = format!("outbox.http `POST {url}`");
    assert!(sent.attempt.reason.ends_with(&missing), "{}", sent.attempt.reason);
    let emitted = bench.perform(1, emit("invoice.paid")).await;
    assert!(emitted.attempt.reason.ends_with("outbox.emit `invoice.paid`"));
    for settled in [sent, emitted] {
        assert_eq!(settled.verdict, EffectVerdict::Dead);
        assert_eq!(settled.then[0].event.kind, "signalbox.effect.dead");
    }
    // A plugin that the configuration does not know has none.
    let stranger: EffectId = "stripe.evt_1.stranger.0".parse().unwrap();
    bench.store.ask(stranger.clone(), emit("reminder.due"));
    assert_eq!(bench.next().await.verdict, EffectVerdict::Dead);
    assert_eq!(server.connections(), 0);
    bench.stop().await;
}

#[tokio::test]
async fn chains_of_events_end() {
    let server = Server::start(vec![]).await;
    let mut bench = Setup::at(&server).start();
    bench.store.ask_as(id(0), emit("a"), MAX_DEPTH - 1, 1);
    assert_eq!(bench.next().await.then[0].source.depth(), MAX_DEPTH);
    for (ordinal, action) in [(1, emit("a")), (2, ask(&server.url("/"), &[]))] {
        bench.store.ask_as(id(ordinal), action, MAX_DEPTH, 1);
        let settled = bench.next().await;
        assert_eq!(settled.verdict, EffectVerdict::Dead);
        assert!(settled.attempt.reason.contains("begins anew"));
        let [notice] = &settled.then[..] else { panic!("{:?}", settled.then) };
        assert_eq!(notice.event.kind, "signalbox.effect.dead");
    }
    // What nobody is answered about leads to nothing.
    bench.store.ask_as(id(3), post(&server.url("/"), &[]), MAX_DEPTH, 1);
    assert_eq!(bench.next().await.verdict, EffectVerdict::Done);
    // Nor does what happens deeper, or to an event of signalbox's own, make a notice.
    bench.store.ask_as(id(4), emit("a"), MAX_DEPTH + 1, 1);
    assert!(bench.next().await.then.is_empty());
    let own: EffectId = "signalbox.evt_1.notifier.0".parse().unwrap();
    bench.store.ask_as(own, post("nonsense", &[]), 1, 1);
    let settled = bench.next().await;
    assert_eq!((settled.verdict, settled.then.len()), (EffectVerdict::Dead, 0));
    assert_eq!(server.received().len(), 1);
    bench.stop().await;
}
