//! Outcomes as they were recorded: one text file for each event that is given, with all that follows
//! from it.
//!
//! A record holds nothing that differs from run to run or from machine to machine: no times, no memory,
//! no stack.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::domain::clock::Timestamp;

use super::super::context::Context;
use super::super::exit::NotFound;
use super::super::outcome::For;
use super::super::table::Style;
use super::diff::diff;
use super::show::text;
use super::target::Targets;
use super::{Args, usage};

/// Where a project's records are.
const DIR: &str = "snapshots";
/// What ends a record's name.
const SUFFIX: &str = "snap";
/// What a record begins with.
const HEAD: &str = "# Recorded by `signalbox test --update`. Keep it with the source.\n\n";

/// What a case turned out to be.
#[derive(Debug)]
pub(super) enum Judged {
    /// As it should, and how that is known.
    Good(&'static str),
    /// Not as it should, and why.
    Bad(String),
}

/// The records, if there are to be any.
#[derive(Debug)]
pub(super) struct Snapshots {
    dir: Option<PathBuf>,
    update: bool,
    /// Whether every event of the project is run, so that a record of no event is left over.
    whole: bool,
}

impl Snapshots {
    pub(super) fn find(args: &Args, targets: &Targets, whole: bool) -> anyhow::Result<Self> {
        let update = args.update;
        // What is named with --event runs in an order of its own, on another state than was recorded.
        let own = match targets.projects.as_slice() {
            [only] if whole => Some(only.join(DIR)),
            _ => None,
        };
        let own = own.filter(|dir| update || dir.is_dir());
        let dir = args.snapshot.clone().or(own);
        if let Some(named) = args.snapshot.as_ref().filter(|dir| !update && !dir.is_dir()) {
            let text = format!("{}: nothing is recorded there; --update does", named.display());
            return Err(NotFound(text).into());
        }
        if update && dir.is_none() {
            return usage(
                "where to record? A project's own records are of all its fixtures; those of events that \
                 are named, or of several targets, go where --snapshot says",
            );
        }
        Ok(Self { dir, update, whole })
    }

    /// Hold a case against its record. `None` where nothing is recorded.
    pub(super) fn judge(&self, name: &str, steps: &[Value]) -> anyhow::Result<Option<Judged>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let path = dir.join(format!("{name}.{SUFFIX}"));
        let found = record(steps);
        let held = match fs::read_to_string(&path) {
            Ok(held) => Some(held.replace("\r\n", "\n")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let shown = path.display();
        Ok(match held {
            Some(held) if held == found => Some(Judged::Good("as recorded")),
            _ if self.update => {
                write(dir, &path, &found)?;
                Some(Judged::Good("recorded"))
            }
            Some(held) => Some(Judged::Bad(format!(
                "not as recorded in {shown} (- recorded, + now; --update records it)\n{}",
                diff(&held, &found)
            ))),
            None => Some(Judged::Bad(format!("{shown} is not there; --update records it"))),
        })
    }

    /// Tell of records of events that are no more; `--update` removes them.
    pub(super) fn left_over(&self, names: &[String], cx: &Context) -> anyhow::Result<()> {
        let Some(dir) = self.dir.as_ref().filter(|dir| self.whole && dir.is_dir()) else {
            return Ok(());
        };
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let record = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let stem = stem.unwrap_or_default();
            // Whether timers run is asked anew each time.
            if !record || stem == super::TIMERS || names.contains(&stem) {
                continue;
            }
            // What somebody else wrote is not removed.
            if self.update && fs::read_to_string(&path).is_ok_and(|held| held.starts_with(HEAD)) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
                cx.say(format_args!("removed {}: there is no such event", path.display()));
            } else {
                cx.say(format_args!("note: {} is the record of no event", path.display()));
            }
        }
        Ok(())
    }
}

fn write(dir: &Path, path: &Path, text: &str) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A case as it is recorded.
fn record(steps: &[Value]) -> String {
    let plain = Style { terminal: false, colour: false, now: Timestamp::default() };
    let steps = steps.iter().map(|step| text(step, For::Record, plain));
    let text = HEAD.to_owned() + &steps.collect::<String>();
    // Nothing ends in blanks that an editor would take away.
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
