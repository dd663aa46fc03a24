//! What a command's end means to the shell.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::client::ClientError;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It is done.
    Done = 0,
    /// It failed.
    Failure = 1,
    /// It was asked for wrongly.
    Usage = 2,
    /// What it is about is not there.
    NotFound = 3,
    /// Whoever asked may not.
    Auth = 4,
    /// What is there stands against it.
    Conflict = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The command was understood by the parser, and still makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// What the command is about is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotFound(pub(crate) String);

/// What is there stands against it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Conflict(pub(crate) String);

/// What this error means to the shell.
pub(crate) fn code(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<Usage>() {
            return Exit::Usage;
        }
        if cause.is::<NotFound>() {
            return Exit::NotFound;
        }
        if cause.is::<Conflict>() {
            return Exit::Conflict;
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return error.exit();
        }
        // A reader who closed the pipe has what it wanted.
        if let Some(error) = cause.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            return Exit::Done;
        }
    }
    Exit::Failure
}

/// Tell the user, and choose the exit code.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    let exit = code(error);
    if exit != Exit::Done {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "error: {error:#}");
    }
    exit
}
