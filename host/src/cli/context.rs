//! What a command has at hand: the environment, the clock and the two streams.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use crate::config::Environment;
use crate::domain::clock::{Clock, SystemClock};

/// What a command has at hand.
pub(crate) struct Context {
    pub(crate) env: Environment,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where data goes.
    pub(crate) out: Box<dyn Write + Send>,
    /// Whether a person reads the data.
    pub(crate) terminal: bool,
    /// Whether colours may be used where a person reads.
    pub(crate) colour: bool,
}

impl Context {
    pub(crate) fn of_process() -> Self {
        let env = Environment::of_process();
        let colour = colours(&env);
        Self {
            env,
            clock: Arc::new(SystemClock::new()),
            out: Box::new(io::stdout()),
            terminal: io::stdout().is_terminal(),
            colour,
        }
    }

    /// Say something that is not data.
    #[expect(clippy::unused_self, reason = "talking is done in a command's context")]
    pub(crate) fn say(&self, text: impl fmt::Display) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// <https://no-color.org>: any value but an empty one turns colours off; so does a dumb terminal.
fn colours(env: &Environment) -> bool {
    env.get("NO_COLOR").is_none_or(str::is_empty) && env.get("TERM") != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_is_respected() {
        assert!(colours(&Environment::from([])));
        assert!(colours(&Environment::from([("NO_COLOR", "")])));
        assert!(!colours(&Environment::from([("NO_COLOR", "1")])));
        assert!(!colours(&Environment::from([("TERM", "dumb")])));
    }
}
