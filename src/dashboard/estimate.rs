//! The moving averages by which the adaptive policies choose, computed again from the log.
//!
//! They are what the proxy's own averages were, except for what a log does not tell: the order in
//! which answers began, and the penalty that the proxy counts for a failure. So failures are left
//! out here, rather than their often very short latencies taken for speed.

use std::time::Duration;

use serde::Serialize;

use crate::journal::Row;

/// How many response times the simple moving average is of: the proxy's default.
pub(super) const SMA_WINDOW: usize = 3;

/// The weight of the newest response time in the exponential one: the proxy's default.
pub(super) const EWMA_ALPHA: f64 = 0.2;

/// Both averages of one backend, in milliseconds; `None` before its first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Averages {
    pub(super) sma_ms: Option<f64>,
    pub(super) ewma_ms: Option<f64>,
}

/// What the averages of one backend are computed from.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimator {
    last_ms: [f64; SMA_WINDOW],
    samples: usize,
    averages: Averages,
}

impl Estimator {
    pub(super) fn observe(&mut self, sample: Duration) {
        let sample_ms = sample.as_secs_f64() * 1000.0;
        self.last_ms[self.samples % SMA_WINDOW] = sample_ms;
        self.samples += 1;
        let held = &self.last_ms[..self.samples.min(SMA_WINDOW)];
        let before_ms = self.averages.ewma_ms.unwrap_or(sample_ms);
        self.averages = Averages {
            sma_ms: Some(held.iter().sum::<f64>() / held.len() as f64),
            ewma_ms: Some(before_ms + EWMA_ALPHA * (sample_ms - before_ms)),
        };
    }

    pub(super) fn averages(&self) -> Averages {
        self.averages
    }
}

/// The response time that a row counts as: up to the first byte, or the whole latency in a log
/// without that column. A failure is no sample.
pub(super) fn sample(row: &Row<'_>) -> Option<Duration> {
    let failed = row.status.is_none_or(|status| (502..=504).contains(&status));
    let whole = row.latency.filter(|_| row.fault.is_none());
    row.first_byte.or(whole).filter(|_| !failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_averages_are_those_the_policies_compute() {
        let mut estimator = Estimator::default();
        assert_eq!(estimator.averages(), Averages { sma_ms: None, ewma_ms: None });
        let mut after = |sample_ms| {
            estimator.observe(ms(sample_ms));
            let Averages { sma_ms, ewma_ms } = estimator.averages();
            [sma_ms, ewma_ms].map(|ms| format!("{:.3}", ms.unwrap()))
        };
        assert_eq!(after(10), ["10.000", "10.000"]);
        assert_eq!(after(20), ["15.000", "12.000"]);
        assert_eq!(after(60), ["30.000", "21.600"]);
        assert_eq!(after(400), ["160.000", "97.280"]);
    }

    #[test]
    fn a_sample_is_the_time_to_the_first_byte_else_the_latency_and_no_failure() {
        let row = |status, first_byte, fault| Row {
            status: Some(status),
            first_byte,
            fault,
            ..super::super::tests::row(0, "b", ms(9))
        };
        assert_eq!(sample(&row(200, Some(ms(5)), None)), Some(ms(5)));
        assert_eq!(sample(&row(200, None, None)), Some(ms(9)));
        assert_eq!(sample(&row(404, None, None)), Some(ms(9)));
        assert_eq!(sample(&row(500, Some(ms(5)), None)), Some(ms(5)));
        // The answer had begun well before it broke off.
        assert_eq!(sample(&row(200, Some(ms(5)), Some("truncated"))), Some(ms(5)));
        // The client left before anything came.
        assert_eq!(sample(&row(499, None, Some("client_gone"))), None);
        for status in [502, 503, 504] {
            assert_eq!(sample(&row(status, Some(ms(5)), None)), None);
        }
    }
}
