//! Single fields out of a JSON body, for the providers other than Stripe.
//!
//! Not a model of any document: what is not asked for stays text, so neither the depth nor the size
//! of a value can fail the reading. Of a repeated field the last counts, as in Python and
//! JavaScript, so that handlers see the same.

use std::collections::HashMap;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::Rejection;
use super::stripe::depth::{MAX_DEPTH, too_deep};
use crate::domain::event::ObjectRef;

/// Longest id, type, account or object reference in bytes.
pub(super) const MAX_TEXT: usize = 255;

/// One JSON object, its values unread.
#[derive(Debug, Clone)]
pub(super) struct Object<'a>(HashMap<String, &'a RawValue>);

/// The object that `body`, which is proved, has to be.
pub(super) fn object(body: &[u8]) -> Result<Object<'_>, Rejection> {
    if body.is_empty() {
        return Err(Rejection::new("body_empty", "the body is genuine but empty"));
    }
    let text = str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Rejection::new("body_not_utf8", format!("the body is genuine but not UTF-8 (byte {at})"))
    })?;
    let value: &RawValue = serde_json::from_str(text).map_err(|error| {
        Rejection::new("body_not_json", format!("the body is genuine but not JSON: {error}"))
    })?;
    if too_deep(body) {
        return Err(Rejection::new(
            "body_too_deep",
            format!("the body is genuine but nested more than {MAX_DEPTH} levels deep"),
        ));
    }
    Object::read(value.get()).ok_or_else(|| {
        Rejection::new("body_not_object", "the body is genuine JSON but not an object")
    })
}

impl<'a> Object<'a> {
    /// The object that `json` is, if it is one.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        let json = json.trim_ascii_start();
        json.starts_with('{').then(|| serde_json::from_str(json).ok().map(Self)).flatten()
    }

    /// A field's JSON.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get())
    }

    /// A field that is a visible text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        text_of(self.raw(name)?).filter(|text| visible(text))
    }

    /// A field that names something: a visible text or a whole number.
    pub(super) fn id(&self, name: &str) -> Option<String> {
        scalar_of(self.raw(name)?).filter(|text| visible(text))
    }

    /// A field that is an object.
    pub(super) fn inner(&self, name: &str) -> Option<Object<'a>> {
        Self::read(self.raw(name)?)
    }

    /// The object in the field `name`, as something an event is about.
    pub(super) fn reference(&self, name: &str) -> Option<ObjectRef> {
        Some(ObjectRef { kind: name.to_owned(), id: self.inner(name)?.id("id")? })
    }
}

/// The text that `json` is, if it is a string.
pub(super) fn text_of(json: &str) -> Option<String> {
    json.starts_with('"').then(|| serde_json::from_str(json).ok()).flatten()
}

/// A string's text; a number or a boolean as it is written.
pub(super) fn scalar_of(json: &str) -> Option<String> {
    text_of(json).or_else(|| {
        let plain = json.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | 't' | 'f'));
        plain.then(|| json.to_owned())
    })
}

/// Whether `text` can be an id, a type or the like: nothing that hides, nothing endless.
pub(super) fn visible(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A header's value, if it can be an id or a type.
pub(super) fn visible_header(value: Option<&[u8]>) -> Option<String> {
    let text = str::from_utf8(value?.trim_ascii()).ok()?;
    visible(text).then(|| text.to_owned())
}

/// An id for what brings none: the same bytes are the same event.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256_{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_the_last_of_a_name_counts() {
        let body =
            br#" {"a":"x","id":7,"a":"y","in":{"id":"9"},"deep":[[1]],"bad":"a b","n":null}"#;
        let read = object(body).unwrap();
        assert_eq!(read.text("a").unwrap(), "y");
        assert_eq!(read.id("id").unwrap(), "7");
        assert_eq!(read.reference("in").unwrap(), ObjectRef { kind: "in".into(), id: "9".into() });
        for none in ["bad", "n", "deep", "absent", "in"] {
            assert_eq!(read.id(none), None, "{none}");
        }
        assert_eq!(read.text("id"), None);
    }

    #[test]
    fn what_is_no_object_is_refused_each_with_its_code() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for (body, code) in [
            (&b""[..], "body_empty"),
            (b"\xff", "body_not_utf8"),
            (b"{", "body_not_json"),
            (b"{} {}", "body_not_json"),
            (b"NaN", "body_not_json"),
            (b"[]", "body_not_object"),
            (b"null", "body_not_object"),
            (b"3", "body_not_object"),
            (deep.as_bytes(), "body_too_deep"),
        ] {
            assert_eq!(object(body).unwrap_err().code, code, "{body:?}");
        }
    }
}
