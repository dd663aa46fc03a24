//! Where in a request something is told: `header:NAME`, `json:/POINTER` or `fixed:TEXT`.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

use super::super::RawRequest;
use super::super::fields::{self, Object, scalar_of};
use crate::domain::proof;

/// Deepest pointer, in steps: each one reads a part of the body again.
pub(crate) const MAX_STEPS: usize = 16;

/// A place in a request, or a text that stands for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The header of this (lower-case) name.
    Header(String),
    /// The value at these steps into the JSON body (RFC 6901).
    Json(Vec<String>),
    /// Always this text.
    Fixed(String),
}

/// Why a text is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no place in a request; write `header:x-event-id`, `json:/data/id` or `fixed:text`"
)]
pub struct SourceError(pub String);

impl Source {
    /// The name of the header, if it is one.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) => Some(name),
            Self::Json(_) | Self::Fixed(_) => None,
        }
    }

    /// What `request` tells there: text, or a number or a boolean as it is written. Never empty.
    pub(super) fn find(&self, request: &RawRequest) -> Option<String> {
        let found = match self {
            Self::Fixed(text) => Some(text.clone()),
            Self::Header(name) => {
                str::from_utf8(request.header(name)?.trim_ascii()).ok().map(str::to_owned)
            }
            Self::Json(steps) => {
                let body = fields::object(&request.body).ok()?;
                let (last, way) = steps.split_last()?;
                let Some((first, way)) = way.split_first() else {
                    return scalar_of(body.raw(last)?).filter(|text| !text.is_empty());
                };
                let start = body.raw(first)?;
                let json = way.iter().try_fold(start, |json, step| inside(json, step))?;
                scalar_of(inside(json, last)?)
            }
        };
        found.filter(|text| !text.is_empty())
    }
}

/// The value of one step into an object or a list.
fn inside<'a>(json: &'a str, step: &str) -> Option<&'a str> {
    if let Some(object) = Object::read(json) {
        return object.raw(step);
    }
    let list: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    list.get(step.parse::<usize>().ok()?).map(|value| value.get())
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let error = || SourceError(text.to_owned());
        match text.split_once(':') {
            Some(("header", name)) => header_name(name).map(Self::Header).ok_or_else(error),
            Some(("json", pointer)) => {
                let pointer = pointer.strip_prefix('/').ok_or_else(error)?;
                let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
                let steps: Vec<String> = pointer.split('/').map(step).collect();
                (steps.len() <= MAX_STEPS).then_some(Self::Json(steps)).ok_or_else(error)
            }
            Some(("fixed", text)) if fields::visible(text) => Ok(Self::Fixed(text.to_owned())),
            _ => Err(error()),
        }
    }
}

/// A header's name in lower case, if it is one that a sender may use.
pub(crate) fn header_name(name: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let name = name.to_ascii_lowercase();
    (!name.is_empty() && name.bytes().all(fits) && name != proof::HEADER).then_some(name)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Fixed(text) => write!(f, "fixed:{text}"),
            Self::Json(steps) => {
                f.write_str("json:")?;
                steps.iter().try_for_each(|step| {
                    write!(f, "/{}", step.replace('~', "~0").replace('/', "~1"))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sender_has_the_hosts_own_header() {
        assert_eq!(header_name("X-Signature"), Some("x-signature".to_owned()));
        for name in ["", "a b", "signalbox-proof", "Signalbox-Proof"] {
            assert_eq!(header_name(name), None, "{name}");
        }
    }
}
