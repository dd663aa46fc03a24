//! The order of the states of one moment.
//!
//! An event that tells what changed is a step from the content before to the content after. States of
//! one moment are in order where one step leads to the next: the last is sure if every order with the
//! fewest gaps ends in the same content and has no gap between two of its states. What is known to
//! come first (a birth, the state held before the moment) is where the first step should begin; a gap
//! there is allowed, for what is missing may have come between. Stages are in order by themselves.
//!
//! - What does not tell what changed is read twice, and both must come to the same. [`Reading::Told`]:
//!   only what is told changes anything, so that a silent event (`invoice.paid` beside
//!   `invoice.updated`) fits where its content is the present one, and an untold change nowhere.
//!   [`Reading::Free`]: a silent event fits too where no state before it in the moment had its content,
//!   for then it was a change of its own, and an untold change fits anywhere.
//! - A change that neither is told nor has a type of changes is assumed not to come back to what was
//!   there in the same second.
//! - Providers sometimes tell of one change in two events. Equal steps are therefore read both as one
//!   change and as several, and must come to the same.
//! - Contents are compared whole. Where that leaves gaps and all events tell what changed, they are
//!   compared again by those members alone that any of them names: others may differ with every
//!   rendering (`receipt_url`).
//!
//! Values that flip back (A, B, A) without anything known before can be read two ways; then it is not
//! sure.

use std::cmp::Ordering;
use std::str;

use super::{MAX_STATES, Open, State};
use crate::domain::clock::Timestamp;
use crate::domain::json::{ContentDigest, Paths, Value};
use crate::domain::object::{Before, Origin, Stage};

/// Which state is the last.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Solved {
    /// Those that may be, by place, ascending.
    pub(super) last: Vec<usize>,
    /// Whether all of those have one content and nothing is missing between the states.
    pub(super) sure: bool,
}

/// What an event that does not tell what changed may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Told,
    Free,
}

/// A state as a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    before: Before,
    after: ContentDigest,
    /// `None` for a fetched state, which may stand anywhere.
    as_of: Option<Timestamp>,
}

/// What orders of some steps come to.
#[derive(Debug, Default)]
struct Ends {
    last: Vec<usize>,
    /// Fewest gaps of an order.
    fewest: u8,
    /// Most gaps between two states in such an order.
    gaps: u8,
}

impl Ends {
    /// Those with fewer gaps; of as many, both.
    fn or(mut self, other: Self) -> Self {
        match self.fewest.cmp(&other.fewest) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal => {
                self.last.extend(other.last);
                Self { gaps: self.gaps.max(other.gaps), ..self }
            }
        }
    }
}

/// The last of `states`, which are of one moment, after the content `anchor`.
pub(super) fn solve(states: &[State], anchor: Option<ContentDigest>, open: Open<'_>) -> Solved {
    let whole: Vec<_> =
        states.iter().map(|state| step(state, state.before, state.content)).collect();
    let (solved, gaps) = by_stage(states, &whole, anchor, Reading::Told);
    // What happened in an event that does not tell may be in members that none names.
    let tells =
        |state: &State| state.stage == Stage::Created || matches!(state.before, Before::Was(_));
    if solved.sure || !states.iter().all(tells) {
        return solved.and(&by_stage(states, &whole, anchor, Reading::Free).0, states);
    }
    let named = if gaps { named(states, open) } else { None };
    let again = named.map(|named| by_stage(states, &named, None, Reading::Told).0);
    again.filter(|again| again.sure).unwrap_or(solved)
}

impl Solved {
    /// What two readings come to; where they differ, what the first one does, and that is not sure.
    fn and(mut self, other: &Self, states: &[State]) -> Self {
        let of = |solved: &Self| solved.last.first().and_then(|at| states.get(*at));
        let same = of(&self).map(|state| state.content) == of(other).map(|state| state.content);
        self.sure &= other.sure && same;
        self
    }
}

fn step(state: &State, before: Before, after: ContentDigest) -> Step {
    let as_of = (state.origin != Origin::Fetched).then_some(state.as_of);
    Step { before, after, as_of }
}

/// The steps by the members that were named as changed; `None` where none was.
fn named(states: &[State], open: Open<'_>) -> Option<Vec<Step>> {
    if states.iter().any(State::unkept) {
        return None;
    }
    let opened: Option<Vec<_>> = states.iter().map(|state| open(&state.packed)).collect();
    let opened = opened?;
    let mut texts = Vec::with_capacity(opened.len());
    let mut paths = Paths::default();
    for one in &opened {
        let body = Value::parse(str::from_utf8(&one.body).ok()?)?;
        let previous = match &one.previous {
            Some(previous) => Some(Value::parse(str::from_utf8(previous).ok()?)?),
            None => None,
        };
        if let Some(previous) = &previous {
            paths.add(previous);
        }
        texts.push((body, previous));
    }
    if paths == Paths::default() {
        return None;
    }
    let steps = states.iter().zip(&texts).map(|(state, (body, previous))| {
        let before = match previous {
            Some(previous) => Before::Was(body.digest_of(Some(previous), &paths)),
            None => state.before,
        };
        step(state, before, body.digest_of(None, &paths))
    });
    Some(steps.collect())
}

/// Each stage by itself, the earliest first. Also whether anything is missing.
fn by_stage(
    states: &[State],
    steps: &[Step],
    mut anchor: Option<ContentDigest>,
    reading: Reading,
) -> (Solved, bool) {
    let mut solved = Solved { last: Vec::new(), sure: false };
    let mut missing = false;
    for stage in [Stage::Created, Stage::Live, Stage::Ended, Stage::Gone] {
        let of_stage: Vec<usize> = (0..states.len())
            .filter(|at| states.get(*at).is_some_and(|s| s.stage == stage))
            .collect();
        if of_stage.is_empty() {
            continue;
        }
        let ends = if stage == Stage::Created {
            Ends { last: of_stage, ..Ends::default() }
        } else {
            changes(&of_stage, steps, anchor, reading)
        };
        let content = |at: &usize| states.get(*at).map(|state| state.content);
        let one = ends.last.windows(2).all(|pair| match pair {
            [a, b] => content(a) == content(b),
            _ => true,
        });
        missing = ends.gaps > 0;
        solved = Solved { sure: one && !missing, last: ends.last };
        let last = solved.last.first().and_then(|at| steps.get(*at));
        anchor = last.filter(|_| solved.sure).map(|step| step.after);
    }
    (solved, missing)
}

/// Read equal steps as one change and as several, in every combination.
fn changes(
    places: &[usize],
    steps: &[Step],
    anchor: Option<ContentDigest>,
    reading: Reading,
) -> Ends {
    // Equal steps, by the first of them.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for place in places {
        let twin = |group: &&mut Vec<usize>| {
            let first = group.first().and_then(|first| steps.get(*first));
            first.zip(steps.get(*place)).is_some_and(|(a, b)| a.is_twin_of(b))
        };
        match groups.iter_mut().find(twin) {
            Some(group) => group.push(*place),
            None => groups.push(vec![*place]),
        }
    }
    let mut taken = vec![1; groups.len()];
    let mut best: Option<Ends> = None;
    loop {
        let chosen = groups.iter().zip(&taken).flat_map(|(group, count)| group.iter().take(*count));
        let ends = ends(&chosen.copied().collect::<Vec<_>>(), steps, anchor, reading);
        best = Some(match best {
            Some(best) => best.or(ends),
            None => ends,
        });
        // The next combination.
        let next = groups.iter().zip(&taken).position(|(group, count)| *count < group.len());
        let Some(next) = next else { break };
        taken.iter_mut().take(next).for_each(|count| *count = 1);
        if let Some(count) = taken.get_mut(next) {
            *count += 1;
        }
    }
    let mut best = best.unwrap_or_default();
    // Of equal steps any may be the last.
    let twins = groups.into_iter().filter(|group| group.iter().any(|at| best.last.contains(at)));
    let mut last: Vec<usize> = twins.flatten().collect();
    last.sort_unstable();
    best.last = last;
    best
}

/// Where the orders of `places` with the fewest gaps end.
fn ends(places: &[usize], steps: &[Step], anchor: Option<ContentDigest>, reading: Reading) -> Ends {
    let free = reading == Reading::Free;
    let steps: Vec<Step> = places.iter().filter_map(|at| steps.get(*at).copied()).collect();
    let count = steps.len().min(MAX_STATES);
    // Fewest gaps, and most of them between two states, of the orders of a set (its bits) that end
    // with one of it.
    let mut best = vec![[None::<(u8, u8)>; MAX_STATES]; 1 << count];
    for set in 1_usize..1 << count {
        for last in (0..count).filter(|at| set & (1 << at) != 0) {
            let Some(step) = steps.get(last) else { continue };
            let later = |other: &Step| other.as_of > step.as_of;
            let rest = set & !(1 << last);
            let among = |at: &usize| rest & (1 << *at) != 0;
            if step.as_of.is_some()
                && (0..count).filter(among).any(|at| steps.get(at).is_some_and(later))
            {
                continue;
            }
            let had = |content| {
                let mut earlier = (0..count).filter(among).filter_map(|at| steps.get(at));
                anchor == Some(content) || earlier.any(|step| step.had(content))
            };
            let of_its_own = free
                && match step.before {
                    Before::Silent => !had(step.after),
                    Before::Untold => true,
                    Before::Was(_) => false,
                };
            let gap = |content| u8::from(!of_its_own && !step.follows(content));
            let found = if rest == 0 {
                Some((anchor.map_or(0, gap), 0))
            } else {
                let reached = (0..count).filter(among).filter_map(|at| {
                    let (all, between) = best.get(rest)?.get(at).copied().flatten()?;
                    let gap = gap(steps.get(at)?.after);
                    Some((all + gap, between + gap))
                });
                reached.reduce(fewest)
            };
            if let Some(slot) = best.get_mut(set).and_then(|of| of.get_mut(last)) {
                *slot = found;
            }
        }
    }
    let whole = best.last().copied().unwrap_or_default();
    let all = whole.iter().flatten().copied().reduce(fewest);
    let least = all.map(|(gaps, _)| gaps);
    let last = places.iter().zip(whole).filter(|(_, of)| of.map(|(gaps, _)| gaps) == least);
    let (fewest, gaps) = all.unwrap_or_default();
    Ends { last: last.map(|(place, _)| *place).collect(), fewest, gaps }
}

/// Fewer gaps in all; of as many, the one with more between states.
fn fewest(a: (u8, u8), b: (u8, u8)) -> (u8, u8) {
    match a.0.cmp(&b.0) {
        Ordering::Less => a,
        Ordering::Greater => b,
        Ordering::Equal => (a.0, a.1.max(b.1)),
    }
}

impl Step {
    /// Whether it leads on from `content`, by what is told.
    fn follows(&self, content: ContentDigest) -> bool {
        match self.before {
            Before::Silent => self.after == content,
            Before::Was(before) => before == content,
            Before::Untold => false,
        }
    }

    /// Whether `content` was there around it.
    fn had(&self, content: ContentDigest) -> bool {
        self.after == content || self.before == Before::Was(content)
    }

    /// Whether both may tell of one change.
    fn is_twin_of(&self, other: &Self) -> bool {
        let told = matches!(self.before, Before::Was(_));
        told && (self.before, self.after) == (other.before, other.after)
    }
}
