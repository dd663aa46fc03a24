//! How one state of an object follows another: the rules of the mirror.
//!
//! Providers say to the second when something happened, and events come in any order. So a state is
//! judged by its moment first, and within one moment by what events tell of the change
//! (`data.previous_attributes`); see [`solve`]. What nothing tells is held as the later arrival and
//! called ambiguous. What is held does not depend on the order of arrival, unless it is ambiguous.
//!
//! - An older moment never overwrites a newer one. It may still tell where the newer one began.
//! - What is gone stays gone. Only the birth of another object under the same identifier brings it
//!   back: a `created` of a later second, or a state that says it was made later.
//! - A state whose body is not kept is ambiguous for as long as it is held to be the last: what is shown
//!   is the one before.
//! - A state that an event merely contains may have been old by then: it never overwrites the state of
//!   an event about the object of the same moment, nor clears an ambiguity. One that came late, after
//!   later events about the object that contains it, is ambiguous: what those showed again as it was
//!   held was not noted.
//! - A fetched state holds for the moments around its fetch ([`CLOCK_SKEW`]), and only if all that is
//!   held came before the fetch began. An event of those moments that shows another state may have
//!   come about before the fetch or after it, and what was known of the order before is gone: it is
//!   ambiguous, whatever it tells of the change, and the next fetch knows.
//!
//! Not where any of it is kept (`store`), and not what an event shows (`provider`).

mod solve;

#[cfg(test)]
pub(crate) mod histories;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use super::clock::Timestamp;
use super::json::ContentDigest;
use super::object::{Before, FetchEnd, Origin, Sighting, Stage};

/// States of one moment that are kept to tell their order. More in one second are rare (an invoice's
/// life has six); the object is then ambiguous until its next moment.
pub const MAX_STATES: usize = 8;

/// How far the provider's clock and the host's may be apart. A fetched state is compared with the
/// events this near to its fetch as with those of its own second.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// One state of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Identifier of the event that showed it; empty for a fetched one.
    pub event: String,
    /// When the event happened.
    pub as_of: Timestamp,
    /// When it came here.
    pub received_at: Timestamp,
    /// Where in the object's life.
    pub stage: Stage,
    /// How it came here.
    pub origin: Origin,
    /// Whether it holds no more than that the object is gone; of one that is not gone, that its body
    /// was too large to be kept ([`State::unkept`]).
    pub stub: bool,
    /// When the object says it was made.
    pub born: Option<Timestamp>,
    /// What is told of the state right before.
    pub before: Before,
    /// Stands for the body.
    pub content: ContentDigest,
    /// Body and previous values, packed as who keeps them likes it.
    pub packed: Bytes,
}

impl State {
    /// What the event `event` shows (empty: it was fetched), by when it happened and came, its parts
    /// packed as `packed`.
    #[must_use]
    pub fn of(
        sighting: &Sighting,
        event: &str,
        (as_of, received_at): (Timestamp, Timestamp),
        origin: Origin,
        packed: Bytes,
    ) -> Self {
        Self {
            event: event.to_owned(),
            as_of,
            received_at,
            stage: sighting.stage,
            origin,
            stub: sighting.stub,
            born: sighting.born,
            before: sighting.before,
            content: sighting.content,
            packed,
        }
    }

    /// Whether its body is not here: it was too large. What the event tells of the order holds all
    /// the same.
    #[must_use]
    pub fn unkept(&self) -> bool {
        self.stub && self.stage != Stage::Gone
    }
}

/// A body, and what an event says was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The object's bytes.
    pub body: Bytes,
    /// What changed, as it was before.
    pub previous: Option<Bytes>,
}

impl Opened {
    /// Body and previous values, if there are any, side by side: the length of the latter, four bytes,
    /// comes first.
    #[must_use]
    pub fn pack(sighting: &Sighting) -> Vec<u8> {
        let previous = sighting.previous.as_deref().unwrap_or_default();
        let head = u32::try_from(previous.len()).unwrap_or(u32::MAX).to_be_bytes();
        [head.as_slice(), previous, &sighting.body].concat()
    }

    /// What was packed; `None` if these bytes are not.
    #[must_use]
    pub fn unpack(raw: &Bytes) -> Option<Self> {
        let (head, _) = raw.split_first_chunk::<4>()?;
        let previous = usize::try_from(u32::from_be_bytes(*head)).ok()?;
        let end = previous.checked_add(4).filter(|end| *end <= raw.len())?;
        let previous = (previous > 0).then(|| raw.slice(4..end));
        Some(Self { body: raw.slice(end..), previous })
    }
}

/// Unpacks [`State::packed`].
pub type Open<'a> = &'a dyn Fn(&Bytes) -> Option<Opened>;

/// The state right before the moment that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Of what moment.
    pub as_of: Timestamp,
    /// Stands for its body; `None` where that is not sure.
    pub content: Option<ContentDigest>,
}

/// What the mirror holds of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// States of the newest moment, in order of arrival; never empty.
    pub states: Vec<State>,
    /// Which of them is held to be the last.
    pub current: usize,
    /// That one.
    pub held: State,
    /// End of the newest moment; it begins with the earliest of `states`.
    pub until: Timestamp,
    /// When the object of this identifier came to be.
    pub born: Option<Timestamp>,
    /// When the latest of what counts came here.
    pub arrived_at: Timestamp,
    /// Whether another state may be the last.
    pub ambiguous: bool,
    /// Whether the moment had more states than are kept.
    pub full: bool,
    /// The state right before.
    pub anchor: Option<Anchor>,
}

/// What became of a state that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// It tells nothing new.
    Unchanged,
    /// What is held, or what is known of its order, changed.
    Changed,
}

impl Mirrored {
    /// Hold the first state that is seen of an object.
    #[must_use]
    pub fn begin(state: State) -> Self {
        let mut new = Self {
            held: state.clone(),
            until: state.as_of,
            born: None,
            arrived_at: state.received_at,
            ambiguous: false,
            full: false,
            anchor: None,
            current: 0,
            states: Vec::new(),
        };
        new.hold(state);
        new.ambiguous = new.held.unkept();
        new
    }

    /// Hold an object that no event has shown yet, as it was fetched; the fetch began at `began`.
    #[must_use]
    pub fn begin_fetched(began: Timestamp, found: State) -> Self {
        let as_of = began.minus(CLOCK_SKEW);
        let mut new = Self::begin(State { as_of, origin: Origin::Fetched, ..found });
        new.until = began.plus(CLOCK_SKEW);
        new
    }

    /// The state that is held.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.held
    }

    /// Whether the object is gone.
    #[must_use]
    pub fn deleted(&self) -> bool {
        self.state().stage == Stage::Gone
    }

    /// Take in a state that an event shows.
    pub fn fold(&mut self, mut new: State, open: Open<'_>) -> Folded {
        if self.states.iter().any(|state| state.event == new.event && !new.event.is_empty()) {
            return Folded::Unchanged;
        }
        if new.unkept() {
            new.packed = self.held.packed.clone();
        }
        let folded = match (self.deleted(), new.stage == Stage::Gone) {
            (true, true) => self.gone_again(new),
            (true, false) => self.after_the_end(new),
            (false, true) => self.end(new),
            (false, false) => self.next(new, open),
        };
        self.ambiguous |= self.held.unkept();
        debug_assert_eq!(self.states.get(self.current), Some(&self.held));
        folded
    }

    /// Take in a state that an event about another object contains. `late`: that object is held as it
    /// was later.
    pub fn fold_contained(&mut self, new: State, late: bool, open: Open<'_>) -> Folded {
        let folded = self.fold(new, open);
        self.ambiguous |= late && folded == Folded::Changed && !self.deleted();
        folded
    }

    /// Whether an event of `moment` comes late.
    #[must_use]
    pub fn is_past(&self, moment: Timestamp) -> bool {
        moment < self.from()
    }

    /// Take in a fetched state, whose fetch began at `began`; `None` where the provider has no such
    /// object.
    pub fn fetched(&mut self, began: Timestamp, found: Option<State>) -> FetchEnd {
        if began <= self.arrived_at {
            return FetchEnd::Overtaken;
        }
        let held = self.state().clone();
        let gone = State { stage: Stage::Gone, stub: true, ..held.clone() };
        let mut new = found.unwrap_or(gone);
        if new.stage == Stage::Gone && new.stub {
            new =
                State { packed: held.packed, content: held.content, before: Before::Silent, ..new };
        }
        new.origin = Origin::Fetched;
        // An event of the very second of what was held may be one that the fetch did not see.
        new.as_of = self.from().max(began.minus(CLOCK_SKEW));
        new.received_at = began;
        let until = new.as_of.max(began.plus(CLOCK_SKEW));
        self.ambiguous = false;
        self.anchor = None;
        self.replace(new);
        self.until = until;
        FetchEnd::Held
    }

    /// Where the moment that is held begins.
    fn from(&self) -> Timestamp {
        self.states.iter().map(|state| state.as_of).min().unwrap_or_default()
    }

    /// Hold `new` and nothing else.
    fn replace(&mut self, new: State) {
        self.states.clear();
        self.full = false;
        self.hold(new);
        self.until = self.state().as_of;
    }

    fn hold(&mut self, new: State) {
        self.arrived_at = self.arrived_at.max(new.received_at);
        self.note_birth(&new);
        self.states.push(new);
        self.choose(self.states.len() - 1);
    }

    fn choose(&mut self, place: usize) {
        self.current = place;
        if let Some(state) = self.states.get(place) {
            self.held = state.clone();
        }
    }

    /// What an object says itself is worth more than the time of an event.
    fn note_birth(&mut self, new: &State) {
        let told = (new.stage == Stage::Created).then_some(new.as_of);
        self.born = new.born.or(self.born).or(told);
    }

    /// Another end of what ended.
    fn gone_again(&mut self, mut new: State) -> Folded {
        let held = self.state();
        let better = held.stub && !new.stub;
        if new.as_of <= self.until && !better {
            return Folded::Unchanged;
        }
        if new.stub {
            new = State { packed: held.packed.clone(), content: held.content, ..new };
            new.stub = held.stub;
        }
        new.as_of = new.as_of.max(self.until);
        self.replace(new);
        Folded::Changed
    }

    /// A state of what ended: of an object that came after under the same identifier, or late.
    fn after_the_end(&mut self, new: State) -> Folded {
        let held = self.state();
        let created = new.stage == Stage::Created && new.origin == Origin::Event;
        let another = match (new.born, self.born) {
            (Some(new), Some(held)) => new > held,
            _ => false,
        };
        let reborn = new.born.is_some_and(|born| born > held.as_of)
            || created && new.as_of > self.until
            || created && new.as_of == held.as_of && another;
        if reborn {
            self.ambiguous = false;
            self.anchor = None;
            self.born = None;
            self.replace(new);
            return Folded::Changed;
        }
        // A deletion that did not show the object: the latest state before it does.
        let shown = self.anchor.map(|anchor| anchor.as_of);
        let better = held.stub && new.as_of <= held.as_of && shown.is_none_or(|at| at < new.as_of);
        if !better || new.unkept() {
            return Folded::Unchanged;
        }
        self.anchor = Some(Anchor { as_of: new.as_of, content: None });
        if let Some(held) = self.states.get_mut(self.current) {
            (held.packed, held.content) = (new.packed, new.content);
        }
        self.choose(self.current);
        Folded::Changed
    }

    /// The end of an object, unless it is that of another one before.
    fn end(&mut self, mut new: State) -> Folded {
        let another = match (new.born, self.born) {
            (Some(ended), Some(held)) => held > ended,
            _ => self.born.is_some_and(|held| held > new.as_of),
        };
        if another {
            return Folded::Unchanged;
        }
        let held = self.state();
        let shown = Anchor { as_of: held.as_of, content: None };
        if new.stub {
            new = State { packed: held.packed.clone(), content: held.content, ..new };
        }
        self.anchor = new.stub.then_some(shown);
        self.ambiguous &= new.stub;
        self.replace(new);
        Folded::Changed
    }

    /// A state of an object that is there.
    fn next(&mut self, new: State, open: Open<'_>) -> Folded {
        let embedded = new.origin == Origin::Embedded;
        if embedded && new.content == self.state().content {
            return Folded::Unchanged;
        }
        if new.as_of > self.until {
            // What was fetched may have changed until the end of its moments.
            let fetched = self.states.iter().any(|state| state.origin == Origin::Fetched);
            let content = (!self.ambiguous && !fetched).then_some(self.state().content);
            self.anchor = Some(Anchor { as_of: self.until, content });
            self.ambiguous &= embedded;
            self.replace(new);
            return Folded::Changed;
        }
        if new.as_of < self.from() {
            return if embedded { Folded::Unchanged } else { self.earlier(&new, open) };
        }
        if embedded {
            // Beside a fetched one alone it may be the later.
            if self.states.iter().any(|state| state.origin == Origin::Event) {
                return Folded::Unchanged;
            }
        } else {
            self.states.retain(|state| state.origin != Origin::Embedded);
            if self.states.is_empty() {
                self.ambiguous = false;
                self.replace(new);
                return Folded::Changed;
            }
            // States that were held beside one of an event were never of the embedded kind.
            self.choose(self.current.min(self.states.len() - 1));
        }
        self.beside(new, open);
        Folded::Changed
    }

    /// A state of a moment that is past: it tells at most how the one that is held began.
    fn earlier(&mut self, new: &State, open: Open<'_>) -> Folded {
        self.note_birth(new);
        let anchor = match self.anchor {
            // What its moment came to was perhaps told by what came before, and that is new now.
            Some(anchor) if anchor.as_of > new.as_of => Anchor { content: None, ..anchor },
            // Which of two of one moment was the last is not gone into.
            Some(anchor) if anchor.as_of == new.as_of && anchor.content != Some(new.content) => {
                Anchor { as_of: new.as_of, content: None }
            }
            _ => Anchor { as_of: new.as_of, content: Some(new.content) },
        };
        if self.anchor == Some(anchor) {
            return Folded::Unchanged;
        }
        self.anchor = Some(anchor);
        if self.states.len() > 1 && !self.full {
            self.solve(self.current, open);
        }
        Folded::Changed
    }

    /// Another state of the moment that is held.
    fn beside(&mut self, new: State, open: Open<'_>) {
        let before = self.current;
        if self.states.len() >= MAX_STATES {
            self.full = true;
            self.states.remove(usize::from(before == 0));
            self.ambiguous = true;
        }
        self.until = self.until.max(new.as_of);
        self.hold(new);
        if !self.full {
            self.solve(before, open);
        }
    }

    /// Hold the last state of the moment, as far as anything tells: otherwise the one that came
    /// last, or the one held before if that one cannot be the last.
    fn solve(&mut self, before: usize, open: Open<'_>) {
        let anchor = self.anchor.and_then(|anchor| anchor.content);
        let solved = solve::solve(&self.states, anchor, open);
        let newest = self.states.len() - 1;
        let choice = [newest, before].into_iter().find(|place| solved.last.contains(place));
        self.choose(choice.or_else(|| solved.last.last().copied()).unwrap_or(newest));
        self.ambiguous = !solved.sure;
        let fetched = self.states.iter().rposition(|state| state.origin == Origin::Fetched);
        if let Some((place, fetched)) = fetched.and_then(|at| self.states.get(at).map(|s| (at, s)))
        {
            // Events that led to it are no longer held: those that are left may seem to lead on from
            // it, or round to where they began. Only what shows nothing else leaves no doubt.
            let same = self.states.iter().all(|state| state.content == fetched.content);
            if same {
                self.choose(place);
            }
            self.ambiguous = !same;
        }
    }
}
