//! The `Retry-After` header (how long a server asks to be left alone), and HTTP's dates.

use std::time::{Duration, UNIX_EPOCH};

use crate::domain::clock::Timestamp;

/// The wait that `value` asks for (seconds, or an HTTP date); `None` when it is neither.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More seconds than fit are for ever; the caller has its own bound.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    Some(date(value)?.since(now))
}

/// The moment of an HTTP date.
pub(crate) fn date(value: &str) -> Option<Timestamp> {
    let at = httpdate::parse_http_date(value.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(at.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        let now = Timestamp::from_secs(784_111_777);
        let cases = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            // In the past: no wait.
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, wait) in cases {
            assert_eq!(parse(value, now), wait.map(Duration::from_secs), "{value:?}");
        }
    }
}
