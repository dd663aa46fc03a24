//! Secrets in requests: put in at the moment of sending, taken out of everything that comes back.
//!
//! Not whether a plugin may use one (`domain::grant`).

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::effect::{SECRET_CLOSE as CLOSE, SECRET_OPEN as OPEN};
use crate::domain::endpoint::Secret;

/// Why a secret cannot be put into a header. Names it and never shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretFault {
    /// The configuration has none of this name.
    #[error("the secret `{0}` is not configured")]
    Unknown(String),
    /// Its value could begin another header.
    #[error("the secret `{0}` holds control characters and cannot stand in a header")]
    Control(String),
}

/// The names of the secrets that a header's value refers to.
pub(super) fn names(value: &str) -> impl Iterator<Item = &str> {
    value.split(OPEN).skip(1).filter_map(|rest| rest.split_once(CLOSE)).map(|(name, _)| name)
}

/// The configured secrets.
pub(super) struct Secrets {
    by_name: BTreeMap<String, Secret>,
    /// What must not be kept, and what stands in its place; the longest first, so that a secret
    /// inside another does not leave the rest of that one behind.
    hidden: Vec<(Vec<u8>, String)>,
}

/// Names alone.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Secrets {
    pub(super) fn new(by_name: BTreeMap<String, Secret>) -> Self {
        let mut hidden = Vec::new();
        for (name, secret) in &by_name {
            let shown = format!("{OPEN}{name}{CLOSE}");
            // As it is, and as a JSON string repeats it.
            let plain = secret.expose();
            let quoted = serde_json::Value::from(plain).to_string();
            let quoted = quoted.get(1..quoted.len() - 1).unwrap_or(&quoted);
            if quoted != plain {
                hidden.push((quoted.as_bytes().to_vec(), shown.clone()));
            }
            hidden.push((plain.as_bytes().to_vec(), shown));
        }
        hidden.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { by_name, hidden }
    }

    /// A header's value with its secrets in it. What only begins like a reference stays as it is.
    pub(super) fn fill(&self, value: &str) -> Result<String, SecretFault> {
        let mut parts = value.split(OPEN);
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let Some((name, rest)) = part.split_once(CLOSE) else {
                filled.push_str(OPEN);
                filled.push_str(part);
                continue;
            };
            let secret =
                self.by_name.get(name).ok_or_else(|| SecretFault::Unknown(name.to_owned()))?;
            if secret.expose().chars().any(char::is_control) {
                return Err(SecretFault::Control(name.to_owned()));
            }
            filled.push_str(secret.expose());
            filled.push_str(rest);
        }
        Ok(filled)
    }

    /// How much more than `limit` bytes must be read so that no secret is cut in two there.
    pub(super) fn longest(&self) -> usize {
        self.hidden.first().map_or(0, |(value, _)| value.len())
    }

    /// The first `limit` bytes of `bytes`, or fewer, every secret replaced by its reference.
    pub(super) fn redact(&self, bytes: &[u8], limit: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len().min(limit));
        let mut rest = bytes;
        while let (Some((&first, after)), true) =
            (rest.split_first(), bytes.len() - rest.len() < limit)
        {
            match self.hidden.iter().find(|(value, _)| rest.starts_with(value)) {
                Some((value, shown)) => {
                    out.extend_from_slice(shown.as_bytes());
                    rest = rest.get(value.len()..).unwrap_or_default();
                }
                None => {
                    out.push(first);
                    rest = after;
                }
            }
        }
        out.truncate(limit);
        out
    }

    /// A text without secrets, as one bounded line: what a peer sends cannot pass for a line of
    /// the host's log.
    pub(super) fn line(&self, bytes: &[u8], limit: usize) -> String {
        let bytes = self.redact(bytes, limit);
        let text = String::from_utf8_lossy(&bytes);
        let visible =
            |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
        text.trim().chars().map(visible).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(list: &[(&str, &str)]) -> Secrets {
        let entry =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new(value).unwrap());
        Secrets::new(list.iter().map(entry).collect())
    }

    #[test]
    fn references_are_found_and_filled() {
        let all = secrets(&[("a", "AAA"), ("b", "BBB")]);
        let value = "x {{secret:a}}-{{secret:b}}{{secret:a}} {{secret:";
        assert_eq!(names(value).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(all.fill(value).unwrap(), "x AAA-BBBAAA {{secret:");
        assert_eq!(all.fill("{{secret:c}}"), Err(SecretFault::Unknown("c".to_owned())));
        assert_eq!(all.fill("{{ secret:a }}").unwrap(), "{{ secret:a }}");
    }

    #[test]
    fn a_value_never_refers_to_another_secret() {
        let all = secrets(&[("a", "{{secret:b}}"), ("b", "BBB")]);
        assert_eq!(all.fill("{{secret:a}}").unwrap(), "{{secret:b}}");
    }

    #[test]
    fn a_secret_with_a_line_break_is_refused_and_not_shown() {
        let all = secrets(&[("a", "one\r\nx-evil: 1")]);
        let fault = all.fill("{{secret:a}}").unwrap_err();
        assert_eq!(fault, SecretFault::Control("a".to_owned()));
        assert!(!format!("{fault} {fault:?} {all:?}").contains("evil"));
    }

    #[test]
    fn nothing_that_is_kept_holds_a_secret() {
        let all = secrets(&[("short", "key"), ("long", "key-and-more"), ("quoted", "a\"b")]);
        let kept = all.redact(b"key-and-more, key, a\"b, a\\\"b", 1_000);
        let kept = String::from_utf8(kept).unwrap();
        assert_eq!(kept, "{{secret:long}}, {{secret:short}}, {{secret:quoted}}, {{secret:quoted}}");
    }

    #[test]
    fn a_cut_leaves_no_half_of_a_secret() {
        let all = secrets(&[("a", "0123456789")]);
        let text = b"..0123456789..";
        for limit in 0..text.len() {
            let kept =
                all.redact(text.get(..(limit + all.longest()).min(text.len())).unwrap(), limit);
            assert!(kept.len() <= limit);
            assert!(!String::from_utf8(kept).unwrap().contains('0'), "{limit}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        let all = secrets(&[]);
        assert_eq!(all.line(b"a\nb\x1b[31m \xff", 100), "a\\nb\\u{1b}[31m \u{fffd}");
        assert_eq!(all.line(b"abcdef", 3), "abc");
    }
}
