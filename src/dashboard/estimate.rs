//! The moving averages by which the adaptive policies choose, computed again from the log.
//!
//! They are what the proxy's own averages were, except for what a log does not tell: the order in
//! which answers began, and what became of attempts after which the request was sent elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::description::Averaging;
use crate::journal::Row;

/// Both averages of one backend, in milliseconds; `None` before its first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Averages {
    pub(super) sma_ms: Option<f64>,
    pub(super) ewma_ms: Option<f64>,
}

/// What the averages of one backend are computed from.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimator {
    /// As many of the last samples as the simple average is of.
    last_ms: VecDeque<f64>,
    averages: Averages,
}

impl Estimator {
    pub(super) fn observe(&mut self, sample: Duration, by: Averaging) {
        let sample_ms = sample.as_secs_f64() * 1000.0;
        if self.last_ms.len() >= by.window {
            self.last_ms.pop_front();
        }
        self.last_ms.push_back(sample_ms);
        let before_ms = self.averages.ewma_ms.unwrap_or(sample_ms);
        self.averages = Averages {
            sma_ms: Some(self.last_ms.iter().sum::<f64>() / self.last_ms.len() as f64),
            ewma_ms: Some(before_ms + by.alpha * (sample_ms - before_ms)),
        };
    }

    pub(super) fn averages(&self) -> Averages {
        self.averages
    }
}

/// The samples that the proxy took of a row's last attempt. An answer counts by its first byte, or
/// by its whole latency in a log without that column, and a failure by a sample of its own; an
/// answer that broke off is both.
pub(super) fn samples(row: &Row<'_>, by: Averaging) -> impl Iterator<Item = Duration> {
    let broke_off = row.fault.is_some_and(blames_backend);
    let (answer, failed) = match row.status {
        None => (None, false),
        Some(502 | 504) => (None, true),
        // With a fault it is the proxy's own answer: nothing was measured.
        Some(503 | 508) => (None, row.fault.is_none()),
        _ => (row.first_byte.or(row.latency.filter(|_| row.fault.is_none())), broke_off),
    };
    answer.into_iter().chain(failed.then_some(by.failure_sample))
}

/// Whether a row's fault is its backend's.
fn blames_backend(fault: &str) -> bool {
    let of_answers = ["response_", "bad_response_", "upstream_"];
    of_answers.iter().any(|begin| fault.starts_with(begin)) || fault == "stream_timeout"
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
        let mut after = |sample_ms, by| {
            estimator.observe(ms(sample_ms), by);
            let Averages { sma_ms, ewma_ms } = estimator.averages();
            [sma_ms, ewma_ms].map(|ms| format!("{:.3}", ms.unwrap()))
        };
        let usual = Averaging::default();
        assert_eq!(after(10, usual), ["10.000", "10.000"]);
        assert_eq!(after(20, usual), ["15.000", "12.000"]);
        assert_eq!(after(60, usual), ["30.000", "21.600"]);
        assert_eq!(after(400, usual), ["160.000", "97.280"]);
        let mut estimator = Estimator::default();
        for n in 1..=20 {
            estimator.observe(ms(n), Averaging { window: 10, alpha: 1.0, ..usual });
        }
        let expected = Averages { sma_ms: Some(15.5), ewma_ms: Some(20.0) };
        assert_eq!(estimator.averages(), expected);
    }

    #[test]
    fn a_row_has_the_samples_that_the_proxy_took() {
        let by = Averaging { failure_sample: ms(10_000), ..Averaging::default() };
        let of = |status, first_byte, fault| {
            let row = super::super::tests::row(0, "b", ms(9));
            let row = Row { status: Some(status), first_byte, fault, ..row };
            samples(&row, by).collect::<Vec<_>>()
        };
        assert_eq!(of(200, Some(ms(5)), None), [ms(5)]);
        assert_eq!(of(200, None, None), [ms(9)]);
        assert_eq!(of(404, None, None), [ms(9)]);
        assert_eq!(of(500, Some(ms(5)), None), [ms(5)]);
        // A failure is slow, however fast it was.
        for status in [502, 503, 504, 508] {
            assert_eq!(of(status, Some(ms(5)), None), [ms(10_000)]);
        }
        assert_eq!(of(504, None, Some("response_timeout")), [ms(10_000)]);
        assert_eq!(of(502, None, Some("upstream_closed")), [ms(10_000)]);
        // The proxy's own answers say nothing of a backend.
        assert_eq!(of(503, None, Some("connect_refused")), []);
        assert_eq!(of(503, None, Some("resource_exhausted")), []);
        assert_eq!(of(508, None, Some("loop")), []);
        // An answer that broke off had begun, and then failed.
        assert_eq!(of(200, Some(ms(5)), Some("response_truncated")), [ms(5), ms(10_000)]);
        assert_eq!(of(200, Some(ms(5)), Some("stream_timeout")), [ms(5), ms(10_000)]);
        // What a client does is not held against its backend.
        assert_eq!(of(200, Some(ms(5)), Some("client_gone")), [ms(5)]);
        assert_eq!(of(499, None, Some("client_gone")), []);
        assert_eq!(of(101, Some(ms(5)), Some("tunnel_timeout")), [ms(5)]);
    }
}
