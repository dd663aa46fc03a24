//! Reading a few fields out of a JSON text that may hold anything else.
//!
//! Not a model of the document: what is not asked for is checked for syntax and skipped, without
//! recursion and without converting numbers, so neither depth nor size of a value can fail it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::domain::clock::Timestamp;

/// One value, kept as its text.
#[derive(Default, Clone, Copy)]
pub(super) struct Leaf<'a>(Option<&'a str>);

impl Leaf<'_> {
    /// Whether the field was not there.
    pub(super) const fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the field was not there or is `null`.
    pub(super) fn is_null(&self) -> bool {
        self.0.is_none_or(|json| json == "null")
    }

    pub(super) fn is_true(&self) -> bool {
        self.0 == Some("true")
    }

    /// Its text, if it is a string.
    pub(super) fn text(&self) -> Option<String> {
        self.0.filter(|json| json.starts_with('"')).and_then(|json| serde_json::from_str(json).ok())
    }

    /// A moment: seconds since the epoch (snapshot events) or RFC 3339 (thin events).
    pub(super) fn moment(&self) -> Option<Timestamp> {
        if let Some(text) = self.text() {
            let time = humantime::parse_rfc3339(&text).ok()?;
            let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
            return Some(Timestamp::from_millis(0).plus(since));
        }
        serde_json::from_str(self.0?).ok().map(Timestamp::from_secs)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Leaf<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(Some(raw.get())))
    }
}

/// Something read from the entries of a JSON object.
pub(super) trait Entries<'de>: Default {
    /// Take the value of the entry `name` from `map`, or skip it.
    fn entry<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;

    /// What a bare string in the object's place means; by default as much as no object.
    fn from_text(_text: &str) -> Self {
        Self::default()
    }
}

/// Read a document that holds one object.
pub(super) fn read<'de, T: Entries<'de>>(text: &'de str) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Of::new().deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a `T` from an object, and the default `T` from anything else.
pub(super) struct Of<T>(PhantomData<T>);

impl<T> Of<T> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Entries<'de>> DeserializeSeed<'de> for Of<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Entries<'de>> Visitor<'de> for Of<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut out = T::default();
        while let Some(Name(name)) = map.next_key()? {
            out.entry(&name, &mut map)?;
        }
        Ok(out)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::from_text(text))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }
}

/// A key, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl<'de> Visitor<'de> for Key {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(key))
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(key.to_owned()))
            }
        }
        deserializer.deserialize_str(Key).map(Self)
    }
}
