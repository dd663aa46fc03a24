//! The scope of `objects`: which kinds of a provider's objects a plugin may read.

use std::fmt;
use std::str::FromStr;

use super::GrantError;

/// Objects of one provider, of one kind or of all: `stripe customer`, `stripe *`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectScope {
    provider: String,
    /// `None`: any.
    kind: Option<String>,
}

impl ObjectScope {
    /// Whether every object in `other` is in this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.provider == other.provider && (self.kind.is_none() || self.kind == other.kind)
    }

    /// Whether these objects are in it.
    #[must_use]
    pub fn allows(&self, provider: &str, kind: &str) -> bool {
        self.provider == provider && self.kind.as_deref().is_none_or(|own| own == kind)
    }
}

impl FromStr for ObjectScope {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let error = |cause| GrantError::Objects { scope: text.to_owned(), cause };
        let mut words = text.split_whitespace();
        let (Some(provider), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err(error("it is not a provider and a kind"));
        };
        if provider.contains('*') {
            return Err(error("its provider has no `*`; grant each provider by itself"));
        }
        let kind = match kind {
            "*" => None,
            name if name.contains('*') => {
                return Err(error("`*` stands for all kinds, not for a part of one"));
            }
            name => Some(name.to_owned()),
        };
        Ok(Self { provider: provider.to_owned(), kind })
    }
}

impl fmt::Display for ObjectScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.provider, self.kind.as_deref().unwrap_or("*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> ObjectScope {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_names_one_provider_and_one_kind_or_all() {
        for text in ["stripe customer", "stripe *"] {
            assert_eq!(scope(text).to_string(), text);
        }
        for bad in ["", "stripe", "* customer", "stripe cust*", "stripe/customer", "stripe a b"] {
            let error = bad.parse::<ObjectScope>().unwrap_err().to_string();
            assert!(error.contains("`stripe customer`"), "{error}");
        }
        assert!(scope("stripe *").covers(&scope("stripe customer")));
        assert!(!scope("stripe customer").covers(&scope("stripe *")));
        assert!(!scope("stripe *").covers(&scope("github *")));
        assert!(scope("stripe customer").allows("stripe", "customer"));
        assert!(!scope("stripe customer").allows("stripe", "customer_balance"));
        assert!(scope("stripe *").allows("stripe", "issuing.card"));
        assert!(!scope("stripe *").allows("github", "issue"));
    }
}
