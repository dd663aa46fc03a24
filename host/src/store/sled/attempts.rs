//! Attempts between the domain and their rows.
//!
//! Times of use are kept to the microsecond.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::delivery as domain;

use super::error::RowError;
use super::names::Names;
use super::rows;
use super::write_set::View;

/// Bytes of log records that the kept attempts of one delivery hold together; above, the oldest
/// attempts lose theirs (they are counted as dropped). Bounds what each further attempt rewrites.
pub(super) const HISTORY_LOG_BYTES: usize = 32 << 10;

/// `history` with one attempt more, within its bounds.
pub(super) fn extend(mut history: Vec<rows::Attempt>, last: rows::Attempt) -> Vec<rows::Attempt> {
    history.push(last);
    let excess = history.len().saturating_sub(domain::Delivery::KEPT_ATTEMPTS);
    history.drain(..excess);
    let mut bytes = 0;
    for (age, attempt) in history.iter_mut().rev().enumerate() {
        bytes += attempt.logs.iter().map(log_size).sum::<usize>();
        if age > 0 && bytes > HISTORY_LOG_BYTES {
            attempt.dropped += attempt.logs.len() as u64;
            attempt.logs.clear();
        }
    }
    history
}

fn log_size(record: &rows::LogRecord) -> usize {
    let attributes = record.attributes.iter().map(|(name, value)| name.len() + value.len());
    record.message.len() + attributes.sum::<usize>() + 8
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The row of an attempt.
pub(super) fn row(view: &mut View<'_>, names: &Names, attempt: domain::Attempt) -> rows::Attempt {
    let logs = attempt.logs.records.into_iter();
    rows::Attempt {
        number: attempt.number,
        started_at: attempt.started_at.as_millis(),
        digest: names.digest(view, attempt.digest),
        outcome: match attempt.outcome {
            domain::Outcome::Ok => rows::Outcome::Ok,
            domain::Outcome::Retry => rows::Outcome::Retry,
            domain::Outcome::Reject => rows::Outcome::Reject,
            domain::Outcome::Crashed => rows::Outcome::Crashed,
            domain::Outcome::OutOfTime => rows::Outcome::OutOfTime,
            domain::Outcome::OutOfMemory => rows::Outcome::OutOfMemory,
            domain::Outcome::HostFault => rows::Outcome::HostFault,
            domain::Outcome::Saturated => rows::Outcome::Saturated,
        },
        reason: attempt.reason,
        cpu_micros: micros(attempt.usage.cpu),
        wall_micros: micros(attempt.usage.wall),
        memory: attempt.usage.memory,
        kv_operations: attempt.usage.kv_operations,
        logs: logs
            .map(|record| rows::LogRecord {
                level: match record.level {
                    domain::LogLevel::Trace => 0,
                    domain::LogLevel::Debug => 1,
                    domain::LogLevel::Info => 2,
                    domain::LogLevel::Warn => 3,
                    domain::LogLevel::Error => 4,
                },
                message: record.message,
                attributes: record.attributes,
            })
            .collect(),
        dropped: attempt.logs.dropped,
    }
}

/// An attempt as the domain shows it.
pub(super) fn show(names: &Names, row: rows::Attempt) -> Result<domain::Attempt, RowError> {
    let logs = row.logs.into_iter();
    Ok(domain::Attempt {
        number: row.number,
        started_at: Timestamp::from_millis(row.started_at),
        digest: names.code_digest(row.digest)?,
        outcome: match row.outcome {
            rows::Outcome::Ok => domain::Outcome::Ok,
            rows::Outcome::Retry => domain::Outcome::Retry,
            rows::Outcome::Reject => domain::Outcome::Reject,
            rows::Outcome::Crashed => domain::Outcome::Crashed,
            rows::Outcome::OutOfTime => domain::Outcome::OutOfTime,
            rows::Outcome::OutOfMemory => domain::Outcome::OutOfMemory,
            rows::Outcome::HostFault => domain::Outcome::HostFault,
            rows::Outcome::Saturated => domain::Outcome::Saturated,
        },
        reason: row.reason,
        usage: domain::Usage {
            cpu: Duration::from_micros(row.cpu_micros),
            wall: Duration::from_micros(row.wall_micros),
            memory: row.memory,
            kv_operations: row.kv_operations,
        },
        logs: domain::Logs {
            records: logs
                .map(|record| domain::LogRecord {
                    level: match record.level {
                        0 => domain::LogLevel::Trace,
                        1 => domain::LogLevel::Debug,
                        2 => domain::LogLevel::Info,
                        3 => domain::LogLevel::Warn,
                        _ => domain::LogLevel::Error,
                    },
                    message: record.message,
                    attributes: record.attributes,
                })
                .collect(),
            dropped: row.dropped,
        },
    })
}
