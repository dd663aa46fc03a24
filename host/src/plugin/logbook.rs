//! What a guest says during one run, within its limits.
//!
//! Filled by the `log` import and, line by line, by standard output and standard error. Not the
//! host's own log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::delivery::{LogLevel, LogRecord, Logs};

/// Bytes of one message; the rest is cut away and said so. 4 KiB hold a stack trace; a whole
/// event dumped by mistake must not push out everything else.
const MAX_MESSAGE: usize = 4 << 10;

/// One of a guest's output streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Output {
    /// Arrives as `info`.
    Stdout,
    /// Arrives as `warn`.
    Stderr,
}

/// The records of one run. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct LogBook(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    logs: Logs,
    records_left: u32,
    bytes_left: u64,
    stdout: Line,
    stderr: Line,
}

/// A line that has not ended yet.
#[derive(Debug, Default)]
struct Line {
    kept: Vec<u8>,
    cut: usize,
}

impl LogBook {
    pub(super) fn new(records: u32, bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            logs: Logs::default(),
            records_left: records,
            bytes_left: bytes,
            stdout: Line::default(),
            stderr: Line::default(),
        })))
    }

    /// Keep a record, or count it when there is no room for it.
    pub(super) fn write(
        &self,
        level: LogLevel,
        message: String,
        attributes: Vec<(String, String)>,
    ) {
        self.lock().push(level, cut(message), attributes);
    }

    /// Take bytes of an output stream; each whole line becomes a record.
    pub(super) fn print(&self, output: Output, bytes: &[u8]) {
        let mut inner = self.lock();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let line = inner.line(output);
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    line.push(end);
                    let line = std::mem::take(line);
                    inner.end(output, line);
                }
                None => line.push(piece),
            }
        }
    }

    /// The records so far, unended lines included. Leaves none.
    pub(super) fn take(&self) -> Logs {
        let mut inner = self.lock();
        for output in [Output::Stdout, Output::Stderr] {
            let line = std::mem::take(inner.line(output));
            if !line.kept.is_empty() {
                inner.end(output, line);
            }
        }
        std::mem::take(&mut inner.logs)
    }

    /// A panic while the lock was held leaves at worst one record out.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    const fn line(&mut self, output: Output) -> &mut Line {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }

    fn end(&mut self, output: Output, line: Line) {
        let level = match output {
            Output::Stdout => LogLevel::Info,
            Output::Stderr => LogLevel::Warn,
        };
        self.push(level, line.text(), Vec::new());
    }

    fn push(&mut self, level: LogLevel, message: String, attributes: Vec<(String, String)>) {
        let names: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        let size = u64::try_from(message.len() + names).unwrap_or(u64::MAX);
        if self.records_left == 0 || size > self.bytes_left {
            self.logs.dropped += 1;
            return;
        }
        self.records_left -= 1;
        self.bytes_left -= size;
        self.logs.records.push(LogRecord { level, message, attributes });
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_MESSAGE.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.cut += bytes.len() - room;
    }

    fn text(mut self) -> String {
        if self.kept.last() == Some(&b'\r') {
            self.kept.pop();
        }
        let text = String::from_utf8_lossy(&self.kept);
        if self.cut == 0 { text.into_owned() } else { marked(&text, self.cut) }
    }
}

fn cut(mut message: String) -> String {
    if message.len() <= MAX_MESSAGE {
        return message;
    }
    let whole = message.len();
    let keep = message.floor_char_boundary(MAX_MESSAGE);
    message.truncate(keep);
    marked(&message, whole - keep)
}

fn marked(kept: &str, cut: usize) -> String {
    format!("{kept}... ({cut} bytes cut)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(book: &LogBook) -> Vec<String> {
        book.take().records.into_iter().map(|r| r.message).collect()
    }

    #[test]
    fn lines_are_put_together_and_the_last_is_kept() {
        let book = LogBook::new(10, 1_000);
        book.print(Output::Stdout, b"one\ntw");
        book.print(Output::Stderr, b"other");
        book.print(Output::Stdout, b"o\r\n\nthree");
        assert_eq!(messages(&book), ["one", "two", "", "three", "other"]);
    }

    #[test]
    fn beyond_the_limits_records_are_counted() {
        let book = LogBook::new(2, 10);
        for message in ["12345", "123456", "12345", "1"] {
            book.write(LogLevel::Info, message.to_owned(), Vec::new());
        }
        let logs = book.take();
        assert_eq!((logs.records.len(), logs.dropped), (2, 2));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let book = LogBook::new(10, 100_000);
        book.write(LogLevel::Info, "ä".repeat(MAX_MESSAGE), Vec::new());
        book.print(Output::Stdout, &vec![b'x'; 10 * MAX_MESSAGE]);
        let logs = messages(&book);
        assert!(logs[0].ends_with(&format!("ä... ({MAX_MESSAGE} bytes cut)")), "{}", logs[0]);
        assert!(logs[1].ends_with(&format!("x... ({} bytes cut)", 9 * MAX_MESSAGE)));
    }
}
