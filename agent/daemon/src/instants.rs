//! Times of day: in ms since 1970, in UTC, and as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last instant that has a text, the end of the year 9999: a file may name any.
pub const LAST_MS: u64 = 253_402_300_799_999;

/// Now, in ms since 1970.
pub fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = since_1970.map_or(0, |since| since.as_millis());
    u64::try_from(now_ms).unwrap_or(u64::MAX)
}

/// An instant in ms since 1970 as RFC 3339 has it, to the second: `2026-11-26T14:03:05Z`.
pub fn instant(ms: u64) -> String {
    humantime::format_rfc3339_seconds(at(ms)).to_string()
}

/// The same to the millisecond.
pub(crate) fn exact_instant(ms: u64) -> String {
    humantime::format_rfc3339_millis(at(ms)).to_string()
}

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.min(LAST_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_instant_there_is_it_has_a_text() {
        assert_eq!(instant(1_764_165_780_999), "2025-11-26T14:03:00Z");
        assert_eq!(exact_instant(1_764_165_780_999), "2025-11-26T14:03:00.999Z");
        assert_eq!(exact_instant(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
