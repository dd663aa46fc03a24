//! A JSON text as it stands: every value with its own bytes, every number as it was written.
//!
//! Not a model of what it says, and no conversion: 9007199254740993 stays that number, and
//! [`Value::raw`] of an object is the very text it stood in. For texts that are known to be JSON, and
//! safe on any other.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// Deepest nesting that is read; what providers let pass is no deeper.
const MAX_DEPTH: usize = 129;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its text, byte for byte.
    pub raw: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `null`, `true`, `false` or a number: the raw text says which.
    Plain,
    /// A string, its escapes resolved.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Value<'a>>),
    /// An object's entries in their order. Of a repeated name the last counts.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Which members of an object are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths(BTreeMap<String, Self>);

/// Stands for a content: equal contents have equal digests, whatever the order of their members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ContentDigest(pub [u8; 16]);

impl<'a> Value<'a> {
    /// The value that `text` holds; `None` if that is not JSON or too deep.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.blank();
        (reader.at == text.len()).then_some(value)
    }

    /// The member `name` of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let Kind::Text(text) = &self.kind else { return None };
        Some(text)
    }

    /// A whole number without sign.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        matches!(self.kind, Kind::Plain).then(|| self.raw.parse().ok()).flatten()
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.raw == "null"
    }

    /// Whether it is `true`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.raw == "true"
    }

    /// Stands for this content. A member that is `null` counts as none.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        digest(Some(self), None, None)
    }

    /// Stands for this content as it was where `before` names it: maps are gone into, anything else
    /// stands for the whole old value, and `null` for none.
    #[must_use]
    pub fn digest_before(&self, before: &Value<'_>) -> ContentDigest {
        digest(Some(self), Some(before), None)
    }

    /// As [`Self::digest`] or [`Self::digest_before`], of what `paths` names alone.
    #[must_use]
    pub fn digest_of(&self, before: Option<&Value<'_>>, paths: &Paths) -> ContentDigest {
        digest(Some(self), before, Some(paths))
    }
}

impl Paths {
    /// Add what `value` names: the places of its leaves.
    pub fn add(&mut self, value: &Value<'_>) {
        let Kind::Map(entries) = &value.kind else { return };
        for (name, value) in entries {
            let known = self.0.contains_key(name.as_ref());
            let below = self.0.entry(name.clone().into_owned()).or_default();
            match &value.kind {
                Kind::Map(inner) if !inner.is_empty() => {
                    // A place that is named whole stays named whole.
                    if !known || !below.0.is_empty() {
                        below.add(value);
                    }
                }
                _ => below.0.clear(),
            }
        }
    }
}

fn digest(
    value: Option<&Value<'_>>,
    before: Option<&Value<'_>>,
    paths: Option<&Paths>,
) -> ContentDigest {
    let mut text = Vec::with_capacity(value.map_or(0, |value| value.raw.len()));
    write(&mut text, value, before, paths);
    let whole = Sha256::digest(&text);
    let mut out = [0; 16];
    out.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    ContentDigest(out)
}

/// Write what `value` was where `before` names it, in the one form that equal contents share.
/// Strings and names are preceded by their length, so that no two contents are written alike.
fn write(
    out: &mut Vec<u8>,
    value: Option<&Value<'_>>,
    before: Option<&Value<'_>>,
    paths: Option<&Paths>,
) {
    let paths = paths.filter(|paths| !paths.0.is_empty());
    let (value, before) = match (value, before) {
        (Some(Value { kind: Kind::Map(_), .. }), Some(Value { kind: Kind::Map(_), .. })) => {
            (value, before)
        }
        (_, Some(_)) => (before, None),
        (value, None) => (value, None),
    };
    match value.map(|value| (&value.kind, value.raw)) {
        None => out.extend_from_slice(b"null"),
        Some((Kind::Plain, raw)) => out.extend_from_slice(raw.as_bytes()),
        Some((Kind::Text(text), _)) => write_text(out, b'"', text),
        Some((Kind::List(items), _)) => {
            out.push(b'[');
            for item in items {
                write(out, Some(item), None, None);
                out.push(b',');
            }
            out.push(b']');
        }
        Some((Kind::Map(entries), _)) => {
            let mut members: BTreeMap<&str, (Option<&Value<'_>>, Option<&Value<'_>>)> =
                entries.iter().map(|(name, value)| (&**name, (Some(value), None))).collect();
            if let Some(Value { kind: Kind::Map(old), .. }) = before {
                for (name, value) in old {
                    members.entry(name).or_default().1 = Some(value);
                }
            }
            out.push(b'{');
            for (name, (value, before)) in members {
                let below = paths.map(|paths| paths.0.get(name));
                let gone = before.or(value).is_none_or(Value::is_null);
                if gone || below.is_some_and(|below| below.is_none()) {
                    continue;
                }
                write_text(out, b'.', name);
                write(out, value, before, below.flatten());
            }
            out.push(b'}');
        }
    }
}

fn write_text(out: &mut Vec<u8>, mark: u8, text: &str) {
    out.push(mark);
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blank();
        let from = self.at;
        let kind = match self.peek()? {
            b'{' => self.map(depth)?,
            b'[' => self.list(depth)?,
            b'"' => Kind::Text(self.string()?),
            _ => self.plain()?,
        };
        Some(Value { raw: self.text.get(from..self.at)?, kind })
    }

    fn map(&mut self, depth: usize) -> Option<Kind<'a>> {
        self.take(b'{')?;
        let mut entries = Vec::new();
        self.blank();
        if self.take(b'}').is_some() {
            return Some(Kind::Map(entries));
        }
        loop {
            self.blank();
            let name = self.string()?;
            self.blank();
            self.take(b':')?;
            entries.push((name, self.value(depth + 1)?));
            self.blank();
            if self.take(b',').is_none() {
                self.take(b'}')?;
                return Some(Kind::Map(entries));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Kind<'a>> {
        self.take(b'[')?;
        let mut items = Vec::new();
        self.blank();
        if self.take(b']').is_some() {
            return Some(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blank();
            if self.take(b',').is_none() {
                self.take(b']')?;
                return Some(Kind::List(items));
            }
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let from = self.at;
        self.take(b'"')?;
        let mut escaped = false;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                    self.peek()?;
                }
                0..=0x1f => return None,
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
        let raw = self.text.get(from..self.at)?;
        if escaped {
            return serde_json::from_str(raw).ok().map(Cow::Owned);
        }
        raw.get(1..raw.len() - 1).map(Cow::Borrowed)
    }

    fn plain(&mut self) -> Option<Kind<'a>> {
        let from = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E')) {
            self.at += 1;
        }
        let raw = self.text.get(from..self.at)?;
        let known = matches!(raw, "null" | "true" | "false");
        let number = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        (known || number).then_some(Kind::Plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Value<'_> {
        Value::parse(text).unwrap()
    }

    fn paths(of_these: &[&str]) -> Paths {
        let mut paths = Paths::default();
        of_these.iter().for_each(|text| paths.add(&of(text)));
        paths
    }

    #[test]
    fn every_value_has_its_own_bytes() {
        let text =
            " {\"n\": 9007199254740993.10e2, \"o\" :{ \"id\":\"\\u00e9\\n\"  },\"l\":[1,[ ]]} ";
        let value = of(text);
        assert_eq!(value.get("n").unwrap().raw, "9007199254740993.10e2");
        let object = value.get("o").unwrap();
        assert_eq!(object.raw, "{ \"id\":\"\\u00e9\\n\"  }");
        assert_eq!(object.get("id").unwrap().text(), Some("é\n"));
        assert_eq!(value.get("l").unwrap().raw, "[1,[ ]]");
        assert_eq!(value.raw, text.trim());
        assert_eq!(of("{\"a\":1,\"a\":2}").get("a").unwrap().number(), Some(2));
    }

    #[test]
    fn what_is_not_json_is_nothing() {
        for text in ["", "{", "{\"a\"}", "[1,]", "{\"a\":1,}", "nul", "\"\u{1}\"", "\"\\\"", "1 2"]
        {
            assert_eq!(Value::parse(text), None, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(Value::parse(&deep), None);
    }

    #[test]
    fn equal_contents_have_equal_digests_and_others_have_not() {
        let one = of(r#"{"a":1,"b":{"c":[1,{"d":null}],"e":"x"}}"#).digest();
        assert_eq!(one, of(r#"{ "b":{"e":"\u0078","c":[1,{}]},"z":null, "a":1}"#).digest());
        for other in [
            r#"{"a":1.0,"b":{"c":[1,{"d":null}],"e":"x"}}"#,
            r#"{"a":1,"b":{"c":[{"d":null},1],"e":"x"}}"#,
            r#"{"a":"1","b":{"c":[1,{"d":null}],"e":"x"}}"#,
            r#"{"a":1,"b":{"c":[1,{"d":0}],"e":"x"}}"#,
            r#"{"a":1,"b":{"e":"x"}}"#,
            "[]",
        ] {
            assert_ne!(one, of(other).digest(), "{other}");
        }
    }

    #[test]
    fn what_was_before_is_deep_and_partial() {
        let now = of(r#"{"s":"paid","m":{"a":"2","b":"1","new":"x"},"l":[3],"ship":null,"k":7}"#);
        let before = of(r#"{"s":"open","m":{"a":"1","new":null},"l":[1,2],"ship":{"to":"me"}}"#);
        let old =
            of(r#"{"s":"open","m":{"a":"1","b":"1"},"l":[1,2],"ship":{"to":"me"},"k":7,"x":null}"#);
        assert_eq!(now.digest_before(&before), old.digest());
        assert_ne!(now.digest(), old.digest());
    }

    #[test]
    fn what_is_not_named_does_not_count() {
        let paths = paths(&[r#"{"s":"open","m":{"a":1}}"#, r#"{"m":{"b":{"c":null}}}"#]);
        let one = of(r#"{"s":"a","m":{"a":1,"b":{"c":2,"d":3},"e":4},"url":"t1"}"#);
        let same = of(r#"{"s":"a","m":{"a":1,"b":{"c":2,"d":9},"e":0},"url":"t2"}"#);
        let other = of(r#"{"s":"a","m":{"a":1,"b":{"c":3,"d":3},"e":4},"url":"t1"}"#);
        assert_eq!(one.digest_of(None, &paths), same.digest_of(None, &paths));
        assert_ne!(one.digest_of(None, &paths), other.digest_of(None, &paths));
        let before = of(r#"{"m":{"b":{"c":2}}}"#);
        assert_eq!(other.digest_of(Some(&before), &paths), one.digest_of(None, &paths));
        // A place that one of them names whole is looked at whole.
        let whole = self::paths(&[r#"{"m":{"a":1}}"#, r#"{"m":null}"#, r#"{"m":{"b":1}}"#]);
        assert_ne!(one.digest_of(None, &whole), same.digest_of(None, &whole));
    }
}
