//! How often each latency occurred, for quantiles.
//!
//! The buckets are log-linear, 256 per doubling, so that quantiles are right within 0.4 % from a
//! microsecond to hours. A bucket that contains a whole millisecond is represented by it: many
//! tools write whole milliseconds, and up to 262 ms each has a bucket of its own. Only buckets that
//! were hit are kept, because a dashboard holds one histogram per backend and second, and most of
//! them have few latencies.

/// Each power of two is divided into this many buckets, and up to the double of it each
/// microsecond has its own.
const PER_DOUBLING: u64 = 256;
const SHIFT: u32 = PER_DOUBLING.ilog2();

/// Longer latencies count as this: 19 hours.
const LONGEST_US: u64 = (1 << 36) - 1;

/// Counts of latencies in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// Bucket and count, in the order of the buckets.
    buckets: Vec<(u16, u32)>,
    total: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, latency_us: u64) {
        let bucket = bucket_of(latency_us);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(1),
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
        self.total += 1;
    }

    /// Adds what another histogram counted.
    pub(super) fn merge(&mut self, other: &Self) {
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut ours, mut theirs) = (&self.buckets[..], &other.buckets[..]);
        while let ([(a, count_a), rest_a @ ..], [(b, count_b), rest_b @ ..]) = (ours, theirs) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => {
                    merged.push((*a, *count_a));
                    ours = rest_a;
                }
                std::cmp::Ordering::Greater => {
                    merged.push((*b, *count_b));
                    theirs = rest_b;
                }
                std::cmp::Ordering::Equal => {
                    merged.push((*a, count_a.saturating_add(*count_b)));
                    (ours, theirs) = (rest_a, rest_b);
                }
            }
        }
        merged.extend_from_slice(ours);
        merged.extend_from_slice(theirs);
        merged.shrink_to_fit();
        self.buckets = merged;
        self.total += other.total;
    }

    /// How many latencies were counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The lowest latency, in microseconds, that at least this share of all does not exceed;
    /// `None` if there is none.
    pub(super) fn quantile_us(&self, share: f64) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count is a count"
        )]
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reaches = |(_, count): &&(u16, u32)| {
            seen += u64::from(*count);
            seen >= rank
        };
        self.buckets.iter().find(reaches).map(|(bucket, _)| told_us(*bucket))
    }
}

fn bucket_of(latency_us: u64) -> u16 {
    let latency_us = latency_us.min(LONGEST_US);
    let shift = latency_us.checked_ilog2().map_or(0, |log| log.saturating_sub(SHIFT));
    let bucket = u64::from(shift) * PER_DOUBLING + (latency_us >> shift);
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// What stands for all latencies of a bucket: the whole millisecond next to its middle if that is
/// in it, else its middle.
fn told_us(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let shift = (bucket / PER_DOUBLING).saturating_sub(1);
    let lowest_us = (bucket - shift * PER_DOUBLING) << shift;
    let (middle_us, end_us) = (lowest_us + (1 << shift) / 2, lowest_us + (1 << shift));
    let whole_us = (middle_us + 500) / 1000 * 1000;
    if (lowest_us..end_us).contains(&whole_us) { whole_us } else { middle_us }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(latencies_us: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for latency_us in latencies_us {
            histogram.add(*latency_us);
        }
        histogram
    }

    #[test]
    fn short_latencies_are_exact() {
        let histogram = histogram(&(1..=500).collect::<Vec<_>>());
        let quantile = |share| histogram.quantile_us(share);
        assert_eq!([0.0, 0.5, 0.95, 1.0].map(quantile), [1, 250, 475, 500].map(Some));
        assert_eq!(histogram.total(), 500);
    }

    #[test]
    fn whole_milliseconds_are_told_as_such() {
        for ms in 1..=262 {
            let (alone, all) = (histogram(&[ms * 1000]), (1..=ms).map(|ms| ms * 1000));
            assert_eq!(alone.quantile_us(0.5), Some(ms * 1000));
            assert_eq!(histogram(&all.collect::<Vec<_>>()).quantile_us(1.0), Some(ms * 1000));
        }
        for ms in 263..100_000 {
            let told_us = histogram(&[ms * 1000]).quantile_us(0.5).unwrap();
            assert!(told_us.is_multiple_of(1000) && told_us.abs_diff(ms * 1000) * 250 <= ms * 1000);
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Histogram::default().quantile_us(0.5), None);
    }

    #[test]
    fn the_longest_latencies_count_as_the_longest_known() {
        assert_eq!(histogram(&[u64::MAX]), histogram(&[LONGEST_US]));
    }

    #[test]
    fn memory_follows_the_latencies_that_occur_not_the_requests() {
        let histogram = histogram(&vec![200_000; 100_000]);
        assert_eq!(histogram.buckets.len(), 1);
    }

    proptest! {
        #[test]
        fn a_quantile_is_right_within_four_tenths_of_a_percent(
            mut latencies_us in prop::collection::vec(0_u64..LONGEST_US, 1..50),
            share in 0.0..=1.0_f64,
        ) {
            let told = histogram(&latencies_us).quantile_us(share).unwrap();
            latencies_us.sort_unstable();
            let rank = (latencies_us.len() as f64 * share).ceil();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let exact = latencies_us[(rank as usize).max(1) - 1];
            prop_assert!(told.abs_diff(exact) * 1000 <= exact * 4, "{told} for {exact}");
        }

        #[test]
        fn merged_histograms_are_the_histogram_of_all(
            ours in prop::collection::vec(0_u64..2_000_000, 0..50),
            theirs in prop::collection::vec(0_u64..2_000_000, 0..50),
        ) {
            let mut merged = histogram(&ours);
            merged.merge(&histogram(&theirs));
            prop_assert_eq!(merged, histogram(&[ours, theirs].concat()));
        }
    }
}
