//! How latencies are distributed, in buckets whose width grows with the value.
//!
//! A value is kept in microseconds, its four leading binary digits behind the first exactly: below
//! 32 µs each value has a bucket of its own, above that a bucket is as wide as a sixteenth of its
//! lower bound at most. Told by the middle of its bucket, a value is off by 3.2 % at most (and by
//! the microsecond to which it was cut). What took longer than 19 hours is counted as that.

use std::time::Duration;

use super::counter::Counter;
use super::steps::{Steps, micros, step_of};

/// Buckets per doubling, as a power of two.
const SUB_BITS: u32 = 4;

/// Values of so many binary digits have buckets: 2^36 µs are 19 hours.
const VALUE_BITS: u32 = 36;

const BUCKETS: usize = ((VALUE_BITS - SUB_BITS + 1) as usize) << SUB_BITS;

/// The bucket of a value in microseconds.
fn bucket_of(micros: u64) -> usize {
    let value = micros.min((1 << VALUE_BITS) - 1);
    let shift = (value | 1 << SUB_BITS).ilog2() - SUB_BITS;
    ((shift << SUB_BITS) as usize) + (value >> shift) as usize
}

/// The lowest value of a bucket, and how many values it is for.
fn bounds_of(bucket: usize) -> (u64, u64) {
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let leading = bucket - (shift << SUB_BITS);
    ((leading as u64) << shift, 1 << shift)
}

/// One worker's counts, per bucket.
#[derive(Debug)]
pub(super) struct LatencyCounters {
    buckets: [Counter; BUCKETS],
    sum_us: Counter,
}

impl Default for LatencyCounters {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| Counter::default()), sum_us: Counter::default() }
    }
}

impl LatencyCounters {
    pub(super) fn record(&self, latency: Duration) {
        let micros = micros(latency);
        self.buckets[bucket_of(micros)].add(1);
        self.sum_us.add(micros);
    }
}

/// Latencies as they were counted up to some moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Latencies {
    buckets: Vec<u64>,
    sum_us: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], sum_us: 0 }
    }
}

impl Latencies {
    pub(super) fn add(&mut self, counters: &LatencyCounters) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&counters.buckets) {
            *sum += bucket.get();
        }
        self.sum_us += counters.sum_us.get();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += count;
        }
        self.sum_us += other.sum_us;
    }

    /// The same in coarse steps, each of which ends where a bucket does.
    #[must_use]
    pub fn steps(&self) -> Steps {
        let mut steps = Steps { sum: self.sum(), ..Steps::default() };
        for (bucket, count) in self.buckets.iter().enumerate() {
            steps.counts[step_of(bounds_of(bucket).0)] += count;
        }
        steps
    }

    /// Those that came after `earlier`, which are among them.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            buckets: buckets.map(|(now, before)| now.saturating_sub(*before)).collect(),
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// The value below which this share of them lies, 0 to 1; `None` if there are none. It is off
    /// by 3.2 % at most.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to count")]
        let rank = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let (low, width) = bounds_of(bucket);
        Some(Duration::from_micros(low + width / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_value_has_one_bucket_and_buckets_follow_one_another() {
        let mut expected = 0;
        for bucket in 0..BUCKETS {
            let (low, width) = bounds_of(bucket);
            assert_eq!(low, expected, "no gap before bucket {bucket}");
            assert_eq!((bucket_of(low), bucket_of(low + width - 1)), (bucket, bucket));
            expected = low + width;
        }
        assert_eq!(expected, 1 << VALUE_BITS);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_told_by_the_middle_of_their_bucket() {
        let counters = LatencyCounters::default();
        for millis in 1..=1000 {
            counters.record(Duration::from_millis(millis));
        }
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        latencies.add(&counters);
        assert_eq!((latencies.count(), latencies.sum()), (1000, Duration::from_millis(500_500)));
        for (share, exact_ms) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let told = latencies.quantile(share).expect("a value").as_secs_f64() * 1000.0;
            assert!((told / exact_ms - 1.0).abs() < 0.032, "{share}: {told} for {exact_ms}");
        }
    }

    proptest! {
        /// It does not matter in which way a value comes to its step.
        #[test]
        fn a_value_has_the_step_of_its_bucket(micros in 0u64..1 << VALUE_BITS) {
            let counters = LatencyCounters::default();
            counters.record(Duration::from_micros(micros));
            let mut latencies = Latencies::default();
            latencies.add(&counters);
            let steps = latencies.steps();
            prop_assert_eq!((steps.counts[step_of(micros)], steps.count()), (1, 1));
            prop_assert_eq!(steps.sum, Duration::from_micros(micros));
        }

        /// A value is told with an error of 3.2 % at most.
        #[test]
        fn a_value_is_told_nearly(micros in 0u64..1 << VALUE_BITS) {
            let counters = LatencyCounters::default();
            counters.record(Duration::from_micros(micros));
            let mut latencies = Latencies::default();
            latencies.add(&counters);
            let told = latencies.quantile(0.5).expect("a value").as_micros() as f64;
            prop_assert!((told - micros as f64).abs() <= micros as f64 * 0.032, "{told}");
        }
    }
}
