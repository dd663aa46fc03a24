//! `signalbox test`: what handlers do with events, tried out in the real engine with nothing around it.
//!
//! Not the running (`workbench`). Here is what is run and on what (`target`, `cases`, `seed`), what is
//! printed (`show`), and what is held against what was recorded (`snapshot`).

mod cases;
mod diff;
mod seed;
mod show;
mod snapshot;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use clap::ValueEnum;
use serde_json::Value;

use crate::app;
use crate::config::{Config, Flags};
use crate::domain::clock::{ManualClock, Timestamp};
use crate::domain::delivery::Outcome;
use crate::plugin::{Engine, EngineConfig, Trial};
use crate::workbench::{Bench, BenchConfig, MAX_FOLLOWING, Step};

use super::build_command::ToolArgs;
use super::connect::usable;
use super::context::Context;
use super::exit::Usage;
use super::outcome::word;
use super::output::OutputArgs;
use super::times;

use cases::Case;
use snapshot::{Judged, Snapshots};

/// The moment at which the clock stands unless `--now` says another: 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The name of what timers lead to, among the events.
const TIMERS: &str = "timers";

/// What an event must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expected {
    /// Every plugin that takes it handles it, and one takes it
    Done,
    /// They ask for another attempt
    Retry,
    /// They reject it
    Reject,
    /// They crash
    Crashed,
    /// They use up their time
    OutOfTime,
    /// They use up their memory
    OutOfMemory,
    /// No plugin takes it
    Ignored,
}

/// Run handlers on events, without a host: in the real engine, on state in memory, under a fixed clock
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  signalbox test
  signalbox test hello.wasm -e charge.succeeded
  signalbox test --event charge.succeeded --override charge:amount=500 --state state.json
  signalbox test --event fixtures/refund.json --event charge.succeeded --timers
  signalbox test --event invoice.paid --expect retry
  signalbox test --update

A directory is a project: it is built first, and without --event each fixtures/*.json of it is an event.
Events run one after another, and each finds the state that those before it left. What a handler emits is
delivered next; HTTP requests are shown and never sent. Clock and random numbers are the same in every
run. Without --config, plugins are granted what they ask for.

Where snapshots/ is in the project and no --event is given, or --snapshot names a directory, each outcome
is compared with the file recorded there: verdict, state, effects and logs. --update records.

FIXTURE may also be an
event of another provider: {\"provider\": \"github\", \"type\": \"push\", \"id\": \"1\", \"body\": {...}}.

Exit codes: 0 every event ended as recorded or, where nothing is recorded, as --expect says; 1 one did
not, or the project does not build; 2 wrong use; 3 a file is not there.")]
pub(crate) struct Args {
    /// Components, or directories of projects
    #[arg(value_name = "FILE.wasm|DIR", default_value = ".")]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    events: cases::CaseArgs,
    #[command(flatten)]
    seed: seed::SeedArgs,
    /// Configuration file, for settings, limits and grants [default: none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting that `config.get` answers with
    #[arg(long, value_name = "KEY=VALUE", value_parser = seed::setting)]
    setting: Vec<(String, String)>,
    /// Grant what is asked for beyond the grants of --config
    #[arg(long, requires = "config")]
    grant_all: bool,
    /// Where the clock stands [default: 2026-01-01T00:00:00Z]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// Number of the attempt
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: u32,
    /// As if an operator had it run again
    #[arg(long)]
    replay: bool,
    /// Do not deliver what is emitted
    #[arg(long)]
    no_follow: bool,
    /// After the last event, let delayed events happen in their order, the clock moving on to each
    #[arg(long, conflicts_with = "no_follow")]
    timers: bool,
    /// What each event must lead to, where nothing is recorded
    #[arg(long, value_enum, value_name = "VERDICT", default_value_t = Expected::Done)]
    expect: Expected,
    /// Directory of recorded outcomes [default: snapshots/ in the project, for its own fixtures]
    #[arg(long, value_name = "DIR")]
    snapshot: Option<PathBuf>,
    /// Record the outcomes
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    tools: ToolArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, cx: &mut Context) -> anyhow::Result<()> {
    let now = args.now.as_deref().map_or(Ok(NOW), |text| times::moment(text, cx.clock.now()))?;
    let config = args.config(cx)?;
    let providers = app::providers(&config);
    let whole = args.events.given.is_empty();
    let targets = target::find(&args.targets, &args.tools, cx).await?;
    let cases = args.events.find(&targets.fixtures, &providers, now)?;
    let snapshots = Snapshots::find(&args, &targets, whole)?;

    let clock = Arc::new(ManualClock::at(now));
    let engine = EngineConfig { cache_dir: target::cache(cx), ..EngineConfig::default() };
    let engine = Engine::new(&engine, clock.clone())?;
    let trial = Trial {
        settings: args.setting.iter().cloned().collect(),
        grant_all: args.config.is_none() || args.grant_all,
    };
    let policy = app::policy(&config, &providers);
    let plugins = target::load(&targets, &engine, &policy, &trial, cx).await?;
    let how = BenchConfig { attempt: args.attempt, replay: args.replay, follow: !args.no_follow };
    let mut bench = Bench::new(engine, plugins, clock, providers.clone(), how);
    args.seed.sow(&bench, &providers, &cases)?;
    args.try_out(&mut bench, cases, &snapshots, cx).await
}

impl Args {
    /// The configuration as far as it is about plugins; the defaults where none is named.
    fn config(&self, cx: &Context) -> anyhow::Result<Config> {
        let Some(file) = &self.config else { return Ok(Config::default()) };
        let reading = Config::read(Some(file), &cx.env, &Flags::default());
        if let Some(problem) = reading.problems.iter().find(|problem| problem.key().is_none()) {
            return Err(anyhow::Error::new(problem.clone()));
        }
        for section in ["plugin", "plugins", "provider"] {
            usable(&reading, section)?;
        }
        Ok(reading.config)
    }

    /// Deliver every case, print it, and judge it.
    async fn try_out(
        &self,
        bench: &mut Bench,
        cases: Vec<Case>,
        snapshots: &Snapshots,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        let mut printer = show::Printer::new(self.output.output);
        let mut names = Vec::new();
        for case in cases {
            let steps = bench.deliver(case.event, case.source).await?;
            self.end(&case.name, &steps, snapshots, &mut printer, cx)?;
            names.push(case.name);
        }
        if self.timers {
            let (steps, ended) = bench.run_timers().await?;
            if !ended {
                cx.say(format_args!("note: timers go on for ever; stopped after {MAX_FOLLOWING}"));
            }
            if !steps.is_empty() {
                self.end(TIMERS, &steps, snapshots, &mut printer, cx)?;
                names.push(TIMERS.to_owned());
            }
        }
        snapshots.left_over(&names, cx)?;
        let bad = printer.finish(cx)?;
        if bad == 0 {
            return Ok(());
        }
        Err(anyhow!("of {}, {bad} did not end as it should", printer.count()))
    }

    fn end(
        &self,
        name: &str,
        steps: &[Step],
        snapshots: &Snapshots,
        printer: &mut show::Printer,
        cx: &mut Context,
    ) -> anyhow::Result<()> {
        let shown: Vec<Value> = steps.iter().map(show::view).collect();
        let judged = snapshots.judge(name, &shown)?;
        let judged = judged.unwrap_or_else(|| match self.expect.complaint(steps) {
            None => Judged::Good("as expected"),
            Some(complaint) => Judged::Bad(complaint),
        });
        printer.case(name, shown, &judged, cx)?;
        Ok(())
    }
}

impl Expected {
    const fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Ok => Some(Self::Done),
            Outcome::Retry => Some(Self::Retry),
            Outcome::Reject => Some(Self::Reject),
            Outcome::Crashed => Some(Self::Crashed),
            Outcome::OutOfTime => Some(Self::OutOfTime),
            Outcome::OutOfMemory => Some(Self::OutOfMemory),
            Outcome::HostFault | Outcome::Saturated => None,
        }
    }

    /// What is not as it should be. What follows from an event must be handled wherever it is taken.
    fn complaint(self, steps: &[Step]) -> Option<String> {
        let (given, following) = steps.split_first()?;
        if given.runs.is_empty() && self != Self::Ignored {
            return Some("no plugin takes it (--expect ignored, if that is right)".to_owned());
        }
        let wanted = |step: &Step, wanted: Self| {
            let odd = step.runs.iter().find(|run| Self::of(run.execution.outcome) != Some(wanted));
            odd.map(|run| {
                let plugin = &run.delivery.plugin;
                let word = word(run.execution.outcome, run.execution.retry_after);
                format!("{plugin} ended it as {word} (see --expect)")
            })
        };
        wanted(given, self).or_else(|| following.iter().find_map(|step| wanted(step, Self::Done)))
    }
}

/// Refuse what cannot be meant.
fn usage<T>(text: impl Into<String>) -> anyhow::Result<T> {
    Err(Usage(text.into()).into())
}
