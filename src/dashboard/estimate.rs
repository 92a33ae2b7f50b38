//! Moving averages of the latencies in a log that does not say why a backend was chosen: one of
//! another tool, with five columns. The parameters of its policy are not known, so these averages
//! have those of the Python original, and the page says so.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

/// How many latencies the simple average is of.
pub(super) const WINDOW: usize = 3;

/// The weight of the newest latency in the exponential average.
pub(super) const ALPHA: f64 = 0.2;

/// Both averages of one backend, in milliseconds; `None` before its first latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Averages {
    pub(super) sma_ms: Option<f64>,
    pub(super) ewma_ms: Option<f64>,
}

/// What the averages of one backend are computed from.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimator {
    last_ms: VecDeque<f64>,
    averages: Averages,
}

impl Estimator {
    pub(super) fn observe(&mut self, latency: Duration) {
        let latency_ms = latency.as_secs_f64() * 1000.0;
        if self.last_ms.len() == WINDOW {
            self.last_ms.pop_front();
        }
        self.last_ms.push_back(latency_ms);
        let before_ms = self.averages.ewma_ms.unwrap_or(latency_ms);
        self.averages = Averages {
            sma_ms: Some(self.last_ms.iter().sum::<f64>() / self.last_ms.len() as f64),
            ewma_ms: Some(before_ms + ALPHA * (latency_ms - before_ms)),
        };
    }

    pub(super) fn averages(&self) -> Averages {
        self.averages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_averages_are_of_the_last_three_and_of_all_with_less_and_less_weight() {
        let mut estimator = Estimator::default();
        assert_eq!(estimator.averages(), Averages { sma_ms: None, ewma_ms: None });
        let mut after = |latency_ms| {
            estimator.observe(Duration::from_millis(latency_ms));
            let Averages { sma_ms, ewma_ms } = estimator.averages();
            [sma_ms, ewma_ms].map(|ms| format!("{:.3}", ms.unwrap()))
        };
        assert_eq!(after(10), ["10.000", "10.000"]);
        assert_eq!(after(20), ["15.000", "12.000"]);
        assert_eq!(after(60), ["30.000", "21.600"]);
        assert_eq!(after(400), ["160.000", "97.280"]);
    }
}
