//! What handlers find before the first event: state, and objects of the provider.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::domain::clock::Timestamp;
use crate::domain::kv::KvWrite;
use crate::domain::object::{Fetched, ObjectKey};
use crate::domain::plugin::PluginName;
use crate::provider::Providers;
use crate::workbench::Bench;

use super::super::exit::Usage;
use super::cases::{Case, read_file};
use super::usage;

/// How long before the earliest event the objects were fetched: each event tells of something later.
const BEFORE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(super) struct SeedArgs {
    /// State before the first event: JSON, {"KEY": VALUE}. A text is its bytes, {"base64": "..."} other
    /// bytes, anything else its JSON. With several plugins {"PLUGIN": {"KEY": VALUE}}
    #[arg(long, value_name = "FILE.json")]
    state: Vec<PathBuf>,
    /// An object of Stripe's that `objects.get` finds: JSON, one or a list
    #[arg(long, value_name = "FILE.json")]
    object: Vec<PathBuf>,
}

/// `KEY=VALUE`
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a setting is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl SeedArgs {
    pub(super) fn sow(
        &self,
        bench: &Bench,
        providers: &Providers,
        cases: &[Case],
    ) -> anyhow::Result<()> {
        let plugins: Vec<PluginName> =
            bench.plugins().map(|plugin| plugin.manifest().name.clone()).collect();
        for file in &self.state {
            let told = |cause: String| Usage(format!("{}: {cause}", file.display()));
            let state = table(&read_file(file)?).map_err(told)?;
            for (plugin, state) in by_plugin(state, &plugins).map_err(told)? {
                let writes = state.iter().map(|(key, value)| {
                    Ok(KvWrite::Put { key: key.clone(), value: bytes(value)? })
                });
                let writes: Vec<_> = writes.collect::<Result<_, String>>().map_err(told)?;
                bench.scratch().write(&plugin, &writes);
            }
        }
        for file in &self.object {
            let raw = read_file(file)?;
            let value: Value = serde_json::from_slice(&raw)
                .map_err(|error| Usage(format!("{} is no JSON: {error}", file.display())))?;
            let bodies = match value {
                Value::Array(list) => list.iter().map(|one| Bytes::from(one.to_string())).collect(),
                // As it stands there.
                _ => vec![Bytes::copy_from_slice(raw.trim_ascii())],
            };
            if hold(&bodies, bench, providers, cases) == 0 {
                return usage(format!(
                    "{} holds no object of Stripe's: one has an `id` and an `object`",
                    file.display()
                ));
            }
        }
        Ok(())
    }
}

/// Values by key.
type State = Map<String, Value>;

fn table(raw: &[u8]) -> Result<State, String> {
    serde_json::from_slice(raw).map_err(|error| format!("it is no JSON object: {error}"))
}

/// The state of each plugin.
fn by_plugin(state: State, plugins: &[PluginName]) -> Result<Vec<(PluginName, State)>, String> {
    if let [only] = plugins {
        return Ok(vec![(only.clone(), state)]);
    }
    let of = |(name, state): (String, Value)| {
        let plugin = plugins.iter().find(|plugin| plugin.as_str() == name);
        match (plugin, state) {
            (Some(plugin), Value::Object(state)) => Ok((plugin.clone(), state)),
            (Some(_), _) => Err(format!("the state of `{name}` is no JSON object")),
            (None, _) => {
                let names: Vec<&str> = plugins.iter().map(PluginName::as_str).collect();
                let names = names.join(", ");
                Err(format!("`{name}` is no plugin here; with several, each has its own: {names}"))
            }
        }
    };
    state.into_iter().map(of).collect()
}

fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    if let Value::String(text) = value {
        return Ok(text.clone().into_bytes());
    }
    let coded = value.as_object().filter(|table| table.len() == 1);
    if let Some(text) = coded.and_then(|table| table.get("base64")).and_then(Value::as_str) {
        return STANDARD.decode(text).map_err(|error| format!("`base64`: {error}"));
    }
    Ok(value.to_string().into_bytes())
}

/// Have objects in both modes, and in each account of the events. Answers how many there are.
fn hold(bodies: &[Bytes], bench: &Bench, providers: &Providers, cases: &[Case]) -> usize {
    let earliest = cases.iter().map(|case| case.event.occurred_at).min().unwrap_or_default();
    let began: Timestamp = earliest.minus(BEFORE);
    let mut accounts: BTreeSet<Option<String>> =
        cases.iter().map(|case| case.event.account.clone()).collect();
    accounts.insert(None);
    let mut count = 0;
    for body in bodies {
        let sightings = providers.get("stripe").map(|stripe| stripe.fetched_objects(body, began));
        for sighting in sightings.unwrap_or_default() {
            count += 1;
            for (livemode, account) in
                [false, true].into_iter().flat_map(|mode| accounts.iter().map(move |a| (mode, a)))
            {
                let key = ObjectKey {
                    provider: "stripe".to_owned(),
                    livemode,
                    kind: sighting.kind.clone(),
                    account: account.clone(),
                    id: sighting.id.clone(),
                };
                bench.scratch().hold(Fetched { key, began, found: Some(sighting.clone()) });
            }
        }
    }
    count
}
