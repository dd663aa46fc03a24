//! Which events handlers are tried out on: files, and this program's own event of each type.
//!
//! Not the events' delivery (`workbench`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::domain::clock::Timestamp;
use crate::domain::event::{EventKey, Made, Source, VerifiedEvent};
use crate::provider::Providers;

use super::super::exit::{NotFound, Usage};
use super::super::trigger::change::{Change, Changed};
use super::super::trigger::fixtures;
use super::super::trigger::fresh::{self, Identity, Letters};
use super::usage;

/// The provider of events that say nothing of one.
const STRIPE: &str = "stripe";

#[derive(Debug, clap::Args)]
pub(super) struct CaseArgs {
    /// A file that holds an event, or a type that this program has an event of; a pattern for several
    #[arg(long = "event", short = 'e', value_name = "FIXTURE")]
    pub(super) given: Vec<String>,
    /// Replace a value of the events
    #[arg(long = "override", value_name = "PATH=VALUE", value_parser = Change::overriding)]
    overrides: Vec<Change>,
    /// Put a value into the events, with whatever leads to it
    #[arg(long = "add", value_name = "PATH=VALUE", value_parser = Change::adding)]
    additions: Vec<Change>,
    /// Take a value out of the events
    #[arg(long = "remove", value_name = "PATH", value_parser = Change::removing)]
    removals: Vec<Change>,
}

/// An event to try.
#[derive(Debug)]
pub(super) struct Case {
    /// Names its record. No two of a run are the same.
    pub(super) name: String,
    pub(super) event: VerifiedEvent,
    pub(super) source: Source,
}

/// An event that no provider of this build writes so: with its facts beside its body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    provider: String,
    #[serde(rename = "type")]
    kind: String,
    id: String,
    content_type: Option<String>,
    /// JSON, whose bytes are the body.
    #[serde(default)]
    body: Value,
    /// Instead of `body`: the very text.
    text: Option<String>,
    /// Instead of `body`: the very bytes.
    base64: Option<String>,
    /// Facts beside the body, of an event that was made here.
    attributes: Option<std::collections::BTreeMap<String, String>>,
    /// The answer to an effect of the plugin `provider`, which alone receives it.
    #[serde(default)]
    reply: bool,
    #[serde(default)]
    livemode: bool,
    account: Option<String>,
}

impl CaseArgs {
    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.overrides.iter().chain(&self.additions).chain(&self.removals)
    }

    /// The events that are named, else those of `fixtures`.
    pub(super) fn find(
        &self,
        fixtures: &[PathBuf],
        providers: &Providers,
        now: Timestamp,
    ) -> anyhow::Result<Vec<Case>> {
        let mut raw = Vec::new();
        for given in &self.given {
            if is_path(given) {
                raw.push(of_file(Path::new(given))?);
            } else {
                of_type(given, now, &mut raw)?;
            }
        }
        if self.given.is_empty() {
            raw = fixtures.iter().map(|file| of_file(file)).collect::<anyhow::Result<_>>()?;
        }
        if raw.is_empty() {
            return usage(
                "there is no event: name one with --event, a file or a type (`signalbox trigger --list` \
                 names all), or put some into the project's fixtures/",
            );
        }
        self.change(&mut raw)?;
        let mut taken = HashMap::new();
        let mut cases = Vec::with_capacity(raw.len());
        for Raw { name, bytes, from, .. } in raw {
            let (event, source) = read(bytes, providers, now).context(from)?;
            let times = taken.entry(name.clone()).and_modify(|times| *times += 1).or_insert(1);
            let name = if *times == 1 { name } else { format!("{name}-{times}") };
            cases.push(Case { name, event, source });
        }
        Ok(cases)
    }

    fn change(&self, raw: &mut [Raw]) -> anyhow::Result<()> {
        for change in self.changes() {
            let mut somewhere = false;
            for Raw { event, bytes, .. } in raw.iter_mut() {
                let changed = change.apply(event).map_err(|error| Usage(error.to_string()))?;
                if changed != Changed::Elsewhere {
                    somewhere = true;
                    *bytes = fresh::bytes(event)?.into();
                }
            }
            if !somewhere {
                let path = change.path().written();
                return usage(format!("`{path}`: no event is about that resource"));
            }
        }
        Ok(())
    }
}

/// An event as it was found.
struct Raw {
    name: String,
    from: String,
    event: Value,
    bytes: Bytes,
}

/// Types hold no slash and none ends in `.json`; what lies in the working directory under a type's
/// name is no file of events.
fn is_path(given: &str) -> bool {
    given.contains('/') || given.ends_with(".json")
}

fn of_file(path: &Path) -> anyhow::Result<Raw> {
    let shown = path.display().to_string();
    let bytes = read_file(path)?;
    let event = serde_json::from_slice(&bytes)
        .map_err(|error| Usage(format!("{shown} is no JSON: {error}")))?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(Raw { name: name.unwrap_or_default(), from: shown, event, bytes: bytes.into() })
}

/// A file that the user named.
pub(super) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::NotFound => NotFound(text).into(),
            _ => anyhow::Error::new(error).context(path.display().to_string()),
        }
    })
}

/// This program's own events of a type or of a pattern. One that was taken before is another event, about
/// another object.
fn of_type(wanted: &str, now: Timestamp, raw: &mut Vec<Raw>) -> anyhow::Result<()> {
    for fixtures::Fixture { kind, mut event } in fixtures::find(wanted)? {
        let before = raw.iter().filter(|taken| taken.name == kind).count();
        let mut letters = SameLetters { seed: format!("{kind} {before}"), drawn: 0 };
        fresh::freshen(&mut event, &Identity::default(), now, &mut letters);
        let bytes = fresh::bytes(&event)?.into();
        raw.push(Raw { name: kind.clone(), from: kind, event, bytes });
    }
    Ok(())
}

/// Letters that are the same in every run.
struct SameLetters {
    seed: String,
    drawn: u32,
}

impl Letters for SameLetters {
    fn letters(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            self.drawn += 1;
            let digest = Sha256::digest(format!("{} {}", self.seed, self.drawn));
            text.extend(hex::encode(digest).chars().take(length - text.len()));
        }
        text
    }
}

/// The event in these bytes.
fn read(
    bytes: Bytes,
    providers: &Providers,
    now: Timestamp,
) -> anyhow::Result<(VerifiedEvent, Source)> {
    let value: Value = serde_json::from_slice(&bytes)?;
    if value.get("provider").is_some() && value.get("object").is_none() {
        let bare: Bare = serde_json::from_value(value).map_err(|error| {
            Usage(format!(
                "{error}; an event with a `provider` has `type`, `id` and `body` (or `text`, `base64`), \
                 and may have `content_type`, `attributes`, `reply`, `livemode`, `account`"
            ))
        })?;
        return bare.event(now);
    }
    let stripe = providers.get(STRIPE).context("this build has no provider `stripe`")?;
    let event = stripe.read(&bytes, now).map_err(|refused| {
        Usage(format!(
            "this is no event of Stripe's ({refused}); one of another provider is written \
             {{\"provider\": ..., \"type\": ..., \"id\": ..., \"body\": ...}}"
        ))
    })?;
    Ok((event, Source::Webhook))
}

impl Bare {
    fn event(self, now: Timestamp) -> anyhow::Result<(VerifiedEvent, Source)> {
        let (body, media) = match (self.text, self.base64) {
            (Some(text), None) => (text.into_bytes(), "text/plain"),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(&text);
                (
                    bytes.map_err(|error| Usage(format!("`base64`: {error}")))?,
                    "application/octet-stream",
                )
            }
            (None, None) => (serde_json::to_vec(&self.body)?, "application/json"),
            (Some(_), Some(_)) => return usage("a body is `text` or `base64`, not both"),
        };
        let key = EventKey { provider: self.provider, id: self.id };
        let media = self.content_type.unwrap_or_else(|| media.to_owned());
        let mut event = VerifiedEvent::vouched(key, self.kind, media, body.into());
        event.occurred_at = now;
        event.livemode = self.livemode;
        event.account = self.account;
        let made = || Made {
            effect: None,
            depth: 1,
            attributes: self.attributes.clone().unwrap_or_default().into_iter().collect(),
        };
        let source = match (self.reply, &self.attributes) {
            (true, _) => Source::Reply(made()),
            (false, Some(_)) => Source::Emitted(made()),
            (false, None) => Source::Webhook,
        };
        Ok((event, source))
    }
}
