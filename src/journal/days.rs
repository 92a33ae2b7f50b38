//! When the rows of a log ended, and which of their times are outliers.
//!
//! A clock that was wrong for a moment writes a row of 1970 or of 2099. Such rows are requests like
//! the others, but a time span or an axis that included them would be useless. So *outliers* are
//! separated: rows more than a day from the median row and from every row that is not an outlier.
//! The second condition keeps a log of several days whole.
//!
//! Rows are counted per day and not kept, so memory depends on the number of days in a log.

use std::collections::BTreeMap;
use std::iter;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// Rows of further days count as outliers: 11 years.
const DAYS_MAX: usize = 1 << 12;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Days {
    days: BTreeMap<i64, Span>,
    rows: u64,
}

/// A number of rows, and the times of the first and the last of them in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How many there are.
    pub rows: u64,
    /// The earliest time.
    pub first_us: i64,
    /// The latest time.
    pub last_us: i64,
}

impl Span {
    fn of(timestamp_us: i64) -> Self {
        Self { rows: 1, first_us: timestamp_us, last_us: timestamp_us }
    }

    fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.first_us = self.first_us.min(other.first_us);
        self.last_us = self.last_us.max(other.last_us);
    }

    /// Counts a row in it.
    pub fn add(&mut self, timestamp_us: i64) {
        self.join(Self::of(timestamp_us));
    }

    /// Whether a row of this time would belong to it.
    #[must_use]
    pub fn is_near(&self, timestamp_us: i64) -> bool {
        let row = Self::of(timestamp_us);
        self.reaches(&row) && row.reaches(self)
    }

    /// Whether at most a day lies between its end and the beginning of a later one.
    fn reaches(&self, later: &Self) -> bool {
        later.first_us.saturating_sub(self.last_us) <= DAY_US
    }

    /// Whether a time lies in it.
    #[must_use]
    pub fn has(&self, timestamp_us: i64) -> bool {
        (self.first_us..=self.last_us).contains(&timestamp_us)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.last_us.abs_diff(self.first_us) as f64 / SECOND_US as f64
    }
}

impl Days {
    /// Counts a row.
    pub fn add(&mut self, timestamp_us: i64) {
        self.rows += 1;
        let day = timestamp_us.div_euclid(DAY_US);
        if let Some(span) = self.days.get_mut(&day) {
            span.add(timestamp_us);
        } else if self.days.len() < DAYS_MAX {
            self.days.insert(day, Span::of(timestamp_us));
        }
    }

    /// The rows that are not outliers; `None` without rows.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        let rows: u64 = self.days.values().map(|day| day.rows).sum();
        let mut seen = 0;
        self.clusters().find(|cluster| {
            seen += cluster.rows;
            // The median row; the earlier one if there are two.
            seen > (rows - 1) / 2
        })
    }

    /// The rows in the same cluster as one of this time, if there is one.
    #[must_use]
    pub fn span_around(&self, timestamp_us: i64) -> Option<Span> {
        self.clusters().find(|cluster| cluster.has(timestamp_us))
    }

    /// The outliers, if there are any. They may be earlier than the others, later, or both.
    #[must_use]
    pub fn outliers(&self) -> Option<Span> {
        let main = self.span()?;
        let mut others = self.clusters().filter(|cluster| *cluster != main);
        let mut outliers = others.next()?;
        others.for_each(|cluster| outliers.join(cluster));
        Some(Span { rows: self.rows - main.rows, ..outliers })
    }

    /// The days in order, joined where at most a day is between two.
    fn clusters(&self) -> impl Iterator<Item = Span> {
        let mut days = self.days.values().peekable();
        iter::from_fn(move || {
            let mut cluster = *days.next()?;
            while let Some(day) = days.next_if(|day| cluster.reaches(day)) {
                cluster.join(*day);
            }
            Some(cluster)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3600 * SECOND_US;

    fn days(times_us: impl IntoIterator<Item = i64>) -> Days {
        let mut days = Days::default();
        times_us.into_iter().for_each(|time| days.add(time));
        days
    }

    /// An hour with a row each second.
    fn hour(begins_us: i64) -> impl Iterator<Item = i64> {
        (0..3600).map(move |second| begins_us + second * SECOND_US)
    }

    fn span(rows: u64, first_us: i64, last_us: i64) -> Span {
        Span { rows, first_us, last_us }
    }

    const NOON_US: i64 = 20_000 * DAY_US + 12 * HOUR_US;

    #[test]
    fn nothing_has_no_span() {
        assert_eq!((Days::default().span(), Days::default().outliers()), (None, None));
    }

    #[test]
    fn odd_times_are_outliers_wherever_they_stand() {
        let last_us = NOON_US + 3599 * SECOND_US;
        for odd in [7, i64::MIN, i64::MAX, NOON_US - DAY_US - 1, last_us + DAY_US + 1] {
            for days in
                [days([odd].into_iter().chain(hour(NOON_US))), days(hour(NOON_US).chain([odd]))]
            {
                assert_eq!(days.span(), Some(span(3600, NOON_US, last_us)));
                assert_eq!(days.outliers(), Some(span(1, odd, odd)));
            }
        }
        let both = days(hour(NOON_US).chain([7, 9, 50_000 * DAY_US]));
        assert_eq!(both.outliers(), Some(span(3, 7, 50_000 * DAY_US)));
    }

    #[test]
    fn a_gap_of_a_day_and_clocks_apart_are_no_outliers() {
        let last_us = NOON_US + 3599 * SECOND_US;
        for other in [NOON_US - DAY_US, last_us + DAY_US, NOON_US - 10 * 60 * SECOND_US] {
            let days = days(hour(NOON_US).chain([other]));
            let (first_us, last_us) = (NOON_US.min(other), last_us.max(other));
            assert_eq!(days.span(), Some(span(3601, first_us, last_us)));
            assert_eq!(days.outliers(), None);
        }
    }

    #[test]
    fn a_log_of_many_days_is_whole() {
        let days = days((0..24 * 30).map(|hour| NOON_US + hour * HOUR_US));
        assert_eq!(days.outliers(), None);
        assert_eq!(days.span().map(|span| span.rows), Some(24 * 30));
    }

    #[test]
    fn of_two_runs_far_apart_the_one_with_the_median_row_is_told() {
        let two = days(hour(NOON_US).chain(hour(NOON_US + 9 * DAY_US)).chain([NOON_US]));
        assert_eq!(two.span().map(|span| (span.rows, span.first_us)), Some((3601, NOON_US)));
        assert_eq!(two.outliers().map(|outliers| outliers.rows), Some(3600));
        let other = two.span_around(NOON_US + 9 * DAY_US + HOUR_US / 2);
        assert_eq!(other.map(|span| span.rows), Some(3600));
        assert_eq!(two.span_around(NOON_US + 5 * DAY_US), None);
    }

    #[test]
    fn there_is_a_limit_to_days_and_no_row_is_forgotten() {
        let days = days((0..40_000).map(|day| day * 2 * DAY_US));
        assert_eq!(days.days.len(), DAYS_MAX);
        let rows = [days.span(), days.outliers()].map(|span| span.map_or(0, |span| span.rows));
        assert_eq!(rows.iter().sum::<u64>(), 40_000);
    }
}
