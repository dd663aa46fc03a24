//! `--override`, `--add` and `--remove`: changes to a fixture before it is signed.

use std::str::FromStr;

use serde_json::{Map, Value};

/// A place in an event: `data.object.items.data[0].price`, or `charge:amount` for what lies below
/// `data.object` of events about a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    resource: Option<String>,
    parts: Vec<String>,
    written: String,
}

/// What to do there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// Replace a value; a last name that is not there is added, a place to add it must be.
    Override(Path, Value),
    /// Put a value, with whatever leads to it.
    Add(Path, Value),
    /// Take a value away.
    Remove(Path),
}

/// What became of a [`Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    Replaced,
    /// The name was not in the fixture.
    Added,
    /// It is about another resource than this event.
    Elsewhere,
}

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(
        "`{0}` is no change; write `path=value`, e.g. `data.object.amount=500` or `charge:amount=500`"
    )]
    NoValue(String),
    #[error("`{0}` is no path; write `data.object.items.data[0].price` or `charge:amount`")]
    NoPath(String),
    #[error("`{path}`: the event has no `{missing}`{hint}")]
    Missing { path: String, missing: String, hint: String },
}

impl FromStr for Path {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let (resource, rest) = match text.split_once(':') {
            Some((resource, rest)) => (Some(resource.trim().to_owned()), rest),
            None => (None, text),
        };
        // `items[0].price` is `items.0.price`.
        let flat = rest.replace('[', ".").replace(']', "");
        let mut parts: Vec<String> = flat.split('.').map(|part| part.trim().to_owned()).collect();
        let empty = |part: &String| part.is_empty();
        if parts.iter().any(empty) || resource.as_ref().is_some_and(empty) {
            return Err(ChangeError::NoPath(text.to_owned()));
        }
        if resource.is_some() {
            parts.splice(0..0, ["data".to_owned(), "object".to_owned()]);
        }
        Ok(Self { resource, parts, written: text.to_owned() })
    }
}

/// `path=value`; the value is JSON where it reads as JSON, text elsewhere.
fn assignment(text: &str) -> Result<(Path, Value), ChangeError> {
    let (path, value) =
        text.split_once('=').ok_or_else(|| ChangeError::NoValue(text.to_owned()))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((path.parse()?, value))
}

impl Change {
    pub(crate) fn overriding(text: &str) -> Result<Self, ChangeError> {
        assignment(text).map(|(path, value)| Self::Override(path, value))
    }

    pub(crate) fn adding(text: &str) -> Result<Self, ChangeError> {
        assignment(text).map(|(path, value)| Self::Add(path, value))
    }

    pub(crate) fn removing(text: &str) -> Result<Self, ChangeError> {
        Ok(Self::Remove(text.parse()?))
    }

    pub(crate) const fn path(&self) -> &Path {
        match self {
            Self::Override(path, _) | Self::Add(path, _) | Self::Remove(path) => path,
        }
    }

    /// The text that this change puts at `place`, if it puts one there.
    pub(crate) fn text_at(&self, event: &Value, place: &[&str]) -> Option<&str> {
        let (Self::Override(path, value) | Self::Add(path, value)) = self else { return None };
        if path.parts == place && path.is_about(event) { value.as_str() } else { None }
    }

    /// Make the change.
    pub(crate) fn apply(&self, event: &mut Value) -> Result<Changed, ChangeError> {
        let path = self.path();
        if !path.is_about(event) {
            return Ok(Changed::Elsewhere);
        }
        let Some((last, way)) = path.parts.split_last() else { return Ok(Changed::Elsewhere) };
        let mut node = event;
        for (depth, part) in way.iter().enumerate() {
            if matches!(self, Self::Add(..)) {
                node = path.make(node, part, depth)?;
                continue;
            }
            let hint = hint(node, part, depth);
            let missing = || path.missing(depth, hint);
            node = step(node, part).ok_or_else(missing)?;
        }
        let depth = way.len();
        // At the top a name that is not there is a slip more often than a wish.
        if depth == 0 && !known_at_top(node, last) && !matches!(self, Self::Add(..)) {
            return Err(path.missing(0, hint(node, last, 0)));
        }
        let missing = path.missing(depth, hint(node, last, depth));
        match (self, node) {
            (Self::Remove(_), Value::Object(table)) => {
                table.remove(last).map(|_| Changed::Replaced).ok_or(missing)
            }
            (Self::Remove(_), Value::Array(list)) => match last.parse::<usize>() {
                Ok(index) if index < list.len() => {
                    list.remove(index);
                    Ok(Changed::Replaced)
                }
                _ => Err(missing),
            },
            (Self::Override(_, value) | Self::Add(_, value), Value::Object(table)) => {
                let before = table.insert(last.clone(), value.clone());
                Ok(before.map_or(Changed::Added, |_| Changed::Replaced))
            }
            (Self::Override(_, value) | Self::Add(_, value), Value::Array(list)) => {
                match last.parse::<usize>() {
                    Ok(index) if index == list.len() => {
                        list.push(value.clone());
                        Ok(Changed::Added)
                    }
                    Ok(index) => {
                        *list.get_mut(index).ok_or(missing)? = value.clone();
                        Ok(Changed::Replaced)
                    }
                    Err(_) => Err(missing),
                }
            }
            _ => Err(missing),
        }
    }
}

impl Path {
    /// As it was written.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    fn is_about(&self, event: &Value) -> bool {
        let Some(resource) = &self.resource else { return true };
        let kind = event.pointer("/data/object/object").and_then(Value::as_str);
        kind == Some(resource.as_str())
    }

    fn missing(&self, depth: usize, hint: String) -> ChangeError {
        let missing = self.parts.get(..=depth).unwrap_or(&self.parts).join(".");
        ChangeError::Missing { path: self.written.clone(), missing, hint }
    }

    /// Go to `part`, making it a table where there is nothing.
    fn make<'v>(
        &self,
        node: &'v mut Value,
        part: &str,
        depth: usize,
    ) -> Result<&'v mut Value, ChangeError> {
        if let Value::Object(table) = node {
            let next = table.entry(part).or_insert(Value::Null);
            if next.is_null() {
                *next = Value::Object(Map::new());
            }
            return Ok(next);
        }
        let hint = hint(node, part, depth);
        step(node, part).ok_or_else(|| self.missing(depth, hint))
    }
}

/// Fields that Stripe puts beside those of every fixture: of Connect events.
const OPTIONAL: [&str; 2] = ["account", "context"];

fn known_at_top(event: &Value, name: &str) -> bool {
    OPTIONAL.contains(&name) || event.get(name).is_some()
}

fn step<'v>(node: &'v mut Value, part: &str) -> Option<&'v mut Value> {
    match node {
        Value::Object(table) => table.get_mut(part),
        Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    }
}

/// What the author may have meant.
fn hint(node: &Value, part: &str, depth: usize) -> String {
    if depth == 0 && node.pointer("/data/object").is_some_and(|object| object.get(part).is_some()) {
        return format!("; did you mean `data.object.{part}`?");
    }
    match node {
        Value::Object(table) => {
            let names = table.keys().map(String::as_str);
            match crate::config::nearest(part, names) {
                Some(name) => format!("; did you mean `{name}`?"),
                None => "; --add makes what is missing".to_owned(),
            }
        }
        Value::Array(list) => format!("; the list there has {} entries, from 0", list.len()),
        _ => "; what is there is no table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "id": "evt_1", "livemode": false, "type": "charge.succeeded",
            "data": {"object": {
                "object": "charge", "amount": 1, "metadata": {}, "customer": null,
                "refunds": {"data": [{"id": "re_1"}]},
            }},
        })
    }

    #[test]
    fn values_are_put_where_the_path_says() {
        let table = [
            ("data.object.amount=500", "/data/object/amount", json!(500), Changed::Replaced),
            ("charge:amount=500", "/data/object/amount", json!(500), Changed::Replaced),
            ("charge:customer=cus_9", "/data/object/customer", json!("cus_9"), Changed::Replaced),
            ("charge:amount=\"500\"", "/data/object/amount", json!("500"), Changed::Replaced),
            ("charge:metadata.order=7", "/data/object/metadata/order", json!(7), Changed::Added),
            (
                "charge:metadata={\"a\":[1]}",
                "/data/object/metadata/a/0",
                json!(1),
                Changed::Replaced,
            ),
            (
                "charge:refunds.data[0].id=re_2",
                "/data/object/refunds/data/0/id",
                json!("re_2"),
                Changed::Replaced,
            ),
            (
                "charge:refunds.data.0.id=re_2",
                "/data/object/refunds/data/0/id",
                json!("re_2"),
                Changed::Replaced,
            ),
            ("charge:refunds.data[1]={}", "/data/object/refunds/data/1", json!({}), Changed::Added),
            ("livemode=true", "/livemode", json!(true), Changed::Replaced),
            ("account=acct_1", "/account", json!("acct_1"), Changed::Added),
            ("charge:description=a=b", "/data/object/description", json!("a=b"), Changed::Added),
            ("refund:amount=5", "/data/object/amount", json!(1), Changed::Elsewhere),
        ];
        for (text, place, value, changed) in table {
            let mut event = event();
            assert_eq!(Change::overriding(text).unwrap().apply(&mut event), Ok(changed), "{text}");
            assert_eq!(event.pointer(place), Some(&value), "{text}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_says_what_was_meant() {
        let table = [
            ("amount=5", "`amount`: the event has no `amount`; did you mean `data.object.amount`?"),
            ("lifemode=true", "`lifemode`: the event has no `lifemode`; did you mean `livemode`?"),
            (
                "charge:metadatas.a=1",
                "`charge:metadatas.a`: the event has no `data.object.metadatas`; did you mean `metadata`?",
            ),
            (
                "charge:refunds.data[7].id=x",
                "`charge:refunds.data[7].id`: the event has no `data.object.refunds.data.7`; the list there has 1 entries, from 0",
            ),
            (
                "charge:refunds.data[7]=x",
                "`charge:refunds.data[7]`: the event has no `data.object.refunds.data.7`; the list there has 1 entries, from 0",
            ),
            (
                "charge:amount.value=1",
                "`charge:amount.value`: the event has no `data.object.amount.value`; what is there is no table",
            ),
            (
                "charge:zzz.a=1",
                "`charge:zzz.a`: the event has no `data.object.zzz`; --add makes what is missing",
            ),
        ];
        for (text, expected) in table {
            let mut changed = event();
            let error = Change::overriding(text).unwrap().apply(&mut changed).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(changed, event(), "{text}");
        }
        for bad in ["amount", "", "=5", ".a=1", "a..b=1", ":a=1", "charge:=1"] {
            assert!(Change::overriding(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn adding_makes_the_way_and_removing_takes_away() {
        let mut event = event();
        Change::adding("charge:shipping.address.city=Oslo").unwrap().apply(&mut event).unwrap();
        assert_eq!(event.pointer("/data/object/shipping/address/city"), Some(&json!("Oslo")));
        Change::adding("data.previous_attributes.amount=3").unwrap().apply(&mut event).unwrap();
        assert_eq!(event.pointer("/data/previous_attributes/amount"), Some(&json!(3)));
        Change::removing("charge:refunds.data[0]").unwrap().apply(&mut event).unwrap();
        assert_eq!(event.pointer("/data/object/refunds/data"), Some(&json!([])));
        Change::removing("livemode").unwrap().apply(&mut event).unwrap();
        assert_eq!(event.get("livemode"), None);
        assert!(Change::removing("charge:zzz").unwrap().apply(&mut event).is_err());
        assert!(Change::adding("livemode.a.b=1").unwrap().apply(&mut event).is_ok());
        assert!(Change::adding("id.a=1").unwrap().apply(&mut event).is_err());
    }
}
