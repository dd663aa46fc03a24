//! Makes a fixture an event of its own: fresh identifiers, the present time, Stripe's order of
//! fields.
//!
//! The identifier of `data.object` is replaced by a fresh one of the same form wherever the event
//! repeats it, so that two triggers are about two objects; the identifiers of *other* objects (a
//! charge's customer, say) stay as they are. To keep or choose one, override `data.object.id`.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

use crate::domain::clock::Timestamp;

/// Length of Stripe's identifiers after the prefix.
const LENGTH: usize = 24;

/// A source of letters and digits.
pub(crate) trait Letters {
    /// `length` of them.
    fn letters(&mut self, length: usize) -> String;
}

/// Letters from the operating system's generator.
#[derive(Debug)]
pub(crate) struct SystemLetters;

impl Letters for SystemLetters {
    fn letters(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        let mut bytes = [0_u8; 64];
        while text.len() < length {
            if getrandom::fill(&mut bytes).is_err() {
                // Identifiers need to differ, not to be secret; version 4 UUIDs come from the
                // same source by another way.
                bytes.copy_from_slice(&[uuid::Uuid::new_v4().into_bytes(); 4].concat());
            }
            text.extend(bytes.iter().filter_map(|byte| letter(*byte)).take(length - text.len()));
        }
        text
    }
}

/// Every letter as likely as any other: the bytes beyond 4 * 62 are not used.
fn letter(byte: u8) -> Option<char> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let usable = byte < 248;
    usable.then(|| ALPHABET.get(usize::from(byte % 62)).map(|&c| char::from(c))).flatten()
}

/// What an event of one's own has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// The event's id; a fresh one when absent.
    pub(crate) event: Option<String>,
    /// The id of `data.object`; a fresh one when absent.
    pub(crate) object: Option<String>,
    pub(crate) livemode: bool,
}

/// Make `event` an event of its own.
pub(crate) fn freshen(
    event: &mut Value,
    identity: &Identity,
    now: Timestamp,
    letters: &mut impl Letters,
) {
    let id = identity.event.clone();
    let id = id.unwrap_or_else(|| format!("evt_1{}", letters.letters(LENGTH - 1)));
    if let Value::Object(fields) = event {
        fields.insert("id".to_owned(), id.into());
        fields.insert("created".to_owned(), json!(now.as_secs()));
        fields.insert("livemode".to_owned(), identity.livemode.into());
    }
    if let Some(livemode) = event.pointer_mut("/data/object/livemode") {
        *livemode = identity.livemode.into();
    }
    let old = event.pointer("/data/object/id").and_then(Value::as_str).map(str::to_owned);
    if let Some(old) = old {
        let new = identity.object.clone().unwrap_or_else(|| like(&old, letters));
        replace(event, &old, &new);
    }
}

/// A fresh identifier of the form of `old`: its prefix, and as many letters as it had; what is
/// plainly a placeholder (`obj_123`) gets Stripe's usual length.
fn like(old: &str, letters: &mut impl Letters) -> String {
    match old.rsplit_once('_') {
        Some((prefix, rest)) => {
            let length = if rest.len() < 8 { LENGTH } else { rest.len() };
            format!("{prefix}_{}", letters.letters(length))
        }
        None => letters.letters(old.len().max(8)),
    }
}

/// Put `new` for `old` wherever a text is `old`, or holds it as one part of a path or URL.
fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => new.clone_into(text),
        Value::String(text) if text.contains('/') && text.split('/').any(|part| part == old) => {
            let parts: Vec<&str> =
                text.split('/').map(|part| if part == old { new } else { part }).collect();
            *text = parts.join("/");
        }
        Value::Array(list) => list.iter_mut().for_each(|value| replace(value, old, new)),
        Value::Object(table) => table.values_mut().for_each(|value| replace(value, old, new)),
        _ => {}
    }
}

/// The event's bytes as Stripe sends them: indented by two, `id` and `object` first in every
/// object, the rest by name.
pub(crate) fn bytes(event: &Value) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec_pretty(&Ordered(event))
}

struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const FIRST: [&str; 2] = ["id", "object"];
        match self.0 {
            Value::Object(table) => {
                let mut map = serializer.serialize_map(Some(table.len()))?;
                for name in FIRST {
                    if let Some(value) = table.get(name) {
                        map.serialize_entry(name, &Ordered(value))?;
                    }
                }
                let rest = table.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
                for (name, value) in rest {
                    map.serialize_entry(name, &Ordered(value))?;
                }
                map.end()
            }
            Value::Array(list) => serializer.collect_seq(list.iter().map(Ordered)),
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn fresh(kind: &str, identity: &Identity) -> Value {
        let mut event = fixtures::find(kind).unwrap().remove(0).event;
        freshen(&mut event, identity, NOW, &mut SystemLetters);
        event
    }

    #[test]
    fn two_triggers_are_two_events_about_two_objects() {
        let (one, two) = (
            fresh("charge.succeeded", &Identity::default()),
            fresh("charge.succeeded", &Identity::default()),
        );
        for place in ["/id", "/data/object/id"] {
            assert_ne!(one.pointer(place), two.pointer(place), "{place}");
        }
        assert_eq!(one["created"], 1_800_000_000);
        let id = one["id"].as_str().unwrap();
        assert!(id.starts_with("evt_1") && id.len() == 28, "{id}");
        let object = one["data"]["object"]["id"].as_str().unwrap();
        assert!(object.starts_with("ch_") && object.len() == 27, "{object}");
        assert_eq!(
            one["data"]["object"]["payment_method"],
            two["data"]["object"]["payment_method"]
        );
    }

    #[test]
    fn the_objects_old_id_is_nowhere_left() {
        for fixture in fixtures::find("*").unwrap() {
            let Some(old) = fixture.event.pointer("/data/object/id").and_then(Value::as_str) else {
                continue;
            };
            let old = format!("\"{old}\"");
            let mut event = fixture.event.clone();
            freshen(&mut event, &Identity::default(), NOW, &mut SystemLetters);
            assert!(!event.to_string().contains(&old), "{}", fixture.kind);
            assert_eq!(event["type"], fixture.kind);
        }
    }

    #[test]
    fn what_is_chosen_is_kept() {
        let identity = Identity {
            event: Some("evt_mine".to_owned()),
            object: Some("ch_mine".to_owned()),
            livemode: true,
        };
        let event = fresh("charge.succeeded", &identity);
        assert_eq!(event["id"], "evt_mine");
        assert_eq!(event["data"]["object"]["id"], "ch_mine");
        assert_eq!(event["livemode"], true);
        assert_eq!(event["data"]["object"]["livemode"], true);
    }

    #[test]
    fn the_bytes_are_in_stripes_order_and_say_the_same() {
        let event = fresh("invoice.paid", &Identity::default());
        let bytes = bytes(&event).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("{\n  \"id\": \"evt_1"), "{text}");
        assert!(text.contains("\"object\": {\n      \"id\": \"in_"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), event);
    }
}
