//! The last few latencies of one backend and their mean, written by many threads at once.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::sync::{AtomicI64, AtomicU64};

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
    /// Samples ever begun; its remainder is the place of the next one.
    next: AtomicU64,
    /// Places that count in `sum_ns`, at most the capacity.
    filled: AtomicI64,
    sum_ns: AtomicI64,
}

impl Samples {
    /// `capacity` is at least 1.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            ring_ns: (0..capacity).map(|_| AtomicI64::new(0)).collect(),
            next: AtomicU64::new(0),
            filled: AtomicI64::new(0),
            sum_ns: AtomicI64::new(0),
        }
    }

    /// Replaces the oldest sample.
    pub(super) fn push(&self, sample: Duration) {
        let capacity = self.ring_ns.len() as u64;
        let sample_ns = i64::try_from(sample.min(LONGEST_SAMPLE).as_nanos()).unwrap_or(i64::MAX);
        let turn = self.next.fetch_add(1, Relaxed);
        let place = usize::try_from(turn % capacity).unwrap_or(0);
        let replaced_ns = self.ring_ns[place].swap(sample_ns, Relaxed);
        self.sum_ns.fetch_add(sample_ns - replaced_ns, Relaxed);
        // Counted after it was summed: a half-added sample makes a mean look worse, never better,
        // and so attracts no request.
        if turn < capacity {
            self.filled.fetch_add(1, Relaxed);
        }
    }

    /// The mean of the samples held, in nanoseconds; `None` before the first.
    pub(super) fn mean_ns(&self) -> Option<u64> {
        let filled = self.filled.load(Relaxed);
        // Two writers that overtake each other on one place can make the sum negative for a moment.
        let sum_ns = self.sum_ns.load(Relaxed).max(0);
        sum_ns.checked_div(filled).map(i64::unsigned_abs)
    }

    /// Begins anew. No push may be under way.
    pub(super) fn forget(&self) {
        for place in &self.ring_ns {
            place.store(0, Relaxed);
        }
        self.next.store(0, Relaxed);
        self.filled.store(0, Relaxed);
        self.sum_ns.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS_IN_NS: u64 = 1_000_000;

    fn mean_ms_of(capacity: usize, samples_ms: &[u64]) -> Option<u64> {
        let samples = Samples::with_capacity(capacity);
        for ms in samples_ms {
            samples.push(Duration::from_millis(*ms));
        }
        samples.mean_ns().map(|mean_ns| mean_ns / MS_IN_NS)
    }

    #[test]
    fn the_mean_is_that_of_the_samples_held() {
        assert_eq!(mean_ms_of(3, &[]), None);
        assert_eq!(mean_ms_of(3, &[10]), Some(10));
        assert_eq!(mean_ms_of(3, &[10, 20]), Some(15));
        assert_eq!(mean_ms_of(3, &[10, 20, 60]), Some(30));
        assert_eq!(mean_ms_of(3, &[10, 20, 60, 400]), Some(160));
        assert_eq!(mean_ms_of(1, &[10, 20, 60, 400]), Some(400));
    }

    #[test]
    fn begins_anew_when_told_to() {
        let samples = Samples::with_capacity(2);
        (0..5).for_each(|_| samples.push(Duration::from_secs(1)));
        samples.forget();
        assert_eq!(samples.mean_ns(), None);
        samples.push(Duration::from_nanos(7));
        assert_eq!(samples.mean_ns(), Some(7));
    }

    #[test]
    fn zero_and_endless_samples_are_samples() {
        let samples = Samples::with_capacity(1000);
        samples.push(Duration::ZERO);
        assert_eq!(samples.mean_ns(), Some(0));
        (0..2000).for_each(|_| samples.push(Duration::MAX));
        assert_eq!(samples.mean_ns().map(Duration::from_nanos), Some(LONGEST_SAMPLE));
        (0..1000).for_each(|_| samples.push(Duration::from_millis(1)));
        assert_eq!(samples.mean_ns(), Some(MS_IN_NS));
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
            let ring_ns: i64 = samples.ring_ns.iter().map(|place| place.load(Relaxed)).sum();
            assert_eq!(samples.sum_ns.load(Relaxed), ring_ns);
            assert_eq!(samples.filled.load(Relaxed), i64::try_from(capacity).unwrap());
        }
    }
}
