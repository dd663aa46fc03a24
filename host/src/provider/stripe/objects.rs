//! The objects that an event shows: its own, and every one inside that names itself.
//!
//! Of every type, known or not: what carries a text `id` and a text `object` is an object. What carries
//! none (a balance, settings) has nothing to be found by and is not mirrored.
//!
//! What is the end of an object was read from Stripe's reference, type by type:
//!
//! - `*.deleted` tells that the object is no longer there, and so does `deleted: true`, which is all that
//!   is left of it wherever else it is shown.
//! - But a cancelled subscription (`customer.subscription.deleted`) and a detached source
//!   (`customer.source.deleted` of a `source`, not of a card) can still be retrieved: they are over and
//!   not gone. A subscription that is `canceled` or `incomplete_expired` does not begin again.
//! - `*.created` is the first state of its object. Others, such as `charge.succeeded`, may be and do not
//!   say so.

use std::collections::VecDeque;
use std::str;

use bytes::Bytes;

use super::envelope::{MAX_ID, MAX_TEXT};
use crate::domain::clock::Timestamp;
use crate::domain::event::VerifiedEvent;
use crate::domain::json::{Kind, Value};
use crate::domain::object::{Before, Sighting, Stage};

/// Most objects taken whole from one event. An invoice shows ten lines with a price and a plan each.
pub const MAX_OBJECTS: usize = 256;

/// Most objects taken from one event at all: of those beyond [`MAX_OBJECTS`] or [`MAX_EMBEDDED_BYTES`]
/// only that they may have changed. Each is a row of its own beside the event.
pub const MAX_NAMED_OBJECTS: usize = 1_024;

/// Deepest place, counted from the event's own object, at which objects are looked for. Those of the
/// fixtures lie at 5 or less.
pub const MAX_OBJECT_DEPTH: usize = 16;

/// Most bytes of whole objects inside the event's own, in all: each is written beside the event.
pub const MAX_EMBEDDED_BYTES: usize = 512 << 10;

/// Kinds that are still there after their `*.deleted`.
const RETRIEVABLE: [&str; 2] = ["subscription", "source"];

/// What is shown by `event`.
pub(super) fn of_event(event: &VerifiedEvent) -> Vec<Sighting> {
    let Some(whole) = str::from_utf8(&event.body).ok().and_then(Value::parse) else {
        return Vec::new();
    };
    let Some(data) = whole.get("data") else { return Vec::new() };
    let Some(object) = data.get("object") else { return Vec::new() };
    let mut found =
        Found { body: &event.body, as_of: event.occurred_at, all: Vec::new(), bytes: 0 };
    if let Some(mut subject) = found.sighting(object, subject_stage(&event.kind, object)) {
        subject.subject = true;
        let previous = data.get("previous_attributes");
        if let Some(previous) = previous.filter(|previous| matches!(previous.kind, Kind::Map(_))) {
            let before = object.digest_before(previous);
            // One that changes nothing is no witness.
            if before != subject.content {
                subject.before = Before::Was(before);
                subject.previous = Some(event.body.slice_ref(previous.raw.as_bytes()));
            }
        } else if event.kind.ends_with(".updated") {
            subject.before = Before::Untold;
        }
        found.all.push(subject);
    }
    found.inside(object);
    found.all
}

/// What is shown by an object that was fetched at `now`: itself first, if it names itself.
pub(super) fn of_object(body: &Bytes, now: Timestamp) -> Vec<Sighting> {
    let Some(object) = str::from_utf8(body).ok().and_then(Value::parse) else {
        return Vec::new();
    };
    let mut found = Found { body, as_of: now, all: Vec::new(), bytes: 0 };
    if let Some(mut subject) = found.sighting(&object, stage(&object)) {
        subject.subject = true;
        found.all.push(subject);
    }
    found.inside(&object);
    found.all
}

struct Found<'a> {
    body: &'a Bytes,
    as_of: Timestamp,
    all: Vec<Sighting>,
    bytes: usize,
}

impl Found<'_> {
    /// Objects inside `value`, those nearest to it first; each once.
    fn inside(&mut self, value: &Value<'_>) {
        let mut next: VecDeque<_> = children(value).map(|child| (child, 1)).collect();
        while let Some((value, depth)) = next.pop_front() {
            if self.all.len() >= MAX_NAMED_OBJECTS {
                return;
            }
            if let Some(one) = self.sighting(value, stage(value)) {
                let known = |other: &Sighting| other.kind == one.kind && other.id == one.id;
                if !self.all.iter().any(known) {
                    let bytes = self.bytes + one.body.len();
                    let whole = bytes <= MAX_EMBEDDED_BYTES && self.all.len() < MAX_OBJECTS;
                    if whole {
                        self.bytes = bytes;
                    }
                    let gone = one.stage == Stage::Gone;
                    self.all.push(if whole || gone { one } else { one.unkept() });
                }
            }
            if depth < MAX_OBJECT_DEPTH {
                next.extend(children(value).map(|child| (child, depth + 1)));
            }
        }
    }

    fn sighting(&self, value: &Value<'_>, stage: Stage) -> Option<Sighting> {
        let kind = value.get("object").and_then(Value::text)?;
        let id = value.get("id").and_then(Value::text)?;
        let plain = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_graphic());
        // People choose identifiers of coupons: `25 % off` is one.
        let named = !id.is_empty() && !id.chars().any(char::is_control);
        if !plain || !named || kind.len() > MAX_TEXT || id.len() > MAX_ID {
            return None;
        }
        let born = value.get("created").and_then(Value::number).map(Timestamp::from_secs);
        Some(Sighting {
            kind: kind.to_owned(),
            id: id.to_owned(),
            stage,
            subject: false,
            stub: is_stub(value),
            // A test clock's objects are made in its own future.
            born: born.filter(|born| *born <= self.as_of),
            before: Before::Silent,
            content: value.digest(),
            previous: None,
            body: self.body.slice_ref(value.raw.as_bytes()),
        })
    }
}

/// Members of what is left of a deleted object: `id`, `object`, `deleted`, and of a bank account its
/// `currency`.
const STUB_MEMBERS: usize = 4;

/// Whether it says no more than that the object is gone.
fn is_stub(value: &Value<'_>) -> bool {
    let few = matches!(&value.kind, Kind::Map(entries) if entries.len() <= STUB_MEMBERS);
    few && value.get("deleted").is_some_and(Value::is_true)
}

/// What may be, or hold, an object.
fn children<'v, 'a>(value: &'v Value<'a>) -> impl Iterator<Item = &'v Value<'a>> {
    let (items, entries): (&[Value<'a>], &[_]) = match &value.kind {
        Kind::List(items) => (items, &[]),
        Kind::Map(entries) => (&[], entries),
        _ => (&[], &[]),
    };
    let holds = |value: &&Value<'_>| matches!(value.kind, Kind::List(_) | Kind::Map(_));
    items.iter().chain(entries.iter().map(|(_, value)| value)).filter(holds)
}

fn subject_stage(event: &str, object: &Value<'_>) -> Stage {
    let kind = object.get("object").and_then(Value::text).unwrap_or_default();
    match event.rsplit('.').next() {
        Some("created") => Stage::Created,
        Some("deleted") if RETRIEVABLE.contains(&kind) => Stage::Ended,
        Some("deleted") => Stage::Gone,
        _ => stage(object),
    }
}

fn stage(object: &Value<'_>) -> Stage {
    if object.get("deleted").is_some_and(Value::is_true) {
        return Stage::Gone;
    }
    let text = |name| object.get(name).and_then(Value::text);
    match (text("object"), text("status")) {
        (Some("subscription"), Some("canceled" | "incomplete_expired")) => Stage::Ended,
        _ => Stage::Live,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::testing::genuine;
    use super::*;

    const EVENTS: &str = include_str!("../../../../tests/fixtures/stripe/events.jsonl");

    /// Kinds and identifiers by a reader that is not ours.
    fn named(value: &serde_json::Value, into: &mut BTreeSet<(String, String)>) {
        match value {
            serde_json::Value::Object(map) => {
                if let (Some(kind), Some(id)) = (map.get("object"), map.get("id"))
                    && let (Some(kind), Some(id)) = (kind.as_str(), id.as_str())
                {
                    into.insert((kind.to_owned(), id.to_owned()));
                }
                map.values().for_each(|value| named(value, into));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| named(value, into)),
            _ => {}
        }
    }

    fn of(body: &str) -> Vec<Sighting> {
        of_event(&genuine(body.as_bytes()).unwrap())
    }

    #[test]
    fn every_object_of_every_type_is_found_with_its_very_bytes() {
        let (mut types, mut objects, mut without) = (0, 0, Vec::new());
        for line in EVENTS.lines() {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            let data = &json["data"];
            let mut expected = BTreeSet::new();
            named(&data["object"], &mut expected);
            let found = of(line);
            let names: BTreeSet<_> = found.iter().map(|o| (o.kind.clone(), o.id.clone())).collect();
            assert_eq!((names.len(), &names), (found.len(), &expected), "{line}");
            for one in &found {
                let body = str::from_utf8(&one.body).unwrap();
                assert!(line.contains(body));
                let value: serde_json::Value = serde_json::from_str(body).unwrap();
                assert_eq!(value["id"].as_str(), Some(one.id.as_str()));
            }
            if data["object"]["id"].is_string() {
                let subject = found.first().unwrap();
                assert!(subject.subject && found.iter().filter(|o| o.subject).count() == 1);
                assert!(subject.before != Before::Was(subject.content), "{line}");
            } else {
                without.push(json["type"].as_str().unwrap().to_owned());
            }
            types += 1;
            objects += found.len();
        }
        assert_eq!(types, 275);
        println!("{objects} objects in {types} events; not mirrored: {without:?}");
        assert_eq!(without.len(), 6, "{without:?}");
    }

    #[test]
    fn numbers_and_blanks_stay_as_they_are() {
        let body = r#"{"id":"evt_1","type":"a.updated","created":9,"data":{"object":
            { "id":"x_1", "object" : "x", "n": 9007199254740993, "f":1.10, "created":9007199254740993,
              "in":[[{"k":{"id":"25 % off","object":"coupon","deleted":true}}]]},
            "previous_attributes":{"n":9007199254740992}}}"#;
        let found = of(body);
        let [own, coupon] = found.as_slice() else { panic!("{found:?}") };
        assert!(str::from_utf8(&own.body).unwrap().contains("9007199254740993, \"f\":1.10,"));
        assert_eq!(own.previous.as_deref(), Some(br#"{"n":9007199254740992}"#.as_slice()));
        assert!(
            matches!(own.before, Before::Was(_)) && own.born.is_none(),
            "made after its event: {own:?}"
        );
        let before = |body: &str| of(body).first().unwrap().before;
        let without = body.replace("previous_attributes", "else");
        assert_eq!(before(&without), Before::Untold);
        assert_eq!(before(&without.replace("a.updated", "a.paid")), Before::Silent);
        assert_eq!(
            (coupon.id.as_str(), coupon.stage, coupon.stub),
            ("25 % off", Stage::Gone, true)
        );
    }

    #[test]
    fn ends_are_told_from_states_that_are_over() {
        let stage = |event: &str, object: &str| {
            let body = format!(
                r#"{{"id":"evt_1","type":"{event}","created":9,"data":{{"object":{object}}}}}"#
            );
            of(&body).first().unwrap().stage
        };
        let of_kind = |kind: &str, status: &str| {
            format!(r#"{{"id":"i","object":"{kind}","status":"{status}"}}"#)
        };
        let subscription = of_kind("subscription", "canceled");
        assert_eq!(stage("customer.subscription.deleted", &subscription), Stage::Ended);
        assert_eq!(stage("customer.subscription.updated", &subscription), Stage::Ended);
        let active = of_kind("subscription", "active");
        assert_eq!(stage("customer.subscription.updated", &active), Stage::Live);
        assert_eq!(stage("customer.subscription.created", &active), Stage::Created);
        assert_eq!(stage("customer.source.deleted", &of_kind("source", "consumed")), Stage::Ended);
        for kind in ["card", "customer", "price", "invoice", "a.new.one"] {
            assert_eq!(stage(&format!("x.{kind}.deleted"), &of_kind(kind, "draft")), Stage::Gone);
        }
        let whole = r#"{"id":"i","object":"customer","deleted":true,"name":"Ada","email":null}"#;
        assert_eq!(stage("customer.deleted", whole), Stage::Gone);
        assert!(!is_stub(&Value::parse(whole).unwrap()), "its last state is there");
        assert_eq!(
            stage("account.application.deauthorized", &of_kind("application", "")),
            Stage::Live
        );
    }

    #[test]
    fn number_depth_and_bytes_are_bounded_and_the_nearest_come_first() {
        let one = |id: &str, inside: &str| format!(r#"{{"id":"{id}","object":"x","in":{inside}}}"#);
        let event = |inside: &str| {
            let own = one("own", inside);
            of(&format!(r#"{{"id":"evt_1","type":"a","created":9,"data":{{"object":{own}}}}}"#))
        };
        let kept = |found: &[Sighting]| found.iter().filter(|one| !one.stub).count();
        let many = |count| {
            let many: Vec<_> = (0..count).map(|n| one(&format!("x_{n}"), "0")).collect();
            event(&format!("[{}]", many.join(",")))
        };
        let found = many(400);
        assert_eq!((found.len(), kept(&found)), (401, MAX_OBJECTS), "the rest is in doubt");
        assert_eq!(found.last().unwrap().body, r#"{"id":"x_399","object":"x"}"#);
        assert_eq!(many(2_000).len(), MAX_NAMED_OBJECTS);
        let deep = (0..40).fold("0".to_owned(), |inside, n| one(&format!("d_{n}"), &inside));
        let found = event(&deep);
        assert_eq!(found.len(), 1 + MAX_OBJECT_DEPTH);
        assert_eq!(found.get(1).unwrap().id, "d_39");
        let large = format!("\"{}\"", "y".repeat(200 << 10));
        let large: Vec<_> = (0..5).map(|n| one(&format!("l_{n}"), &large)).collect();
        let found = event(&format!("[{}]", large.join(",")));
        assert_eq!((found.len(), kept(&found)), (6, 3));
    }

    #[test]
    fn an_event_without_an_object_shows_none() {
        for body in [
            r#"{"id":"evt_1","type":"a"}"#,
            r#"{"id":"evt_1","type":"a","data":[]}"#,
            r#"{"id":"evt_1","type":"a","data":{"object":{"id":7,"object":"x"}}}"#,
            r#"{"id":"evt_1","type":"a","data":{"object":{"object":"balance"}}}"#,
            r#"{"id":"evt_1","object":"v2.core.event","type":"v1.a","related_object":{"id":"a","type":"b"}}"#,
        ] {
            assert_eq!(of(body), [], "{body}");
        }
    }
}
