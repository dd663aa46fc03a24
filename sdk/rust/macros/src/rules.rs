//! The contract's rules for names and patterns, told at the token that breaks them.
//!
//! The host applies them again when it loads a component: not every component is made here.

use syn::{Error, LitStr, Result};

/// Longest name of a plugin in bytes.
const MAX_NAME: usize = 64;

/// A plugin's name.
pub(crate) fn name(name: &LitStr) -> Result<()> {
    let text = name.value();
    let word =
        |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let good = text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(word);
    if good {
        return Ok(());
    }
    Err(Error::new(
        name.span(),
        "a plugin's name is lower-case letters, digits and single hyphens, starts with a letter \
         and has at most 64 characters, e.g. \"charge-counter\"",
    ))
}

/// A pattern over event types.
pub(crate) fn pattern(pattern: &LitStr) -> Result<()> {
    let text = pattern.value();
    if text == "*" {
        return Ok(());
    }
    let stem = text.strip_suffix(".*").unwrap_or(&text);
    let cause = if text.is_empty() {
        "it is empty"
    } else if stem.contains('*') {
        "`*` stands alone, or at the end after a dot"
    } else if stem.split('.').any(str::is_empty) {
        "a part between dots is empty"
    } else if stem.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "it holds white space"
    } else {
        return Ok(());
    };
    Err(Error::new(
        pattern.span(),
        format!(
            "not a pattern over event types: {cause}; write \"invoice.paid\", \
             \"customer.subscription.*\" or \"*\""
        ),
    ))
}

/// A provider's name.
pub(crate) fn provider(provider: &LitStr) -> Result<()> {
    let text = provider.value();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.chars().all(good) {
        return Ok(());
    }
    Err(Error::new(
        provider.span(),
        "a provider's name is lower-case letters, digits and hyphens, e.g. \"stripe\"",
    ))
}

/// A method (or `*`) and a URL; the host looks more closely.
pub(crate) fn http_scope(scope: &LitStr) -> Result<()> {
    let text = scope.value();
    let good = text.split_once(' ').is_some_and(|(method, url)| {
        let method =
            method == "*" || !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
        let place = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        method && place.is_some_and(|place| place.find('/').is_some_and(|at| at > 0))
    });
    if good {
        return Ok(());
    }
    Err(Error::new(
        scope.span(),
        "not a method and a URL with a path: write \"POST https://hooks.example.com/path/*\"",
    ))
}

/// A provider and a kind of its objects, or `*`.
pub(crate) fn object_scope(scope: &LitStr) -> Result<()> {
    let text = scope.value();
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [provider, kind] = words.as_slice() {
        if !provider.contains('*') && (*kind == "*" || !kind.contains('*')) {
            return Ok(());
        }
    }
    Err(Error::new(
        scope.span(),
        "not a provider and a kind: write \"stripe customer\" or \"stripe *\"",
    ))
}

/// The name that stands in `{{secret:NAME}}`.
pub(crate) fn secret(name: &LitStr) -> Result<()> {
    let text = name.value();
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(good) {
        return Ok(());
    }
    Err(Error::new(
        name.span(),
        "a secret's name is letters, digits, `-` and `_`, e.g. \"API_KEY\"",
    ))
}

/// A whole number above zero with one of these units.
pub(crate) fn quantity(text: &str, units: &[&str]) -> bool {
    let number = |number: &str| number.parse::<u64>().is_ok_and(|n| n > 0);
    units.iter().any(|unit| text.strip_suffix(unit).is_some_and(number))
}

/// A semantic version.
pub(crate) fn version(version: &LitStr) -> Result<()> {
    let text = version.value();
    let (text, build) = text.split_once('+').map_or((text.as_str(), None), |(t, b)| (t, Some(b)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(c, p)| (c, Some(p)));
    let number = |n: &str| {
        !n.is_empty()
            && n.bytes().all(|b| b.is_ascii_digit())
            && (n == "0" || !n.starts_with('0'))
            && n.parse::<u64>().is_ok()
    };
    let words = |words: &str| {
        words.split('.').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    };
    if core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(words)
        && build.is_none_or(words)
    {
        return Ok(());
    }
    Err(Error::new(version.span(), "not a semantic version, e.g. \"1.2.0\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> LitStr {
        LitStr::new(text, proc_macro2::Span::call_site())
    }

    #[test]
    fn the_rules_are_the_contracts() {
        for good in ["*", "a", "a.b", "a.b.*"] {
            assert!(pattern(&literal(good)).is_ok(), "{good}");
        }
        for bad in ["", ".", ".*", "a..b", "a*", "*.a", "a.*.b", "a b", "**"] {
            assert!(pattern(&literal(bad)).is_err(), "{bad:?}");
        }
        for good in ["a", "charge-counter", "a1-2b"] {
            assert!(name(&literal(good)).is_ok(), "{good}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in ["", "-a", "a-", "a--b", "A", "1a", "a_b", "a.b", "ä", &long] {
            assert!(name(&literal(bad)).is_err(), "{bad:?}");
        }
        for good in ["0.1.0", "1.2.3-rc.1+build.5"] {
            assert!(version(&literal(good)).is_ok(), "{good}");
        }
        for bad in ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "1.2.3-"] {
            assert!(version(&literal(bad)).is_err(), "{bad:?}");
        }
    }
}
