//! One realistic event of each type, part of the program.
//!
//! The same file as `tests/fixtures/stripe/events.jsonl`; a test compares them.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::pattern::TypePattern;

use super::super::exit::Usage;

const EVENTS: &str = include_str!("../fixtures/stripe.jsonl");

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

/// One event, not yet anyone's.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) kind: String,
    pub(crate) event: Value,
}

fn lines() -> impl Iterator<Item = (String, &'static str)> {
    EVENTS.lines().filter_map(|line| {
        let kind: Kind<'_> = serde_json::from_str(line).ok()?;
        Some((kind.kind.into_owned(), line))
    })
}

/// All types there is a fixture of.
pub(crate) fn kinds() -> Vec<String> {
    lines().map(|(kind, _)| kind).collect()
}

/// The fixtures of a type, or of all types of a pattern (`customer.*`).
///
/// # Errors
/// [`Usage`] with suggestions when there is none.
pub(crate) fn find(wanted: &str) -> Result<Vec<Fixture>, Usage> {
    let pattern: TypePattern = wanted.parse().map_err(|error| Usage(format!("{error}")))?;
    let parse = |(kind, line): (String, &str)| {
        let event = serde_json::from_str(line).map_err(|error| {
            Usage(format!("this program's own event of type `{kind}` is broken: {error}"))
        })?;
        Ok(Fixture { kind, event })
    };
    let found: Vec<Fixture> = lines()
        .filter(|(kind, _)| pattern.matches(kind))
        .map(parse)
        .collect::<Result<_, Usage>>()?;
    if found.is_empty() {
        return Err(Usage(format!(
            "there is no event of type `{wanted}`{}; `signalbox trigger --list` names all",
            suggestion(wanted.trim_end_matches(".*"))
        )));
    }
    Ok(found)
}

fn suggestion(wanted: &str) -> String {
    let names = suggestions(wanted, &kinds());
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", names.join(", ")) }
}

/// At most five types that begin with `wanted` or are much like it, the likest first.
fn suggestions(wanted: &str, kinds: &[String]) -> Vec<String> {
    const MOST: usize = 5;
    const ALIKE: f64 = 0.8;
    let score = |kind: &String| {
        let begins = !wanted.is_empty() && kind.starts_with(wanted);
        let likeness = strsim::normalized_damerau_levenshtein(wanted, kind)
            .max(strsim::jaro_winkler(wanted, kind) * 0.9);
        let score = if begins { 1.0 + likeness } else { likeness };
        (score >= ALIKE).then(|| (score, kind.clone()))
    };
    let mut scored: Vec<(f64, String)> = kinds.iter().filter_map(score).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.into_iter().take(MOST).map(|(_, kind)| format!("`{kind}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_are_those_of_the_tests() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/stripe/events.jsonl");
        assert!(std::fs::read_to_string(path).unwrap() == EVENTS, "{path} differs");
    }

    #[test]
    fn every_line_is_an_event_of_a_type_of_its_own() {
        let mut kinds = kinds();
        assert_eq!(kinds.len(), EVENTS.lines().count());
        assert_eq!(kinds.len(), find("*").unwrap().len());
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), 275);
    }

    #[test]
    fn a_pattern_finds_what_is_below_it() {
        let found = find("customer.subscription.*").unwrap();
        assert!(found.len() > 3);
        assert!(found.iter().all(|f| f.kind.starts_with("customer.subscription.")));
    }

    #[test]
    fn an_unknown_type_gets_suggestions() {
        for (wanted, hint) in [
            ("charge.suceeded", "`charge.succeeded`"),
            ("customer.subscription", "`customer.subscription.created`"),
            ("chargee.*", "`charge."),
        ] {
            let error = find(wanted).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        assert!(find("zzzzzz").unwrap_err().to_string().contains("--list"));
        assert!(find("a..b").unwrap_err().to_string().contains("pattern"));
    }
}
