//! Commands as a shell runs them, against a small admin API and webhook listener.

mod host;
mod listen;
mod objects;
mod replay;
mod trigger;
mod wit;

use std::path::Path;

use clap::{CommandFactory as _, Parser as _};
use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::output::Format;
use super::{Cli, Context};
use host::{Host, TOKEN};

#[test]
fn the_commands_are_well_formed_and_each_has_examples() {
    Cli::command().debug_assert();
    fn leaves(command: &clap::Command, path: &str, out: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_subcommands().next().is_none() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            out.push((path.clone(), after));
        }
        command.get_subcommands().for_each(|inner| leaves(inner, &path, out));
    }
    let mut all = Vec::new();
    leaves(&Cli::command(), "", &mut all);
    assert_eq!(all.len(), 52, "{all:?}");
    for (path, after) in all {
        assert!(
            after.contains(&format!("{} ", path.trim())) || after.contains(path.trim()),
            "{path}"
        );
        assert!(after.starts_with("Examples:"), "{path}");
    }
}

#[tokio::test]
async fn events_are_listed_for_people_and_for_programs() {
    let host = Host::start().await;
    let ran = host.run(&["events", "list"]).await;
    assert_eq!(
        ran.stdout,
        "\
ID     TYPE              RECEIVED                  MODE  DELIVERIES
evt_3  charge.succeeded  2027-01-15T07:58:00.000Z  test  charge-counter done
evt_2  charge.succeeded  2027-01-15T05:59:59.993Z  live  charge-counter dead, ledger retry
evt_1  customer.created  2027-01-15T07:59:59.000Z  test  -
"
    );
    let ran = host.on_terminal(&["events", "list", "--limit", "2"]).await;
    assert_eq!(
        ran.stdout,
        "\
ID     TYPE              RECEIVED  MODE  DELIVERIES
evt_3  charge.succeeded  2m ago    test  charge-counter done
evt_2  charge.succeeded  2h ago    live  charge-counter dead, ledger retry
"
    );
    let ran = host.run(&["events", "list", "--limit", "2", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(list["object"], "list");
    assert_eq!(list["url"], "/api/v1/events");
    assert_eq!(list["has_more"], true);
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let ran = host.run(&["events", "list", "-o", "jsonl"]).await;
    let ids: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, ["evt_3", "evt_2", "evt_1"]);
}

#[tokio::test]
async fn colours_are_for_terminals_that_want_them() {
    let host = Host::start().await;
    let mut cx = host.context(true);
    cx.colour = true;
    let ran = host.run_in(&["events", "list"], cx).await;
    assert!(ran.stdout.contains("\u{1b}["), "{:?}", ran.stdout);
    assert!(!host.on_terminal(&["events", "list"]).await.stdout.contains('\u{1b}'));
}

#[tokio::test]
async fn all_pages_are_fetched_and_filters_are_sent() {
    let host = Host::start().await;
    host.state.page.store(1, std::sync::atomic::Ordering::SeqCst);
    let ran = host.run(&["events", "list", "--all", "-o", "jsonl"]).await;
    assert_eq!(ran.stdout.lines().count(), 3);
    let ran = host.run(&["events", "list", "--limit", "2", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(list["has_more"], true);
    host.state.page.store(0, std::sync::atomic::Ordering::SeqCst);
    host.run(&[
        "events",
        "list",
        "--type",
        "charge.succeeded",
        "--status",
        "dead",
        "--starting-after",
        "evt_3",
    ])
    .await;
    assert_eq!(
        host.last(),
        "/api/v1/events?limit=20&type=charge.succeeded&status=dead&starting_after=evt_3"
    );
    host.run(&["deliveries", "list", "--event", "evt_1", "--plugin", "a", "--ending-before", "x"])
        .await;
    assert_eq!(host.last(), "/api/v1/deliveries?limit=20&event=evt_1&plugin=a&ending_before=x");
}

#[tokio::test]
async fn one_event_is_shown_with_its_deliveries_and_its_very_bytes() {
    let host = Host::start().await;
    let ran = host.run(&["events", "show", "evt_2"]).await;
    assert!(
        ran.stdout.starts_with("id           evt_2\ntype         charge.succeeded\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\nstripe.evt_2.ledger          ledger          retry   2         -        2027-01-15T08:01:00.000Z  no money\n"), "{}", ran.stdout);
    let ran = host.run(&["events", "raw", "evt_2"]).await;
    assert_eq!(ran.bytes, host::RAW);
    let ran = host.run(&["deliveries", "show", "stripe.evt_2.ledger"]).await;
    assert_eq!(
        ran.stdout,
        "\
id               stripe.evt_2.ledger
status           retry
attempts         2
event            evt_2
next_attempt_at  2027-01-15T08:01:00.000Z
outcome          -
plugin           ledger
reason           no money

ATTEMPT  STARTED                   OUTCOME  CPU    WALL  MEMORY    REASON
2        2027-01-15T07:59:00.250Z  retry    900us  12ms  1.50 MiB  no money

The last attempt said:
info  counted  customer=cus_1
warn  odd
(3 more records were over the plugin's limit)
"
    );
    let ran = host.run(&["plugins", "list"]).await;
    assert_eq!(
        ran.stdout,
        "\
NAME            VERSION  STATUS   WAITING  OLDEST                    SUBSCRIPTIONS                                        REASON
charge-counter  0.1.0    loaded   2        2027-01-15T07:58:00.000Z  stripe:charge.succeeded, stripe:charge.* (filtered)  -
broken.wasm     -        refused  -        -                         -                                                    it is a core module
"
    );
}

#[tokio::test]
async fn every_refusal_has_its_exit_code_and_says_what_to_do() {
    let host = Host::start().await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let foreign = format!("{}/foreign", host.url());
    let table: [(&[&str], Exit, &str); 12] = [
        (&["events", "show", "evt_none"], Exit::NotFound, "No such event: evt_none"),
        (&["events", "raw", "evt/../none"], Exit::NotFound, "No such event"),
        (&["events", "list", "--status", "odd"], Exit::Usage, "unknown status (`status`)"),
        (&["endpoints", "delete", "busy"], Exit::Conflict, "declared in the configuration"),
        (
            &["events", "list", "--token", "wrong"],
            Exit::Auth,
            "does not accept the token (the one of --token)",
        ),
        (
            &["events", "list", "--url", &closed],
            Exit::Failure,
            "start the host with `signalbox serve`",
        ),
        (
            &["events", "list", "--url", &foreign],
            Exit::Failure,
            "does not answer as signalbox's admin API does",
        ),
        (&["events", "list", "--url", "https://x"], Exit::Usage, "plain HTTP"),
        (&["events", "list", "--config", "/nonexistent"], Exit::Failure, "cannot be read"),
        (&["endpoints", "create"], Exit::Usage, "--event TYPE"),
        (&["endpoints", "update", "x"], Exit::Usage, "name what is"),
        (&["endpoints", "create", "--secret", "env:NOPE"], Exit::Usage, "`NOPE` is not set"),
    ];
    for (arguments, code, text) in table {
        let ran = host.run(arguments).await;
        assert_eq!(ran.exit, code, "{arguments:?}: {}", ran.error);
        assert!(ran.error.contains(text), "{arguments:?}: {}", ran.error);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn the_token_comes_from_the_nearest_place() {
    let host = Host::start().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let url = host.url();
    let list = ["events", "list", "--url", &url, "--data", data];
    // Nowhere.
    let ran = host.bare(&list, []).await;
    assert_eq!(ran.exit, Exit::Auth);
    assert!(ran.error.contains("none was found"), "{}", ran.error);
    // The generated file, wrong and right; then the environment before it; then the flag.
    std::fs::write(dir.path().join("admin-token"), "wrong\n").unwrap();
    let ran = host.bare(&list, []).await;
    assert_eq!(ran.exit, Exit::Auth);
    assert!(ran.error.contains("admin-token"), "{}", ran.error);
    std::fs::write(dir.path().join("admin-token"), format!("{TOKEN}\n")).unwrap();
    assert_eq!(host.bare(&list, []).await.exit, Exit::Done);
    assert_eq!(host.bare(&list, [("SIGNALBOX_ADMIN_TOKEN", "wrong")]).await.exit, Exit::Auth);
    let env = [("SIGNALBOX_SERVER__ADMIN_TOKEN", "wrong-wrong-wrong")];
    assert_eq!(host.bare(&list, env).await.exit, Exit::Auth);
    let flag = [&list[..], &["--token", TOKEN]].concat();
    assert_eq!(host.bare(&flag, env).await.exit, Exit::Done);
    // The address of the configuration.
    let env = [
        ("SIGNALBOX_SERVER__ADMIN_LISTEN", url.trim_start_matches("http://")),
        ("SIGNALBOX_ADMIN_TOKEN", TOKEN),
    ];
    assert_eq!(host.bare(&["events", "list"], env).await.exit, Exit::Done);
}

#[tokio::test]
async fn an_endpoint_is_made_with_secrets_that_stay_hidden() {
    let host = Host::start().await;
    let ran = host
        .run(&[
            "endpoints",
            "create",
            "--secret",
            "whsec_a",
            "--secret",
            "env:HUSH",
            "--description",
            "shop",
            "--tolerance",
            "10m",
        ])
        .await;
    assert_eq!(ran.exit, Exit::Done, "{}", ran.error);
    assert!(!ran.stdout.contains("whsec_a"), "{}", ran.stdout);
    let body = host.state.body.lock().unwrap().clone();
    assert_eq!(
        body,
        json!({"provider": "stripe", "secrets": ["whsec_a", "hush"], "description": "shop", "tolerance": 600})
    );
    let ran = host.run(&["endpoints", "delete", "other", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["deleted"], true);
}

#[tokio::test]
async fn a_component_that_will_not_load_is_a_failure_with_its_remedy() {
    let host = Host::start().await;
    let mut cx = host.context(false);
    let mut inspection = json!({"size": 8, "digest": "sha256:00", "imports": [], "exports": [], "warnings": [],
        "refusal": {"step": "parse", "cause": "it is a core module", "remedy": "make a component of it"}});
    let error = super::check::print(&inspection, Format::Table, &mut cx).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it will not load (parse): it is a core module; make a component of it"
    );
    assert_eq!(exit::code(&error), Exit::Failure);
    inspection["refusal"] = Value::Null;
    super::check::print(&inspection, Format::Json, &mut cx).unwrap();
    let ran = host.run(&["check", "/nonexistent.wasm"]).await;
    assert_eq!(ran.exit, Exit::NotFound, "{}", ran.error);
}

#[tokio::test]
async fn config_is_shown_and_judged() {
    let host = Host::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(
        &file,
        "[server]\nadmin_token = \"hush-hush-hush-hush\"\nlisten = \"127.0.0.1:9\"\n",
    )
    .unwrap();
    let config = file.to_str().unwrap();
    let ran = host.bare(&["config", "show", "--config", config], []).await;
    assert!(!ran.stdout.contains("hush"), "{}", ran.stdout);
    let line = ran.stdout.lines().find(|line| line.starts_with("server.listen ")).unwrap();
    assert!(line.contains("127.0.0.1:9") && line.ends_with("c.toml:3"), "{line}");
    let ran = host.bare(&["config", "validate", "--config", config], []).await;
    assert_eq!((ran.exit, ran.stdout.starts_with("the configuration is good")), (Exit::Done, true));
    std::fs::write(&file, "[server]\nlisen = 1\n[store]\ncache = \"x\"\n").unwrap();
    let ran = host.bare(&["config", "validate", "--config", config], []).await;
    assert_eq!(ran.exit, Exit::Failure);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    let ran = host.bare(&["config", "validate", "--config", config, "-o", "json"], []).await;
    let verdict: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(verdict["problems"].as_array().unwrap().len(), 2);
}

#[test]
fn flags_of_serve_reach_the_configuration() {
    let cli = Cli::try_parse_from([
        "signalbox",
        "serve",
        "--listen",
        "127.0.0.1:1",
        "--admin-listen",
        "127.0.0.1:2",
        "--data",
        "d",
        "--plugins",
        "p",
        "--log-level",
        "debug",
        "--log-format",
        "json",
    ]);
    let super::Command::Serve(args) = cli.unwrap().command else { panic!("not serve") };
    let config = args.load(&crate::config::Environment::default()).unwrap();
    assert_eq!((config.server.listen.port(), config.server.admin_listen.port()), (1, 2));
    assert_eq!(
        (config.store.path.as_path(), config.plugins.dir.as_path()),
        (Path::new("d"), Path::new("p"))
    );
    assert_eq!(
        (config.log.level.as_str(), config.log.format),
        ("debug", crate::config::LogFormat::Json)
    );
}

#[tokio::test]
async fn a_closed_pipe_is_no_failure() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let host = Host::start().await;
    for arguments in [
        &["events", "list"][..],
        &["events", "raw", "evt_2"],
        &["completion", "bash"],
        &["trigger", "--list"],
    ] {
        let mut cx: Context = host.context(false);
        cx.out = Box::new(Closed);
        let command = Cli::try_parse_from(["signalbox"].iter().chain(arguments)).unwrap().command;
        let error = command.run(&mut cx).await.unwrap_err();
        assert_eq!(exit::code(&error), Exit::Done, "{arguments:?}");
    }
}

#[test]
fn wrong_use_is_told_by_the_parser() {
    for bad in [
        &["events"][..],
        &["trigger"],
        &["events", "list", "--limit", "0"],
        &["events", "list", "--all", "--limit", "3"],
        &["trigger", "a", "--override", "b"],
        &["endpoints", "roll-secret", "x"],
        &["endpoints", "add-secret", "x"],
        &["endpoints", "create", "--event", "*", "--live", "--test"],
    ] {
        let error = Cli::try_parse_from(["signalbox"].iter().chain(bad)).unwrap_err();
        assert!(error.use_stderr(), "{bad:?}");
    }
}
