//! As a new user: `new`, its tests, `build`, the file dropped into a running host, `trigger`, and
//! the handler's line is there. In every language.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use signalbox_tests::host::{Host, binary};

use super::languages::{LANGUAGES, Language, build};

fn begin(of: Language, name: &str, dir: &Path) {
    let mut new = Command::new(binary().unwrap());
    new.args(["new", name, "--lang", of.name, "--dir"]).arg(dir);
    let made = new.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn test(of: Language, dir: &Path) {
    let tested = Command::new("sh").args(["-c", of.test]).current_dir(dir).output().unwrap();
    let said =
        [tested.stdout, tested.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(tested.status.success(), "{}: {}", of.name, said.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_handled_event() {
    let host = Host::start(&[], "").unwrap();
    let projects = tempfile::tempdir().unwrap();
    for of in LANGUAGES.into_iter().filter(|language| language.is_here()) {
        let begun = Instant::now();
        let name = format!("hello-{}", of.name);
        let dir = projects.path().join(&name);
        begin(of, &name, &dir);
        // With --install, so before the tests: they may need what it gets.
        build(&dir, &host.dir().join("plugins"), &name);
        let status = |plugin: &serde_json::Value| (plugin["status"] == "loaded").then_some(());
        let plugins = format!("/plugins/{name}");
        let shown = |page: &serde_json::Value| {
            page["data"]
                .as_array()?
                .iter()
                .find(|plugin| plugin["name"] == name.as_str())
                .and_then(status)
        };
        host.until("/plugins", shown).await.unwrap();
        let live = begun.elapsed();
        let triggered =
            host.cli(&["trigger", "charge.succeeded", "--to", &host.webhook_url()]).unwrap();
        let said = String::from_utf8_lossy(&triggered.stderr).into_owned();
        assert!(triggered.status.success(), "{said}");
        let handled = |page: &serde_json::Value| {
            let delivery = page["data"].as_array()?.iter().find(|d| d["status"] == "done")?;
            Some(delivery["logs"][0]["message"].as_str().unwrap_or_default().to_owned())
        };
        let line = host.until(&format!("/deliveries?plugin={name}"), handled).await.unwrap();
        assert!(line.contains("charge"), "{plugins} said {line:?}");
        println!(
            "{}: live after {:.1} s, handled after {:.1} s: {line}",
            of.name,
            live.as_secs_f64(),
            begun.elapsed().as_secs_f64()
        );
        test(of, &dir);
    }
}
