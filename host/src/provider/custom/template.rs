//! What a signature covers: a text with `{body}`, `{timestamp}` and `{id}` in it.

use std::fmt;
use std::str::FromStr;

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The body's bytes.
    Body,
    /// The header of the time, as it came.
    Timestamp,
    /// The header of the id, as it came.
    Id,
    /// Always this text.
    Text(String),
}

/// What is signed, in order. Holds the body exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The body would not be proved, or twice.
    #[error("it must hold {{body}} once: what is not signed is not proved")]
    Body,
    /// Nobody knows what that stands for.
    #[error("`{{{0}}}` stands for nothing; there are {{body}}, {{timestamp}} and {{id}}")]
    Unknown(String),
    /// A brace that is not closed.
    #[error("a `{{` is not closed")]
    Open,
}

impl Default for Template {
    fn default() -> Self {
        Self(vec![Piece::Body])
    }
}

impl Template {
    /// Whether `piece` is part of it.
    #[must_use]
    #[allow(clippy::needless_pass_by_value)]
    pub fn holds(&self, piece: Piece) -> bool {
        self.0.contains(&piece)
    }

    /// The bytes that are signed, part by part.
    pub(super) fn parts<'p>(
        &'p self,
        body: &'p [u8],
        timestamp: &'p [u8],
        id: &'p [u8],
    ) -> Vec<&'p [u8]> {
        let part = |piece: &'p Piece| match piece {
            Piece::Body => body,
            Piece::Timestamp => timestamp,
            Piece::Id => id,
            Piece::Text(text) => text.as_bytes(),
        };
        self.0.iter().map(part).collect()
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (name, after) = after.split_once('}').ok_or(TemplateError::Open)?;
            pieces.push(match name {
                "body" => Piece::Body,
                "timestamp" => Piece::Timestamp,
                "id" => Piece::Id,
                _ => return Err(TemplateError::Unknown(name.to_owned())),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        match pieces.iter().filter(|piece| **piece == Piece::Body).count() {
            1 => Ok(Self(pieces)),
            _ => Err(TemplateError::Body),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Body => f.write_str("{body}"),
            Piece::Timestamp => f.write_str("{timestamp}"),
            Piece::Id => f.write_str("{id}"),
            Piece::Text(text) => f.write_str(text),
        })
    }
}
