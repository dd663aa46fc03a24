//! Lays file, environment and flags over each other and reads the result.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::file;
use super::origin::Origin;
use super::problem::{ConfigError, Problem};
use super::reader::Reader;
use super::sections;
use super::settings::Config;
use super::tree::Node;
use super::value::Scope;

/// The file that is read when none is named: in the working directory, if it is there.
pub const DEFAULT_FILE: &str = "signalbox.toml";

/// What the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(&'static str, &'static str, String)>);

impl Flags {
    /// The flag `flag` (as it is typed, `--listen`) sets `key` (from the top, `server.listen`).
    pub fn set(&mut self, flag: &'static str, key: &'static str, value: impl fmt::Display) {
        self.0.push((flag, key, value.to_string()));
    }
}

/// A configuration and what is wrong with it. Where something is wrong the default stands.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What could be read.
    pub config: Config,
    /// What is wrong, in the order of the file, then of the environment's names, then of flags.
    pub problems: Vec<Problem>,
}

impl Config {
    /// Read the configuration.
    ///
    /// `file` is the file the command line names; else `SIGNALBOX_CONFIG` names one; else
    /// [`DEFAULT_FILE`] is read if it is there. A named file must be there.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem that was found.
    pub fn load(
        file: Option<&Path>,
        env: &Environment,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let Reading { config, problems } = Self::read(file, env, flags);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }

    /// As [`Config::load`], for those who can do with less than the whole: a client needs the
    /// admin API's address, and not the secrets of the endpoints.
    #[must_use]
    pub fn read(file: Option<&Path>, env: &Environment, flags: &Flags) -> Reading {
        let named = file.map(Path::to_path_buf);
        let named = named.or_else(|| env.get("SIGNALBOX_CONFIG").map(PathBuf::from));
        let (mut tree, found, mut problems) = tree_of_file(named);
        for (name, path, value) in env.settings() {
            tree.set(&path, value, &Origin::Env(name.to_owned()));
        }
        for (flag, key, value) in &flags.0 {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            tree.set(&path, value, &Origin::Flag((*flag).to_owned()));
        }
        let base = found.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let reader = Reader::new(Scope { env, base });
        let mut config = sections::config(reader.root(tree));
        let (more, entries) = reader.finish();
        problems.extend(more);
        problems.sort_by_key(place);
        config.entries = entries;
        config.file = found;
        Reading { config, problems }
    }
}

/// The file's values (none without a file), the file that was read, and what is wrong with it.
fn tree_of_file(named: Option<PathBuf>) -> (Node, Option<PathBuf>, Vec<Problem>) {
    let must_be_there = named.is_some();
    let path = named.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let nothing = || Node::table(Origin::Default);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let (tree, problems) = file::parse(&text, path.clone());
            (tree, Some(path), problems)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be_there => {
            (nothing(), None, Vec::new())
        }
        Err(error) => {
            let cause = error.to_string();
            (nothing(), None, vec![Problem::Unreadable { path, cause }])
        }
    }
}

/// Where a problem comes in the list.
fn place(problem: &Problem) -> (u8, usize) {
    let origin = match problem {
        Problem::Unreadable { .. } => return (0, 0),
        Problem::Syntax { origin, .. }
        | Problem::Unknown { origin, .. }
        | Problem::Missing { origin, .. }
        | Problem::Invalid { origin, .. }
        | Problem::Secret { origin, .. }
        | Problem::Conflict { origin, .. } => origin,
    };
    match origin {
        Origin::File { line, .. } => (1, *line),
        Origin::Env(_) => (2, 0),
        Origin::Flag(_) => (3, 0),
        Origin::Default => (4, 0),
    }
}
