//! Times as they are shown: relative to a person, exact to a program.

use std::time::Duration;

use serde_json::Value;

use crate::domain::clock::Timestamp;

use super::exit::Usage;

/// A time of the admin API: seconds since the epoch, or RFC 3339.
pub(crate) fn parse(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_u64() {
        return Some(Timestamp::from_secs(seconds));
    }
    let time = humantime::parse_rfc3339_weak(value.as_str()?).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(u64::try_from(since.as_millis()).ok()?))
}

/// A moment as it is typed: how long ago (`2h`, `7d`), RFC 3339, or seconds since the epoch.
pub(crate) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Usage> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Timestamp::from_secs(seconds));
    }
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now.minus(ago));
    }
    parse(&Value::from(text)).ok_or_else(|| {
        Usage(format!(
            "`{text}` is no time; write how long ago (`2h`, `7d`), a time such as \
             `2026-11-24T09:00:00Z`, or seconds since the epoch"
        ))
    })
}

/// `2m ago` and `in 30s` on a terminal, RFC 3339 elsewhere.
pub(crate) fn show(time: Timestamp, now: Timestamp, terminal: bool) -> String {
    if !terminal {
        return time.to_string();
    }
    if time > now {
        format!("in {}", coarse(time.since(now)))
    } else {
        format!("{} ago", coarse(now.since(time)))
    }
}

/// In its largest unit alone.
fn coarse(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_to_a_person_exact_to_a_program() {
        let now = Timestamp::from_secs(1_000_000);
        for (ago, text) in [
            (0, "0s ago"),
            (59, "59s ago"),
            (125, "2m ago"),
            (7_200, "2h ago"),
            (200_000, "2d ago"),
        ] {
            assert_eq!(show(now.minus(Duration::from_secs(ago)), now, true), text);
        }
        assert_eq!(show(now.plus(Duration::from_secs(90)), now, true), "in 1m");
        assert_eq!(show(now, now, false), "1970-01-12T13:46:40.000Z");
    }

    #[test]
    fn moments_are_typed_in_three_ways() {
        let now = Timestamp::from_secs(1_000_000);
        for (text, seconds) in
            [("2h", 992_800), ("7d", 395_200), ("999", 999), ("1970-01-12T13:46:40Z", 1_000_000)]
        {
            assert_eq!(moment(text, now).unwrap(), Timestamp::from_secs(seconds), "{text}");
        }
        assert!(moment("soon", now).unwrap_err().to_string().contains("`soon` is no time"));
    }

    #[test]
    fn the_apis_times_are_read() {
        assert_eq!(parse(&1_000_000.into()), Some(Timestamp::from_secs(1_000_000)));
        let text = Value::from("1970-01-12T13:46:40.123Z");
        assert_eq!(parse(&text), Some(Timestamp::from_millis(1_000_000_123)));
        assert_eq!(parse(&Value::Null), None);
        assert_eq!(parse(&"soon".into()), None);
    }
}
