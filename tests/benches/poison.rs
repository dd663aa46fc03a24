//! What a plugin that fails at the full rate of its events does to the p99 of acknowledgements, for
//! each way to fail. The aim: less than half.
//!
//! Not a test: the suite has bounds for what must never happen.
//!
//! `cargo bench -p signalbox-tests --bench poison [-- TURNS]`

use anyhow::Result;
use signalbox_tests::poison::{self, Measured};

fn main() -> Result<()> {
    // `cargo bench` passes flags of its own.
    let turns = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(9);
    println!("{:<16} {:>10} {:>10} {:>10}", "poison", "p99 calm", "p99", "ratio");
    let tell = |one: &Measured| {
        let Some((calm, poisoned)) = one.quietest() else { return };
        let ratio = one.ratio();
        println!("{:<16} {:>10.2?} {:>10.2?} {ratio:>10.2}", one.name, calm.p99, poisoned.p99);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(poison::measure(turns, tell))?;
    Ok(())
}
