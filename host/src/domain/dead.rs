//! Dead deliveries that died of the same: one group for one error of one plugin.
//!
//! Not the keeping of them (`store`).

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::clock::Timestamp;
use super::delivery::{DeliveryId, Outcome};
use super::plugin::PluginName;

/// Names a group. Written as sixteen hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeadGroupId(pub u64);

impl fmt::Display for DeadGroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not a group's identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a group of dead deliveries; one looks like `0f3a9c0d5e6b7a81`")]
pub struct DeadGroupIdError(pub String);

impl FromStr for DeadGroupId {
    type Err = DeadGroupIdError;

    fn from_str(text: &str) -> Result<Self, DeadGroupIdError> {
        let bad = || DeadGroupIdError(text.to_owned());
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| bad())
    }
}

/// Deliveries that died alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadGroup {
    /// Its name.
    pub id: DeadGroupId,
    /// Whose they are.
    pub plugin: PluginName,
    /// How many.
    pub count: u64,
    /// When the event of the first of them, in order of acceptance, was accepted.
    pub oldest: Timestamp,
    /// The newest of them, in order of acceptance: a look at it tells what they died of.
    pub newest: DeliveryId,
}

impl DeadGroupId {
    /// The group of a delivery whose last attempt ended like this. What differs from event to event
    /// (numbers, identifiers with digits in them, quoted words, the guest's stack) is left out.
    #[must_use]
    pub fn of(plugin: &PluginName, outcome: Outcome, reason: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(plugin.as_str());
        hash.update([0, outcome as u8, 0]);
        hash.update(pattern(reason));
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// The first line of a reason with each word that holds a digit or a quote replaced.
#[must_use]
pub fn pattern(reason: &str) -> String {
    let first = reason.lines().next().unwrap_or_default();
    let word = |word: &str| {
        let special = |c: char| c.is_ascii_digit() || matches!(c, '"' | '\'' | '`');
        if word.contains(special) { "#".to_owned() } else { word.to_owned() }
    };
    first.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_event_to_event_makes_no_group() {
        let plugin: PluginName = "a".parse().unwrap();
        let of = |reason| DeadGroupId::of(&plugin, Outcome::Reject, reason);
        assert_eq!(of("no customer cus_1 (after 3)"), of("no customer cus_2 (after 14)\nstack"));
        assert_ne!(of("no customer"), of("no charge"));
        assert_ne!(of("x"), DeadGroupId::of(&plugin, Outcome::Crashed, "x"));
        assert_ne!(of("x"), DeadGroupId::of(&"b".parse().unwrap(), Outcome::Reject, "x"));
        let id = of("x");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "12", "+123456789abcdef", "123456789abcdefg"] {
            assert!(bad.parse::<DeadGroupId>().is_err(), "{bad:?}");
        }
    }
}
