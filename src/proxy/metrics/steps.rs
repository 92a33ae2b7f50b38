//! How durations are distributed, in steps each of which is twice the one before: coarse and small,
//! so that it can be kept of everything.

use std::time::Duration;

use super::counter::Counter;

/// The first step ends at 2^7 = 128 µs, the last but one at 67 s; the last has no end.
const FIRST_BITS: u32 = 7;

/// Their number.
pub const STEPS: usize = 21;

/// The step of a value in microseconds.
pub(super) fn step_of(micros: u64) -> usize {
    let bits = u64::BITS - micros.leading_zeros();
    (bits.saturating_sub(FIRST_BITS) as usize).min(STEPS - 1)
}

/// A duration in whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros())
}

/// Where a step ends, if it is not the last. What is as long as that belongs to the next one.
#[must_use]
pub fn end_of(step: usize) -> Option<Duration> {
    (step < STEPS - 1).then(|| Duration::from_micros(1 << (FIRST_BITS as usize + step)))
}

/// The counts of the one thread that writes them.
#[derive(Debug, Default)]
pub(super) struct StepCounters {
    counts: [Counter; STEPS],
    sum_us: Counter,
}

impl StepCounters {
    pub(super) fn record(&self, duration: Duration) {
        let micros = micros(duration);
        self.counts[step_of(micros)].add(1);
        self.sum_us.add(micros);
    }
}

/// Durations as they were counted up to some moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Steps {
    /// How many there are of each step.
    pub counts: [u64; STEPS],
    /// All of them together.
    pub sum: Duration,
}

impl Steps {
    pub(super) fn add(&mut self, counters: &StepCounters) {
        for (sum, count) in self.counts.iter_mut().zip(&counters.counts) {
            *sum += count.get();
        }
        self.sum += Duration::from_micros(counters.sum_us.get());
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.sum += other.sum;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shorter_than_an_end_is_of_a_step_up_to_there() {
        for step in 0..STEPS - 1 {
            let end = micros(end_of(step).expect("it is not the last"));
            assert_eq!((step_of(end - 1), step_of(end)), (step, step + 1));
        }
        assert_eq!((step_of(0), step_of(u64::MAX)), (0, STEPS - 1));
        assert_eq!(end_of(STEPS - 1), None);
    }

    #[test]
    fn durations_are_counted_with_their_sum() {
        let counters = StepCounters::default();
        for ms in [0, 1, 1, 100_000] {
            counters.record(Duration::from_millis(ms));
        }
        let mut steps = Steps::default();
        steps.add(&counters);
        steps.merge(&steps.clone());
        assert_eq!((steps.count(), steps.sum), (8, Duration::from_millis(200_004)));
        assert_eq!((steps.counts[0], steps.counts[3], steps.counts[STEPS - 1]), (2, 4, 2));
    }
}
