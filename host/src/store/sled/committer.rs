//! The one writer: takes what waits, makes it one commit, makes that durable, answers all.
//!
//! A thread of its own, behind a bounded channel. Nothing is answered before `fdatasync` returned;
//! after the first failure nothing is committed any more, for a failed sync cannot be repeated.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::clock::Timestamp;
use crate::domain::object::FetchEnd;
use crate::store::{
    Admission, EffectChanged, Replayed, Retained, RetentionPolicy, Settled, StoreError,
};

use super::accept::{Blocks, Prepared, TypesSeen};
use super::draft::{Changes, Draft};
use super::ending::Ending;
use super::error::RowError;
use super::jobs::Job;
use super::layout;
use super::open::panic_text;
use super::retain::{Step, Sweep};
use super::rows::{self, Counters};
use super::shared::Shared;
use super::write_set::View;

/// Most bytes of one commit, and so of one transition.
pub(super) const COMMIT_BYTES: usize = 2 << 20;

/// Most requests of one commit: bounds how long the first of them waits for the others.
const COMMIT_REQUESTS: usize = 1_024;

/// How often the high-water mark is brought up to date at most.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the committer is asked for.
#[derive(Debug)]
pub(super) enum Request {
    /// Store events.
    Accept { events: Vec<Prepared>, size: usize, reply: Reply<Vec<Admission>> },
    /// End attempts.
    Settle { endings: Vec<Ending>, size: usize, reply: Reply<Vec<Settled>> },
    /// Effects, replays, fetched objects, pauses.
    Job { job: Job, size: usize },
    /// Put (or remove) a row; answers whether it was there.
    Row { key: Vec<u8>, value: Option<Vec<u8>>, reply: Reply<bool> },
    /// One step of retention.
    Retain { policy: RetentionPolicy, now: Timestamp, reply: Reply<Retained> },
    /// Finish what came before, and stop.
    Close,
}

impl Request {
    fn size(&self) -> usize {
        match self {
            Self::Accept { size, .. } | Self::Settle { size, .. } | Self::Job { size, .. } => *size,
            Self::Row { key, value, .. } => key.len() + value.as_ref().map_or(0, Vec::len),
            Self::Retain { .. } | Self::Close => 0,
        }
    }
}

/// How long the committer waits for more, as long as more keeps coming, before it commits. Senders
/// that were answered together come back together: without this pause a commit takes the first few
/// of them and all others wait for the next. A lone sender never waits.
const GATHER_STEP: Duration = Duration::from_micros(30);
/// Most such pauses before one commit.
const GATHER_STEPS: usize = 12;

/// While nothing but ends of attempts waits, and at least so many, nobody waits for an acknowledgement:
const MANY_ENDS: usize = 8;
/// so many pauses in a row may bring nothing,
const PATIENCE: usize = 4;
/// and there may be so many. A commit of four times as many ends costs little more than one of these.
const PATIENT_STEPS: usize = 32;

/// Whether the store still takes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// It does.
    Open,
    /// It was closed.
    Closed,
    /// The disk failed, or the store's own code did.
    Failed(String),
}

/// The committer's own state.
#[derive(Debug)]
pub(super) struct Committer {
    shared: Arc<Shared>,
    counters: Counters,
    types: TypesSeen,
    sweep: Sweep,
    life: watch::Sender<Life>,
    marked: Instant,
}

/// An answer that waits for its commit to be durable.
pub(super) enum Answer {
    Accept(Reply<Vec<Admission>>, Vec<Admission>),
    Settle(Reply<Vec<Settled>>, Vec<Settled>),
    ChangeEffect(Reply<EffectChanged>, EffectChanged),
    Replay(Reply<Vec<Replayed>>, Vec<Replayed>),
    Pause(Reply<()>, ()),
    Refetched(Reply<Vec<FetchEnd>>, Vec<FetchEnd>),
    Row(Reply<bool>, bool),
    Rows(Reply<()>, ()),
    Retain(Reply<Retained>, Retained),
}

impl Answer {
    /// A caller that went away does not want it; what was committed stays committed.
    fn send(self) {
        match self {
            Self::Accept(reply, answer) => drop(reply.send(Ok(answer))),
            Self::Settle(reply, answer) => drop(reply.send(Ok(answer))),
            Self::ChangeEffect(reply, answer) => drop(reply.send(Ok(answer))),
            Self::Replay(reply, answer) => drop(reply.send(Ok(answer))),
            Self::Rows(reply, ()) => drop(reply.send(Ok(()))),
            Self::Pause(reply, ()) => drop(reply.send(Ok(()))),
            Self::Refetched(reply, answer) => drop(reply.send(Ok(answer))),
            Self::Row(reply, answer) => drop(reply.send(Ok(answer))),
            Self::Retain(reply, answer) => drop(reply.send(Ok(answer))),
        }
    }
}

/// Requests that will be one commit.
struct Batch {
    requests: Vec<Request>,
    size: usize,
    /// Nothing but ends of attempts.
    ends: bool,
}

impl Batch {
    fn of(first: Request) -> Self {
        let ends = matches!(first, Request::Settle { .. });
        Self { size: first.size(), requests: vec![first], ends }
    }

    /// Whether to wait for more: after so many pauses, the last `idle` of which brought nothing.
    fn gathers(&self, pauses: usize, idle: usize) -> bool {
        let patient = self.ends && self.requests.len() >= MANY_ENDS;
        let (most, patience) = if patient { (PATIENT_STEPS, PATIENCE) } else { (GATHER_STEPS, 1) };
        pauses < most && idle < patience && !self.is_full()
    }

    fn closes(&self) -> bool {
        matches!(self.requests.last(), Some(Request::Close))
    }

    fn is_full(&self) -> bool {
        self.requests.len() >= COMMIT_REQUESTS || self.closes()
    }

    /// Take what waits. Answers the request that no longer fits.
    fn fill(&mut self, requests: &mut mpsc::Receiver<Request>) -> Option<Request> {
        while !self.is_full() {
            let next = requests.try_recv().ok()?;
            if self.size + next.size() > COMMIT_BYTES {
                return Some(next);
            }
            self.size += next.size();
            self.ends &= matches!(next, Request::Settle { .. });
            self.requests.push(next);
        }
        None
    }
}

impl Committer {
    /// The writer of `shared`, whose counters are these.
    pub(super) fn new(shared: Arc<Shared>, counters: Counters, life: watch::Sender<Life>) -> Self {
        let (types, sweep) = (TypesSeen::default(), Sweep::default());
        Self { shared, counters, types, sweep, life, marked: Instant::now() }
    }

    /// Serve until closed, abandoned or failed.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        // A panic of sled's or our own must not leave callers waiting for ever.
        let served = catch_unwind(AssertUnwindSafe(|| self.serve(&mut requests)));
        let life = match served {
            Ok(Ok(())) => Life::Closed,
            Ok(Err(e)) => Life::Failed(e.to_string()),
            Err(panic) => Life::Failed(format!("the committer panicked: {}", panic_text(&*panic))),
        };
        if let Life::Failed(cause) = &life {
            tracing::error!(cause, "the store failed; nothing more is committed");
        }
        // Told before the requests that still wait are dropped: their callers look here then.
        self.life.send_replace(life);
    }

    fn serve(&mut self, requests: &mut mpsc::Receiver<Request>) -> Result<(), RowError> {
        let mut left_over = None;
        let mut alone = true;
        loop {
            let first = left_over.take().or_else(|| requests.blocking_recv());
            // Abandoned without a close: the next opening finds an unclean stop.
            let Some(first) = first else { return Ok(()) };
            let mut batch = Batch::of(first);
            left_over = batch.fill(requests);
            let (mut pauses, mut idle) = (0, 0);
            while left_over.is_none() && batch.gathers(pauses, idle) {
                let before = batch.requests.len();
                if alone && before == 1 {
                    break;
                }
                std::thread::sleep(GATHER_STEP);
                left_over = batch.fill(requests);
                pauses += 1;
                idle = if batch.requests.len() == before { idle + 1 } else { 0 };
            }
            alone = batch.requests.len() == 1;
            let close = batch.closes();
            self.commit(batch.requests)?;
            if close {
                return self.close();
            }
        }
    }

    fn close(&self) -> Result<(), RowError> {
        let directory = &self.shared.directory;
        directory.mark().raise(self.counters.commits).map_err(RowError::Sync)?;
        directory.finish().map_err(|e| RowError::Sync(std::io::Error::other(e)))
    }

    fn commit(&mut self, batch: Vec<Request>) -> Result<(), RowError> {
        let shared = Arc::clone(&self.shared);
        let mut view = View::new(&shared.table);
        let mut blocks = Blocks::default();
        let mut changes = Changes::default();
        let mut answers = Vec::with_capacity(batch.len());
        for request in batch {
            answers.extend(self.plan(&mut view, &mut blocks, &mut changes, request)?);
        }
        blocks.close(&mut view, &mut self.counters)?;
        if !view.set.is_empty() {
            self.counters.commits += 1;
            view.set.put(layout::COUNTERS.to_vec(), rows::encode(&self.counters)?);
            shared.table.apply(view.set)?;
            shared.table.sync()?;
            if self.marked.elapsed() >= MARK_EVERY {
                shared.directory.mark().raise(self.counters.commits).map_err(RowError::Sync)?;
                self.marked = Instant::now();
            }
        }
        self.publish(blocks, changes);
        answers.into_iter().for_each(Answer::send);
        Ok(())
    }

    /// Judge one request. An error ends the store; what concerns the request alone is answered.
    fn plan(
        &mut self,
        view: &mut View<'_>,
        blocks: &mut Blocks,
        changes: &mut Changes,
        request: Request,
    ) -> Result<Option<Answer>, RowError> {
        let mut draft = Draft {
            view,
            counters: &mut self.counters,
            types: &mut self.types,
            blocks,
            shared: &self.shared,
        };
        Ok(match request {
            Request::Accept { events, reply, .. } => {
                let admitted: Result<_, _> =
                    events.into_iter().map(|event| draft.admit(event)).collect();
                answer_damage(admitted, reply, Answer::Accept)?
            }
            Request::Settle { endings, reply, .. } => {
                let judge = |ending| changes.settle(&mut draft, ending);
                let settled: Result<_, _> = endings.into_iter().map(judge).collect();
                answer_damage(settled, reply, Answer::Settle)?
            }
            Request::Job { job, .. } => job.run(&mut draft, changes)?,
            Request::Row { key, value, reply } => {
                let was = draft.view.get(&key)?.is_some();
                match value {
                    Some(value) => draft.view.set.put(key, value),
                    None if was => draft.view.set.delete(key),
                    None => {}
                }
                Some(Answer::Row(reply, was))
            }
            Request::Retain { policy, now, reply } => {
                let held = &changes.held;
                let step = Step { shared: &self.shared, policy: &policy, now, held };
                let done = self.sweep.step(draft.view, draft.counters, &step);
                answer_damage(done, reply, Answer::Retain)?
            }
            Request::Close => None,
        })
    }

    /// What is durable becomes visible to claimers.
    fn publish(&mut self, blocks: Blocks, changes: Changes) {
        let shared = &self.shared;
        self.sweep.take_gone().into_iter().for_each(|gone| shared.cache.forget(gone));
        blocks.recent.into_iter().for_each(|event| shared.cache.put(event));
        changes.publish(shared, blocks.queued);
        let next = self.counters.next_seq;
        shared.arrived.send_if_modified(|told| std::mem::replace(told, next) != next);
    }
}

/// A row that cannot be read concerns who asked for it; anything else ends the store.
pub(super) fn answer_damage<T>(
    done: Result<T, RowError>,
    reply: Reply<T>,
    answer: fn(Reply<T>, T) -> Answer,
) -> Result<Option<Answer>, RowError> {
    match done {
        Ok(done) => Ok(Some(answer(reply, done))),
        Err(e @ (RowError::Damaged { .. } | RowError::TooLarge { .. })) => {
            drop(reply.send(Err(e.into())));
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
