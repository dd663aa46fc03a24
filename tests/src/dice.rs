//! Chance that one number repeats.

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of `SIGNALBOX_SEED`, or else of the present second; says which, so that a run
    /// that failed can be repeated.
    ///
    /// # Panics
    /// When the variable holds no number.
    #[must_use]
    #[expect(clippy::disallowed_methods, clippy::expect_used, reason = "a test's own setting")]
    pub fn of_run() -> Self {
        let given = std::env::var("SIGNALBOX_SEED").ok();
        let given = given.map(|seed| seed.parse().expect("SIGNALBOX_SEED is a number"));
        let seed = given.unwrap_or_else(crate::stripe::now);
        println!("SIGNALBOX_SEED={seed}");
        Self::new(seed)
    }

    /// The seed that repeats the sequence from here.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.0
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
