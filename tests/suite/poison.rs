//! A plugin that fails in each way there is, at the full rate of its events, and acknowledgements
//! that do not wait for it.

use std::time::Duration;

use signalbox_tests::poison;

/// Turns of each host for each poison.
const TURNS: usize = 3;
/// The aim is 1.5, which `cargo bench --bench poison` measures on a machine that does nothing else.
/// Here other tests run at the same time.
const WORST: f64 = 4.0;
/// What a busy machine makes of half of the acknowledgements, and of the slowest: differences below
/// are its own. One that waits for a guest waits for as long as a guest may compute, a second.
const NOISE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

#[tokio::test(flavor = "multi_thread")]
async fn no_poison_moves_the_acknowledgements_by_much() {
    let measured = poison::measure(TURNS, |_| {}).await.unwrap();
    let mut broken = Vec::new();
    for one in measured {
        let (calm, poisoned) = one.quietest().unwrap();
        println!("{:<16} calm {calm:?}, beside it {poisoned:?}: {:.2}", one.name, one.ratio());
        let moved = |calm: Duration, poisoned: Duration, noise| {
            poisoned > calm.mul_f64(WORST) && poisoned > calm + noise
        };
        if moved(calm.p50, poisoned.p50, NOISE.0) || moved(calm.p99, poisoned.p99, NOISE.1) {
            broken.push(one.name);
        }
    }
    assert!(broken.is_empty(), "{broken:?} moved the acknowledgements");
}
