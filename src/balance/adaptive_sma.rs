//! The simple moving average: a backend is as fast as its last few answers were on average.
//!
//! A plain argmin, kept as published: it herds (all requests go to one backend until its answers
//! make it the worse one) and never looks again at a backend that was once slow.

use std::time::{Duration, Instant};

use super::fastest::fastest;
use super::fleet::{Backend, Fleet};
use super::invalid::{InvalidOptions, MAX_WINDOW};
use super::selector::Selector;
use super::set::{BackendId, Candidates};

/// Chooses the lowest mean of the last `window` samples, or of as many as there are.
#[derive(Debug)]
pub(super) struct AdaptiveSma {
    window: usize,
}

impl AdaptiveSma {
    pub(super) fn new(window: usize) -> Result<Self, InvalidOptions> {
        if (1..=MAX_WINDOW).contains(&window) {
            Ok(Self { window })
        } else {
            Err(InvalidOptions::Window(window))
        }
    }
}

impl Selector for AdaptiveSma {
    fn select(&self, fleet: &Fleet, candidates: Candidates, _now: Instant) -> Option<BackendId> {
        fastest(fleet, candidates, |backend| self.estimate(backend))
    }

    fn observe(&self, backend: &Backend, latency: Duration, _now: Instant) {
        backend.samples.push(latency);
    }

    fn estimate(&self, backend: &Backend) -> Option<Duration> {
        backend.samples.mean()
    }

    fn is_adaptive(&self) -> bool {
        true
    }

    fn samples_remembered(&self) -> usize {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::BackendSet;
    use super::super::tests::{epoch, fleet, ms};
    use super::*;

    #[test]
    fn the_estimate_is_the_mean_of_the_last_window_of_samples() {
        let estimates_ms = |window, samples_ms: &[u64]| -> Vec<u128> {
            let policy = AdaptiveSma::new(window).unwrap();
            let fleet = fleet(1, policy.samples_remembered());
            let [backend] = fleet.backends() else { unreachable!() };
            assert_eq!(policy.estimate(backend), None);
            let after = |sample: &u64| {
                policy.observe(backend, ms(*sample), epoch());
                policy.estimate(backend).unwrap().as_millis()
            };
            samples_ms.iter().map(after).collect()
        };
        assert_eq!(estimates_ms(3, &[10, 20, 60, 400, 20]), [10, 15, 30, 160, 160]);
        assert_eq!(estimates_ms(1, &[10, 20, 60]), [10, 20, 60]);
        assert_eq!(estimates_ms(1000, &[10, 20, 60]), [10, 15, 30]);
    }

    #[test]
    fn the_lowest_mean_is_chosen_not_the_lowest_last_sample() {
        let policy = AdaptiveSma::new(3).unwrap();
        let fleet = fleet(2, policy.samples_remembered());
        for (backend, samples_ms) in fleet.backends().iter().zip([[400, 400, 10], [200; 3]]) {
            for sample in samples_ms {
                policy.observe(backend, ms(sample), epoch());
            }
        }
        let both = BackendSet::first(2);
        assert_eq!(policy.select(&fleet, both, epoch()).map(BackendId::index), Some(1));
    }
}
