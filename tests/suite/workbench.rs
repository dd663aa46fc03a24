//! The authors' workbench through the real binary: `signalbox test` and `signalbox dev`.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use signalbox_tests::components::{self, Ask, Spec};
use signalbox_tests::host::binary;

/// A directory with components and events in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            let path = place.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// `signalbox test` with these words: its exit code, and what it wrote to each stream.
    fn test(&self, words: &str) -> (i32, String, String) {
        let mut command = Command::new(binary().unwrap());
        command.arg("test").args(words.split_whitespace()).current_dir(self.0.path());
        command.env("XDG_CACHE_HOME", self.path("cache")).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }
}

const EVENT: &str = r#"{"id": "evt_file", "object": "event", "type": "charge.succeeded", "created": 1700000000,
    "livemode": false, "data": {"object": {"id": "ch_1", "object": "charge", "amount": 7}}}"#;

#[test]
fn a_difference_from_what_was_recorded_fails_and_update_mends_it() {
    let counter = components::counter("counter", &["charge.succeeded"]);
    let place = Place::new(&[("a.wasm", &counter), ("charge.json", EVENT.as_bytes())]);
    let run = "a.wasm --event charge.json --snapshot snaps";
    // Nothing is recorded, and asked for.
    let (code, _, error) = place.test(run);
    assert_eq!(code, 3, "{error}");
    assert!(error.contains("--update"), "{error}");
    assert_eq!(place.test(&format!("{run} --update")).0, 0);
    let recorded = place.read("snaps/charge.snap");
    assert!(recorded.contains("counter: done\n    + count = \\u{1}\\0"), "{recorded}");
    for measured in ["MiB", "us", "ms"] {
        assert!(!recorded.contains(measured), "{measured}: {recorded}");
    }
    let (code, out, _) = place.test(run);
    assert_eq!((code, out.contains("ok  charge: as recorded")), (0, true), "{out}");
    // Another handler under the same name.
    std::fs::write(place.path("a.wasm"), components::recorder("counter", &["charge.succeeded"]))
        .unwrap();
    let (code, out, error) = place.test(run);
    assert_eq!(code, 1, "{out}{error}");
    assert!(out.contains("-     + count = \\u{1}"), "{out}");
    assert!(out.contains("+     + evt_file = stripe.evt_file.counter"), "{out}");
    assert_eq!(place.test(&format!("{run} --update")).0, 0);
    assert_eq!(place.test(run).0, 0);
    // An event of which nothing is recorded.
    let (code, out, _) = place.test(&format!("{run} --event charge.succeeded"));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("charge.succeeded.snap is not there"), "{out}");
}

#[test]
fn two_runs_are_alike() {
    let dice = components::dice("dice", &["charge.*"]);
    let place = Place::new(&[("dice.wasm", &dice)]);
    let run =
        "dice.wasm -e charge.succeeded -e charge.succeeded -e charge.failed --update --snapshot";
    for dir in ["one", "two"] {
        let (code, _, error) = place.test(&format!("{run} {dir}"));
        assert_eq!(code, 0, "{error}");
    }
    let names = ["charge.succeeded", "charge.succeeded-2", "charge.failed"];
    let [first, second, third] = names.map(|name| {
        let one = place.read(&format!("one/{name}.snap"));
        assert_eq!(one, place.read(&format!("two/{name}.snap")));
        one
    });
    // Each delivery has its own numbers, and each event is another.
    assert!(first != second && second != third);
}

#[test]
fn what_is_asked_for_wrongly_is_told_with_a_remedy() {
    let place = Place::new(&[("a.wasm", &components::noop("a", &["charge.succeeded"]))]);
    std::fs::write(place.path("odd.json"), "{\"type\": \"x\"}").unwrap();
    for (words, code, text) in [
        ("a.wasm --event charge.suceeded", 2, "did you mean `charge.succeeded`"),
        ("a.wasm --event ./none.json", 3, "none.json"),
        ("a.wasm --event odd.json", 2, "no event of Stripe's"),
        ("a.wasm", 2, "name one with --event"),
        ("none.wasm --event charge.succeeded", 3, "none.wasm"),
        ("a.wasm --event charge.succeeded --update", 2, "--snapshot"),
        ("a.wasm --event charge.succeeded --override charge:amonut.x=1", 2, "amonut"),
        ("a.wasm --event charge.succeeded --expect maybe", 2, "possible values"),
        ("odd.json --event charge.succeeded", 1, "will not load"),
    ] {
        let (got, out, error) = place.test(words);
        assert_eq!(got, code, "{words}: {out}{error}");
        assert!(error.contains(text), "{words}: {error}");
    }
}

#[test]
fn verdicts_that_are_not_expected_fail() {
    let kinds = &["charge.succeeded"];
    let filtered = Spec {
        subscriptions: vec![(
            "stripe".to_owned(),
            "charge.*".to_owned(),
            Some("event.data.object.amount > 100000".to_owned()),
        )],
        ..components::spec("choosy", &[])
    };
    let place = Place::new(&[
        ("done.wasm", &components::noop("done", kinds)),
        ("retry.wasm", &components::retrying("retry", kinds, "later", Some(5_000))),
        ("reject.wasm", &components::rejecting("reject", kinds, "never")),
        ("crash.wasm", &components::trap("crash", kinds, "boom")),
        ("loop.wasm", &components::endless_loop("loop", kinds)),
        ("bomb.wasm", &components::memory_bomb("bomb", kinds)),
        ("choosy.wasm", &components::build(&filtered)),
    ]);
    for (name, expect, text) in [
        ("done", "done", "done: done"),
        ("retry", "retry", "retry: retry after 5s"),
        ("reject", "reject", "reject: reject"),
        ("crash", "crashed", "| error boom"),
        ("loop", "out-of-time", "loop: out of time"),
        ("bomb", "out-of-memory", "bomb: out of memory"),
        ("choosy", "ignored", "if event.data.object.amount > 100000  the filter is false"),
    ] {
        let run = format!("{name}.wasm --event charge.succeeded");
        let (code, out, _) = place.test(&format!("{run} --expect {expect}"));
        assert_eq!(code, 0, "{out}");
        assert!(out.contains(text), "{out}");
        let other = if name == "done" { "retry" } else { "done" };
        assert_eq!(place.test(&format!("{run} --expect {other}")).0, 1, "{name}");
    }
    let run = "choosy.wasm --event charge.succeeded --override charge:amount=100001";
    assert_eq!(place.test(run).0, 0);
}

#[test]
fn state_objects_settings_and_effects_are_there() {
    let kinds = &["charge.succeeded", "a:made"];
    let ask = [Ask::emit("made", None), Ask::post("https://a.com/hook")];
    let spec = Spec {
        requests: vec![
            ("outbox.emit".to_owned(), "made".to_owned()),
            ("outbox.http".to_owned(), "POST https://a.com/*".to_owned()),
        ],
        ..components::spec("a", &["charge.succeeded"])
    };
    let asks = components::build(&components::asking(spec, &ask, true));
    let counter = components::counter("b", kinds);
    let reads = components::reads("c", kinds, &[("stripe", "customer", "cus_seed")]);
    let place = Place::new(&[
        ("a.wasm", &asks),
        ("b.wasm", &counter),
        ("c.wasm", &reads),
        ("state.json", br#"{"b": {"count": {"base64": "BQAAAAAAAAA="}}}"#),
        ("customer.json", br#"{"id": "cus_seed", "object": "customer", "name": "Ann"}"#),
        ("bare.toml", b""),
    ]);
    let run = "a.wasm b.wasm c.wasm -e charge.succeeded --state state.json --object customer.json";
    let (code, out, error) = place.test(run);
    assert_eq!(code, 0, "{out}{error}");
    for text in [
        "+ emits made (2 bytes)",
        "+ POST https://a.com/hook (2 bytes)",
        "> content-type: application/json",
        "-> made  evt_",
        r"~ count = \u{5}\0\0\0\0\0\0\0 -> \u{6}\0",
        r"~ count = \u{6}\0\0\0\0\0\0\0 -> \u{7}\0",
        r#"{"id": "cus_seed", "object": "customer", "name": "Ann"}"#,
    ] {
        assert!(out.contains(text), "no `{text}` in {out}");
    }
    assert!(error.contains("a is granted what it asks for: outbox.emit `made`"), "{error}");
    let (_, out, _) = place.test(&format!("{run} --no-follow"));
    assert!(!out.contains("-> made"), "{out}");
    // With a configuration, its grants alone hold.
    let (code, _, error) = place.test("a.wasm -e charge.succeeded --config bare.toml");
    assert_eq!((code, error.contains("outbox.emit")), (1, true), "{error}");
    assert_eq!(place.test("a.wasm -e charge.succeeded --config bare.toml --grant-all").0, 0);
    let (_, out, _) = place.test(&format!("{run} --output json"));
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(list["failed"], 0);
    assert_eq!(list["data"][0]["events"][1]["type"], "made");
    assert_eq!(list["data"][0]["events"][0]["plugins"][0]["run"]["verdict"], "done");
}

/// A project as an author begins one.
fn project(place: &Place) -> PathBuf {
    let mut command = Command::new(binary().unwrap());
    command.args(["new", "hello", "--lang", "rust"]).current_dir(place.0.path());
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    place.path("hello")
}

/// A running command that ends when it is told to, killed when the test gives up.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    shown: String,
}

impl Running {
    fn start(project: &Path, words: &str) -> Self {
        let mut command = Command::new(binary().unwrap());
        command.args(words.split_whitespace());
        command.current_dir(project).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, shown: String::new() }
    }

    /// The next line that holds `text`.
    fn until(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.next();
            let line = line.unwrap_or_else(|| panic!("no `{text}` in\n{}", self.shown)).unwrap();
            self.shown.push_str(&line);
            self.shown.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Running {
    /// As Ctrl-C does; it must end in good order.
    fn interrupt(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- signalbox showed:\n{}", self.shown);
        }
    }
}

#[test]
fn a_project_is_tested_and_served_while_it_is_written() {
    let place = Place::new(&[]);
    let project = project(&place);
    // The cache is the user's: the compiler of components is kept there.
    let test = |words: &[&str]| {
        let mut command = Command::new(binary().unwrap());
        command.arg("test").args(words).current_dir(&project).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = String::from_utf8([stdout, stderr].concat()).unwrap();
        (status.code(), text)
    };
    let (code, said) = test(&["--update"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("+ charges/"), "{said}");
    assert!(project.join("snapshots/charge.succeeded.snap").is_file());
    assert_eq!(test(&[]).0, Some(0));

    let source = project.join("src/lib.rs");
    let good = std::fs::read_to_string(&source).unwrap();
    let mut watch = Running::start(&project, "build --watch --output jsonl");
    watch.until("\"changed\":false");
    std::fs::write(&source, good.replace("is number", "was number")).unwrap();
    watch.until("\"changed\":true");
    watch.interrupt();

    std::fs::write(&source, &good).unwrap();
    let mut dev = Running::start(&project, "dev --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0");
    let send = dev.until("Send one");
    let send: Vec<&str> = send.split_whitespace().skip(3).collect();
    dev.until("hello is loaded");
    let trigger = |kind: &str| {
        let mut words = send.clone();
        words[1] = kind;
        let ran = Command::new(binary().unwrap()).args(words).current_dir(&project).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    trigger("charge.succeeded");
    dev.until("charge.succeeded  evt_");
    dev.until("hello: done");
    dev.until("+ charges/guest = 1");
    dev.until("is number 1 of guest");
    trigger("invoice.paid");
    dev.until("invoice.paid  evt_");
    dev.until("no plugin takes it");

    std::fs::write(&source, good.replace("is number {count} of", "comes as {count} of")).unwrap();
    dev.until("built hello.wasm");
    dev.until("hello is loaded");
    trigger("charge.succeeded");
    dev.until("charges/guest = 1 -> 2");
    dev.until("comes as 2 of guest");

    // What does not compile is told, and what ran before runs on.
    std::fs::write(&source, "fn broken(").unwrap();
    dev.until("error");
    dev.until("what was built before runs on");
    trigger("charge.succeeded");
    dev.until("comes as 3 of guest");

    dev.interrupt();
}
