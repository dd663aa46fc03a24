//! What became of an event, as JSON and as text: for people, and for what is recorded.

use serde_json::{Value, json};

use crate::http::admin::runs;
use crate::plugin::explain::Explanation;
use crate::workbench::Step;

use super::super::context::Context;
use super::super::outcome::{For, of_plugin, subscriptions, word};
use super::super::output::Format;
use super::super::table::{Cell, Style, Tone, painted};
use super::snapshot::Judged;

/// One event and what became of it.
pub(super) fn view(step: &Step) -> Value {
    let event = &step.event.event;
    let mut plugins: Vec<Value> = step.said.iter().map(|said| plugin(step, said)).collect();
    plugins.sort_by_key(|plugin| plugin.get("run").is_none_or(Value::is_null));
    json!({
        "object": "test_event",
        "event": event.key.id,
        "provider": event.key.provider,
        "type": event.kind,
        "source": step.event.source.name(),
        "cause": step.cause.as_ref().map(ToString::to_string),
        "duplicate": step.duplicate,
        "not_delivered": step.cut,
        "plugins": plugins,
    })
}

fn plugin(step: &Step, said: &Explanation) -> Value {
    let run = step.runs.iter().find(|run| run.delivery.plugin == said.plugin);
    let ended = run.map(|run| word(run.execution.outcome, run.execution.retry_after));
    json!({
        "plugin": said.plugin,
        "matches": said.matches(),
        "subscriptions": subscriptions(said),
        "ended": ended,
        "run": run.map(runs::value),
    })
}

/// One event and what became of it, from its [`view`].
pub(super) fn text(step: &Value, to: For, style: Style) -> String {
    let field = |name| Cell::field(step, name).text;
    let mut out = match step.get("cause").and_then(Value::as_str) {
        Some(cause) => format!("-> {}  {}  by {cause}\n", field("type"), field("event")),
        None => format!("{}  {}  from {}\n", field("type"), field("event"), field("provider")),
    };
    if step.get("duplicate").and_then(Value::as_bool) == Some(true) {
        out.push_str("  (its identifier came before: a host would not deliver it again)\n");
    }
    for plugin in step.get("plugins").and_then(Value::as_array).into_iter().flatten() {
        out.push_str(&of_plugin(plugin, to, style));
    }
    match step.get("not_delivered").and_then(Value::as_u64) {
        None | Some(0) => {}
        Some(more) => out.push_str(&format!("  ({more} events that follow are not delivered)\n")),
    }
    out
}

/// Prints cases as they end, and counts them.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    cases: Vec<Value>,
    bad: usize,
}

impl Printer {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, cases: Vec::new(), bad: 0 }
    }

    /// How many cases there were, in words.
    pub(super) fn count(&self) -> String {
        match self.cases.len() {
            1 => "1 event".to_owned(),
            more => format!("{more} events"),
        }
    }

    /// A case has ended.
    pub(super) fn case(
        &mut self,
        name: &str,
        steps: Vec<Value>,
        judged: &Judged,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        let (good, note) = match judged {
            Judged::Good(note) => (true, (*note).to_owned()),
            Judged::Bad(note) => (false, note.clone()),
        };
        self.bad += usize::from(!good);
        let case = json!({
            "object": "test_case", "name": name, "passed": good, "note": note, "events": steps,
        });
        match self.format {
            Format::Table => {
                let style = cx.style();
                let mut out = String::new();
                for step in &steps {
                    out.push_str(&text(step, For::Reader, style));
                }
                let (tone, word) = if good { (Tone::Good, "ok") } else { (Tone::Bad, "FAILED") };
                out.push_str(&format!("  {}  {name}: {note}\n\n", painted(word, tone, style)));
                cx.bytes(out.as_bytes())?;
            }
            Format::Jsonl => cx.json(&case, Format::Jsonl)?,
            Format::Json => {}
        }
        self.cases.push(case);
        Ok(())
    }

    /// Print what comes at the end. Answers how many cases did not end as they should.
    pub(super) fn finish(&self, cx: &mut Context) -> anyhow::Result<usize> {
        if self.format == Format::Json {
            let list = json!({
                "object": "list", "data": self.cases, "has_more": false, "failed": self.bad,
            });
            cx.json(&list, Format::Json)?;
        }
        if self.bad == 0 {
            cx.say(format_args!("{}, all as they should be", self.count()));
        }
        Ok(self.bad)
    }
}
