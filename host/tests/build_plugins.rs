//! `cli::build` with a real compiler: the example plugins become components, the same twice; what
//! does not compile is told in cargo's own words.
//!
//! Gets the compiler where there is none (see `cli/build/rust/wasm-toolchain.sh`), never from rustup.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use signalbox::cli::build::{
    BuildEnvironment, BuildError, BuildOptions, EncodeError, Progress, build,
};
use signalbox::domain::clock::{SystemClock, Timestamp};
use signalbox::domain::delivery::{DeliveryId, Outcome};
use signalbox::domain::effect::Action;
use signalbox::domain::endpoint::EndpointId;
use signalbox::domain::event::{EventKey, EventSeq, Source, StoredEvent, VerifiedEvent};
use signalbox::domain::grant::{Grant, HTTP, OBJECTS, SECRET};
use signalbox::domain::object::Sighting;
use signalbox::plugin::{
    Call, Engine, EngineConfig, Execution, LoadError, Loaded, PluginSettings, Policy,
};
use signalbox::provider::Provider as _;
use signalbox::provider::stripe::StripeProvider;
use signalbox::store::objects::Sight;
use signalbox::store::sled::{SledConfig, SledStore};
use signalbox::store::{NewEvent, Store as _};
use tokio::runtime::Runtime;
use wit_component::DecodedWasm;

#[derive(Default)]
struct Heard {
    steps: Vec<String>,
    warnings: Vec<String>,
}

impl Progress for Heard {
    fn step(&mut self, what: &str) {
        eprintln!("{what}");
        self.steps.push(what.to_owned());
    }

    fn detail(&mut self, line: &str) {
        if line.starts_with("warning") {
            self.warnings.push(line.to_owned());
        }
    }
}

/// What the command line reads from its own surroundings.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
fn environment() -> BuildEnvironment {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    let or_home = |name: &str, below: &str| {
        std::env::var_os(name).map_or_else(|| home.join(below), PathBuf::from)
    };
    BuildEnvironment {
        path: std::env::var_os("PATH").unwrap(),
        cargo_home: Some(or_home("CARGO_HOME", ".cargo")),
        cache: or_home("XDG_CACHE_HOME", ".cache"),
        rustup: false,
    }
}

fn options(project: &Path, out: &Path) -> BuildOptions {
    BuildOptions {
        project: project.to_owned(),
        language: None,
        out: Some(out.to_owned()),
        locked: true,
        install: false,
        color: false,
        environment: environment(),
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Most bytes of an example: a plugin is a small thing to send around.
const MAX_SIZE: u64 = 120_000;

#[test]
fn the_examples_become_components() {
    let out = tempfile::tempdir().unwrap();
    let options = options(&repository().join("example-plugins"), &out.path().join("plugins"));
    let mut heard = Heard::default();
    let built = build(&options, &mut heard).unwrap();
    let names: Vec<&str> = built.components.iter().map(|c| c.package.as_str()).collect();
    assert_eq!(
        names,
        [
            "charge-succeeded",
            "dunning",
            "fails-on-purpose",
            "invoice-receipt",
            "payment-method-attached",
            "slack-notifier"
        ]
    );
    for component in &built.components {
        assert!(component.changed);
        assert!(component.size < MAX_SIZE, "{} has {} bytes", component.package, component.size);
        let bytes = fs::read(&component.path).unwrap();
        let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes).unwrap() else {
            panic!("{} is no component", component.package);
        };
        let world = &resolve.worlds[world];
        let exports: Vec<String> =
            world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
        assert_eq!(exports, ["signalbox:plugin/handler@0.1.0"]);
        for import in world.imports.keys().map(|key| resolve.name_world_key(key)) {
            assert!(import.starts_with("signalbox:plugin/"), "{import}");
        }
        let text = String::from_utf8_lossy(&bytes);
        let here = repository().to_str().unwrap();
        assert!(!text.contains(here), "{} tells where it was built", component.package);
    }
    assert!(heard.steps.iter().any(|step| step.starts_with("compiling charge-succeeded")));

    assert!(heard.warnings.is_empty(), "{:?}", heard.warnings);

    let again = build(&options, &mut heard).unwrap();
    assert!(again.components.iter().all(|component| !component.changed), "the same bytes");

    let one = BuildOptions { project: options.project.join("charge-succeeded"), ..options };
    let names: Vec<String> =
        build(&one, &mut heard).unwrap().components.into_iter().map(|c| c.package).collect();
    assert_eq!(names, ["charge-succeeded"], "a member's directory is that member alone");
}

/// The examples that send something, as components, in the real sandbox: without grants they are
/// refused with the very lines that their pages show, with them their effects come out.
#[test]
fn the_examples_ask_for_what_their_pages_grant() {
    let out = tempfile::tempdir().unwrap();
    let project = repository().join("example-plugins");
    build(&options(&project, out.path()), &mut Heard::default()).unwrap();
    let engine = Engine::new(&EngineConfig::default(), Arc::new(SystemClock::new())).unwrap();
    let store = SledStore::open(&SledConfig::new(out.path().join("store"))).unwrap();
    let runtime = Runtime::new().unwrap();
    for (name, settings, kind, effects) in [
        ("dunning", [("from", "a@example.com")], "invoice.payment_failed", ["emit reminder.due"]),
        (
            "slack-notifier",
            [("webhook", "https://hooks.slack.com/services/T/B/X")],
            "invoice.payment_failed",
            ["http https://hooks.slack.com/services/T/B/X"],
        ),
    ] {
        let bytes = Bytes::from(fs::read(out.path().join(format!("{name}.wasm"))).unwrap());
        let refused = runtime.block_on(engine.load(bytes.clone(), &Policy::default()));
        let refused = refused.unwrap_err();
        let LoadError::NotGranted { missing, .. } = &refused else { panic!("{refused}") };
        let page = fs::read_to_string(project.join(name).join("README.md")).unwrap();
        let remedy = refused.remedy();
        let lines = remedy.lines().skip_while(|line| !line.starts_with('['));
        for line in lines {
            assert!(page.contains(line), "the page of {name} lacks: {line}");
        }

        let secrets: Vec<String> =
            missing.iter().filter(|r| r.capability == SECRET).map(|r| r.scope.clone()).collect();
        let asked = missing.iter().filter(|r| r.capability != SECRET);
        let grants = asked.map(|r| {
            let secrets = if r.capability == HTTP { secrets.clone() } else { vec![] };
            Grant::parse(&r.capability, &r.scope, secrets).unwrap()
        });
        let own = PluginSettings {
            grants: grants.collect(),
            settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..PluginSettings::default()
        };
        let plugins = [(name.parse().unwrap(), own)].into();
        let policy = Policy { plugins, ..Policy::default() };
        let plugin = Arc::new(runtime.block_on(engine.load(bytes, &policy)).unwrap());
        assert_eq!(plugin.limits().memory, 16 << 20, "its own wish");
        let invoice = r#"{"type": "x", "data": {"object": {"id": "in_1", "amount_due": 1200,
            "currency": "usd", "customer_email": "jenny@example.com"}}}"#;
        let ended = handled(&engine, &runtime, &plugin, call(name, kind, invoice), &store);
        let came: Vec<String> = ended
            .effects
            .iter()
            .map(|effect| match &effect.action {
                Action::Http { request, .. } => format!("http {}", request.url),
                Action::Emit { kind, .. } => format!("emit {kind}"),
            })
            .collect();
        assert_eq!(came, effects, "{name}");
        assert_eq!(ended.effects[0].id.to_string(), format!("stripe.evt_1.{name}.0"));
    }
}

/// Stripe's own rules over the events of this test.
#[derive(Debug)]
struct StripeSight;

impl Sight for StripeSight {
    fn objects(&self, event: &VerifiedEvent) -> Vec<Sighting> {
        StripeProvider::default().objects(event)
    }
}

/// An example that reads the mirror, as a component, in the real sandbox: refused without the line
/// that its page shows, with it it knows the customer that an earlier event showed.
#[test]
fn an_example_reads_what_an_earlier_event_showed() {
    let (out, name) = (tempfile::tempdir().unwrap(), "invoice-receipt");
    let bytes = example(name, out.path());
    let engine = Engine::new(&EngineConfig::default(), Arc::new(SystemClock::new())).unwrap();
    let runtime = Runtime::new().unwrap();
    let refused = runtime.block_on(engine.load(bytes.clone(), &Policy::default())).unwrap_err();
    let page = fs::read_to_string(example_directory(name).join("README.md")).unwrap();
    let remedy = refused.remedy();
    let mut lines = remedy.lines().skip_while(|line| !line.starts_with('[')).peekable();
    assert!(lines.peek().is_some() && lines.all(|line| page.contains(line)), "{remedy}");

    let sight = Some(Arc::new(StripeSight) as Arc<dyn Sight>);
    let store = SledConfig { sight, ..SledConfig::new(out.path().join("store")) };
    let store = SledStore::open(&store).unwrap();
    let made = r#"{"id": "evt_0", "type": "customer.created", "created": 1, "data": {"object":
        {"id": "cus_1", "object": "customer", "name": "Ada Lovelace"}}}"#;
    let made = call(name, "customer.created", made).event;
    let mut event = made.event.clone();
    event.key.id = "evt_0".to_owned();
    let (endpoint, received_at) = (made.endpoint, made.received_at);
    let source = Source::Webhook;
    let new = NewEvent { event, endpoint, received_at, source, plugins: vec![] };
    runtime.block_on(store.accept(vec![new])).unwrap();

    let grants = vec![Grant::parse(OBJECTS, "stripe customer", vec![]).unwrap()];
    let own = PluginSettings { grants, ..PluginSettings::default() };
    let policy = Policy { plugins: [(name.parse().unwrap(), own)].into(), ..Policy::default() };
    let plugin = Arc::new(runtime.block_on(engine.load(bytes, &policy)).unwrap());
    let paid = r#"{"data": {"object": {"id": "in_1", "customer": "cus_1"}}}"#;
    let ended = handled(&engine, &runtime, &plugin, call(name, "invoice.paid", paid), &store);
    assert_eq!(ended.logs.records[0].message, "invoice in_1 of Ada Lovelace is paid");
}

/// A module that grows its memory costs the host more than most handlers do: see `store/sled/LAYOUT.md`.
#[test]
fn an_event_of_150_kib_fits_what_a_plugin_has_from_the_start() {
    let (out, name) = (tempfile::tempdir().unwrap(), "charge-succeeded");
    let bytes = example(name, out.path());
    let engine = Engine::new(&EngineConfig::default(), Arc::new(SystemClock::new())).unwrap();
    let runtime = Runtime::new().unwrap();
    let plugin = Arc::new(runtime.block_on(engine.load(bytes, &Policy::default())).unwrap());
    let store = SledStore::open(&SledConfig::new(out.path().join("store"))).unwrap();
    let memory = |padding: usize| {
        let padding = "x".repeat(padding);
        let charge = format!(
            r#"{{"type": "charge.succeeded", "data": {{"object": {{"id": "ch_1", "amount": 1200,
            "currency": "usd", "customer": "cus_1", "description": "{padding}"}}}}}}"#
        );
        let call = call(name, "charge.succeeded", charge);
        handled(&engine, &runtime, &plugin, call, &store).usage.memory
    };
    let small = memory(0);
    assert!(small < 3 << 19, "{small}");
    assert_eq!(memory(150 << 10), small);
    assert!(memory(1 << 20) > small, "and a larger one gets more");
}

fn example_directory(name: &str) -> PathBuf {
    repository().join("example-plugins").join(name)
}

/// An example as a component, built into `out`.
fn example(name: &str, out: &Path) -> Bytes {
    build(&options(&example_directory(name), out), &mut Heard::default()).unwrap();
    Bytes::from(fs::read(out.join(format!("{name}.wasm"))).unwrap())
}

/// How a run that ends well went.
fn handled(
    engine: &Engine,
    runtime: &Runtime,
    plugin: &Arc<Loaded>,
    call: Call,
    store: &Arc<SledStore>,
) -> Execution {
    let (plugin, store) = (Arc::clone(plugin), Arc::clone(store));
    let run = engine.guests().spawn(async move { plugin.call(call, store).await });
    let ended = runtime.block_on(run).unwrap();
    assert_eq!(ended.outcome, Outcome::Ok, "{}", ended.reason);
    ended
}

fn call(plugin: &str, kind: &str, body: impl Into<Bytes>) -> Call {
    let key = EventKey { provider: "stripe".to_owned(), id: "evt_1".to_owned() };
    let delivery = DeliveryId { event: key.clone(), plugin: plugin.parse().unwrap() };
    let event =
        VerifiedEvent::vouched(key, kind.to_owned(), "application/json".to_owned(), body.into());
    let event = StoredEvent {
        seq: EventSeq(1),
        endpoint: EndpointId(uuid::Uuid::nil()),
        received_at: Timestamp::from_secs(1),
        source: Source::Webhook,
        event,
    };
    Call { event: Arc::new(event), delivery, attempt: 1, replay: false }
}

/// A package of one file that depends on the SDK.
fn project(directory: &Path, source: &str) {
    let sdk = repository().join("sdk/rust");
    let manifest = format!(
        "[package]\nname = \"trial\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n\n\
         [dependencies]\nsignalbox-sdk = {{ path = {sdk:?} }}\n"
    );
    fs::create_dir_all(directory.join("src")).unwrap();
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    fs::write(directory.join("src/lib.rs"), source).unwrap();
    // The versions that were resolved once already.
    fs::copy(repository().join("example-plugins/Cargo.lock"), directory.join("Cargo.lock"))
        .unwrap();
}

#[test]
fn what_does_not_compile_is_told_in_cargos_words() {
    // Kept between runs: what it depends on is compiled once.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trial");
    project(&directory, "pub fn f() -> u8 { \"no number\" }\n");
    let out = tempfile::tempdir().unwrap();
    let mut options = options(&directory, &out.path().join("plugins"));
    options.locked = false;
    let error = build(&options, &mut Heard::default()).unwrap_err();
    assert!(matches!(error, BuildError::Compile { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("E0308") && text.contains("src/lib.rs:1"), "{text}");

    project(&directory, "pub fn f() -> u8 { 1 }\n");
    let error = build(&options, &mut Heard::default()).unwrap_err();
    let no_handler = matches!(error, BuildError::Encode { source: EncodeError::NoHandler, .. });
    assert!(no_handler, "{error:?}");
    assert!(!out.path().join("plugins").exists(), "nothing is written");
}

#[test]
fn what_is_no_plugin_project_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path(), directory.path());
    let error = build(&options, &mut Heard::default()).unwrap_err();
    assert!(matches!(error, BuildError::NoProject(_)), "{error}");

    fs::write(directory.path().join("Cargo.toml"), "[package\n").unwrap();
    let error = build(&options, &mut Heard::default()).unwrap_err();
    assert!(matches!(error, BuildError::Manifest { .. }), "{error}");
}
