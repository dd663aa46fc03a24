//! What receiving costs: the real listener against a bare one, under the same client in one run.
//!
//! The bare server is hyper reading the body, checking the HMAC and answering: the least that any
//! honest receiver does. 64 kept-alive connections send Stripe's fixtures, each with an id and a
//! signature of its own. Rounds alternate, so that a slow minute of the machine hits all alike.
//!
//! `cargo bench -p signalbox-tests --bench http [-- EVENTS_PER_ROUND [ROUNDS]]`

mod bare;
mod client;
mod receiver;

use std::net::SocketAddr;
use std::time::Duration;

use client::Round;
use tokio::runtime::Runtime;

/// The secret of the one endpoint.
const SECRET: &str = "whsec_bench";

/// What is measured: its name and where it listens.
struct Subject {
    name: &'static str,
    addr: SocketAddr,
    rounds: Vec<Round>,
}

fn main() -> anyhow::Result<()> {
    // `cargo bench` passes flags of its own.
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse().ok());
    let events = numbers.next().unwrap_or(20_000);
    let rounds = numbers.next().unwrap_or(5);

    let (servers, clients) = (Runtime::new()?, Runtime::new()?);
    let mut subjects = vec![Subject {
        name: "bare hyper and HMAC",
        addr: servers.block_on(bare::start())?,
        rounds: Vec::new(),
    }];
    let dir = tempfile::tempdir()?;
    for (name, store) in receiver::stores(dir.path())? {
        let addr = servers.block_on(receiver::start(store))?;
        subjects.push(Subject { name, addr, rounds: Vec::new() });
    }
    for round in 0..=rounds {
        for subject in &mut subjects {
            let measured = clients.block_on(client::round(subject.addr, events))?;
            // The first one warms up.
            if round > 0 {
                subject.rounds.push(measured);
            }
        }
    }
    print(&subjects, events);
    Ok(())
}

fn print(subjects: &[Subject], events: usize) {
    let connections = client::CONNECTIONS;
    let size = client::mean_size();
    println!(
        "{events} events a round, mean {size} B, {connections} connections; medians of rounds"
    );
    println!("{:<28} {:>10} {:>10} {:>10} {:>8}", "", "events/s", "p50", "p99", "ratio");
    let rate = |subject: &Subject| median(subject.rounds.iter().map(|round| round.rate));
    let limit = subjects.first().map_or(0.0, rate);
    for subject in subjects {
        let time = |at: fn(&Round) -> Duration| {
            Duration::from_secs_f64(median(subject.rounds.iter().map(|r| at(r).as_secs_f64())))
        };
        let (rate, p50, p99) = (rate(subject), time(|r| r.p50), time(|r| r.p99));
        let ratio = rate / limit;
        println!("{:<28} {rate:>10.0} {p50:>10.2?} {p99:>10.2?} {ratio:>8.2}", subject.name);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
