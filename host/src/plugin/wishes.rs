//! What a plugin's manifest says of how it is run: its order, and of which limits it needs less.
//!
//! The operator gives as much or less, never more; not the reading of the configuration.

use std::time::Duration;

use crate::domain::delivery::Order;
use crate::domain::plugin::{DeliveryPolicy, Limits};

/// The known attributes of a manifest, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    order: Option<Order>,
    concurrency: Option<usize>,
    cpu: Option<Duration>,
    wall: Option<Duration>,
    memory: Option<u64>,
}

/// What became of one attribute.
pub(super) enum Taken {
    /// It is known and good.
    Yes,
    /// Its value must be this.
    Bad(&'static str),
    /// It is not known.
    Unknown,
}

impl Wishes {
    /// Read one attribute.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Taken {
        let (good, must) = match name {
            "description" => return Taken::Yes,
            "ordering" => {
                self.order = match value {
                    "object" => Some(Order::default()),
                    "none" => Some(Order::None),
                    _ => None,
                };
                (self.order.is_some(), "`object` or `none`")
            }
            "concurrency" => {
                self.concurrency = value.parse().ok().filter(|n| *n > 0);
                (self.concurrency.is_some(), "a whole number above zero")
            }
            "limit-cpu" => (put(&mut self.cpu, duration(value)), DURATION),
            "limit-wall" => (put(&mut self.wall, duration(value)), DURATION),
            "limit-memory" => {
                (put(&mut self.memory, size(value)), "a size above zero, such as `16MiB`")
            }
            _ => return Taken::Unknown,
        };
        if good { Taken::Yes } else { Taken::Bad(must) }
    }

    /// What a delivery may use: the lesser of what the operator gives and what is wished for.
    pub(super) fn limits(&self, operator: Limits) -> Limits {
        Limits {
            cpu: self.cpu.map_or(operator.cpu, |wish| wish.min(operator.cpu)),
            wall: self.wall.map_or(operator.wall, |wish| wish.min(operator.wall)),
            memory: self.memory.map_or(operator.memory, |wish| wish.min(operator.memory)),
            ..operator
        }
    }

    /// How deliveries are run. `order` is the operator's word, and the last one where there is one.
    pub(super) fn delivery(
        &self,
        operator: DeliveryPolicy,
        order: Option<Order>,
    ) -> DeliveryPolicy {
        let concurrency = match (operator.concurrency, self.concurrency) {
            (Some(given), Some(wish)) => Some(given.min(wish)),
            (given, wish) => given.or(wish),
        };
        let order = order.or(self.order).unwrap_or(operator.order);
        DeliveryPolicy { order, concurrency, ..operator }
    }
}

const DURATION: &str = "a time above zero, such as `200ms`";

fn put<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    *slot = value;
    slot.is_some()
}

fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| !time.is_zero())
}

/// Bytes, as the configuration writes them: `65536`, `64KiB`, `16 MiB`, `1GiB`.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(attributes: &[(&str, &str)]) -> Wishes {
        let mut wishes = Wishes::default();
        for (name, value) in attributes {
            assert!(matches!(wishes.take(name, value), Taken::Yes), "{name} {value}");
        }
        wishes
    }

    #[test]
    fn the_lesser_holds() {
        let given =
            Limits { cpu: Duration::from_millis(500), memory: 32 << 20, ..Limits::default() };
        let less =
            wishes(&[("limit-cpu", "200ms"), ("limit-wall", "1s"), ("limit-memory", "16MiB")]);
        let effective = less.limits(given.clone());
        assert_eq!(effective.cpu, Duration::from_millis(200));
        assert_eq!(effective.wall, Duration::from_secs(1));
        assert_eq!(effective.memory, 16 << 20);
        assert_eq!(effective.kv_quota, given.kv_quota);
        let more = wishes(&[("limit-cpu", "1h"), ("limit-wall", "1h"), ("limit-memory", "1GiB")]);
        assert_eq!(more.limits(given.clone()), given);
        assert_eq!(Wishes::default().limits(given.clone()), given);
    }

    #[test]
    fn the_operators_order_is_the_last_word_and_the_lesser_concurrency_holds() {
        let skip = Order::Object { skip_after: Some(3) };
        let none = wishes(&[("ordering", "none"), ("concurrency", "4")]);
        let own = DeliveryPolicy::default;
        assert_eq!(Wishes::default().delivery(own(), None), own());
        assert_eq!(none.delivery(own(), None).order, Order::None);
        assert_eq!(none.delivery(own(), Some(skip)).order, skip);
        assert_eq!(
            wishes(&[("ordering", "object")]).delivery(own(), Some(Order::None)).order,
            Order::None
        );
        for (given, effective) in [(None, 4), (Some(2), 2), (Some(9), 4)] {
            let policy = DeliveryPolicy { concurrency: given, ..own() };
            assert_eq!(none.delivery(policy, None).concurrency, Some(effective));
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (name, values) in [
            ("limit-cpu", ["", "0s", "fast", "-1s"]),
            ("limit-wall", ["", "0ms", "1", "1 x"]),
            ("limit-memory", ["", "0", "16MB", "99999999999GiB"]),
            ("ordering", ["", "objects", "None", "any"]),
            ("concurrency", ["", "0", "-1", "many"]),
        ] {
            for value in values {
                let taken = Wishes::default().take(name, value);
                assert!(matches!(taken, Taken::Bad(_)), "{name} {value:?}");
            }
        }
        assert_eq!(size("65536"), size("64 KiB"));
    }
}
