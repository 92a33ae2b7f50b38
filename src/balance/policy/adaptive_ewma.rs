//! The exponentially weighted moving average: a backend is as fast as it was, corrected by a part
//! of the difference of each new answer.
//!
//! The weight is per sample, not per time: a backend without traffic keeps its estimate for ever.

use std::sync::atomic::Ordering::Relaxed;

use super::lowest::{Estimator, Lowest};
use crate::balance::clock::Nanos;
use crate::balance::invalid::InvalidOptions;
use crate::balance::sync::AtomicU64;

/// `average += alpha * (sample - average)`, and the first sample is the first average.
#[derive(Debug)]
pub(super) struct AdaptiveEwma {
    alpha: f64,
    /// Nanoseconds as the bits of an `f64`, because a small weight moves an average by less than a
    /// nanosecond, and rounding would stop it for good. Before the first sample it is no number.
    average: AtomicU64,
}

impl AdaptiveEwma {
    /// The policy, for backends in so many slots.
    ///
    /// # Errors
    /// The weight is out of its range.
    pub(super) fn policy(alpha: f64, slots: usize) -> Result<Lowest<Self>, InvalidOptions> {
        if alpha > 0.0 && alpha <= 1.0 {
            Ok(Lowest::new(slots, || Self::new(alpha)))
        } else {
            Err(InvalidOptions::Alpha(alpha))
        }
    }

    fn new(alpha: f64) -> Self {
        Self { alpha, average: AtomicU64::new(f64::NAN.to_bits()) }
    }
}

fn known(bits: u64) -> Option<f64> {
    Some(f64::from_bits(bits)).filter(|average| !average.is_nan())
}

impl Estimator for AdaptiveEwma {
    /// Of updates at the same time each sees the other's result: one of them is computed again.
    fn observe(&self, sample: Nanos) {
        let sample = sample as f64;
        let step = |bits| {
            let average = known(bits);
            let next = average.map_or(sample, |average| average + self.alpha * (sample - average));
            Some(next.to_bits())
        };
        // The closure never declines, so the update can't fail.
        let _ = self.average.fetch_update(Relaxed, Relaxed, step);
    }

    fn estimate(&self) -> Option<Nanos> {
        // An average of samples is never negative and, being one of at most a day, fits. The
        // conversion rounds down; `round` costs more than all the rest, because the oldest
        // processors of this kind have no instruction for it.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        known(self.average.load(Relaxed)).map(|average| (average + 0.5) as Nanos)
    }

    fn forget(&self) {
        self.average.store(f64::NAN.to_bits(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    /// The estimates after each sample.
    fn estimates_ms(alpha: f64, samples_ms: &[u64]) -> Vec<u64> {
        let average = AdaptiveEwma::new(alpha);
        assert_eq!(average.estimate(), None);
        let after = |sample: &u64| {
            average.observe(sample * MS);
            average.estimate().unwrap() / MS
        };
        samples_ms.iter().map(after).collect()
    }

    #[test]
    fn the_first_sample_is_the_estimate_and_each_further_one_corrects_it_by_its_weight() {
        assert_eq!(estimates_ms(0.2, &[100, 200, 20, 20]), [100, 120, 100, 84]);
        assert_eq!(estimates_ms(1.0, &[100, 200, 20]), [100, 200, 20]);
        assert_eq!(estimates_ms(0.5, &[0, 100, 0]), [0, 50, 25]);
    }

    #[test]
    fn the_smallest_weight_still_moves_the_estimate() {
        let average = AdaptiveEwma::new(1e-9);
        average.observe(100 * MS);
        // Each sample moves it by a tenth of a nanosecond, all of them together by a thousand.
        for _ in 0..10_000 {
            average.observe(200 * MS);
        }
        let moved = average.estimate().unwrap().abs_diff(100 * MS);
        assert!((900..1100).contains(&moved), "{moved}");
    }

    #[test]
    fn it_begins_anew_when_told_to() {
        let average = AdaptiveEwma::new(0.2);
        average.observe(100 * MS);
        average.forget();
        assert_eq!(average.estimate(), None);
        average.observe(30 * MS);
        assert_eq!(average.estimate(), Some(30 * MS));
    }

    #[test]
    fn no_sample_of_many_threads_is_lost() {
        // With this weight, 80,000 samples are 2 ns short of their value; one less, and it is 3 ns.
        let average = AdaptiveEwma::new(1.0 / 5_000.0);
        average.observe(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| average.observe(20_000_000)));
            }
        });
        let one_thread = AdaptiveEwma::new(1.0 / 5_000.0);
        one_thread.observe(0);
        (0..80_000).for_each(|_| one_thread.observe(20_000_000));
        assert_eq!(average.average.load(Relaxed), one_thread.average.load(Relaxed));
    }
}
