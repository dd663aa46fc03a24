//! How a run ended: one of the closed [`Outcome`], and the reason in words.

use std::any::Any;

use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::guest::Guest;
use crate::domain::delivery::Outcome;

/// Bytes of a reason: a message and a guest's stack.
const MAX_REASON: usize = 4 << 10;

/// A run that gave no answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) outcome: Outcome,
    pub(super) reason: String,
}

impl Fault {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: bounded(reason.into()) }
    }

    /// The timer ended it.
    pub(super) fn out_of_wall(limit: std::time::Duration) -> Self {
        let limit = humantime::format_duration(limit);
        Self::new(Outcome::OutOfTime, format!("it ran longer than its {limit} by the clock"))
    }

    /// The host's own code panicked while the guest called it.
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "without a message".to_owned());
        Self::new(Outcome::HostFault, format!("the host panicked: {text}"))
    }

    /// wasmtime ended it. What the host's side of the guest knows decides before the kind of
    /// error does: a guest that was refused memory may trap in any way it likes.
    pub(super) fn of(error: &Error, guest: &Guest, cpu: std::time::Duration) -> Self {
        if let Some(fault) = &guest.fault {
            return Self::new(Outcome::HostFault, fault.as_str());
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::new(Outcome::Saturated, format!("no room to run it now: {error}"));
        }
        if guest.out_of_cpu {
            let limit = humantime::format_duration(cpu);
            let reason = format!("it used more than its {limit} of processor time");
            return Self::new(Outcome::OutOfTime, with_stack(reason, error));
        }
        if guest.memory.denied() {
            let reason = format!(
                "it asked for more than its {} bytes of memory and failed: {}",
                guest.memory.limit(),
                error.root_cause()
            );
            return Self::new(Outcome::OutOfMemory, with_stack(reason, error));
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            let reason = format!("it called `exit` with status {}", exit.0);
            return Self::new(Outcome::Crashed, with_stack(reason, error));
        }
        // The system's refusal (of memory, mostly) and not the guest's trap.
        let trapped = error.is::<Trap>() || error.is::<WasmBacktrace>();
        if !trapped && error.chain().any(|cause| cause.is::<std::io::Error>()) {
            return Self::new(Outcome::HostFault, format!("the host could not run it: {error:#}"));
        }
        Self::new(Outcome::Crashed, with_stack(error.root_cause().to_string(), error))
    }
}

/// A reason is kept with the attempt, whoever gave it.
pub(super) fn bounded(mut reason: String) -> String {
    if reason.len() > MAX_REASON {
        reason.truncate(reason.floor_char_boundary(MAX_REASON));
        reason.push_str("... (cut)");
    }
    reason
}

fn with_stack(reason: String, error: &Error) -> String {
    match error.downcast_ref::<WasmBacktrace>() {
        Some(stack) if !stack.frames().is_empty() => format!("{reason}\n{stack}"),
        _ => reason,
    }
}
