//! The simple moving average: a backend is as fast as its last few answers were on average.
//!
//! A plain argmin, kept as published: it herds (all requests go to one backend until its answers
//! make it the worse one) and never looks again at a backend that was once slow.

use std::time::{Duration, Instant};

use super::id::BackendId;
use super::invalid::{InvalidOptions, MAX_WINDOW};
use super::lease::Reason;
use super::lowest::{UNMEASURED, lowest};
use super::per_slot::PerSlot;
use super::registry::Registry;
use super::rotation::Rotation;
use super::samples::Samples;
use super::selector::Selector;

/// Chooses the lowest mean of the last `window` samples, or of as many as there are.
#[derive(Debug)]
pub(super) struct AdaptiveSma {
    samples: PerSlot<Samples>,
    turns: Rotation,
}

impl AdaptiveSma {
    pub(super) fn new(window: usize, slots: usize) -> Result<Self, InvalidOptions> {
        if (1..=MAX_WINDOW).contains(&window) {
            let samples = PerSlot::new(slots, || Samples::with_capacity(window));
            Ok(Self { samples, turns: Rotation::new(slots) })
        } else {
            Err(InvalidOptions::Window(window))
        }
    }
}

impl Selector for AdaptiveSma {
    fn select(
        &self,
        candidates: &mut [BackendId],
        _registry: &Registry,
        _now: Instant,
    ) -> Option<(BackendId, Reason)> {
        lowest(candidates, &self.turns, |id| self.samples[id].mean_ns().unwrap_or(UNMEASURED))
    }

    fn observe(&self, backend: BackendId, latency: Duration, _now: Instant) {
        self.samples[backend].push(latency);
    }

    fn estimate(&self, backend: BackendId) -> Option<Duration> {
        self.samples[backend].mean_ns().map(Duration::from_nanos)
    }

    fn forget(&self, backend: BackendId) {
        self.samples[backend].forget();
    }

    fn is_adaptive(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epoch, ids, ms, registry};
    use super::*;

    #[test]
    fn the_estimate_is_the_mean_of_the_last_window_of_samples() {
        let estimates_ms = |window, samples_ms: &[u64]| -> Vec<u128> {
            let (policy, backend) = (AdaptiveSma::new(window, 1).unwrap(), ids(1)[0]);
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
        let policy = AdaptiveSma::new(3, 2).unwrap();
        for (backend, samples_ms) in ids(2).into_iter().zip([[400, 400, 10], [200; 3]]) {
            for sample in samples_ms {
                policy.observe(backend, ms(sample), epoch());
            }
        }
        let choice = policy.select(&mut ids(2), &registry(), epoch());
        assert_eq!(choice, Some((ids(2)[1], Reason::Best)));
    }
}
