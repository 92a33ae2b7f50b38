//! What backends have seen, and how exact they were.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::fleet::time::{SECOND, Time, nanos};

/// What the backends have seen since their scripts began.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Counts {
    /// Requests that each backend received, in each bin of time. All have as many bins.
    pub received: Vec<Vec<u64>>,
    /// Requests at each backend whose client left before the answer.
    pub abandoned: Vec<u64>,
    /// How exact the service times were, over all backends.
    pub accuracy: Accuracy,
}

/// Service times as they were asked for and as they were, and how much later than it should have
/// been an answer was sent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Accuracy {
    /// Requests that were answered.
    pub requests: u64,
    /// In milliseconds: mean, p50, p90, p99, p99.9.
    pub asked_ms: [f64; 5],
    /// The same.
    pub measured_ms: [f64; 5],
    /// In microseconds: p50, p99, max.
    pub late_us: [f64; 3],
}

/// More bins are not counted: a day of tenths of a second.
const MOST_BINS: usize = 864_000;

/// Times are in nanoseconds to three digits, and at most a day.
const DIGITS: u8 = 3;
const LONGEST: Time = 24 * 3600 * SECOND;

/// The counters.
#[derive(Debug)]
pub(super) struct Tally {
    bin: Time,
    /// When the first bin begins; nothing is counted before.
    zero: Option<Time>,
    received: Vec<Vec<u64>>,
    abandoned: Vec<u64>,
    asked: Histogram<u64>,
    measured: Histogram<u64>,
    late: Histogram<u64>,
}

impl Tally {
    pub(super) fn new(backends: usize, bin: Duration) -> Result<Self, hdrhistogram::CreationError> {
        let empty = Histogram::new_with_bounds(1, LONGEST, DIGITS)?;
        Ok(Self {
            bin: nanos(bin).max(1),
            zero: None,
            received: vec![Vec::new(); backends],
            abandoned: vec![0; backends],
            asked: empty.clone(),
            measured: empty.clone(),
            late: empty,
        })
    }

    pub(super) fn begin(&mut self, zero: Time) {
        self.zero = Some(zero);
    }

    fn since_begin(&self, now: Time) -> Option<Time> {
        now.checked_sub(self.zero?)
    }

    pub(super) fn received(&mut self, backend: usize, now: Time) {
        let Some(since) = self.since_begin(now) else { return };
        let bin = usize::try_from(since / self.bin).unwrap_or(usize::MAX);
        let bins = &mut self.received[backend];
        if bin < MOST_BINS {
            bins.resize(bins.len().max(bin + 1), 0);
            bins[bin] += 1;
        }
    }

    pub(super) fn abandoned(&mut self, backend: usize, now: Time) {
        self.abandoned[backend] += u64::from(self.since_begin(now).is_some());
    }

    /// An answer on which a backend should have worked for `took`, until `due`, was sent `now`.
    pub(super) fn answered(&mut self, took: Time, due: Time, now: Time) {
        if self.since_begin(due).is_some() {
            let late = now.saturating_sub(due);
            self.asked.saturating_record(took);
            self.measured.saturating_record(took + late);
            self.late.saturating_record(late);
        }
    }

    pub(super) fn counts(mut self) -> Counts {
        let bins = self.received.iter().map(Vec::len).max().unwrap_or(0);
        self.received.iter_mut().for_each(|it| it.resize(bins, 0));
        let at = |from: &Histogram<u64>, quantile| from.value_at_quantile(quantile) as f64;
        let times = |from: &Histogram<u64>| {
            let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|it| at(from, it));
            [from.mean(), p50, p90, p99, p999].map(|ns| ns / 1e6)
        };
        Counts {
            received: self.received,
            abandoned: self.abandoned,
            accuracy: Accuracy {
                requests: self.asked.len(),
                asked_ms: times(&self.asked),
                measured_ms: times(&self.measured),
                late_us: [0.5, 0.99, 1.0].map(|it| at(&self.late, it) / 1e3),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Time = 1_000_000;

    #[test]
    fn requests_are_counted_by_time_since_the_beginning() {
        let mut tally = Tally::new(2, Duration::from_millis(100)).expect("valid bounds");
        tally.received(0, 5 * MS);
        tally.abandoned(0, 5 * MS);
        tally.begin(1000 * MS);
        for ms in [999, 1000, 1099, 1100, 1350] {
            tally.received(0, ms * MS);
        }
        tally.received(1, 1200 * MS);
        tally.abandoned(1, 1200 * MS);
        tally.received(1, u64::MAX);
        let counts = tally.counts();
        assert_eq!(counts.received, [[2, 1, 0, 1], [0, 0, 1, 0]]);
        assert_eq!(counts.abandoned, [0, 1]);
    }

    #[test]
    fn service_times_are_compared_with_what_was_asked() {
        let mut tally = Tally::new(1, Duration::from_millis(100)).expect("valid bounds");
        tally.begin(0);
        for took in [10, 20] {
            tally.answered(took * MS, 100 * MS, 101 * MS);
        }
        let Accuracy { requests, asked_ms, measured_ms, late_us } = tally.counts().accuracy;
        assert_eq!(requests, 2);
        for (found, expected) in [(asked_ms, [15.0, 10.0]), (measured_ms, [16.0, 11.0])] {
            assert!(found.iter().zip(expected).all(|(a, b)| (a / b - 1.0).abs() < 2e-3));
        }
        assert!((late_us[2] / 1000.0 - 1.0).abs() < 2e-3, "{late_us:?}");
    }
}
