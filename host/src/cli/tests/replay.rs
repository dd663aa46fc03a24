//! Commands against the real admin API over a store in memory.

use serde_json::Value;

use super::super::Context;
use super::super::exit::Exit;
use super::host::{Ran, context, run};
use crate::config::Environment;
use crate::domain::clock::Timestamp;
use crate::domain::delivery::{Attempt, Logs, Outcome, Status, Usage};
use crate::domain::effect::{Action, Effect, EffectStatus};
use crate::domain::plugin::CodeDigest;
use crate::http::admin::tests::{Host, TOKEN};
use crate::plugin::tests::components;

struct Real(Host);

impl Real {
    async fn start() -> Self {
        let host = Host::start().await;
        host.load(vec![components::counter("a", &["*"]), components::noop("b", &["charge.*"])])
            .await;
        for n in 1..=3 {
            host.accept(&format!("evt_{n}"), "charge.failed", &["a"]).await;
        }
        for n in 1..=2 {
            host.store.change_delivery(&format!("stripe.evt_{n}.a"), |delivery| {
                delivery.status = Status::Dead;
                delivery.history = vec![Attempt {
                    number: 1,
                    started_at: Timestamp::from_secs(1),
                    digest: CodeDigest([9; 32]),
                    outcome: Outcome::Reject,
                    reason: format!("no customer cus_{n}"),
                    usage: Usage::default(),
                    logs: Logs::default(),
                }];
            });
        }
        host.store.put_effect(Effect {
            id: "stripe.evt_3.a.0".parse().unwrap(),
            action: Action::Emit {
                kind: "reminder".into(),
                content_type: "text/plain".into(),
                body: b"hello".to_vec(),
            },
            status: EffectStatus::Pending,
            created_at: Timestamp::from_secs(1),
            attempts: 0,
            next_attempt_at: None,
            history: vec![],
        });
        Self(host)
    }

    fn context(&self) -> Context {
        let url = format!("http://{}", self.0.addr);
        let env = [("SIGNALBOX_URL", url.as_str()), ("SIGNALBOX_ADMIN_TOKEN", TOKEN)];
        context(Environment::from(env), false)
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        run(arguments, self.context()).await
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments).await;
        assert_eq!(ran.exit, Exit::Done, "{arguments:?}: {}", ran.error);
        ran.stdout
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.done(&[arguments, &["-o", "json"]].concat()).await;
        serde_json::from_str(&text).unwrap()
    }

    async fn status(&self, delivery: &str) -> Value {
        self.json(&["deliveries", "show", delivery]).await["status"].clone()
    }
}

#[tokio::test]
async fn a_replay_of_many_is_counted_and_asked_for() {
    let real = Real::start().await;
    let many = ["events", "replay", "--status", "dead"];
    let ran = real.run(&many).await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(
        ran.error.contains("2 deliveries of 2 events (a=2) would run again; say --yes"),
        "{}",
        ran.error
    );
    for (answer, status) in [("n\n", "dead"), ("y\n", "pending")] {
        let mut cx = real.context();
        (cx.interactive, cx.input) = (true, Box::new(answer.as_bytes()));
        assert_eq!(run(&many, cx).await.exit, Exit::Done);
        assert_eq!(real.status("stripe.evt_1.a").await, status);
    }
    assert_eq!(real.done(&many).await, "");
    let ran = real.run(&["events", "replay"]).await;
    assert_eq!((ran.exit, ran.error.contains("or say --all")), (Exit::Usage, true));
    assert_eq!(real.run(&["events", "replay", "evt_9"]).await.exit, Exit::NotFound);
    assert_eq!(real.run(&["events", "replay", "--since", "soon"]).await.exit, Exit::Usage);
    assert_eq!(real.run(&["events", "replay", "--where", "a ="]).await.exit, Exit::Usage);
}

#[tokio::test]
async fn one_is_replayed_without_asking_and_tells_what_it_did() {
    let real = Real::start().await;
    let text = real.done(&["events", "replay", "evt_1", "--plugin", "a"]).await;
    assert_eq!(text, "1 run again\n");
    let ended = real.json(&["events", "replay", "--all", "--yes"]).await;
    // Three that wait are left alone; `b` gets the three it never had.
    assert_eq!((&ended["counted"], &ended["done"]), (&6.into(), &4.into()));
    assert_eq!(ended["skipped"]["waiting"], 2);
}

#[tokio::test]
async fn the_dead_are_shown_and_run_again() {
    let real = Real::start().await;
    let groups = real.done(&["dead", "groups"]).await;
    let line = groups.lines().nth(1).unwrap();
    assert!(line.contains("  2      a       reject   no customer cus_2  "), "{groups}");
    let group = line.split_whitespace().next().unwrap();
    assert_eq!(real.done(&["dead", "list", "--group", group]).await.lines().count(), 3);
    assert!(real.done(&["dead", "show", "stripe.evt_1.a"]).await.contains("no customer cus_1"));
    assert_eq!(real.done(&["dead", "replay", "stripe.evt_1.a"]).await, "1 run again\n");
    assert_eq!(real.status("stripe.evt_2.a").await, "dead");
    assert_eq!(real.done(&["dead", "replay", "--group", group]).await, "1 run again\n");
    assert_eq!(real.status("stripe.evt_2.a").await, "pending");
    assert_eq!(real.done(&["dead", "replay", "--plugin", "a", "--yes"]).await, "0 run again\n");
}

#[tokio::test]
async fn a_dry_run_is_a_diff() {
    let real = Real::start().await;
    real.0.store.put_kv("a", "count", b"AAAAAAAA");
    let text = real.done(&["events", "replay", "evt_1", "--plugin", "a", "--dry-run"]).await;
    assert!(text.starts_with("stripe.evt_1.a  would be done (ok), "), "{text}");
    assert!(text.contains("\n  ~ count = AAAAAAAA -> BAAAAAAA\n"), "{text}");
    let mut cx = real.context();
    (cx.terminal, cx.colour) = (true, true);
    let ran = run(&["events", "replay", "evt_1", "--plugin", "a", "--dry-run"], cx).await;
    assert!(ran.stdout.contains("\u{1b}[33m  ~ count"), "{}", ran.stdout);
    let found = real.json(&["dead", "replay", "--all", "--dry-run"]).await;
    assert_eq!(found["result"].as_array().unwrap().len(), 2);
    assert_eq!(real.status("stripe.evt_1.a").await, "dead");
}

#[tokio::test]
async fn an_event_is_explained_in_words() {
    let real = Real::start().await;
    let text = real.done(&["events", "explain", "evt_1"]).await;
    for line in [
        "stripe charge.failed evt_1\n",
        "proved by the secret 00000000\n",
        "\na: wants it, and got it\n  stripe:*  matches\n",
        "\nb: wants it, and did not get it\n",
        "\nstripe.evt_1.a: dead\n  attempt 1 1970-01-01T00:00:01.000Z: reject  no customer cus_1\n",
        "  next: nothing: it was given up; `signalbox dead replay stripe.evt_1.a` has it run again\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let text = real.done(&["events", "explain", "evt_3"]).await;
    assert!(text.contains("  effect stripe.evt_3.a.0: pending  emit reminder\n"), "{text}");
}

#[tokio::test]
async fn effects_are_shown_and_withdrawn() {
    let real = Real::start().await;
    let list = real.done(&["effects", "list", "--status", "pending"]).await;
    assert!(list.contains("stripe.evt_3.a.0  emit reminder  pending"), "{list}");
    assert!(real.done(&["effects", "show", "stripe.evt_3.a.0"]).await.contains("hello"));
    real.done(&["effects", "cancel", "stripe.evt_3.a.0"]).await;
    let ran = real.run(&["effects", "cancel", "stripe.evt_3.a.0"]).await;
    assert_eq!(ran.exit, Exit::Conflict, "{}", ran.error);
    assert!(ran.error.contains("withdrawn already"), "{}", ran.error);
    let again = real.json(&["effects", "retry", "stripe.evt_3.a.0"]).await;
    assert_eq!(again["status"], "pending");
    assert_eq!(real.run(&["effects", "show", "x"]).await.exit, Exit::NotFound);
}

#[tokio::test]
async fn plugins_are_paused_and_candidates_compared() {
    let real = Real::start().await;
    let text = real.done(&["plugins", "pause", "a", "--reason", "noon"]).await;
    assert!(text.contains("by operator: noon"), "{text}");
    let list = real.done(&["plugins", "list"]).await;
    let line = list.lines().nth(1).unwrap();
    assert!(line.starts_with("a     1.0.0    paused  1 "), "{list}");
    assert!(real.done(&["plugins", "resume", "a"]).await.contains("loaded"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.wasm");
    std::fs::write(&file, components::recorder("a", &["charge.*"])).unwrap();
    let file = file.to_str().unwrap();
    let text = real.done(&["plugins", "shadow", file, "--last", "2"]).await;
    assert!(text.contains("2 events: 0 the same, 2 different"), "{text}");
    assert!(text.contains("\nevt_3 charge.failed: state\n"), "{text}");
    assert!(text.contains("candidate: stripe.evt_3.a  would be done"), "{text}");
    let ran = real.run(&["plugins", "shadow", file, "--plugin", "b"]).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert!(ran.error.contains("calls itself `a`"), "{}", ran.error);
    assert_eq!(real.run(&["plugins", "shadow", "/nonexistent.wasm"]).await.exit, Exit::NotFound);
}
