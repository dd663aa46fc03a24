//! The `log` import.

use wasmtime::Result;

use crate::domain::delivery::LogLevel;
use crate::plugin::bindings::signalbox::plugin::log::{Host, Level};
use crate::plugin::guest::{Abandoned, Guest, Role};

impl Host for Guest {
    fn write(
        &mut self,
        level: Level,
        message: String,
        attributes: Vec<(String, String)>,
    ) -> Result<()> {
        if matches!(self.role, Role::Describing) {
            return Err(Abandoned::InDescribe("log.write").into());
        }
        let level = match level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.logs.write(level, message, attributes);
        Ok(())
    }
}
