//! The date, for reports: a figure without one cannot be placed.

use std::time::{SystemTime, UNIX_EPOCH};

/// Date and time now, in UTC to the second, as RFC 3339 has it: `2026-11-24T17:03:09Z`.
pub fn utc_now() -> String {
    // A clock before 1970 was never set, and says so by its date.
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    utc(seconds)
}

/// Seconds since 1970 as a date. Days become a year, a month and a day as in H. Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms" (2013), `civil_from_days`, for days that are not before 1970: years begin in March, so that a leap day is the last.
fn utc(seconds: u64) -> String {
    const DAYS_PER_ERA: u64 = 146_097;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        // `date -u -d @N +%FT%TZ`
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_795_784_062, "2026-11-27T12:54:22Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), wanted);
        }
        assert!(utc_now().as_str() > "2026" && utc_now().len() == 20);
    }
}
