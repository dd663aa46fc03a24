//! The live view: what comes in, what each handler did with it, what was built and what was loaded.
//!
//! Lines that follow one another, on a terminal and elsewhere: what was shown stays where it was.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::json;

use crate::app::Host;
use crate::dispatch::{Did, Ended};
use crate::domain::delivery::Status;
use crate::domain::event::{EventKey, Source, StoredEvent};
use crate::domain::kv::KvWrite;
use crate::domain::plugin::PluginName;
use crate::http::admin::runs;
use crate::plugin::{Execution, PluginReport, PluginStatus, Routes};
use crate::replay::{Change, DryRun};
use crate::store::{Cursor, DeliveryQuery, EventQuery, PageRequest, Store, StoreError};

use super::super::build::Built;
use super::super::context::Context;
use super::super::outcome::{For, of_plugin, subscriptions, word};
use super::super::table::{Tone, painted};

/// Events looked at once.
const PAGE: usize = 100;

/// Values that are remembered, to tell what a change replaced. Of more, the older are forgotten all at
/// once.
const MOST_KNOWN: usize = 10_000;

/// What was shown so far.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The event whose lines were printed last.
    current: Option<EventKey>,
    /// The last event that was looked at.
    last: Option<EventKey>,
    /// What was written since the start.
    known: BTreeMap<(PluginName, String), Vec<u8>>,
    reports: Vec<PluginReport>,
}

impl View {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Look at what comes in from now on.
    pub(super) async fn follow(&mut self, host: &Host) -> anyhow::Result<()> {
        let page = PageRequest { limit: 1, from: None };
        let newest = host.store.events(EventQuery { kind: None, status: None, page }).await?;
        self.last = newest.data.first().map(|event| event.event.key.clone());
        Ok(())
    }

    /// The sources changed.
    pub(super) fn building(&mut self, cx: &mut Context) -> anyhow::Result<()> {
        self.line(Tone::Faint, "changed; building", cx)
    }

    /// A build ended.
    pub(super) fn built(
        &mut self,
        built: anyhow::Result<Built>,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        match built {
            Ok(built) => {
                let changed = built.components.iter().filter(|component| component.changed);
                let mut any = false;
                for component in changed {
                    any = true;
                    let name = component.path.file_name().unwrap_or_default().to_string_lossy();
                    let text = format!("built {name} ({} KB)", component.size.div_ceil(1_000));
                    self.line(Tone::Faint, &text, cx)?;
                }
                if !any {
                    self.line(Tone::Faint, "built; nothing changed", cx)?;
                }
                Ok(())
            }
            Err(error) => {
                self.line(Tone::Bad, &format!("{error:#}"), cx)?;
                let runs = self.reports.iter().any(PluginReport::receives);
                let then = if runs { "; what was built before runs on" } else { "" };
                self.line(Tone::Bad, &format!("the build failed{then}"), cx)
            }
        }
    }

    /// Tell of files that stand otherwise than before.
    pub(super) fn plugins(&mut self, routes: &Routes, cx: &mut Context) -> anyhow::Result<()> {
        let reports = routes.current().reports().to_vec();
        for report in &reports {
            if self.reports.contains(report) {
                continue;
            }
            let file = report.file.file_name().unwrap_or_default().to_string_lossy();
            let name = report.name.as_ref().map_or(&*file, PluginName::as_str);
            let reason = report.reason.as_deref().unwrap_or_default();
            let (tone, text) = match report.status {
                PluginStatus::Loaded => {
                    let wants = report.subscriptions.iter();
                    let wants = wants.map(|wanted| format!("{}:{}", wanted.provider, wanted.kind));
                    let wants = wants.collect::<Vec<_>>().join(", ");
                    (Tone::Good, format!("{name} is loaded; it wants {wants}"))
                }
                PluginStatus::Stale => (
                    Tone::Bad,
                    format!("{name}: the new version is refused, the one before runs on: {reason}"),
                ),
                PluginStatus::Refused => (Tone::Bad, format!("{name} is refused: {reason}")),
                PluginStatus::Paused => (Tone::Waiting, format!("{name} is paused: {reason}")),
            };
            self.line(tone, &text, cx)?;
            for warning in &report.warnings {
                self.line(Tone::Waiting, &format!("{name}: {warning}"), cx)?;
            }
        }
        self.reports = reports;
        Ok(())
    }

    /// An attempt was committed.
    pub(super) fn attempt(&mut self, ended: &Ended, cx: &mut Context) -> anyhow::Result<()> {
        let mut text = self.head(&ended.event);
        let attempt = &ended.attempt;
        let mut how = match ended.status {
            Status::Dead => format!("{}, given up", word(attempt.outcome, None)),
            _ => word(attempt.outcome, None),
        };
        if attempt.number > 1 || ended.status == Status::Retry {
            how.push_str(&format!(" (attempt {})", attempt.number));
        }
        let run = runs::value(&self.run(ended));
        let plugin = json!({"plugin": ended.delivery.plugin, "ended": how, "run": run});
        text.push_str(&of_plugin(&plugin, For::Reader, cx.style()));
        Ok(cx.bytes(text.as_bytes())?)
    }

    /// Tell of events that no plugin takes, and why.
    pub(super) async fn untaken(
        &mut self,
        store: &dyn Store,
        routes: &Routes,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        loop {
            let from = self.last.clone().map(Cursor::Before);
            let page = PageRequest { limit: PAGE, from };
            let found = store.events(EventQuery { kind: None, status: None, page }).await;
            let found = match found {
                // Retention let go of it: what is newer is told from its newest on.
                Err(StoreError::NoSuchCursor { .. }) => {
                    self.last = None;
                    return Ok(());
                }
                found => found.context("the view cannot follow the events")?,
            };
            let Some(newest) = found.data.first() else { return Ok(()) };
            self.last = Some(newest.event.key.clone());
            for event in found.data.iter().rev() {
                // What signalbox tells of itself is for those who want it.
                if matches!(event.source, Source::Host(_)) {
                    continue;
                }
                let page = PageRequest { limit: 1, from: None };
                let query = DeliveryQuery {
                    event: Some(event.event.key.clone()),
                    plugin: None,
                    status: None,
                    group: None,
                    page,
                };
                if store.deliveries(query).await?.data.is_empty() {
                    self.no_plugin(event, routes, cx)?;
                }
            }
        }
    }

    fn no_plugin(
        &mut self,
        event: &StoredEvent,
        routes: &Routes,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        let mut text = self.head(event);
        let style = cx.style();
        for said in routes.current().explain(&event.event) {
            let plugin = json!({"plugin": said.plugin, "subscriptions": subscriptions(&said)});
            text.push_str(&of_plugin(&plugin, For::Reader, style));
        }
        text.push_str(&format!("  {}\n", painted("no plugin takes it", Tone::Waiting, style)));
        Ok(cx.bytes(text.as_bytes())?)
    }

    /// The line of an event, unless it was the last that was printed.
    fn head(&mut self, event: &StoredEvent) -> String {
        let key = &event.event.key;
        if self.current.as_ref() == Some(key) {
            return String::new();
        }
        self.current = Some(key.clone());
        format!("{}  {}  from {}\n", event.event.kind, key.id, key.provider)
    }

    /// The attempt in the shape of a dry run, so that it is shown alike.
    fn run(&mut self, ended: &Ended) -> DryRun {
        let Ended { delivery, attempt, did, .. } = ended;
        let Did { writes, effects } = did.clone();
        let changes = writes.iter().map(|write| self.change(&delivery.plugin, write)).collect();
        DryRun {
            delivery: delivery.clone(),
            execution: Execution {
                outcome: attempt.outcome,
                reason: attempt.reason.clone(),
                retry_after: None,
                reads: Vec::new(),
                writes,
                effects,
                cancels: Vec::new(),
                usage: attempt.usage,
                logs: attempt.logs.clone(),
                digest: attempt.digest,
                started_at: attempt.started_at,
            },
            changes,
            steady: true,
        }
    }

    fn change(&mut self, plugin: &PluginName, write: &KvWrite) -> Change {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let (key, after) = match write {
            KvWrite::Put { key, value } => (key.clone(), Some(value.clone())),
            KvWrite::Delete { key } => (key.clone(), None),
        };
        let place = (plugin.clone(), key.clone());
        let before = match &after {
            Some(value) => self.known.insert(place, value.clone()),
            // What was there before this started is not known, and gone all the same.
            None => Some(self.known.remove(&place).unwrap_or_else(|| b"?".to_vec())),
        };
        Change { key, before, after }
    }

    fn line(&mut self, tone: Tone, text: &str, cx: &mut Context) -> anyhow::Result<()> {
        self.current = None;
        let text = painted(text, tone, cx.style());
        Ok(cx.bytes(format!("{text}\n").as_bytes())?)
    }
}
