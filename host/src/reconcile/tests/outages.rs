//! Ten thousand outages, simulated: whatever happens in them, no event stays missed.
//!
//! In each world events happen at random seconds and show in the list up to eight minutes late;
//! half of the webhooks that come while the host is up never reach it, and none while it is down. The host is
//! down for seconds or for days, its clock is wrong at times, and its looks are answered with every
//! fault there is or end in the middle, as by a kill.

use std::collections::BTreeSet;
use std::time::Duration;

use super::stand_in::{Fault, NOW, Setup};
use super::*;
use crate::store::memory::event;

const WORLDS: u64 = 250;
const OUTAGES: u64 = 40;

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

struct World {
    setup: Setup,
    dice: Dice,
    made: u64,
    figures: Figures,
}

#[derive(Default)]
struct Figures {
    events: u64,
    taken: u64,
    looks: u64,
    failed: u64,
    killed: u64,
}

impl World {
    /// Time passes, and things happen at Stripe in it.
    async fn pass(&mut self, seconds: u64, up: bool) {
        let begin = self.setup.list.now.as_secs();
        let mut stamps: Vec<_> =
            (0..self.dice.below(8)).map(|_| begin + self.dice.below(seconds.max(1))).collect();
        stamps.sort_unstable();
        for stamp in stamps {
            self.made += 1;
            let id = format!("evt_{}", self.made);
            let late = if self.dice.one_in(4) { self.dice.below(480) } else { 0 };
            self.setup.list.put(None, &id, stamp, stamp + late);
            if up && self.dice.one_in(2) {
                let new = NewEvent {
                    event: event(&id, "customer.updated"),
                    endpoint: self.setup.home,
                    received_at: Timestamp::from_secs(stamp),
                    source: Source::Webhook,
                    plugins: Vec::new(),
                };
                self.setup.store.accept(vec![new]).await.unwrap();
            }
        }
        self.setup.pass(Duration::from_secs(seconds));
    }

    /// One look, which may fail, or be killed in its middle.
    async fn look(&mut self) {
        let faults = [
            Fault::Status(429),
            Fault::Status(500),
            Fault::Status(401),
            Fault::Garbage,
            Fault::Timeout,
            Fault::Loop,
        ];
        if self.dice.one_in(3) {
            let fault = faults[usize::try_from(self.dice.below(6)).unwrap()];
            let after = usize::try_from(self.dice.below(6)).unwrap();
            self.setup.list.fail_after(after, fault);
        }
        self.figures.looks += 1;
        if self.dice.one_in(8) {
            let after = usize::try_from(self.dice.below(6)).unwrap();
            self.setup.list.fail_after(after, Fault::Hang);
            self.figures.killed += 1;
            // Nothing wakes a look that hangs: it is dropped where it stands.
            tokio::select! {
                biased;
                _ = self.setup.look() => {}
                () = async { for _ in 0..2_000 { tokio::task::yield_now().await } } => {}
            }
            self.setup.renew();
        } else {
            match self.setup.look().await {
                Ok(found) => self.figures.taken += found.missed,
                Err(_) => self.figures.failed += 1,
            }
        }
        self.setup.list.faults.clear();
    }

    async fn outage(&mut self) {
        // Down.
        let longest = [60, 3_600, 86_400, 4 * 86_400][usize::try_from(self.dice.below(4)).unwrap()];
        let down = self.dice.below(longest);
        self.pass(down, false).await;
        // Up again, perhaps with a clock that is wrong, until it is set right.
        let right = self.setup.list.now;
        if self.dice.one_in(5) {
            let wrong = Duration::from_secs(self.dice.below(3 * 86_400));
            let wrong = if self.dice.one_in(2) { right.plus(wrong) } else { right.minus(wrong) };
            self.setup.clock.set(wrong);
        }
        self.setup.renew();
        for _ in 0..=self.dice.below(3) {
            self.look().await;
            self.pass(300, true).await;
        }
        let right = self.setup.list.now;
        self.setup.clock.set(right);
    }
}

#[tokio::test]
async fn ten_thousand_outages_and_no_event_is_missed() {
    let seed = u64::from(std::process::id());
    let mut sum = Figures::default();
    for world in 0..WORLDS {
        let mut setup = Setup::new();
        setup.list.page = 1 + usize::try_from(world % 9).unwrap();
        setup.config(|config| config.held_events = 1 + usize::try_from(world % 13).unwrap());
        setup.mark("default", NOW.as_secs());
        let dice = Dice(seed ^ (world << 32));
        let mut world = World { setup, dice, made: 0, figures: Figures::default() };
        for _ in 0..OUTAGES {
            world.outage().await;
        }
        // The last one is over, and nothing goes wrong any more.
        world.pass(1_200, true).await;
        let found = world.setup.look().await.unwrap();
        world.setup.pass(Duration::from_secs(1_200));
        let rest = world.setup.look().await.unwrap();
        world.figures.taken += found.missed + rest.missed;

        let kept = world.setup.store.kept();
        let ids: BTreeSet<_> = kept.iter().map(|event| event.event.key.id.clone()).collect();
        assert_eq!(ids.len(), kept.len(), "seed {seed}: taken twice");
        let missed: Vec<_> =
            (1..=world.made).filter(|n| !ids.contains(&format!("evt_{n}"))).collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?} of {} are missed", world.made);
        sum.events += world.made;
        sum.taken += world.figures.taken;
        sum.looks += world.figures.looks;
        sum.failed += world.figures.failed;
        sum.killed += world.figures.killed;
    }
    println!(
        "seed {seed}: {} outages, {} events, {} taken from the list, {} looks, {} failed, {} \
         killed, 0 missed",
        WORLDS * OUTAGES,
        sum.events,
        sum.taken,
        sum.looks,
        sum.failed,
        sum.killed
    );
    assert!(sum.failed > 0 && sum.killed > 0 && sum.taken > sum.events / 3);
}
