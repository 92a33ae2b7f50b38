//! The intended starts of requests: at equal intervals, regardless of the answers.

use std::time::{Duration, Instant};

/// A fixed number of starts at a fixed rate.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    begin: Instant,
    per_second: u32,
    next: u64,
    total: u64,
}

impl Schedule {
    pub(super) fn new(begin: Instant, per_second: u32, seconds: u32) -> Self {
        Self { begin, per_second, next: 0, total: u64::from(per_second) * u64::from(seconds) }
    }

    /// The intended start of the next request; `None` after the last.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.next < self.total).then(|| self.start(self.next))
    }

    /// The next start is taken.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// How many starts have been taken.
    pub(super) fn taken(&self) -> u64 {
        self.next
    }

    /// The number of all starts.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Computed from the beginning each time, so that errors don't add up.
    fn start(&self, index: u64) -> Instant {
        let nanos = u128::from(index) * 1_000_000_000 / u128::from(self.per_second);
        self.begin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn starts_are_even_and_end_with_the_last() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 4, 2);
        let mut starts = Vec::new();
        while let Some(start) = schedule.next() {
            starts.push((start - begin).as_millis());
            schedule.advance();
        }
        assert_eq!(starts, [0, 250, 500, 750, 1000, 1250, 1500, 1750]);
        assert_eq!((schedule.next(), schedule.total()), (None, 8));
    }

    #[test]
    fn a_rate_that_divides_no_second_does_not_drift() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, 7, 3600);
        assert_eq!(schedule.start(7 * 3600) - begin, Duration::from_secs(3600));
        assert_eq!((schedule.start(1) - begin).as_nanos(), 142_857_142);
    }
}
