//! Timestamps in milliseconds since the Unix epoch, and their display format.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time. On the wire and in the database it is a number of milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "server", derive(sea_orm::DeriveValueType))]
pub struct Timestamp(i64);

pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

pub const fn hours(n: u64) -> Duration {
    minutes(n * 60)
}

pub const fn days(n: u64) -> Duration {
    hours(n * 24)
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Timestamp {
    /// The server's clock. The browser has none here: it takes the current time from JavaScript.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self(millis(since))
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The time since `earlier`; zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC, to the second: `2026-11-23T12:00:00Z`.
    pub fn rfc3339(self) -> String {
        let (year, month, day) = self.civil();
        let second = self.0.div_euclid(1000).rem_euclid(86_400);
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }

    /// The day in UTC: `Nov 23, 2026`.
    pub fn date(self) -> String {
        let (year, month, day) = self.civil();
        format!("{} {day}, {year}", MONTHS[month - 1])
    }

    /// Day and minute in UTC: `Nov 23, 2026, 12:00 UTC`.
    pub fn exact(self) -> String {
        let minute = self.0.div_euclid(60_000).rem_euclid(1440);
        format!("{}, {:02}:{:02} UTC", self.date(), minute / 60, minute % 60)
    }

    /// The time until or since, in one unit: `just now`, `3 minutes ago`, `yesterday`, `in 6 days`.
    pub fn relative_to(self, now: Self) -> String {
        let past = self <= now;
        let seconds = if past {
            now.since(self)
        } else {
            self.since(now)
        }
        .as_secs();
        let (count, unit) = match seconds {
            0..45 => {
                return if past {
                    "just now".to_owned()
                } else {
                    "in a moment".to_owned()
                };
            }
            45..3_570 => (round(seconds, 60), "minute"),
            3_570..84_600 => (round(seconds, 3_600), "hour"),
            84_600..2_592_000 => (round(seconds, 86_400), "day"),
            2_592_000..31_536_000 => (round(seconds, 2_629_800), "month"),
            _ => (round(seconds, 31_557_600), "year"),
        };
        let plural = if count == 1 { "" } else { "s" };
        match (past, count, unit) {
            (true, 1, "day") => "yesterday".to_owned(),
            (false, 1, "day") => "tomorrow".to_owned(),
            (true, ..) => format!("{count} {unit}{plural} ago"),
            (false, ..) => format!("in {count} {unit}{plural}"),
        }
    }

    /// How long ago something happened. Never in the future: if the clock that wrote it is some seconds ahead of the
    /// one that reads it, it happened `just now`.
    pub fn ago(self, now: Self) -> String {
        self.min(now).relative_to(now)
    }

    /// The calendar month in UTC, counted from January of the year 0.
    pub fn month(self) -> i64 {
        let (year, month, _) = self.civil();
        year * 12 + i64::try_from(month).unwrap_or(1) - 1
    }

    /// This many months later in UTC: the same day and time of day, or the month's last day if it has no such day.
    #[must_use]
    pub fn months_after(self, months: u32) -> Self {
        let (year, month, day) = self.civil();
        let count = year * 12 + i64::try_from(month).unwrap_or(1) - 1 + i64::from(months);
        let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
        let first = days_since_epoch(year, month, 1);
        let next = days_since_epoch(year + month / 12, month % 12 + 1, 1);
        let day = first + Ord::min(day, next - first) - 1;
        Self(day * 86_400_000 + self.0.rem_euclid(86_400_000))
    }

    /// The start in UTC of a day in the format of a date field: `2026-11-23`.
    pub fn of_day(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '-').map(str::parse::<i64>);
        let (year, month, day) = (
            parts.next()?.ok()?,
            parts.next()?.ok()?,
            parts.next()?.ok()?,
        );
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
        {
            return None;
        }
        let moment = Self(days_since_epoch(year, month, day) * 86_400_000);
        // February 31 would become a day in March, which nobody meant.
        let (_, real_month, real_day) = moment.civil();
        (i64::try_from(real_month) == Ok(month) && real_day == day).then_some(moment)
    }

    /// Year, month from 1, day from 1, in the proleptic Gregorian calendar (Hinnant's days-to-civil algorithm).
    fn civil(self) -> (i64, usize, i64) {
        let day = self.0.div_euclid(86_400_000) + 719_468;
        let era = day.div_euclid(146_097);
        let of_era = day.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (
            year,
            usize::try_from(month).unwrap_or(1),
            of_year - (153 * shifted + 2) / 5 + 1,
        )
    }
}

/// Hinnant's civil-to-days, the inverse of [`Timestamp::civil`].
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

fn round(seconds: u64, unit: u64) -> u64 {
    ((seconds + unit / 2) / unit).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_rfc_3339_and_as_a_date() {
        let moment = Timestamp::from_millis(1_795_435_200_123);
        assert_eq!(moment.rfc3339(), "2026-11-23T12:00:00Z");
        assert_eq!(moment.date(), "Nov 23, 2026");
        assert_eq!(moment.exact(), "Nov 23, 2026, 12:00 UTC");
        assert_eq!(Timestamp::from_millis(-1).rfc3339(), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn months_end_where_they_end() {
        for (from, months, to) in [
            ("2026-01-31", 1, "2026-02-28"),
            ("2026-01-31", 2, "2026-03-31"),
            ("2024-01-31", 1, "2024-02-29"),
            ("2024-02-29", 12, "2025-02-28"),
            ("2024-02-29", 48, "2028-02-29"),
            ("2026-11-30", 1, "2026-12-30"),
            ("2026-12-31", 2, "2027-02-28"),
            ("2026-10-31", 13, "2027-11-30"),
            ("2026-05-15", 0, "2026-05-15"),
        ] {
            let later = Timestamp::of_day(from)
                .unwrap()
                .after(hours(9))
                .months_after(months);
            assert_eq!(
                later.rfc3339(),
                format!("{to}T09:00:00Z"),
                "{from} and {months}"
            );
        }
    }

    #[test]
    fn relative_times_read_well() {
        let now = Timestamp::from_millis(1_795_435_200_000);
        for (ago, text) in [
            (Duration::from_secs(3), "just now"),
            (minutes(3), "3 minutes ago"),
            (minutes(1), "1 minute ago"),
            (hours(1), "1 hour ago"),
            (hours(23), "23 hours ago"),
            (days(1), "yesterday"),
            (days(6), "6 days ago"),
            (days(61), "2 months ago"),
            (days(800), "2 years ago"),
        ] {
            assert_eq!(now.before(ago).relative_to(now), text);
        }
        assert_eq!(now.after(days(6)).relative_to(now), "in 6 days");
        assert_eq!(now.after(days(1)).relative_to(now), "tomorrow");
    }

    #[test]
    fn what_happened_never_reads_as_still_to_come() {
        let now = Timestamp::from_millis(1_795_435_200_000);
        for ahead in [
            Duration::ZERO,
            Duration::from_millis(1),
            Duration::from_secs(19),
            minutes(5),
            days(2),
        ] {
            assert_eq!(now.after(ahead).ago(now), "just now", "{ahead:?}");
        }
        assert_eq!(now.before(minutes(3)).ago(now), "3 minutes ago");
        assert_eq!(
            now.after(Duration::from_secs(3)).relative_to(now),
            "in a moment"
        );
    }

    #[test]
    fn a_day_is_read_as_a_date_field_writes_it() {
        let day = Timestamp::of_day("2026-11-23").unwrap();
        assert_eq!(day.rfc3339(), "2026-11-23T00:00:00Z");
        for text in [
            "",
            "2026-02-30",
            "2026-13-01",
            "23.11.2026",
            "2026-11",
            "soon",
            "-1-1-1",
        ] {
            assert_eq!(Timestamp::of_day(text), None, "{text}");
        }
    }

    #[cfg(feature = "server")]
    proptest::proptest! {
        #[test]
        fn a_day_reads_back(day in 0_i64..2_000_000) {
            let moment = Timestamp::from_millis(day * 86_400_000);
            proptest::prop_assert_eq!(Timestamp::of_day(&moment.rfc3339()[..10]), Some(moment));
        }

        #[test]
        fn agrees_with_the_time_crate(seconds in -62_135_596_800_i64..253_402_300_800) {
            let expected = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let expected = expected.format(&time::format_description::well_known::Rfc3339).unwrap();
            proptest::prop_assert_eq!(Timestamp::from_millis(seconds * 1000).rfc3339(), expected);
        }
    }
}
