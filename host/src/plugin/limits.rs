//! What one run of a guest may use, and how that is held.
//!
//! Not the figures themselves (`domain::plugin::Limits`) and not what happens when one is reached
//! (`plugin::outcome`).
//!
//! # Processor time: epochs, ticks and yields
//!
//! The compiler puts a cheap check at every loop head and function entry of a guest: has the
//! engine's *epoch*, one number in memory, passed this guest's deadline? A thread of the engine
//! adds one to the epoch every [`TICK`]. A guest's deadline is always the next tick, so a guest
//! that is running notices every tick; it then
//!
//! 1. ends as `OutOfTime` when the processor time it has used is over its limit;
//! 2. otherwise *yields*: its thread goes to the next guest that is ready, and the guest's timer
//!    by the clock gets its turn. The first time that it has used a tick or more, it goes on on a
//!    slow thread (see [`super::threads`]).
//!
//! What is used is measured by the kernel's own clock of the thread's processor time, read when a
//! guest goes on, when it stops and at its ticks. Waiting for the store costs a guest nothing, nor
//! does a machine that is busy with other things: neither is its doing. Ticks decide only when one
//! looks, so an endless loop with a limit of 200 ms ends within a tick of it.
//!
//! # Time by the clock
//!
//! A timer around the whole run, instantiation included. It ends a guest that waits as well as
//! one that runs, since every wait is a future that can be dropped and every run yields. What counts
//! is the run's own time ([`super::meter::OwnTime`]): on a machine or beside neighbours that leave it
//! no processor, a guest takes longer and does not fail for it.
//!
//! # Memory
//!
//! One [`MemoryBudget`] sees every growth of every linear memory and table of the store, initial
//! sizes included, and sums them. A growth beyond the limit is refused the way a machine without
//! memory refuses it: the guest is told and may carry on with what it has. If it then traps, that
//! is `OutOfMemory`.
//!
//! # What a guest hands to the host
//!
//! Strings and lists are copied into the host's memory before a host function sees them;
//! `hostcall_bytes` bounds that copy for each call, and the answer of `handle` as well. What the
//! host keeps of it is bounded by the limits of `kv`, `outbox` and `log`.

use std::time::Duration;

use wasmtime::{Error, ResourceLimiter, Result};

/// How often a running guest is interrupted: often enough that the clock's limits are met within
/// a hundredth of a second, seldom enough to cost nothing that can be measured.
pub const TICK: Duration = Duration::from_millis(10);

/// Largest component file in bytes. Default 64 MiB: the largest known toolchain output, a Python
/// interpreter, is 18 MiB; compiling takes many times the size in memory.
pub const MAX_COMPONENT: usize = 64 << 20;

/// Processor time of `describe`: it answers with a constant. Starting a Python interpreter takes
/// a few milliseconds of it.
pub const DESCRIBE_CPU: Duration = Duration::from_secs(1);

/// Time by the clock of `describe`, generous because the machine may be busy at start.
pub const DESCRIBE_WALL: Duration = Duration::from_secs(10);

/// Bytes one guest may hand to the host while it describes itself: a manifest is a few hundred.
pub const DESCRIBE_BYTES: u64 = 1 << 20;

/// Handles to host resources (streams, pollables) a guest may hold: runtimes hold a handful, and
/// each costs the host memory that no other limit sees.
pub const MAX_HANDLES: usize = 1_000;

/// Bytes of keys and lists of keys a delivery may have read: all of it is kept to be checked at
/// commit. 4 MiB are 8,000 keys of the greatest length.
pub const MAX_READ_SET: u64 = 4 << 20;

/// Keys of one page of `kv.keys`: 50 KiB at the greatest length of a key.
pub const KEYS_PER_PAGE: usize = 100;

/// Longest delay of an effect: a yearly timer, and a month to spare. Milliseconds would hold times
/// that no calendar has.
pub const MAX_DELAY: Duration = Duration::from_secs(400 * 86_400);

/// A delay from which on an event no longer counts as led to by the one at hand (see
/// `domain::notice::MAX_DEPTH`): a loop this slow harms nothing and may be what is wanted.
pub const BEGINS_ANEW: Duration = Duration::from_secs(60);

/// Bytes of a URL: what servers take at most.
pub const MAX_URL: usize = 8 << 10;

/// Headers of one request: what most servers take. Each costs the host more than its bytes.
pub const MAX_HEADERS: usize = 100;

/// Bytes of the type of an event that a plugin makes: it is part of keys of the store and of
/// labels of metrics. The longest of Stripe's has 67.
pub const MAX_KIND: usize = 128;

/// Bytes of a table's element.
const TABLE_ELEMENT: u64 = 8;

/// Bytes over all linear memories and tables of a store.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    limit: u64,
    held: u64,
    peak: u64,
    /// The growth allowed last, until its success shows: only the next call tells.
    last: u64,
    denied: bool,
}

impl MemoryBudget {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, held: 0, peak: 0, last: 0, denied: false }
    }

    /// Most bytes that may be held.
    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Most bytes held at once.
    pub(super) const fn peak(&self) -> u64 {
        self.peak
    }

    /// Whether a growth was refused or failed.
    pub(super) const fn denied(&self) -> bool {
        self.denied
    }

    fn grow(&mut self, more: u64) -> bool {
        match self.held.checked_add(more) {
            Some(held) if held <= self.limit => {
                self.last = more;
                self.held = held;
                self.peak = self.peak.max(held);
                true
            }
            _ => {
                self.denied = true;
                false
            }
        }
    }

    fn failed(&mut self) {
        self.denied = true;
        self.held = self.held.saturating_sub(std::mem::take(&mut self.last));
    }
}

fn bytes(count: usize, each: u64) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(each)
}

impl ResourceLimiter for MemoryBudget {
    fn memory_growing(&mut self, now: usize, then: usize, _most: Option<usize>) -> Result<bool> {
        Ok(self.grow(bytes(then.saturating_sub(now), 1)))
    }

    fn memory_grow_failed(&mut self, _cause: Error) -> Result<()> {
        self.failed();
        Ok(())
    }

    fn table_growing(&mut self, now: usize, then: usize, _most: Option<usize>) -> Result<bool> {
        Ok(self.grow(bytes(then.saturating_sub(now), TABLE_ELEMENT)))
    }

    fn table_grow_failed(&mut self, _cause: Error) -> Result<()> {
        self.failed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_summed_over_everything() {
        let mut budget = MemoryBudget::new(1_000);
        assert!(budget.memory_growing(0, 600, None).unwrap());
        assert!(budget.table_growing(0, 50, None).unwrap());
        assert!(!budget.denied());
        assert!(!budget.table_growing(0, 1, None).unwrap());
        assert!(budget.denied());
        assert_eq!(budget.peak(), 1_000);
    }

    #[test]
    fn a_growth_that_failed_is_given_back() {
        let mut budget = MemoryBudget::new(1_000);
        assert!(budget.memory_growing(0, 900, None).unwrap());
        budget.memory_grow_failed(Error::msg("no")).unwrap();
        assert!(budget.denied());
        assert!(budget.memory_growing(0, 1_000, None).unwrap());
    }
}
