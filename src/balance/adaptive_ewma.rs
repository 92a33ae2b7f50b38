//! The exponentially weighted moving average: a backend is as fast as it was, corrected by a part
//! of each new answer's surprise.
//!
//! The weight is per sample, not per time: a backend without traffic keeps its estimate for ever. A
//! plain argmin, kept as published: it herds, and never looks again at a backend that was once
//! slow.

use std::time::{Duration, Instant};

use super::average::Average;
use super::id::BackendId;
use super::invalid::InvalidOptions;
use super::lease::Reason;
use super::lowest::{UNMEASURED, lowest};
use super::per_slot::PerSlot;
use super::registry::Registry;
use super::rotation::Rotation;
use super::selector::Selector;

/// Chooses the lowest average, where `average += alpha * (sample - average)` and the first sample
/// is the first average.
#[derive(Debug)]
pub(super) struct AdaptiveEwma {
    alpha: f64,
    averages: PerSlot<Average>,
    turns: Rotation,
}

impl AdaptiveEwma {
    pub(super) fn new(alpha: f64, slots: usize) -> Result<Self, InvalidOptions> {
        if alpha > 0.0 && alpha <= 1.0 {
            let averages = PerSlot::new(slots, Average::unknown);
            Ok(Self { alpha, averages, turns: Rotation::new(slots) })
        } else {
            Err(InvalidOptions::Alpha(alpha))
        }
    }

    fn estimate_ns(&self, backend: BackendId) -> Option<u64> {
        // An average of samples is never negative and, being one of at most `LONGEST_SAMPLE`, fits.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.averages[backend].nanos().map(|nanos| nanos.round() as u64)
    }
}

impl Selector for AdaptiveEwma {
    fn select(
        &self,
        candidates: &mut [BackendId],
        _registry: &Registry,
        _now: Instant,
    ) -> Option<(BackendId, Reason)> {
        lowest(candidates, &self.turns, |id| self.estimate_ns(id).unwrap_or(UNMEASURED))
    }

    fn observe(&self, backend: BackendId, latency: Duration, _now: Instant) {
        let sample_ns = latency.as_nanos() as f64;
        self.averages[backend].update(|average_ns| match average_ns {
            None => sample_ns,
            Some(average_ns) => average_ns + self.alpha * (sample_ns - average_ns),
        });
    }

    fn estimate(&self, backend: BackendId) -> Option<Duration> {
        self.estimate_ns(backend).map(Duration::from_nanos)
    }

    fn forget(&self, backend: BackendId) {
        self.averages[backend].forget();
    }

    fn is_adaptive(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{epoch, ids, ms};
    use super::*;

    /// The estimates after each sample, the samples being this far apart.
    fn estimates_ms(alpha: f64, apart: Duration, samples_ms: &[u64]) -> Vec<u128> {
        let policy = AdaptiveEwma::new(alpha, 1).unwrap();
        let backend = ids(1)[0];
        assert_eq!(policy.estimate(backend), None);
        let mut now = epoch();
        let mut after = |sample: &u64| {
            now += apart;
            policy.observe(backend, ms(*sample), now);
            policy.estimate(backend).unwrap().as_millis()
        };
        samples_ms.iter().map(&mut after).collect()
    }

    #[test]
    fn the_first_sample_is_the_estimate_and_each_further_one_corrects_it_by_its_weight() {
        assert_eq!(estimates_ms(0.2, ms(1), &[100, 200, 20, 20]), [100, 120, 100, 84]);
        assert_eq!(estimates_ms(1.0, ms(1), &[100, 200, 20]), [100, 200, 20]);
        assert_eq!(estimates_ms(0.5, ms(1), &[0, 100, 0]), [0, 50, 25]);
    }

    #[test]
    fn the_weight_is_per_sample_however_much_time_passes() {
        let samples_ms = [10, 400, 400, 20];
        let quick = estimates_ms(0.2, Duration::ZERO, &samples_ms);
        assert_eq!(estimates_ms(0.2, ms(3_600_000), &samples_ms), quick);
    }

    #[test]
    fn the_smallest_weight_still_moves_the_estimate() {
        let policy = AdaptiveEwma::new(1e-9, 1).unwrap();
        let backend = ids(1)[0];
        policy.observe(backend, ms(100), epoch());
        // Each sample moves it by a tenth of a nanosecond, all of them together by a thousand.
        for _ in 0..10_000 {
            policy.observe(backend, ms(200), epoch());
        }
        let moved = policy.estimate(backend).unwrap().abs_diff(ms(100));
        assert!((900..1100).contains(&moved.as_nanos()), "{moved:?}");
    }
}
