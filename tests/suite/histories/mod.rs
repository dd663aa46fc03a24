//! Random histories of everything the store and those around it do (accept, run, settle, perform,
//! crash, restart, replay, pause, reload, cancel, steps of the clock), each against a model of the
//! promises. Chance and time come from a seed; a history that breaks a promise prints its seed and
//! what happened.
//!
//! The store is real. Guests and the world outside are functions of the seed, so that a history
//! needs no threads and no waiting. Not the dispatcher's own loop and not real guests: `crash` and
//! `reload` drive those.
//!
//! `SIGNALBOX_HISTORIES=5000` runs as many.

mod effects;
mod guest;
mod model;
mod settle;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use signalbox_tests::dice::Dice;

use world::World;

/// Histories of one run of the suite: most of what breaks a promise breaks it within a hundred.
const HISTORIES: u64 = 400;
/// Steps of one history, at most.
const STEPS: u64 = 120;

/// Says how to repeat a history that ends in a panic.
struct Told(u64, Vec<String>);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.1.len().saturating_sub(60);
            eprintln!("--- the history so far:\n{}", self.1[last..].join("\n"));
            eprintln!("--- repeat it: SIGNALBOX_SEED={} SIGNALBOX_HISTORIES=1", self.0);
        }
    }
}

async fn history(seed: u64) -> (usize, usize) {
    let mut told = Told(seed, Vec::new());
    let mut dice = Dice::new(seed);
    let steps = 20 + dice.below(STEPS - 20);
    let mut world = World::new(dice);
    for _ in 0..steps {
        let did = world.step().await;
        told.1.push(did);
    }
    told.1.push("to its end".to_owned());
    world.end().await;
    (world.model.deliveries.len(), world.model.effects.len())
}

#[test]
fn no_history_breaks_a_promise() {
    let histories = std::env::var("SIGNALBOX_HISTORIES").ok();
    let histories = histories.map_or(HISTORIES, |n| n.parse().unwrap());
    // `of_run` says the seed; each history adds its number to it.
    let seed = Dice::of_run().seed();
    let next = AtomicU64::new(0);
    let (deliveries, effects) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= histories {
                        break;
                    }
                    let (d, e) = runtime.block_on(history(seed.wrapping_add(number)));
                    deliveries.fetch_add(d as u64, Ordering::Relaxed);
                    effects.fetch_add(e as u64, Ordering::Relaxed);
                }
            });
        }
    });
    println!("{histories} histories, {deliveries:?} deliveries, {effects:?} effects");
    assert!(histories < 10 || deliveries.into_inner() > histories, "too little happened");
    assert!(histories < 10 || effects.into_inner() > histories, "too little happened");
}
