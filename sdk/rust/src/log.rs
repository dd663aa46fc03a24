//! Log records, shown to the operator with the delivery they belong to.
//!
//! They are kept when the delivery fails: they are no part of its transaction. Use the macros
//! [`trace!`](crate::trace), [`debug!`](crate::debug), [`info!`](crate::info),
//! [`warn!`](crate::warn) and [`error!`](crate::error): a format string and its arguments, then,
//! after a semicolon, names and values that can be searched for.
//!
//! ```no_run
//! use signalbox_sdk::prelude::*;
//!
//! let (id, amount) = ("ch_1", 1200);
//! info!("charge {id}"; amount = amount, currency = "usd");
//! warn!("{} retries left", 2);
//! ```
//!
//! Standard output and error lead nowhere in a plugin.

use std::any::Any;

use crate::host;

/// How much a record matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Finest.
    Trace,
    /// For authors.
    Debug,
    /// Normal.
    Info,
    /// Look at it some day.
    Warn,
    /// Look at it.
    Error,
}

/// Write one record. Never fails; the host counts and drops what is over its limit.
pub fn write(level: Level, message: &str, attributes: &[(String, String)]) {
    host::log_write(level, message, attributes);
}

/// What the record of a panic says.
pub(crate) fn panic_message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(not a text)"))
}

/// Write a record at level `trace`; see [`log`](crate::log).
#[macro_export]
macro_rules! trace { ($($record:tt)+) => { $crate::__log!(Trace, $($record)+) }; }

/// Write a record at level `debug`; see [`log`](crate::log).
#[macro_export]
macro_rules! debug { ($($record:tt)+) => { $crate::__log!(Debug, $($record)+) }; }

/// Write a record at level `info`; see [`log`](crate::log).
#[macro_export]
macro_rules! info { ($($record:tt)+) => { $crate::__log!(Info, $($record)+) }; }

/// Write a record at level `warn`; see [`log`](crate::log).
#[macro_export]
macro_rules! warn { ($($record:tt)+) => { $crate::__log!(Warn, $($record)+) }; }

/// Write a record at level `error`; see [`log`](crate::log).
#[macro_export]
macro_rules! error { ($($record:tt)+) => { $crate::__log!(Error, $($record)+) }; }

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $text:literal $(, $argument:expr)* $(,)?
        $(; $($key:tt = $value:expr),* $(,)?)?) => {
        $crate::log::write(
            $crate::log::Level::$level,
            &::std::format!($text $(, $argument)*),
            &[$($(($crate::__key!($key), ::std::string::ToString::to_string(&$value))),*)?],
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __key {
    ($key:ident) => {
        ::std::string::String::from(::core::stringify!($key))
    };
    ($key:literal) => {
        ::std::string::String::from($key)
    };
}
