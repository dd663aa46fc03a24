//! Guests that misbehave: each ends as its named outcome, and acknowledgements go on.

use std::time::{Duration, Instant};

use serde_json::Value;
use signalbox_tests::host::Host;
use signalbox_tests::{components, stripe};

/// One attempt each, so that every failure ends as a dead letter at once; and time by the clock
/// enough that on a busy machine the limit of processor time is the one that is met.
const SETTINGS: &str = r#"
[dispatch]
attempts = 1

[plugins.limits]
wall = "50s"
"#;

/// Time enough for loops to go on for as long as any measurement takes.
const LONG_LOOPS: &str = r#"
[plugins.limits]
cpu = "10m"
wall = "10m"
"#;

/// Which plugin misbehaves how, on which event type, and the outcome that must be named.
fn misbehaving() -> Vec<(&'static str, &'static str, Vec<u8>, &'static str)> {
    let kind = ["charge.succeeded"];
    vec![
        ("endless", "out_of_time", components::endless_loop("endless", &kind), "processor time"),
        ("bomb", "out_of_memory", components::memory_bomb("bomb", &kind), "memory"),
        ("deep", "crashed", components::stack_overflow("deep", &kind), "stack"),
        ("flood", "ok", components::log_flood("flood", &kind, 10_000, 100), ""),
        ("start", "crashed", components::trap_at_start("start", &kind), "unreachable"),
        ("trap", "crashed", components::trap("trap", &kind, "no such customer"), "unreachable"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_outcome_and_hurts_nobody_else() {
    let good = components::counter("good", &["*"]);
    let mut plugins: Vec<(String, Vec<u8>)> = vec![("good.wasm".to_owned(), good)];
    for (name, _, bytes, _) in misbehaving() {
        plugins.push((format!("{name}.wasm"), bytes));
    }
    let plugins: Vec<(&str, &[u8])> =
        plugins.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let host = Host::start(&plugins, SETTINGS).unwrap();
    let log = host.log();
    assert!(!log.contains("compiling in this process"), "the compiler was no process: {log}");
    let event = stripe::fresh("charge.succeeded");
    let id = event["id"].as_str().unwrap().to_owned();
    let (status, _) = host.post(event.to_string()).await.unwrap();
    assert_eq!(status, 200);
    for (name, outcome, _, word) in misbehaving() {
        let delivery = host.ended(&format!("stripe.{id}.{name}")).await.unwrap();
        assert_eq!(delivery["outcome"], outcome, "{name}: {delivery:#}");
        let reason = delivery["reason"].as_str().unwrap_or_default().to_lowercase();
        assert!(reason.contains(&word.to_lowercase()), "{name}: {reason}");
        let expected = if outcome == "ok" { "done" } else { "dead" };
        assert_eq!(delivery["status"], expected, "{name}");
        let counted = format!("signalbox_attempts_total{{plugin={name:?},outcome={outcome:?}}}");
        assert!((host.figure(&counted).await.unwrap() - 1.0).abs() < 0.1, "{counted}");
    }
    let flood = host.ended(&format!("stripe.{id}.flood")).await.unwrap();
    let kept = flood["logs"].as_array().unwrap().len();
    assert!(kept <= 200, "{kept} log records kept");
    assert!(flood["logs_dropped"].as_u64().unwrap() > 0);
    // What a runtime says in a panic is kept with the attempt that it ended.
    let trap = host.ended(&format!("stripe.{id}.trap")).await.unwrap();
    assert_eq!(trap["logs"][0]["message"], "no such customer", "{trap:#}");
    let good = host.ended(&format!("stripe.{id}.good")).await.unwrap();
    assert_eq!(good["status"], "done");
}

/// Acknowledgement times of `count` events in a row, sorted.
async fn acknowledge(host: &Host, kind: &str, count: usize) -> Vec<Duration> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let body = stripe::fresh(kind).to_string();
        let begun = Instant::now();
        let (status, answer) = host.post(body).await.unwrap();
        times.push(begun.elapsed());
        assert_eq!(status, 200, "{answer}");
    }
    times.sort_unstable();
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_go_on_beside_endless_loops() {
    let endless = components::endless_loop("endless", &["charge.succeeded"]);
    let host = Host::start(&[("endless.wasm", &endless)], LONG_LOOPS).unwrap();
    let calm = acknowledge(&host, "customer.created", 300).await;
    // More loops than there are threads for guests, all at once.
    acknowledge(&host, "charge.succeeded", 16).await;
    let running = "/deliveries?plugin=endless&status=running&limit=100";
    let all = |list: &Value| (list["data"].as_array()?.len() == 16).then_some(());
    host.until(running, all).await.unwrap();
    let busy = acknowledge(&host, "customer.created", 300).await;
    let after = host.get(running).await.unwrap();
    assert_eq!(all(&after), Some(()), "no longer beside loops: {after:#}");
    let at = |times: &[Duration], percent: usize| times[times.len() * percent / 100];
    println!(
        "acknowledgement p50/p99: calm {:?}/{:?}, beside endless loops {:?}/{:?}",
        at(&calm, 50),
        at(&calm, 99),
        at(&busy, 50),
        at(&busy, 99),
    );
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_by_name_and_the_rest_runs() {
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("core.wasm", components::core_module()),
        ("good.wasm", components::counter("good", &["*"])),
        ("text.wasm", b"not wasm at all".to_vec()),
        ("cut.wasm", components::counter("cut", &["*"])[..200].to_vec()),
        ("empty.wasm", Vec::new()),
    ];
    let plugins: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    let host = Host::start(&plugins, "").unwrap();
    let listed = host.list("/plugins").await.unwrap();
    assert_eq!(listed.len(), files.len());
    for plugin in listed {
        let file = plugin["file"].as_str().unwrap();
        if file.ends_with("good.wasm") {
            assert_eq!(plugin["status"], "loaded", "{plugin:#}");
            continue;
        }
        assert_eq!(plugin["status"], "refused", "{plugin:#}");
        let reason = plugin["reason"].as_str().unwrap();
        let word = match file.rsplit('/').next().unwrap() {
            "core.wasm" => "core WebAssembly module",
            "empty.wasm" => "empty",
            _ => "",
        };
        assert!(reason.contains(word) && reason.len() > 20, "{file}: {reason}");
    }
    let event = stripe::fresh("invoice.paid");
    let (status, answer): (u16, Value) = host.post(event.to_string()).await.unwrap();
    assert_eq!((status, &answer["status"]), (200, &Value::from("accepted")));
    let id = format!("stripe.{}.good", event["id"].as_str().unwrap());
    assert_eq!(host.ended(&id).await.unwrap()["status"], "done");
}
