//! `signalbox check`: what a component is and asks for, or why it will not load.
//!
//! Not the judgement (`plugin::Engine::inspect`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::app;
use crate::config::{Config, Flags};
use crate::plugin::{Engine, EngineConfig};

use super::connect::usable;
use super::context::Context;
use super::exit::NotFound;
use super::output::{Format, OutputArgs};
use super::table::{Cell, Style, Tone, plain};

/// Tell what a .wasm file is, what it imports and asks for, or why it will not load
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox check plugins/charge-counter.wasm
  signalbox check handler.wasm --config /etc/signalbox.toml
  signalbox check handler.wasm --output json | jq .imports

Grants and limits are those of the configuration. The exit code is 1 when the host would refuse it.")]
pub(crate) struct Args {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: PathBuf,
    /// Configuration file [env: SIGNALBOX_CONFIG] [default: signalbox.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let bytes = read(&args.file)?;
    let config = args.config(cx)?;
    let engine = Engine::new(&EngineConfig::default(), Arc::clone(&cx.clock))?;
    let inspection = engine.inspect(bytes, &app::policy(&config, &app::providers(&config))).await;
    print(&serde_json::to_value(&inspection)?, args.output.output, cx)
}

impl Args {
    /// The configuration as far as it is about plugins.
    fn config(&self, cx: &Context) -> anyhow::Result<Config> {
        let reading = Config::read(self.config.as_deref(), &cx.env, &Flags::default());
        if let Some(problem) = reading.problems.iter().find(|problem| problem.key().is_none()) {
            return Err(anyhow::Error::new(problem.clone()));
        }
        usable(&reading, "plugin")?;
        usable(&reading, "plugins")?;
        usable(&reading, "provider")?;
        Ok(reading.config)
    }
}

pub(super) fn read(file: &Path) -> anyhow::Result<Bytes> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(NotFound(format!("{}: {error}", file.display())).into())
        }
        Err(error) => Err(error).with_context(|| file.display().to_string()),
    }
}

/// Print what is known of a component (an `Inspection` as JSON).
///
/// # Errors
/// When it will not load: the reason, which is the command's failure.
pub(crate) fn print(inspection: &Value, format: Format, cx: &mut Context) -> anyhow::Result<()> {
    if format == Format::Table {
        let fields = card(inspection, cx.style());
        cx.card(fields)?;
    } else {
        cx.json(&view(inspection.clone()), format)?;
    }
    match inspection.get("refusal") {
        None | Some(Value::Null) => Ok(()),
        Some(refusal) => {
            let part = |name| Cell::field(refusal, name).text;
            let (step, cause, remedy) = (part("step"), part("cause"), part("remedy"));
            Err(anyhow!("it will not load ({step}): {cause}; {remedy}"))
        }
    }
}

/// As the admin API would show it: times in milliseconds.
fn view(mut inspection: Value) -> Value {
    if let Value::Object(fields) = &mut inspection {
        fields.insert("object".to_owned(), "component".into());
    }
    if let Some(Value::Object(limits)) = inspection.get_mut("limits") {
        for name in ["cpu", "wall"] {
            if let Some(millis) = limits.remove(name).as_ref().and_then(millis) {
                limits.insert(format!("{name}_ms"), millis.into());
            }
        }
    }
    inspection
}

/// A duration as serde writes one.
fn millis(duration: &Value) -> Option<u64> {
    let part = |name| duration.get(name).and_then(Value::as_u64);
    Some(part("secs")? * 1_000 + part("nanos")? / 1_000_000)
}

fn card(inspection: &Value, style: Style) -> Vec<(String, Cell)> {
    let mut fields: Vec<(String, Cell)> = Vec::new();
    let mut field = |name: &str, cell: Cell| fields.push((name.to_owned(), cell));
    let list = |value: Option<&Value>, line: fn(&Value) -> String| {
        let list = value.and_then(Value::as_array);
        let lines: Vec<String> = list.into_iter().flatten().map(line).collect();
        Cell::lines(&lines, style)
    };
    let refused = inspection.get("refusal").is_some_and(|refusal| !refusal.is_null());
    let (word, tone) = if refused { ("no", Tone::Bad) } else { ("yes", Tone::Good) };
    field("loads", Cell { text: word.to_owned(), tone });
    if let Some(manifest) = inspection.get("manifest").filter(|manifest| !manifest.is_null()) {
        field("name", Cell::field(manifest, "name"));
        field("version", Cell::field(manifest, "version"));
        field("subscriptions", list(manifest.get("subscriptions"), subscription));
        let missing = inspection.get("missing").and_then(Value::as_array);
        let requests = manifest.get("requests").and_then(Value::as_array);
        let asked: Vec<String> = requests
            .into_iter()
            .flatten()
            .map(|request| {
                let granted = !missing.is_some_and(|missing| missing.contains(request));
                let note = if granted { "" } else { " (not granted)" };
                format!("{}{note}", capability(request))
            })
            .collect();
        field("asks for", Cell::lines(&asked, style));
        field("is granted", list(inspection.get("grants"), capability));
    }
    field("contract", Cell::field(inspection, "contract"));
    field("size", Cell::bytes(inspection, "size"));
    field("compiled size", Cell::bytes(inspection, "compiled_size"));
    field("pooled", Cell::field(inspection, "pooled"));
    field("digest", Cell::field(inspection, "digest"));
    field("imports", list(inspection.get("imports"), plain));
    field("exports", list(inspection.get("exports"), plain));
    let limits = view(inspection.clone()).get("limits").map(plain).unwrap_or_default();
    field("limits", Cell::value(&json!(limits)));
    let mut warnings = list(inspection.get("warnings"), plain);
    if warnings.tone == Tone::Plain {
        warnings.tone = Tone::Waiting;
    }
    field("warnings", warnings);
    fields
}

/// A capability and its scope.
fn capability(value: &Value) -> String {
    let part = |name| Cell::field(value, name).text;
    format!("{} {}", part("capability"), part("scope"))
}

fn subscription(subscription: &Value) -> String {
    let part = |name| Cell::field(subscription, name).text;
    let filter = subscription.get("filter").and_then(Value::as_str);
    let filter = filter.map(|filter| format!(" if {filter}")).unwrap_or_default();
    format!("{}:{}{filter}", part("provider"), part("kind"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table;
    use crate::domain::clock::{SystemClock, Timestamp};
    use crate::plugin::Policy;

    fn inspection() -> Value {
        json!({
            "size": 90_112, "digest": "sha256:abab", "imports": ["signalbox:plugin/kv@0.1.0", "signalbox:plugin/log@0.1.0"],
            "exports": ["signalbox:plugin/handler@0.1.0"], "contract": "0.1.0",
            "compiled_size": 200_000, "pooled": true,
            "manifest": {"name": "ledger", "version": "1.2.0", "attributes": [],
                "subscriptions": [{"provider": "stripe", "kind": "charge.*", "filter": "event.livemode"}],
                "requests": [{"capability": "outbox.http", "scope": "POST https://a/*"},
                    {"capability": "outbox.emit", "scope": "paid"}]},
            "grants": [{"capability": "outbox.http", "scope": "* https://a/*"}],
            "missing": [{"capability": "outbox.emit", "scope": "paid"}],
            "limits": {"cpu": {"secs": 1, "nanos": 500_000_000}, "wall": {"secs": 5, "nanos": 0}, "memory": 67_108_864},
            "warnings": [], "refusal": null,
        })
    }

    #[test]
    fn a_component_is_told_for_people_and_for_programs() {
        let style = Style { terminal: false, colour: false, now: Timestamp::from_secs(0) };
        let text = table::card(card(&inspection(), style), style);
        for line in [
            "loads          yes\nname           ledger\nversion        1.2.0\n",
            "\nsubscriptions  stripe:charge.* if event.livemode\nasks for       outbox.http POST https://a/*, outbox.emit paid (not granted)\nis granted     outbox.http * https://a/*\n",
            "\nsize           88.00 KiB\n",
            "\nimports        signalbox:plugin/kv@0.1.0, signalbox:plugin/log@0.1.0\n",
            "\nlimits         cpu_ms=1500 memory=67108864 wall_ms=5000\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let json = view(inspection());
        assert_eq!(json["limits"]["cpu_ms"], 1_500);
    }

    /// The inspection above is written by hand; this is what the engine really makes.
    #[tokio::test]
    async fn the_digest_is_that_of_the_file() {
        let config = EngineConfig { pool: 0, ..EngineConfig::default() };
        let engine = Engine::new(&config, Arc::new(SystemClock::new())).unwrap();
        let made = engine.inspect(Bytes::from_static(b"x"), &Policy::default()).await;
        let style = Style { terminal: false, colour: false, now: Timestamp::from_secs(0) };
        let text = table::card(card(&serde_json::to_value(made).unwrap(), style), style);
        let digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert!(text.contains(&format!("\ndigest         sha256:{digest}\n")), "{text}");
    }
}
