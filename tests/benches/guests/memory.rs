//! What this process has of the machine's memory, as the kernel counts it.

use std::fs;

use anyhow::{Context as _, Result};

/// Bytes that are this process's alone: what it wrote, and nothing that a file's cache holds.
pub(crate) fn private() -> Result<u64> {
    field("/proc/self/smaps_rollup", "Private_Dirty:")
}

/// Bytes resident now.
pub(crate) fn resident() -> Result<u64> {
    field("/proc/self/status", "VmRSS:")
}

/// Most bytes resident at once since [`forget_peak`].
pub(crate) fn peak() -> Result<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Begin to look for a peak anew.
pub(crate) fn forget_peak() -> Result<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

fn field(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.starts_with(name)).context("no such field")?;
    let kilobytes: u64 =
        line.split_whitespace().nth(1).context("a field without a number")?.parse()?;
    Ok(kilobytes << 10)
}
