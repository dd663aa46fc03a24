//! Log lines on the standard error stream.
//!
//! Not metrics (`http::admin`) and not what guests say (kept with their attempts).

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// What of the dependencies is worth an operator's time, whatever the host's own level.
const DEPENDENCIES: &str = "warn";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The level is neither a level nor directives.
    #[error("`{level}` is not a log level: {cause}")]
    Level {
        /// What was asked for.
        level: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Another subscriber is there already.
    #[error("logging was set up before: {0}")]
    Twice(String),
}

/// The filter that `level` stands for. A plain level is the host's own, and dependencies say only
/// what warns; directives (`info,signalbox::dispatch=debug`) are taken as they are.
///
/// # Errors
/// [`TelemetryError::Level`] when it is neither.
pub fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let plain = level.trim().to_ascii_lowercase();
    let directives = match plain.as_str() {
        "off" => "off".to_owned(),
        "error" => "error".to_owned(),
        "warn" | "info" | "debug" | "trace" => format!("{DEPENDENCIES},signalbox={plain}"),
        _ => level.to_owned(),
    };
    // A lone word would be taken for a target; that is a level misspelt.
    let cause = |cause: String| TelemetryError::Level { level: level.to_owned(), cause };
    if !directives.contains(['=', ',']) && !matches!(plain.as_str(), "off" | "error") {
        return Err(cause("it is no level, and directives look like `info,target=debug`".into()));
    }
    EnvFilter::builder().parse(&directives).map_err(|error| cause(error.to_string()))
}

/// Send log lines to the standard error stream from now on, for the whole process.
///
/// `colour` allows colours; they are used on a terminal alone.
///
/// # Errors
/// [`TelemetryError`] for a bad level, or when it was called before.
pub fn init(log: &Log, colour: bool) -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(filter(&log.level)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_timer(SystemTime);
    let done = match log.format {
        LogFormat::Text => {
            let ansi = colour && io::stderr().is_terminal();
            registry.with(lines.with_ansi(ansi).with_target(false)).try_init()
        }
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false))
            .try_init(),
    };
    done.map_err(|error| TelemetryError::Twice(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_the_hosts_own_and_keeps_dependencies_quiet() {
        assert_eq!(filter("debug").unwrap().to_string(), "signalbox=debug,warn");
        assert_eq!(filter("ERROR").unwrap().to_string(), "error");
        assert_eq!(filter("info,sled=debug").unwrap().to_string(), "sled=debug,info");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for bad in ["", "loud", "inf", "signalbox=loud", "a=b=c"] {
            assert!(filter(bad).is_err(), "{bad:?}");
        }
    }
}
