//! The simple moving average: a backend is as fast as its last few answers were on average.

use std::sync::atomic::Ordering::Relaxed;

use super::lowest::{Estimator, Lowest};
use crate::balance::clock::Nanos;
use crate::balance::invalid::{InvalidOptions, MAX_WINDOW};
use crate::balance::sync::{AtomicI64, AtomicU64};

/// A ring of the last samples with a running sum, so that a mean costs the same for any window.
///
/// No sample is ever lost: the swap tells each writer exactly what it replaced, so the additions to
/// the sum make up for each other in any order, and at rest `sum` is the sum of the ring. A mean
/// read between a writer's two steps is off by that one sample for some nanoseconds.
#[derive(Debug)]
pub(super) struct AdaptiveSma {
    /// As many places as the window has samples.
    ring: Box<[AtomicI64]>,
    /// Samples ever begun; its remainder is the place of the next one.
    next: AtomicU64,
    /// Places that count in `sum`.
    filled: AtomicU64,
    sum: AtomicI64,
}

impl AdaptiveSma {
    /// The policy, for backends in so many slots.
    ///
    /// # Errors
    /// The window is out of its range.
    pub(super) fn policy(window: usize, slots: usize) -> Result<Lowest<Self>, InvalidOptions> {
        if (1..=MAX_WINDOW).contains(&window) {
            Ok(Lowest::new(slots, || Self::new(window)))
        } else {
            Err(InvalidOptions::Window(window))
        }
    }

    fn new(window: usize) -> Self {
        Self {
            ring: (0..window).map(|_| AtomicI64::new(0)).collect(),
            next: AtomicU64::new(0),
            filled: AtomicU64::new(0),
            sum: AtomicI64::new(0),
        }
    }
}

impl Estimator for AdaptiveSma {
    /// Replaces the oldest sample. Samples are at most a day, so that even a thousand of them are
    /// far below `i64::MAX`.
    fn observe(&self, sample: Nanos) {
        let sample = sample.cast_signed();
        let window = self.ring.len() as u64;
        let turn = self.next.fetch_add(1, Relaxed);
        let place = usize::try_from(turn % window).unwrap_or(0);
        let replaced = self.ring[place].swap(sample, Relaxed);
        self.sum.fetch_add(sample - replaced, Relaxed);
        // Counted after it was summed: a half-added sample makes a mean look worse, never better,
        // and so attracts no request.
        if turn < window {
            self.filled.fetch_add(1, Relaxed);
        }
    }

    fn estimate(&self) -> Option<Nanos> {
        let filled = self.filled.load(Relaxed);
        // Two writers that overtake each other on one place can make the sum negative for a moment.
        let sum = self.sum.load(Relaxed).max(0).cast_unsigned();
        sum.checked_div(filled)
    }

    fn forget(&self) {
        for place in &self.ring {
            place.store(0, Relaxed);
        }
        self.next.store(0, Relaxed);
        self.filled.store(0, Relaxed);
        self.sum.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::balancer::LONGEST_SAMPLE;

    const MS: Nanos = 1_000_000;

    /// The estimates after each sample.
    fn estimates_ms(window: usize, samples_ms: &[u64]) -> Vec<u64> {
        let mean = AdaptiveSma::new(window);
        assert_eq!(mean.estimate(), None);
        let after = |sample: &u64| {
            mean.observe(sample * MS);
            mean.estimate().unwrap() / MS
        };
        samples_ms.iter().map(after).collect()
    }

    #[test]
    fn the_estimate_is_the_mean_of_the_last_window_of_samples() {
        assert_eq!(estimates_ms(3, &[10, 20, 60, 400, 20]), [10, 15, 30, 160, 160]);
        assert_eq!(estimates_ms(1, &[10, 20, 60, 400]), [10, 20, 60, 400]);
        assert_eq!(estimates_ms(1000, &[10, 20, 60]), [10, 15, 30]);
    }

    #[test]
    fn zero_and_the_longest_samples_are_samples() {
        let mean = AdaptiveSma::new(1000);
        mean.observe(0);
        assert_eq!(mean.estimate(), Some(0));
        (0..2000).for_each(|_| mean.observe(LONGEST_SAMPLE));
        assert_eq!(mean.estimate(), Some(LONGEST_SAMPLE));
        (0..1000).for_each(|_| mean.observe(MS));
        assert_eq!(mean.estimate(), Some(MS));
    }

    #[test]
    fn it_begins_anew_when_told_to() {
        let mean = AdaptiveSma::new(2);
        (0..5).for_each(|_| mean.observe(1000 * MS));
        mean.forget();
        assert_eq!(mean.estimate(), None);
        mean.observe(7);
        assert_eq!(mean.estimate(), Some(7));
    }

    #[test]
    fn samples_of_many_threads_add_up_to_the_mean_of_the_ring() {
        for window in [1, 3, 7] {
            let mean = AdaptiveSma::new(window);
            std::thread::scope(|scope| {
                for thread in 1..=4 {
                    let mean = &mean;
                    scope.spawn(move || (0..20_000).for_each(|i| mean.observe(1000 * thread * i)));
                }
            });
            let ring: i64 = mean.ring.iter().map(|place| place.load(Relaxed)).sum();
            assert_eq!(mean.sum.load(Relaxed), ring);
            assert_eq!(mean.filled.load(Relaxed), window as u64);
        }
    }
}
