//! The black-box suite: one binary, so that it links once.
//!
//! Each module proves one promise or one surface through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so by a panic, and one cleans its environment"
)]

mod bindings;
mod conformance;
mod crash;
mod crash_effects;
mod endpoints;
mod examples;
mod guides;
mod histories;
mod localstripe;
mod migration;
mod ordering;
mod poison;
mod providers;
mod quickstart;
mod reconcile;
mod refresh;
mod refused;
mod reload;
mod sandbox;
mod senders;
mod thin;
mod tidy;
mod workbench;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use signalbox_tests::host::Host;

/// What the plugin `name`, made by `components::counter`, has counted.
async fn count(host: &Host, name: &str) -> u64 {
    let entries = host.list(&format!("/plugins/{name}/kv")).await.unwrap();
    let Some(entry) = entries.iter().find(|entry| entry["key"] == "count") else { return 0 };
    number(entry)
}

/// The number that an entry of a plugin's state holds: eight bytes, the lowest first.
fn number(entry: &Value) -> u64 {
    let value = entry["value"].as_str().unwrap();
    let bytes = match entry["encoding"].as_str().unwrap() {
        "utf8" => value.as_bytes().to_vec(),
        _ => STANDARD.decode(value).unwrap(),
    };
    u64::from_le_bytes(bytes.try_into().unwrap())
}
