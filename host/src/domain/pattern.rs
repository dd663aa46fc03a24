//! Patterns over event types: `invoice.paid`, `customer.subscription.*`, `*`.
//!
//! Not the routing table (`registry`) and not the CEL filter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of event types, as a subscription names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TypePattern {
    /// Every type.
    Any,
    /// Every type below this prefix, which ends in a dot.
    Below(String),
    /// This type alone.
    Exact(String),
}

/// Why a string is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{pattern}` is not an event type pattern: {cause}; write `invoice.paid`, `invoice.*` or `*`"
)]
pub struct PatternError {
    /// The string.
    pub pattern: String,
    /// What is wrong with it.
    pub cause: &'static str,
}

impl TypePattern {
    /// Whether `kind` is in the set. `a.*` holds `a.b` and `a.b.c`, and neither `a` nor `ab`.
    #[must_use]
    pub fn matches(&self, kind: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(prefix) => kind.len() > prefix.len() && kind.starts_with(prefix.as_str()),
            Self::Exact(exact) => kind == exact,
        }
    }

    /// Whether every type in `other` is in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(own), Self::Below(prefix)) => prefix.starts_with(own.as_str()),
            (own, Self::Exact(kind)) => own.matches(kind),
            (_, _) => false,
        }
    }
}

impl FromStr for TypePattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        let error = |cause| PatternError { pattern: pattern.to_owned(), cause };
        if pattern == "*" {
            return Ok(Self::Any);
        }
        let (stem, below) = match pattern.strip_suffix(".*") {
            Some(stem) => (stem, true),
            None => (pattern, false),
        };
        if stem.is_empty() || stem.split('.').any(str::is_empty) {
            return Err(error("a part between dots is empty"));
        }
        if stem.contains('*') {
            return Err(error("`*` stands only for everything or at the end, after a dot"));
        }
        if stem.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(error("it holds white space"));
        }
        Ok(if below { Self::Below(format!("{stem}.")) } else { Self::Exact(stem.to_owned()) })
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Exact(exact) => f.write_str(exact),
        }
    }
}

impl TryFrom<String> for TypePattern {
    type Error = PatternError;

    fn try_from(pattern: String) -> Result<Self, PatternError> {
        pattern.parse()
    }
}

impl From<TypePattern> for String {
    fn from(pattern: TypePattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_what_is_below_it_alone() {
        let below: TypePattern = "customer.subscription.*".parse().unwrap();
        assert!(below.matches("customer.subscription.created"));
        assert!(below.matches("customer.subscription.trial.will_end"));
        assert!(!below.matches("customer.subscription"));
        assert!(!below.matches("customer.subscriptions.created"));
        assert!(!below.matches("customer.subscription."));
    }

    #[test]
    fn a_pattern_covers_what_is_narrower() {
        let covers = |a: &str, b: &str| {
            a.parse::<TypePattern>().unwrap().covers(&b.parse::<TypePattern>().unwrap())
        };
        assert!(covers("*", "*") && covers("*", "a.*") && covers("a.*", "a.b.*"));
        assert!(covers("a.*", "a.b") && covers("a.b", "a.b"));
        assert!(!covers("a.*", "*") && !covers("a.b", "a.*") && !covers("a.b.*", "a.*"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", ".", ".*", "a..b", "a*", "*.a", "a.*.b", "a b", "**"] {
            assert!(bad.parse::<TypePattern>().is_err(), "{bad:?}");
        }
        for good in ["*", "a", "a.b", "a.*"] {
            assert_eq!(good.parse::<TypePattern>().unwrap().to_string(), good);
        }
    }
}
