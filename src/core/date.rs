//! Dates for people to read: when a key was added, when it was last used. No decision depends on one.

use std::time::Duration;

/// Seconds of a day; UTC has no other ones here.
const DAY: u64 = 86_400;
/// 1970 began with a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The moment that is `since_1970` after the beginning of 1970, as RFC 3339 in UTC to the second.
#[must_use]
pub fn rfc3339(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same moment as a mail has it (RFC 5322 section 3.3).
#[must_use]
pub fn rfc5322(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let named = |names: &[&'static str], number: u64| {
        usize::try_from(number).ok().and_then(|number| names.get(number).copied()).unwrap_or("?")
    };
    let weekday = named(&WEEKDAYS, days % 7);
    let month = named(&MONTHS, month.saturating_sub(1));
    format!("{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// The date `days` after 1970-01-01: the years, then the months, are taken off one by one.
fn civil(days: u64) -> (u64, u64, u64) {
    // 400 years have the same number of days wherever they begin.
    const ERA: u64 = 146_097;
    let mut year = (days / ERA).saturating_mul(400).saturating_add(1970);
    let mut left = days % ERA;
    while left >= days_of(year) {
        left = left.saturating_sub(days_of(year));
        year = year.saturating_add(1);
    }
    let february = days_of(year).saturating_sub(337);
    let mut month = 1_u64;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < length {
            break;
        }
        left = left.saturating_sub(length);
        month = month.saturating_add(1);
    }
    (year, month, left.saturating_add(1))
}

fn days_of(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_seconds_since_1970_then_the_date_is_that_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (978_307_199, "2000-12-31T23:59:59Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_795_428_000, "2026-11-23T10:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (13_569_465_600, "2400-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), date, "{seconds}");
        }
    }

    #[test]
    fn given_a_mail_then_its_date_has_the_day_of_the_week() {
        for (seconds, date) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_000_000_000, "Sun, 9 Sep 2001 01:46:40 +0000"),
            (1_795_428_000, "Mon, 23 Nov 2026 10:00:00 +0000"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            assert_eq!(rfc5322(Duration::from_secs(seconds)), date, "{seconds}");
        }
    }

    #[test]
    fn given_any_clock_then_it_is_a_date() {
        assert!(rfc3339(Duration::MAX).ends_with('Z'));
    }
}
