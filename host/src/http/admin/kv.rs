//! `/plugins/{name}/kv`: a plugin's own state.
//!
//! Of a plugin that is not loaded as well: its state is still there.

use axum::extract::State;
use serde::Serialize;

use super::body::readable;
use super::list::List;
use super::params::{Name, Params, invalid};
use super::reply::{missing, ok};
use super::{Answer, App};
use crate::domain::kv::{KvRange, KvVersion, MAX_KEY};
use crate::domain::plugin::PluginName;

/// A key and its value.
#[derive(Debug, Serialize)]
struct KvView {
    object: &'static str,
    /// The key.
    id: String,
    key: String,
    value: String,
    /// Of `value`: `utf8`, or `base64` where it is no text.
    encoding: &'static str,
    size: usize,
    version: KvVersion,
}

/// `GET /plugins/{name}/kv`: in ascending order of keys.
pub(super) async fn list(State(app): State<App>, Name(name): Name, mut params: Params) -> Answer {
    let plugin: PluginName = name.parse().map_err(|_| {
        missing("plugin", &name, "a name is in lower-case kebab-case, e.g. `charge-counter`")
    })?;
    let prefix = params.text("prefix")?.unwrap_or_default();
    if prefix.len() > MAX_KEY {
        return Err(invalid("prefix", format!("no key is longer than {MAX_KEY} bytes")));
    }
    let limit = params.limit()?;
    let after = params.text("starting_after")?;
    params.finish()?;

    let range = KvRange { prefix, after, limit };
    let page = app.deps.store.kv_keys(&plugin, &range).await?;
    let mut data = Vec::with_capacity(page.keys.len());
    for key in page.keys {
        // Keys may go between the two reads; what is gone is not shown.
        let Some(entry) = app.deps.store.kv_get(&plugin, &key).await? else { continue };
        let size = entry.value.len();
        let (value, encoding) = readable(entry.value);
        let id = key.clone();
        data.push(KvView { object: "kv", id, key, value, encoding, size, version: entry.version });
    }
    ok(&List::new(format!("/api/v1/plugins/{plugin}/kv"), data, page.next.is_some()))
}
