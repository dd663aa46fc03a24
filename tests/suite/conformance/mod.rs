//! The same plugin in every language passes the same cases, in one running host; and what each
//! language costs there. `tests/conformance/README.md` says what the plugins do.

mod cases;
mod languages;
mod new_user;
mod prices;

use std::collections::BTreeMap;

use serde_json::Value;
use signalbox_tests::host::Host;
use signalbox_tests::sink::{Reply, Sink};

use cases::Case;
use languages::Language;

/// Two attempts, soon after one another: one case fails at first, another always. Time by the clock
/// for all that start at once on a busy machine.
const SETTINGS: &str = r#"
[dispatch]
attempts = 2
first_wait = "100ms"
[outbox]
allow_networks = ["127.0.0.1"]
[plugins.limits]
cpu = "10s"
wall = "50s"
"#;

/// A host that runs the plugin of each language.
struct World {
    host: Host,
    sink: Sink,
    languages: Vec<Language>,
}

impl World {
    async fn start(built: Vec<(Language, Vec<u8>)>) -> Self {
        let pong = |_: &_| Reply::Full(200, ("content-type", "text/plain".into()), b"pong".into());
        let sink = Sink::scripted(pong).await.unwrap();
        let mut settings = SETTINGS.to_owned();
        for (language, _) in &built {
            settings.push_str(&format!(
                r#"
[plugin.{plugin}]
settings = {{ greeting = "grüezi", sink = "{sink}/hook" }}
grants = [
  {{ capability = "outbox.http", scope = "POST {sink}/*" }},
  {{ capability = "outbox.emit", scope = "echo.*" }},
  {{ capability = "objects", scope = "stripe customer" }},
]
"#,
                plugin = language.plugin(),
                sink = sink.url(),
            ));
        }
        let files: Vec<(String, &[u8])> = built
            .iter()
            .map(|(language, bytes)| (format!("{}.wasm", language.plugin()), bytes.as_slice()))
            .collect();
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        let host = Host::start(&files, &settings).unwrap();
        let languages: Vec<Language> = built.iter().map(|(language, _)| *language).collect();
        for language in &languages {
            let path = format!("/plugins/{}", language.plugin());
            let plugin = host.get(&path).await.unwrap();
            assert_eq!(plugin["status"], "loaded", "{plugin:#}");
        }
        Self { host, sink, languages }
    }

    /// The text under `key` in a plugin's state.
    async fn state(&self, language: Language, key: &str) -> Option<String> {
        let path = format!("/plugins/{}/kv", language.plugin());
        let entries = self.host.list(&path).await.unwrap();
        let entry = entries.into_iter().find(|entry| entry["key"] == key)?;
        entry["value"].as_str().map(str::to_owned)
    }
}

/// Rows of `title` and one text for each language.
fn print(title: &str, languages: &[Language], rows: &[(String, BTreeMap<Language, String>)]) {
    let names = languages.iter().map(|language| language.name);
    let head: String = names.map(|name| format!("{name:>14}")).collect();
    println!("\n{title:<24}{head}");
    for (row, cells) in rows {
        let cells = languages.iter().map(|language| cells.get(language).map_or("", String::as_str));
        let cells: String = cells.map(|cell| format!("{cell:>14}")).collect();
        println!("{row:<24}{cells}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_passes_every_case() {
    let mut world = World::start(languages::built()).await;
    let mut table = Vec::new();
    let mut wrong = Vec::new();
    for case in cases::all() {
        let mut cells = BTreeMap::new();
        for (language, result) in case.run(&world).await {
            let cell = match result {
                Ok(()) => "ok",
                Err(cause) => {
                    wrong.push(format!("{}, {}: {cause}", case.name, language.name));
                    "WRONG"
                }
            };
            cells.insert(language, cell.to_owned());
        }
        table.push((case.name.to_owned(), cells));
    }
    print("case", &world.languages, &table);
    let prices = prices::measured(&mut world).await;
    print("costs", &world.languages, &prices);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A field of a JSON object as text.
fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().unwrap_or_default()
}

impl Case {
    /// Post this case's events; of each language whether it did as expected.
    async fn run(&self, world: &World) -> Vec<(Language, Result<(), String>)> {
        let mut posted = Vec::new();
        for event in (self.events)() {
            let id = text(&event, "id").to_owned();
            let (status, answer) = world.host.post(event.to_string()).await.unwrap();
            assert_eq!(status, 200, "{}: {answer}", self.name);
            posted.push((id, event));
        }
        let mut results = Vec::new();
        for &language in world.languages.iter().filter(|language| self.is_for(**language)) {
            results.push((language, (self.check)(world, language, &posted).await));
        }
        results
    }
}
