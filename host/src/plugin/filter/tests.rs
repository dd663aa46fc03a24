//! What filters let through, what they refuse, and that they end.

use super::*;
use crate::plugin::tests::event;

fn passes(filter: &str, body: &str) -> bool {
    let event = event("charge.succeeded", body);
    Filter::new(filter).unwrap().passes(&Subject::new(&event))
}

fn refused(filter: &str) -> String {
    Filter::new(filter).unwrap_err().to_string()
}

const CHARGE: &str = r#"{"id":"evt_1","data":{"object":{"amount":100001,"currency":"usd",
    "refunded":false,"metadata":{"order":"a-7"},"lines":[{"n":1},{"n":20}]}}}"#;

#[test]
fn fields_of_the_event_and_of_its_data() {
    for yes in [
        "event.data.object.amount > 100000",
        "event.data.object['currency'] == 'usd' && !event.livemode",
        "event.kind.startsWith('charge.') && event.id == 'evt_1' && event.provider == 'stripe'",
        "event.account == null",
        "has(event.data.object.metadata.order)",
        "event.data.object.lines.exists(l, l.n > 10)",
        "event.data.object.lines.filter(l, l.n > 10).size() == 1",
        "event.data.object.lines.map(l, l.n) == [1, 20]",
        "event.data.object.lines.map(l, l.n > 1, l.n) == [20]",
        "event.data.object.lines.exists_one(l, l.n in [20, 30])",
        "event.data.object.lines.all(event, event.n > 0)",
        "event.data.object['lines'].exists(l, has(l.n) && l['n'] - 1 == 19)",
        "[1, 2].exists(n, n == 2)",
        "event.data.object.amount + 1 > 100001",
        "size(event.data.object.lines) == 2",
        "event.data.object.metadata.order.matches('^a-[0-9]+$')",
        "event.data.object.amount in [100001, 2]",
        "event.data.object.currency == 'eur' ? false : true",
    ] {
        assert!(passes(yes, CHARGE), "{yes}");
    }
    for no in [
        "event.data.object.amount > 100001",
        "event.livemode",
        "event.data.object.lines.all(l, l.n > 10)",
        "has(event.data.object.customer)",
    ] {
        assert!(!passes(no, CHARGE), "{no}");
    }
}

#[test]
fn whole_numbers_beyond_a_double_compare_exactly() {
    let body = r#"{"data":{"a":9007199254740993,"b":18446744073709551615,"c":-9007199254740993}}"#;
    assert!(passes("event.data.a > 9007199254740992", body));
    assert!(!passes("event.data.a == 9007199254740992", body));
    assert!(passes("event.data.b > 9223372036854775807", body));
    assert!(passes("event.data.b == 18446744073709551615u", body));
    assert!(passes("event.data.c < -9007199254740992", body));
    assert!(passes("event.data.a - 1 == 9007199254740992", body));
}

#[test]
fn a_body_without_data_is_the_data() {
    assert!(passes("event.data.related_object.type == 'x'", r#"{"related_object":{"type":"x"}}"#));
    assert!(passes("event.data == 7", "7"));
}

#[test]
fn what_cannot_be_evaluated_is_a_match() {
    assert!(passes("event.data.object.nothing > 1", CHARGE));
    assert!(passes("event.data.object.currency > 1", CHARGE));
    assert!(passes("event.data.object.currency", CHARGE), "not a boolean");
    assert!(passes("event.data.object.amount / 0 == 1", CHARGE));
    assert!(passes("event.data.object.amount > 0", "not JSON"));
    let large = format!(r#"{{"data":"{}"}}"#, "x".repeat(MAX_BODY));
    assert!(passes("event.data == ''", &large));
    assert!(passes("false", &large), "a filter that needs no body could do without");
}

#[test]
fn a_loop_over_too_long_a_list_is_a_match_and_the_rest_is_not() {
    let items = vec!["1"; MAX_ELEMENTS + 1].join(",");
    let body = format!(r#"{{"data":{{"l":[{items}],"n":1}}}}"#);
    assert!(passes("event.data.l.exists(x, x == 2)", &body));
    assert!(!passes("event.data.n == 2", &body));
}

#[test]
fn bad_expressions_are_refused_with_the_cause() {
    for (bad, cause) in [
        ("event.data.", "does not parse"),
        ("", "does not parse"),
        ("events.kind == 'a'", "names `events`, and there is only `event`"),
        ("event.type == 'a'", "`event` has no `type`"),
        ("event['type'] == 'a'", "`event` has no `type`"),
        ("event.kind.lowercase() == 'a'", "no function `lowercase`"),
        ("foo(event) == 'a'", "no function `foo`"),
        ("event.data.l.exists(a, a.l.exists(b, b == 1))", "inside a loop"),
        ("event.data.l.exists(a, a.matches('x'))", "`matches` inside a loop"),
        ("(event.data.l + event.data.l).exists(a, a == 1)", "loops over something computed"),
        ("event.data.l.filter(a, a > 1).exists(a, a == 1)", "loops over something computed"),
        ("event.data.l.exists(a, a == event.data.n)", "names `event` inside a loop"),
        ("event.data.l.exists(event, event.type == 1) && event.data.l.all(a, b)", "names `b`"),
        ("event.data.l.map(a, a + a) == []", "builds something inside a loop"),
        ("event.data.l.map(a, [a, a]) == []", "builds something inside a loop"),
        ("event.data.l.map(a, {'a': a}) == []", "builds something inside a loop"),
        ("event.data.l.map(a, a > 1, a + a) == []", "builds something inside a loop"),
        ("event.data.a + 1 + 1 + 1 + 1 + 1 == 2", "5 additions and at most 4"),
        ("event.kind.matches(event.id)", "in quotes"),
        ("event.kind.matches('(')", "regular expression does not parse"),
        ("event.kind.matches('(a{999}){999}')", "too large"),
        ("Foo{a: 1} == 2", "no type `Foo`"),
    ] {
        let error = refused(bad);
        assert!(error.contains(cause), "{bad}: {error}");
    }
    let long = format!("event.id == '{}'", "x".repeat(MAX_EXPRESSION));
    assert!(refused(&long).contains("bytes"));
}

#[test]
fn deep_nesting_neither_panics_nor_overflows() {
    for deep in [
        "(".repeat(MAX_EXPRESSION),
        "!".repeat(MAX_EXPRESSION),
        "-".repeat(MAX_EXPRESSION),
        "[".repeat(MAX_EXPRESSION),
        format!("{}1{}", "(".repeat(500), ")".repeat(500)),
        format!("event{}", ".a".repeat(500)),
        format!("event.data{} == 1", "[0]".repeat(300)),
    ] {
        // Refused or not: it ends, and so does evaluating it.
        if let Ok(filter) = Filter::new(&deep) {
            let _ = filter.passes(&Subject::new(&event("a", CHARGE)));
        }
    }
}

#[test]
fn the_body_is_parsed_once_for_all_filters() {
    let event = event("a", CHARGE);
    let subject = Subject::new(&event);
    let filter = Filter::new("event.data.object.amount > 1").unwrap();
    assert!(subject.seen.get().is_none());
    assert!(filter.passes(&subject));
    let first = std::ptr::from_ref(subject.seen.get().unwrap());
    assert!(filter.passes(&subject));
    assert!(std::ptr::eq(first, subject.seen.get().unwrap()));
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_refused_or_evaluated(source in "\\PC{0,60}") {
            if let Ok(filter) = Filter::new(&source) {
                let _ = filter.passes(&Subject::new(&event("a", CHARGE)));
            }
        }

        #[test]
        fn of_its_words_too(words in proptest::collection::vec(
            proptest::sample::select(vec![
                "event", ".data", ".object", ".kind", "(", ")", "[", "]", "==", "&&", "1", "'a'",
                "has", ".exists(", "x,", "x", "in", "?", ":", "!", "-", ".size()", "null",
            ]), 0..25)
        ) {
            if let Ok(filter) = Filter::new(&words.join(" ")) {
                let _ = filter.passes(&Subject::new(&event("a", CHARGE)));
            }
        }
    }
}
