//! The rules one by one.

use super::*;
use crate::domain::json::Value;

/// A state as the tests' provider shows it.
pub(super) fn state(
    event: &str,
    second: u64,
    stage: Stage,
    body: &str,
    previous: Option<&str>,
) -> State {
    let value = Value::parse(body).unwrap();
    let before = previous.map_or(Before::Silent, |previous| {
        Before::Was(value.digest_before(&Value::parse(previous).unwrap()))
    });
    State {
        event: event.to_owned(),
        as_of: Timestamp::from_secs(1_000 + second),
        received_at: Timestamp::from_secs(2_000),
        stage,
        origin: Origin::Event,
        stub: false,
        born: value.get("created").and_then(Value::number).map(Timestamp::from_secs),
        before,
        content: value.digest(),
        packed: pack(body, previous),
    }
}

fn pack(body: &str, previous: Option<&str>) -> Bytes {
    format!("{body}\n{}", previous.unwrap_or_default()).into()
}

/// The tests' packing.
pub(super) fn opened(packed: &Bytes) -> Option<Opened> {
    let text = std::str::from_utf8(packed).ok()?;
    let (body, previous) = text.split_once('\n')?;
    let previous = (!previous.is_empty()).then(|| previous.to_owned().into());
    Some(Opened { body: body.to_owned().into(), previous })
}

fn live(event: &str, second: u64, body: &str, previous: Option<&str>) -> State {
    state(event, second, Stage::Live, body, previous)
}

fn embedded(event: &str, second: u64, body: &str) -> State {
    State { origin: Origin::Embedded, ..live(event, second, body, None) }
}

/// What is held after these, by its body.
fn after(states: &[State]) -> (String, bool) {
    let held = hold(states);
    let body = opened(&held.state().packed).unwrap().body;
    (String::from_utf8(body.to_vec()).unwrap(), held.ambiguous)
}

fn hold(states: &[State]) -> Mirrored {
    let (first, rest) = states.split_first().unwrap();
    let mut held = Mirrored::begin(first.clone());
    for state in rest {
        held.fold(state.clone(), &opened);
    }
    held
}

fn is(body: &str) -> (String, bool) {
    (body.to_owned(), false)
}

fn perhaps(body: &str) -> (String, bool) {
    (body.to_owned(), true)
}

#[test]
fn the_newer_moment_wins_in_any_order() {
    let (old, new) = (live("1", 1, "{\"a\":1}", None), live("2", 2, "{\"a\":2}", None));
    assert_eq!(after(&[old.clone(), new.clone()]), is("{\"a\":2}"));
    assert_eq!(after(&[new, old]), is("{\"a\":2}"));
}

#[test]
fn of_one_second_previous_values_tell_in_any_order() {
    let a = live("1", 1, r#"{"a":1,"b":0}"#, None);
    let b = live("2", 1, r#"{"a":2,"b":1}"#, Some(r#"{"a":1,"b":0}"#));
    let c = live("3", 1, r#"{"a":2,"b":2}"#, Some(r#"{"b":1}"#));
    for order in
        [[&a, &b, &c], [&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]]
    {
        let mut states: Vec<State> = order.into_iter().cloned().collect();
        // Nothing tells that the silent one did not come between the others.
        assert_eq!(after(&states).1, a.before == Before::Silent);
        states.insert(0, live("0", 0, r#"{"a":1,"b":0}"#, None));
        assert_eq!(after(&states), is(r#"{"a":2,"b":2}"#));
    }
    // The link between the two is missing, and comes; even where the first step is known.
    assert!(after(&[c.clone(), a.clone()]).1);
    let (zero, first) = (
        live("0", 0, r#"{"a":0,"b":0}"#, None),
        live("1", 1, r#"{"a":1,"b":0}"#, Some(r#"{"a":0}"#)),
    );
    assert!(after(&[zero.clone(), first.clone(), c.clone()]).1);
    assert_eq!(after(&[zero, c, first, b]), is(r#"{"a":2,"b":2}"#));
}

#[test]
fn without_a_witness_the_later_arrival_is_held_and_called_ambiguous_until_the_next_second() {
    let (a, b) = (live("1", 1, "{\"a\":1}", None), live("2", 1, "{\"a\":2}", None));
    assert_eq!(after(&[a.clone(), b.clone()]), perhaps("{\"a\":2}"));
    assert_eq!(after(&[b.clone(), a.clone()]), perhaps("{\"a\":1}"));
    assert_eq!(after(&[b.clone(), a.clone(), live("3", 2, "{\"a\":3}", None)]), is("{\"a\":3}"));
    // Of the same content there is no doubt.
    let same = live("4", 1, "{ \"a\" :1}", None);
    assert!(!after(&[a.clone(), same.clone()]).1);
    // What an event merely contains clears nothing, in its second or later.
    for second in [1, 2] {
        let seen = embedded("5", second, "{\"a\":1}");
        assert_eq!(after(&[b.clone(), a.clone(), seen]), perhaps("{\"a\":1}"));
    }
}

#[test]
fn a_value_that_flips_back_is_told_by_what_was_there_before() {
    let on = live("1", 1, "{\"a\":1}", Some("{\"a\":0}"));
    let off = live("2", 1, "{\"a\":0}", Some("{\"a\":1}"));
    assert!(after(&[on.clone(), off.clone()]).1);
    let before = live("0", 0, "{\"a\":0}", None);
    assert_eq!(after(&[before.clone(), off.clone(), on.clone()]), is("{\"a\":0}"));
    assert_eq!(after(&[off.clone(), on.clone(), before.clone()]), is("{\"a\":0}"));
    // Which of two was there before is not sure.
    let other = live("3", 0, "{\"a\":1}", None);
    assert!(after(&[before, off, on, other]).1);
}

#[test]
fn events_that_tell_no_change_fit_where_their_content_is_present() {
    let finalized = live("1", 1, r#"{"status":"open"}"#, None);
    let updated = live("2", 1, r#"{"status":"paid"}"#, Some(r#"{"status":"open"}"#));
    let paid = live("3", 1, r#"{"status":"paid"}"#, None);
    let states = [finalized, updated, paid];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let states: Vec<State> = order.iter().map(|at: &usize| states[*at].clone()).collect();
        assert_eq!(after(&states), is(r#"{"status":"paid"}"#), "{order:?}");
    }
}

#[test]
fn members_that_no_event_names_as_changed_may_differ() {
    let a = live("1", 1, r#"{"a":1,"url":"x"}"#, Some(r#"{"a":0}"#));
    let b = live("2", 1, r#"{"a":2,"url":"y"}"#, Some(r#"{"a":1}"#));
    assert_eq!(after(&[b.clone(), a.clone()]), is(r#"{"a":2,"url":"y"}"#));
    assert_eq!(after(&[a, b.clone()]), is(r#"{"a":2,"url":"y"}"#));
    // In an event that does not tell, that may be what changed.
    let silent = live("1", 1, r#"{"a":1,"url":"x"}"#, None);
    assert!(after(&[silent.clone(), b.clone()]).1 && after(&[b, silent]).1);
}

#[test]
fn what_does_not_tell_may_have_changed_something() {
    let turn = |event: &str, from: u8, to: u8| {
        live(event, 1, &format!("{{\"a\":{to}}}"), Some(&format!("{{\"a\":{from}}}")))
    };
    let silent = |event: &str, a: u8| live(event, 1, &format!("{{\"a\":{a}}}"), None);
    let zero = live("0", 0, "{\"a\":0}", None);
    // Told beside it: what it shows was there.
    let (up, paid) = (turn("1", 0, 1), silent("2", 1));
    for states in [[&zero, &up, &paid], [&zero, &paid, &up]] {
        assert_eq!(after(&states.map(Clone::clone)), is("{\"a\":1}"));
    }
    // 0 to 1 by itself, back to 0 and to 1; or told to 1, told to 0.
    let (back, again) = (turn("3", 1, 0), turn("4", 0, 1));
    assert!(after(&[zero.clone(), again, paid.clone(), back]).1);
    // A change by its type that does not tell may well come back to what was there.
    let untold = |event: &str, a: u8| State { before: Before::Untold, ..silent(event, a) };
    for states in [[&zero, &up, &untold("5", 0)], [&zero, &untold("5", 0), &up]] {
        assert!(after(&states.map(Clone::clone)).1);
    }
    // By itself it is the last.
    assert_eq!(after(&[zero, untold("5", 7)]), is("{\"a\":7}"));
}

#[test]
fn a_birth_is_the_first_of_its_second_and_an_end_over_the_last() {
    let born = state("1", 1, Stage::Created, "{\"a\":0}", None);
    let changed = live("2", 1, "{\"a\":5}", Some("{\"a\":4}"));
    let over = state("3", 1, Stage::Ended, "{\"a\":9}", None);
    assert_eq!(after(&[changed.clone(), born.clone()]), is("{\"a\":5}"));
    assert_eq!(after(&[born.clone(), changed.clone()]), is("{\"a\":5}"));
    for states in [[&over, &changed, &born], [&born, &over, &changed], [&changed, &born, &over]] {
        let states: Vec<State> = states.into_iter().cloned().collect();
        let held = hold(&states);
        assert_eq!((after(&states), held.deleted()), (is("{\"a\":9}"), false));
    }
}

#[test]
fn what_is_gone_stays_gone_whenever_its_last_changes_come() {
    let gone = state("2", 2, Stage::Gone, "{\"a\":2}", None);
    for second in [1, 2, 3] {
        for changed in [live("3", second, "{\"a\":3}", None), embedded("4", second, "{\"a\":4}")] {
            for states in [[gone.clone(), changed.clone()], [changed, gone.clone()]] {
                let held = hold(&states);
                assert!(held.deleted() && !held.ambiguous);
                assert_eq!(after(&states), is("{\"a\":2}"));
            }
        }
    }
    let born = state("1", 2, Stage::Created, "{\"a\":0}", None);
    assert!(hold(&[born.clone(), gone.clone()]).deleted());
    assert!(hold(&[gone, born]).deleted());
}

#[test]
fn an_identifier_that_people_chose_can_be_used_again() {
    let gone = state("1", 5, Stage::Gone, r#"{"a":1,"created":900}"#, None);
    let born = state("2", 7, Stage::Created, r#"{"a":2,"created":1007}"#, None);
    let changed = live("3", 8, r#"{"a":3,"created":1007}"#, None);
    let states = [gone, born, changed];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let states: Vec<State> = order.iter().map(|at: &usize| states[*at].clone()).collect();
        let held = hold(&states);
        assert!(!held.deleted() && after(&states).0.contains("\"a\":3"), "{order:?}");
    }
    // In the very second of the deletion.
    let again = state("4", 5, Stage::Created, r#"{"a":2,"created":1005}"#, None);
    assert!(!hold(&[states[0].clone(), again.clone()]).deleted());
    assert!(!hold(&[again, states[0].clone()]).deleted());
}

#[test]
fn a_deletion_that_does_not_show_the_object_keeps_its_last_state() {
    let stub = State { stub: true, ..state("9", 3, Stage::Gone, "{\"deleted\":true}", None) };
    let (a, b) = (live("1", 1, "{\"a\":1}", None), live("2", 2, "{\"a\":2}", None));
    for states in [[&a, &b, &stub], [&stub, &a, &b], [&stub, &b, &a], [&a, &stub, &b]] {
        let states: Vec<State> = states.into_iter().cloned().collect();
        assert!(hold(&states).deleted());
        assert_eq!(after(&states), is("{\"a\":2}"));
    }
}

#[test]
fn what_an_event_merely_contains_gives_way_in_its_second() {
    let own = live("1", 1, "{\"a\":1}", None);
    let seen = embedded("2", 1, "{\"a\":2}");
    assert_eq!(after(&[own.clone(), seen.clone()]), is("{\"a\":1}"));
    assert_eq!(after(&[seen.clone(), own.clone()]), is("{\"a\":1}"));
    assert_eq!(after(&[seen.clone(), embedded("3", 1, "{\"a\":3}")]), perhaps("{\"a\":3}"));
    assert_eq!(after(&[own, embedded("4", 2, "{\"a\":2}")]), is("{\"a\":2}"));
}

#[test]
fn a_fetched_state_wins_only_if_all_that_is_held_came_before_it_began() {
    let fetched = |began: u64| {
        let mut held = hold(&[live("1", 1, "{\"a\":1}", None), live("2", 1, "{\"a\":2}", None)]);
        let end = held.fetched(
            Timestamp::from_secs(began),
            Some(State { event: String::new(), ..live("", 0, "{\"a\":1}", None) }),
        );
        (end, held)
    };
    let (end, held) = fetched(2_000);
    assert!(end == FetchEnd::Overtaken && held.ambiguous, "as long as anything came when it began");
    let (end, mut held) = fetched(2_001);
    assert!(end == FetchEnd::Held && !held.ambiguous);
    assert_eq!(held.state().origin, Origin::Fetched);
    // What happened long before the fetch is in it; what happened about then may not be.
    let mut late = live("3", 3, "{\"a\":7}", None);
    assert_eq!(held.clone().fold(late.clone(), &opened), Folded::Changed, "as the one before");
    let mut seen = held.clone();
    seen.fold(late.clone(), &opened);
    assert_eq!(seen.state().origin, Origin::Fetched);
    late.as_of = Timestamp::from_secs(1_999);
    seen.fold(late.clone(), &opened);
    assert!(seen.ambiguous);
    // Even one that seems to lead on from what was fetched: what led to it is not known any more.
    let mut next = live("4", 0, "{\"a\":8}", Some("{\"a\":1}"));
    next.as_of = Timestamp::from_secs(1_999);
    let mut led = held.clone();
    led.fold(next.clone(), &opened);
    assert!(led.ambiguous && led.state().event == "4");
    // What an event merely contains may be the later one too, if none is about the object.
    let mut inside = held.clone();
    inside.fold(State { origin: Origin::Embedded, ..next.clone() }, &opened);
    assert!(inside.ambiguous);
    // One that shows what was fetched leaves no doubt, and what was fetched stays.
    let mut same = live("5", 0, "{ \"a\": 1 }", Some("{\"a\":8}"));
    same.as_of = Timestamp::from_secs(1_999);
    held.fold(same, &opened);
    assert!(!held.ambiguous && held.state().origin == Origin::Fetched);
    // After the moments around the fetch an event's own second counts again.
    next.as_of = Timestamp::from_secs(2_007);
    held.fold(next, &opened);
    assert!(!held.ambiguous && held.until == Timestamp::from_secs(2_007));
    held.fold(State { event: "6".to_owned(), ..late }, &opened);
    assert_eq!(held.state().event, "4");
    assert_eq!(held.fetched(Timestamp::from_secs(2_002), None), FetchEnd::Held);
    assert!(held.deleted(), "the provider has no such object");
}

#[test]
fn more_states_of_a_second_than_are_kept_are_ambiguous() {
    let mut held = Mirrored::begin(live("0", 0, "{\"a\":0}", None));
    held.fold(live("still 0", 1, "{\"a\":0}", None), &opened);
    for number in 1..=2 * MAX_STATES {
        let (body, previous) = (format!("{{\"a\":{number}}}"), format!("{{\"a\":{}}}", number - 1));
        held.fold(live(&number.to_string(), 1, &body, Some(&previous)), &opened);
        assert_eq!(held.ambiguous, number >= MAX_STATES);
        assert!(held.states.len() <= MAX_STATES);
    }
    held.fold(live("next", 2, "{\"a\":0}", None), &opened);
    assert!(!held.ambiguous && !held.full);
}

#[test]
fn what_a_moment_came_to_is_not_sure_any_more_once_what_led_to_it_is_told() {
    let turn = |event: &str, second: u64, from: u8, to: u8| {
        live(event, second, &format!("{{\"a\":{to}}}"), Some(&format!("{{\"a\":{from}}}")))
    };
    // 0 and 1 in turn, two changes a second. The last of the first second comes late, so that the
    // second one seems to end where it began, and the third with it.
    let first = turn("1", 1, 0, 1);
    let [late, up, down] = [turn("2", 1, 1, 0), turn("3", 2, 0, 1), turn("4", 2, 1, 0)];
    let [again, last] = [turn("5", 3, 0, 1), turn("6", 3, 1, 0)];
    let before = [first, down, up, last];
    for late_first in [true, false] {
        let mut states = before.to_vec();
        let rest = [late.clone(), again.clone()];
        states.extend(if late_first { rest.to_vec() } else { rest.into_iter().rev().collect() });
        let (held, ambiguous) = after(&states);
        assert!(held == "{\"a\":0}" || ambiguous, "{late_first}: {held}");
    }
}

#[test]
fn a_state_whose_body_is_not_kept_is_in_doubt_for_as_long_as_it_is_the_last() {
    let large = |event: &str, second: u64, body: &str, previous: Option<&str>| State {
        stub: true,
        packed: pack("{}", None),
        ..live(event, second, body, previous)
    };
    let (one, two) = (live("1", 1, "{\"a\":1}", None), large("2", 3, "{\"a\":2}", None));
    for states in [[&one, &two], [&two, &one]] {
        let held = hold(&states.map(State::clone));
        assert!(held.ambiguous && held.state().event == "2" && !held.deleted());
    }
    assert_eq!(after(&[one.clone(), two.clone()]), perhaps("{\"a\":1}"), "what is known is shown");
    // One that is older, or came before it within the second, settles nothing.
    let (older, before) = (live("3", 2, "{\"a\":7}", None), live("4", 3, "{\"a\":8}", None));
    assert!(after(&[one.clone(), two.clone(), older]).1);
    assert!(after(&[one.clone(), two.clone(), before.clone()]).1);
    let next = large("5", 3, "{\"a\":9}", Some("{\"a\":8}"));
    for states in [[&before, &next], [&next, &before]] {
        assert!(hold(&states.map(State::clone)).ambiguous);
    }
    // One that leads on from it is the last, and is here.
    let led = live("6", 3, "{\"a\":3}", Some("{\"a\":2}"));
    assert_eq!(after(&[one.clone(), two.clone(), led]), is("{\"a\":3}"));
    let later = live("7", 4, "{\"a\":4}", None);
    assert_eq!(after(&[one.clone(), two.clone(), later]), is("{\"a\":4}"));
    // An end is one whatever its size, and a fetch knows.
    let end = State { stage: Stage::Gone, ..large("8", 5, "{\"a\":5}", None) };
    let held = hold(&[one.clone(), end]);
    assert!(held.deleted() && !held.ambiguous);
    let mut held = hold(&[one.clone(), two]);
    let found = State { event: String::new(), ..live("", 0, "{\"a\":2}", None) };
    assert_eq!(held.fetched(Timestamp::from_secs(2_001), Some(found)), FetchEnd::Held);
    assert!(!held.ambiguous);
}
