//! What the demo prints of an attempt.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::dispatch::Ended;
use crate::domain::delivery::{LogLevel, Status};

/// One attempt: the plugin, how it ended, what it said.
pub(super) fn attempt(ended: &Arc<Ended>) -> String {
    let attempt = &ended.attempt;
    let status = match ended.status {
        Status::Done => "done",
        Status::Dead => "dead",
        Status::Retry => "retry",
        Status::Pending => "pending",
        Status::Running => "running",
        Status::Parked => "parked",
    };
    let micros = attempt.usage.wall.as_micros();
    let mut text = format!(
        "    {:<26} {:<24} {status:<5} attempt {}, {}.{:03} ms",
        ended.event.event.kind,
        ended.delivery.plugin.as_str(),
        attempt.number,
        micros / 1_000,
        micros % 1_000,
    );
    // Writing to a string cannot fail.
    if !attempt.reason.is_empty() {
        let first = attempt.reason.lines().next().unwrap_or_default();
        let _ = write!(text, "\n        {first}");
    }
    for record in &attempt.logs.records {
        let level = match record.level {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let _ = write!(text, "\n        {level}: {}", record.message);
    }
    text
}
