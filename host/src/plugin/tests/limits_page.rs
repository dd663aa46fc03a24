//! The page of limits names every limit there is, with its default.

use serde_json::Value;

use crate::domain::plugin::Limits;
use crate::plugin::compile::{MAX_CPU, MAX_MEMORY};
use crate::plugin::limits::{DESCRIBE_CPU, DESCRIBE_WALL, MAX_COMPONENT};

const PAGE: &str = include_str!("../../../../docs/authors/limits.md");

/// As people write it.
fn written(name: &str, value: &Value) -> String {
    if let Some(seconds) = value.get("secs") {
        return format!("{seconds} s");
    }
    let number = value.as_u64().unwrap();
    let bytes = name == "memory" || name == "kv_quota" || name == "kv_value" || name == "kv_writes";
    match number {
        _ if !(bytes || name.ends_with("_bytes")) => number.to_string(),
        n if n >= 1 << 20 => format!("{} MiB", n >> 20),
        n => format!("{} KiB", n >> 10),
    }
}

#[test]
fn every_limit_is_on_the_page_with_its_default() {
    let Value::Object(limits) = serde_json::to_value(Limits::default()).unwrap() else {
        panic!("limits are a table")
    };
    assert_eq!(limits.len(), 14);
    for (name, value) in limits {
        let row = format!("| `{name}` | {} |", written(&name, &value));
        assert!(PAGE.contains(&row), "the page has no {row}");
    }
    for row in [
        format!("| a component | {} MiB |", MAX_COMPONENT >> 20),
        format!("| {} GiB of memory, {MAX_CPU} s of processor time", MAX_MEMORY >> 30),
        format!(
            "| `describe` | {} s of processor time, {} s by the clock",
            DESCRIBE_CPU.as_secs(),
            DESCRIBE_WALL.as_secs()
        ),
    ] {
        assert!(PAGE.contains(&row), "the page has no {row}");
    }
}
