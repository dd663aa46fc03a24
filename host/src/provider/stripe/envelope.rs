//! The envelope of an event: the few fields the host needs, read in one pass.
//!
//! Not the object inside (handlers read that) and not a check against Stripe's schema: an event of
//! a type or version nobody knows yet is an event. Snapshot events (`object: "event"`) and thin
//! ones (`object: "v2.core.event"`) share one reader.
//!
//! Lenient where nothing hangs on a field, strict where something does: `id`, `type` and `account`
//! are identity and refused when odd; a missing or odd `livemode` reads as false (what does not say
//! it is live is not treated as live), `created` as the time of the signature, the others as absent.
//! Of a repeated field the last counts, as in Python and JavaScript, so that handlers see the same.

use serde::de::{IgnoredAny, MapAccess};

use super::depth;
use super::json::{Entries, Leaf, Of, read};
use super::refusal::Refusal;
use crate::domain::clock::Timestamp;
use crate::domain::event::ObjectRef;

/// Longest event id in bytes. Stripe promises that none of its ids is longer than 255.
pub const MAX_ID: usize = 255;

/// Longest type, account, API version, request id or object reference in bytes.
pub const MAX_TEXT: usize = 255;

/// What the host reads of an event.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) id: String,
    /// Whether it is a thin event.
    pub(super) thin: bool,
    pub(super) kind: String,
    pub(super) account: Option<String>,
    pub(super) livemode: bool,
    pub(super) api_version: Option<String>,
    pub(super) request_id: Option<String>,
    /// `None` where the event does not say.
    pub(super) created: Option<Timestamp>,
    pub(super) object: Option<ObjectRef>,
}

/// Read a body whose signature was proved.
pub(super) fn parse(body: &[u8]) -> Result<Envelope, Refusal> {
    if body.is_empty() {
        return Err(Refusal::BodyEmpty);
    }
    let text = str::from_utf8(body).map_err(|e| Refusal::BodyNotUtf8(e.valid_up_to()))?;
    let not_json = |e: serde_json::Error| Refusal::BodyNotJson(e.to_string());
    if !text.trim_ascii_start().starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
        return Err(Refusal::BodyNotObject);
    }
    let fields: Fields<'_> = read(text).map_err(not_json)?;
    if depth::too_deep(body) {
        return Err(Refusal::BodyTooDeep);
    }
    fields.check()
}

/// The fields as they stand.
#[derive(Default)]
struct Fields<'a> {
    id: Leaf<'a>,
    object: Leaf<'a>,
    kind: Leaf<'a>,
    account: Leaf<'a>,
    context: Leaf<'a>,
    livemode: Leaf<'a>,
    api_version: Leaf<'a>,
    created: Leaf<'a>,
    request: Request<'a>,
    reason: Reason<'a>,
    data: Data<'a>,
    related_object: Reference<'a>,
}

/// `request`: an object with an `id`, or the id itself as old API versions have it.
#[derive(Default)]
struct Request<'a> {
    id: Option<String>,
    nested: Leaf<'a>,
}

/// `reason` of a thin event, which holds its `request`.
#[derive(Default)]
struct Reason<'a>(Request<'a>);

/// `data` of a snapshot event, of which only `object` is read.
#[derive(Default)]
struct Data<'a>(Reference<'a>);

/// An object that names itself by `id` and `object` (snapshots) or `type` (thin events).
#[derive(Default)]
struct Reference<'a> {
    id: Leaf<'a>,
    object: Leaf<'a>,
    kind: Leaf<'a>,
}

impl Fields<'_> {
    fn check(self) -> Result<Envelope, Refusal> {
        let mut thin = false;
        if !self.object.is_absent() {
            let object = self.object.text().ok_or(Refusal::NotAnEvent)?;
            thin = object != "event";
            if thin && !object.ends_with(".event") {
                return Err(Refusal::NotAnEvent);
            }
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let id = self.id.text().filter(|id| within(id, MAX_ID) && id.bytes().all(plain));
        let kind = self.kind.text().filter(|kind| visible(kind));
        let account = if self.account.is_null() { self.context } else { self.account };
        let account = match account.text() {
            Some(account) if visible(&account) => Some(account),
            None if account.is_null() => None,
            _ => return Err(Refusal::EventAccountInvalid),
        };
        let optional = |text: Option<String>| text.filter(|text| visible(text));
        Ok(Envelope {
            id: id.ok_or(Refusal::EventIdInvalid)?,
            thin,
            kind: kind.ok_or(Refusal::EventTypeInvalid)?,
            account,
            livemode: self.livemode.is_true(),
            api_version: optional(self.api_version.text()),
            request_id: optional(self.request.named().or_else(|| self.reason.0.named())),
            created: self.created.moment(),
            object: self.data.0.named().or_else(|| self.related_object.named()),
        })
    }
}

impl Request<'_> {
    fn named(self) -> Option<String> {
        self.id.or_else(|| self.nested.text())
    }
}

impl Reference<'_> {
    fn named(self) -> Option<ObjectRef> {
        let kind = self.object.text().or_else(|| self.kind.text())?;
        let id = self.id.text()?;
        (visible(&kind) && visible(&id)).then_some(ObjectRef { kind, id })
    }
}

fn within(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most
}

fn visible(text: &str) -> bool {
    within(text, MAX_TEXT) && text.bytes().all(|b| b.is_ascii_graphic())
}

impl<'de> Entries<'de> for Fields<'de> {
    fn entry<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = map.next_value()?,
            "object" => self.object = map.next_value()?,
            "type" => self.kind = map.next_value()?,
            "account" => self.account = map.next_value()?,
            "context" => self.context = map.next_value()?,
            "livemode" => self.livemode = map.next_value()?,
            "api_version" => self.api_version = map.next_value()?,
            "created" => self.created = map.next_value()?,
            "request" => self.request = map.next_value_seed(Of::new())?,
            "reason" => self.reason = map.next_value_seed(Of::new())?,
            "data" => self.data = map.next_value_seed(Of::new())?,
            "related_object" => self.related_object = map.next_value_seed(Of::new())?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Entries<'de> for Request<'de> {
    fn entry<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.nested = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }

    fn from_text(text: &str) -> Self {
        Self { id: Some(text.to_owned()), nested: Leaf::default() }
    }
}

impl<'de> Entries<'de> for Reason<'de> {
    fn entry<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "request" => self.0 = map.next_value_seed(Of::new())?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Entries<'de> for Data<'de> {
    fn entry<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "object" => self.0 = map.next_value_seed(Of::new())?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Entries<'de> for Reference<'de> {
    fn entry<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = map.next_value()?,
            "object" => self.object = map.next_value()?,
            "type" => self.kind = map.next_value()?,
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}
