//! Stripe's lists: the newest first, `limit`, `starting_after`, `ending_before`, `created[...]`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::Answer;
use super::params::Params;

/// What a page is cut out by.
#[derive(Debug)]
pub(super) struct Cut {
    limit: usize,
    after: Option<String>,
    before: Option<String>,
    created: BTreeMap<String, u64>,
}

/// Something in a list.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) created: u64,
    /// As it is answered, byte for byte.
    pub(super) text: String,
}

impl Entry {
    pub(super) fn of(value: &Value) -> Self {
        let id = value.get("id").and_then(Value::as_str).unwrap_or_default();
        Self {
            id: id.to_owned(),
            created: value.get("created").and_then(Value::as_u64).unwrap_or(0),
            text: format!("{value:#}"),
        }
    }
}

impl Cut {
    pub(super) fn take(params: &mut Params) -> Result<Self, Answer> {
        let limit = params.take_number("limit")?.unwrap_or(10);
        if !(1..=100).contains(&limit) {
            let message = format!("Invalid limit: {limit} is not between 1 and 100");
            return Err(Answer::error(400, "parameter_invalid_integer", &message, Some("limit")));
        }
        let (after, before) = (params.take("starting_after"), params.take("ending_before"));
        if after.is_some() && before.is_some() {
            let message = "You can not use both `starting_after` and `ending_before`";
            return Err(Answer::error(400, "parameter_invalid", message, Some("ending_before")));
        }
        let mut created = BTreeMap::new();
        for (name, value) in params.take_map("created") {
            let wrong = |_| {
                let message = format!("Invalid timestamp: {value}");
                Answer::error(400, "parameter_invalid_integer", &message, Some("created"))
            };
            created.insert(name, value.parse().map_err(wrong)?);
        }
        if let Some(exact) = params.take_number("created")? {
            created.extend([("gte".to_owned(), exact), ("lte".to_owned(), exact)]);
        }
        let limit = usize::try_from(limit).unwrap_or(100);
        Ok(Self { limit, after, before, created })
    }

    fn within(&self, created: u64) -> bool {
        self.created.iter().all(|(name, bound)| match name.as_str() {
            "gt" => created > *bound,
            "gte" => created >= *bound,
            "lt" => created < *bound,
            "lte" => created <= *bound,
            _ => false,
        })
    }

    /// The page of `entries`, which are the newest first.
    pub(super) fn page(&self, url: &str, entries: Vec<Entry>) -> Answer {
        let place = |id: &String| {
            let found = entries.iter().position(|entry| entry.id == *id);
            found.ok_or_else(|| Answer {
                status: 400,
                ..Answer::missing("object", id, "starting_after")
            })
        };
        let place = |id: &Option<String>| id.as_ref().map(place).transpose();
        let (after, before) = match (place(&self.after), place(&self.before)) {
            (Ok(after), Ok(before)) => (after, before),
            (Err(answer), _) | (_, Err(answer)) => return answer,
        };
        let fits = |(at, entry): &(usize, &Entry)| {
            self.within(entry.created)
                && after.is_none_or(|after| *at > after)
                && before.is_none_or(|before| *at < before)
        };
        let fitting: Vec<_> = entries.iter().enumerate().filter(fits).collect();
        let has_more = fitting.len() > self.limit;
        // Those nearest to `ending_before`, in the same order all the same.
        let skip = if before.is_some() { fitting.len().saturating_sub(self.limit) } else { 0 };
        let page = fitting.iter().skip(skip).take(self.limit);
        let data: Vec<_> = page.map(|(_, entry)| entry.text.replace('\n', "\n    ")).collect();
        let data = data.join(",\n    ");
        Answer::text(format!(
            "{{\n  \"object\": \"list\",\n  \"data\": [\n    {data}\n  ],\n  \"has_more\": {has_more},\n  \"url\": \"{url}\"\n}}"
        ))
    }
}
