//! The last few latencies of one backend and their mean, written by many threads at once.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// No sample counts for more. It bounds the sum of the largest window far below `i64::MAX`.
pub(super) const LONGEST_SAMPLE: Duration = Duration::from_secs(24 * 3600);

/// A ring of the last `capacity` samples with a running sum, so that a mean costs the same for any
/// capacity.
///
/// No sample is ever lost: the swap tells each writer exactly what it replaced, so the additions to
/// the sum make up for each other in any order, and at rest `sum` is the sum of the ring. A mean
/// read between a writer's two steps is off by that one sample for some nanoseconds.
#[derive(Debug)]
pub(super) struct Samples {
    ring_ns: Box<[AtomicI64]>,
    /// Samples ever begun; its remainder is the slot of the next one.
    next: AtomicU64,
    /// Slots that count in `sum_ns`, at most the capacity.
    filled: AtomicI64,
    sum_ns: AtomicI64,
}

impl Samples {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            ring_ns: (0..capacity).map(|_| AtomicI64::new(0)).collect(),
            next: AtomicU64::new(0),
            filled: AtomicI64::new(0),
            sum_ns: AtomicI64::new(0),
        }
    }

    /// Replaces the oldest sample; a ring without capacity remembers nothing.
    pub(super) fn push(&self, sample: Duration) {
        let capacity = self.ring_ns.len() as u64;
        if capacity == 0 {
            return;
        }
        let sample_ns = i64::try_from(sample.min(LONGEST_SAMPLE).as_nanos()).unwrap_or(i64::MAX);
        let turn = self.next.fetch_add(1, Relaxed);
        let slot = usize::try_from(turn % capacity).unwrap_or(0);
        let replaced_ns = self.ring_ns[slot].swap(sample_ns, Relaxed);
        self.sum_ns.fetch_add(sample_ns - replaced_ns, Relaxed);
        // Counted after it was summed: a half-added sample makes a mean look worse, never better,
        // and so attracts nobody.
        if turn < capacity {
            self.filled.fetch_add(1, Relaxed);
        }
    }

    /// The mean of the samples held; `None` before the first.
    pub(super) fn mean(&self) -> Option<Duration> {
        let filled = self.filled.load(Relaxed);
        // Two writers that overtake each other on one slot can make the sum negative for a moment.
        let sum_ns = self.sum_ns.load(Relaxed).max(0);
        let mean_ns = sum_ns.checked_div(filled)?;
        Some(Duration::from_nanos(mean_ns.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_ms_of(capacity: usize, samples_ms: &[u64]) -> Option<u128> {
        let samples = Samples::with_capacity(capacity);
        for ms in samples_ms {
            samples.push(Duration::from_millis(*ms));
        }
        samples.mean().map(|mean| mean.as_millis())
    }

    #[test]
    fn the_mean_is_that_of_the_samples_held() {
        assert_eq!(mean_ms_of(3, &[]), None);
        assert_eq!(mean_ms_of(3, &[10]), Some(10));
        assert_eq!(mean_ms_of(3, &[10, 20]), Some(15));
        assert_eq!(mean_ms_of(3, &[10, 20, 60]), Some(30));
        assert_eq!(mean_ms_of(3, &[10, 20, 60, 400]), Some(160));
        assert_eq!(mean_ms_of(1, &[10, 20, 60, 400]), Some(400));
        assert_eq!(mean_ms_of(0, &[10]), None);
    }

    #[test]
    fn zero_and_endless_samples_are_samples() {
        let samples = Samples::with_capacity(1000);
        samples.push(Duration::ZERO);
        assert_eq!(samples.mean(), Some(Duration::ZERO));
        (0..2000).for_each(|_| samples.push(Duration::MAX));
        assert_eq!(samples.mean(), Some(LONGEST_SAMPLE));
        (0..1000).for_each(|_| samples.push(Duration::from_millis(1)));
        assert_eq!(samples.mean(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn samples_of_many_threads_add_up_to_the_mean_of_the_ring() {
        for capacity in [1, 3, 7] {
            let samples = Samples::with_capacity(capacity);
            std::thread::scope(|scope| {
                for thread in 1..=4 {
                    let samples = &samples;
                    scope.spawn(move || {
                        (0..20_000).for_each(|i| samples.push(Duration::from_micros(thread * i)));
                    });
                }
            });
            let ring_ns: i64 = samples.ring_ns.iter().map(|slot| slot.load(Relaxed)).sum();
            assert_eq!(samples.sum_ns.load(Relaxed), ring_ns);
            assert_eq!(samples.filled.load(Relaxed), i64::try_from(capacity).unwrap());
        }
    }
}
