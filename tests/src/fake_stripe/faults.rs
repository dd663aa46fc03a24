//! What goes wrong when a test wants it to.

use std::time::Duration;

use super::answer::Answer;
use super::route;
use super::world::{Asked, World};

/// What happens instead of, or to, an answer.
#[derive(Debug, Clone)]
pub enum What {
    /// This answer.
    Answer(Answer),
    /// `429`, with a `Retry-After` if it says one.
    RateLimited(Option<u64>),
    /// This status, and a page no program can read.
    Status(u16),
    /// The answer ends in its middle.
    Cut,
    /// The answer comes after this long.
    Slow(Duration),
    /// A list says that it goes on, and begins anew.
    Loop,
    /// A list leaves out its newest objects.
    Late(usize),
}

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub struct Fault {
    /// With requests whose path begins so.
    pub path: String,
    /// So many times; then it is over.
    pub times: u32,
    /// How.
    pub what: What,
}

impl Fault {
    /// The next request whose path begins so goes wrong.
    #[must_use]
    pub fn once(path: &str, what: What) -> Self {
        Self { path: path.to_owned(), times: 1, what }
    }

    /// All requests whose path begins so go wrong, until the fault is taken away.
    #[must_use]
    pub fn always(path: &str, what: What) -> Self {
        Self { path: path.to_owned(), times: u32::MAX, what }
    }
}

/// The answer, and how long it takes.
pub(super) fn answer(world: &mut World, asked: &Asked) -> (Answer, Option<Duration>) {
    let fits = |fault: &Fault| asked.path.starts_with(&fault.path);
    let Some(at) = world.faults.iter().position(fits) else {
        return (route::answer(world, asked), None);
    };
    let what = match world.faults.get_mut(at) {
        Some(fault) => {
            fault.times = fault.times.saturating_sub(1);
            let (what, over) = (fault.what.clone(), fault.times == 0);
            if over {
                world.faults.remove(at);
            }
            what
        }
        None => return (route::answer(world, asked), None),
    };
    match what {
        What::Answer(answer) => (answer, None),
        What::RateLimited(after) => {
            let mut answer = Answer::error(429, "rate_limit", "Too many requests", None);
            answer.headers.extend(after.map(|after| ("retry-after", after.to_string())));
            (answer, None)
        }
        What::Status(status) => {
            (Answer { status, ..Answer::text("<html>upstream says no</html>") }, None)
        }
        What::Cut => (Answer { cut: true, ..route::answer(world, asked) }, None),
        What::Slow(wait) => (route::answer(world, asked), Some(wait)),
        What::Loop => {
            let mut again = asked.clone();
            let begins = |part: &&str| !part.starts_with("starting_after=");
            again.query = asked.query.split('&').filter(begins).collect::<Vec<_>>().join("&");
            let mut answer = route::answer(world, &again);
            answer.body = answer.body.replace("\"has_more\": false", "\"has_more\": true");
            (answer, None)
        }
        What::Late(count) => {
            let mut late = world.clone();
            late.events.truncate(late.events.len().saturating_sub(count));
            (route::answer(&mut late, asked), None)
        }
    }
}
