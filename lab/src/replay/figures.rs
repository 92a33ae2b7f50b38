//! What is said of a run, real or simulated.

use std::ops::Range;

use super::drive::Outcome;
use super::trace::{End, Trace, UNKNOWN_BACKEND, time};
use crate::simulate::Tally;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Requests that ended, long polls left out.
    pub requests: u64,
    /// The same, in a second.
    pub per_second: f64,
    /// The mean latency.
    pub mean_ms: f64,
    /// The quantiles 0.5, 0.95 and 0.99.
    pub quantiles_ms: [f64; 3],
    /// The part of the requests that got no answer, or a 5xx or 429.
    pub error_part: f64,
    /// The part of the requests that each backend got.
    pub shares: Vec<f64>,
    /// Attempts beyond the first of each request: retries and hedges.
    pub extra: u64,
}

/// The quantiles by name.
pub(crate) const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

impl Figures {
    /// What the log says of the requests of this time; `is_wait` says which classes are long polls.
    pub(super) fn of_log(
        trace: &Trace,
        during_us: Range<u64>,
        is_wait: impl Fn(usize) -> bool,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let mut tally = Tally::new(trace.backends.len())?;
        let mut extra = 0;
        let place = |us: u64| trace.rows.partition_point(|row| row.start_us < us);
        for row in &trace.rows[place(during_us.start)..place(during_us.end)] {
            if row.backend != UNKNOWN_BACKEND {
                tally.sent[usize::from(row.backend)] += 1;
            }
            extra += u64::from(row.attempts.saturating_sub(1));
            if row.end != End::Left && !is_wait(row.class.into()) {
                tally.record(time(row.latency_us.into()), row.is_error());
            }
        }
        let until_us = during_us.end.min(trace.length_us() + 1);
        let seconds = (until_us - during_us.start) as f64 / 1e6;
        Ok(Self::of_tally(&tally, seconds, extra))
    }

    /// What the simulator says.
    pub(super) fn of_outcome(outcome: &Outcome) -> Self {
        let measured = &outcome.measured;
        Self::of_tally(&measured.all, measured.seconds, outcome.extra)
    }

    fn of_tally(tally: &Tally, seconds: f64, extra: u64) -> Self {
        Self {
            requests: tally.requests(),
            per_second: tally.requests() as f64 / seconds,
            mean_ms: tally.mean_ms(),
            quantiles_ms: QUANTILES.map(|(_, part)| tally.quantile_ms(part)),
            error_part: tally.error_part(),
            shares: tally.shares(),
            extra,
        }
    }

    /// By what parts this differs from what is true: the mean and the quantiles.
    #[must_use]
    pub fn errors(&self, truth: &Self) -> [f64; 4] {
        let [p50, p95, p99] = self.quantiles_ms;
        let [true_p50, true_p95, true_p99] = truth.quantiles_ms;
        let pairs =
            [(self.mean_ms, truth.mean_ms), (p50, true_p50), (p95, true_p95), (p99, true_p99)];
        pairs.map(|(found, truth)| found / truth.max(f64::MIN_POSITIVE) - 1.0)
    }

    /// The most by which a share differs.
    #[must_use]
    pub fn share_error(&self, truth: &Self) -> f64 {
        let pairs = self.shares.iter().zip(&truth.shares);
        pairs.map(|(found, truth)| (found - truth).abs()).fold(0.0, f64::max)
    }
}
