//! A provider that the operator describes: any sender that signs its bodies by an HMAC.
//!
//! Not the reading of the description (`config`). What is described is what the other files here
//! have built in:
//!
//! - Proof: a header with one signature, or several between separators, each after a fixed prefix;
//!   the hash covers a template of body, time and id.
//! - Identity: a header or a place in the body; else a digest of the body, so that the same bytes are
//!   the same event.
//! - Type: a header, a place in the body, or always the same. Object and account: likewise.
//!
//! A time counts only where it is signed: the description is refused otherwise. A sender that signs
//! none can be replayed as soon as the record of its ids has gone (`store.dedupe_for`).

mod source;
mod template;

#[cfg(test)]
mod tests;

use super::claim::{Claim, Sender, as_text};
use super::{Proof, Provider, RawRequest, Rejection, fields};
use crate::domain::endpoint::Secret;
use crate::domain::event::{ObjectRef, VerifiedEvent};

pub use super::claim::{Algorithm, Encoding};
pub(crate) use source::header_name;
pub use source::{Source, SourceError};
pub use template::{Piece, Template, TemplateError};

/// How the key is written in the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyForm {
    /// The whole secret is the key.
    #[default]
    Text,
    /// The key is written in hexadecimal.
    Hex,
    /// The key is written in base64, perhaps after `whsec_`.
    Base64,
}

/// The operator's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The provider's name.
    pub name: String,
    /// The header of the signature, in lower case.
    pub header: String,
    /// The hash.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// What stands before each signature.
    pub prefix: String,
    /// What stands between several signatures; `None` where there is one.
    pub separator: Option<String>,
    /// How the key is written.
    pub key: KeyForm,
    /// What the hash covers.
    pub signed: Template,
    /// The header of the time, in lower case.
    pub timestamp: Option<String>,
    /// Where the id is; `None` for a digest of the body.
    pub id: Option<Source>,
    /// Where the type is.
    pub kind: Source,
    /// Where the id of the object is.
    pub object: Option<Source>,
    /// Where the object's kind is; `None` for what stands before the last dot of the type.
    pub object_kind: Option<Source>,
    /// Where the account is.
    pub account: Option<Source>,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// `{timestamp}` without a header.
    #[error("`signed` holds {{timestamp}}; name its header as `timestamp`")]
    NoTimestamp,
    /// A header without `{timestamp}`.
    #[error("a `timestamp` that `signed` does not hold proves nothing; leave it out")]
    UnsignedTimestamp,
    /// `{id}` without a header.
    #[error("`signed` holds {{id}}; name its header as `id = \"header:NAME\"`")]
    NoId,
}

/// A provider by description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomProvider(Description);

impl CustomProvider {
    /// Take a description.
    ///
    /// # Errors
    /// A [`DescriptionError`] when its parts do not fit together.
    pub fn new(description: Description) -> Result<Self, DescriptionError> {
        let signed = &description.signed;
        match (signed.holds(Piece::Timestamp), &description.timestamp) {
            (true, None) => return Err(DescriptionError::NoTimestamp),
            (false, Some(_)) => return Err(DescriptionError::UnsignedTimestamp),
            _ => {}
        }
        if signed.holds(Piece::Id) && !matches!(description.id, Some(Source::Header(_))) {
            return Err(DescriptionError::NoId);
        }
        Ok(Self(description))
    }

    fn key(&self, secret: &Secret) -> Option<Vec<u8>> {
        let text = secret.expose().trim();
        let key = match self.0.key {
            KeyForm::Text => return as_text(secret),
            KeyForm::Hex => Encoding::Hex.decode(text.as_bytes()),
            KeyForm::Base64 => {
                Encoding::Base64.decode(text.strip_prefix("whsec_").unwrap_or(text).as_bytes())
            }
        };
        key.filter(|key| !key.is_empty())
    }

    /// The headers that a proof takes.
    fn headers(&self) -> Vec<&str> {
        let own = &self.0;
        let sources =
            [own.id.as_ref(), Some(&own.kind), own.object.as_ref(), own.object_kind.as_ref()];
        let named = sources.into_iter().chain([own.account.as_ref()]).flatten();
        let mut headers: Vec<&str> = named.filter_map(Source::header).collect();
        headers.push(&own.header);
        headers.extend(own.timestamp.as_deref());
        headers
    }
}

impl Provider for CustomProvider {
    fn name(&self) -> &str {
        &self.0.name
    }

    /// The operator knows what comes; the signature decides.
    fn takes_media(&self, _media: &[u8]) -> bool {
        true
    }

    fn check_secret(&self, secret: &Secret) -> Result<(), String> {
        let form = match self.0.key {
            KeyForm::Text => return Ok(()),
            KeyForm::Hex => "hexadecimal",
            KeyForm::Base64 => "base64",
        };
        self.key(secret).map(drop).ok_or_else(|| {
            format!("it is not {form}, as `secret_encoding` of provider `{}` says", self.0.name)
        })
    }

    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection> {
        let own = &self.0;
        let sender = Sender {
            who: &own.name,
            header: &own.header,
            secret: "the secret that the sender shows for it",
        };
        let header = sender.bounded(request.header(&own.header))?;
        let seconds = own.timestamp.as_deref().and_then(|name| request.header(name));
        let signed_at = match &own.timestamp {
            Some(name) => Some(sender.moment(name, seconds)?),
            None => None,
        };
        let id_header = own.id.as_ref().and_then(Source::header);
        let id_bytes = id_header.and_then(|name| request.header(name));
        if let (true, Some(name), None) = (own.signed.holds(Piece::Id), id_header, id_bytes) {
            return Err(sender.missing(name));
        }

        let mut ours = self.signatures(header).peekable();
        if ours.peek().is_none() {
            return Err(sender.no_scheme(&own.prefix));
        }
        let claim = Claim::of(own.algorithm, own.encoding, ours, &sender)?;
        let parts = own.signed.parts(
            &request.body,
            seconds.unwrap_or_default(),
            id_bytes.unwrap_or_default(),
        );
        let secrets = (proof.secrets, proof.now);
        let secret = claim.prove(&parts, secrets, |secret| self.key(secret), &sender)?;
        if let Some(at) = signed_at {
            sender.check_window(at, proof.tolerance, proof.now)?;
        }

        let id = match &own.id {
            None => fields::digest(&request.body),
            Some(source) => fit(source.find(request).ok_or_else(|| {
                Rejection::new(
                    "event_id_invalid",
                    format!("the request is genuine but tells no id: {source} is not there"),
                )
            })?),
        };
        let kind = own.kind.find(request).ok_or_else(|| {
            let message =
                format!("the request is genuine but tells no type: {} is not there", own.kind);
            Rejection::new("event_type_invalid", message)
        })?;
        // A pattern holds no white space, so a type must not either.
        let kind = kind.replace(|c: char| !c.is_ascii_graphic(), "_");
        if !fields::visible(&kind) {
            return Err(Rejection::new("event_type_invalid", "the type is empty or too long"));
        }
        let object = self.object(request, &kind);
        let at = signed_at.unwrap_or(proof.now);
        let mut event = super::event(&own.name, (id, kind), request, &self.headers(), at);
        event.object = object;
        event.account = own.account.as_ref().and_then(|source| source.find(request)).map(fit);
        event.secret = secret;
        Ok(event)
    }
}

impl CustomProvider {
    fn signatures<'h>(&'h self, header: &'h [u8]) -> impl Iterator<Item = &'h [u8]> {
        let separator = self.0.separator.as_deref().unwrap_or_default().as_bytes();
        let prefix = self.0.prefix.as_bytes();
        let mut rest = Some(header);
        let pieces = std::iter::from_fn(move || {
            let now = rest.take()?;
            let at = (!separator.is_empty())
                .then(|| now.windows(separator.len()).position(|part| part == separator))
                .flatten();
            let Some(at) = at else { return Some(now) };
            let (piece, after) = now.split_at(at);
            rest = after.get(separator.len()..);
            Some(piece)
        });
        pieces.filter_map(move |piece| piece.trim_ascii().strip_prefix(prefix))
    }

    fn object(&self, request: &RawRequest, kind: &str) -> Option<ObjectRef> {
        let id = fit(self.0.object.as_ref()?.find(request)?);
        let told = self.0.object_kind.as_ref().and_then(|source| source.find(request)).map(fit);
        let about = || kind.rsplit_once('.').map_or(kind, |(stem, _)| stem).to_owned();
        Some(ObjectRef { kind: told.unwrap_or_else(about), id })
    }
}

/// A text as it stands if it can be an id; else its digest.
fn fit(text: String) -> String {
    if fields::visible(&text) { text } else { fields::digest(text.as_bytes()) }
}
