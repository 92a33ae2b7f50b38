//! Wall-clock time of the monotonic instants that workers tell.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// As long as the two clocks differ by no more than this from how they did, they go together.
const DRIFT_US: u64 = 1_000;

/// One reading of both clocks, and when it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) now: Instant,
    read: Instant,
    read_us: i64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "no worker waits for this thread to read a clock"
    )]
    pub(super) fn read() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(Instant::now(), micros(since_epoch))
    }

    /// The clock in the next round. It follows one that is set while we run. Otherwise an instant
    /// has the same time in all rounds, to the microsecond, because what is written of a request in
    /// two of them is found by it.
    pub(super) fn next(self) -> Self {
        self.unless_it_drifts(Self::read())
    }

    fn unless_it_drifts(self, next: Self) -> Self {
        let drift = next.read_us.abs_diff(self.timestamp_us(next.read));
        if drift <= DRIFT_US { Self { now: next.now, ..self } } else { next }
    }

    /// A clock that says this.
    pub(super) fn at(now: Instant, now_us: i64) -> Self {
        Self { now, read: now, read_us: now_us }
    }

    /// Whole microseconds since 1970 UTC, rounded down on both sides of the reading, so that times
    /// differ by as much as their instants do.
    pub(super) fn timestamp_us(&self, instant: Instant) -> i64 {
        // Compared first, because a subtraction that would be negative is made twice.
        if instant <= self.read {
            let before = self.read.duration_since(instant);
            let rest = i64::from(!before.subsec_nanos().is_multiple_of(1_000));
            self.read_us.saturating_sub(micros(before)).saturating_sub(rest)
        } else {
            self.read_us.saturating_add(micros(instant.duration_since(self.read)))
        }
    }
}

fn micros(duration: Duration) -> i64 {
    let micros = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    micros.saturating_add(duration.subsec_micros().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_before_or_after_the_reading_has_its_own_time() {
        let before = Clock::read().now;
        let clock = Clock::at(before + Duration::from_micros(1_500), 10_000_000);
        assert_eq!(clock.timestamp_us(before), 9_998_500);
        assert_eq!(clock.timestamp_us(clock.now), 10_000_000);
        assert_eq!(clock.timestamp_us(clock.now + Duration::from_secs(1)), 11_000_000);
    }

    #[test]
    fn times_differ_by_as_much_as_their_instants_also_around_the_reading() {
        let start = Clock::read().now;
        let at = |ns| start + Duration::from_nanos(ns);
        let clock = Clock::at(at(2_000_000), 10_000_000);
        for after in [0, 1, 400, 999, 1_000, 1_599_999, 1_600_000, 1_600_001] {
            let times = [400_000, 2_000_000].map(|ns| clock.timestamp_us(at(ns + after)));
            assert_eq!(times[1] - times[0], 1_600, "{after} ns after it");
        }
    }

    #[test]
    fn an_instant_has_one_time_in_all_rounds_until_the_system_s_clock_is_set() {
        let start = Clock::read().now;
        let at = |ns, us| Clock::at(start + Duration::from_nanos(ns), us);
        let (first, instant) = (at(0, 10_000_000), start + Duration::from_nanos(700));
        // Read with another part of a microsecond, and a little late.
        let second = first.unless_it_drifts(at(50_000_300, 10_050_999));
        assert_eq!(second.now, start + Duration::from_nanos(50_000_300));
        assert_eq!(second.timestamp_us(instant), first.timestamp_us(instant));
        for set in [10_052_000, 9_000_000] {
            let third = second.unless_it_drifts(at(50_000_300, set));
            assert_eq!(third.timestamp_us(third.now), set);
        }
    }

    #[test]
    fn the_clock_is_the_systems() {
        let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).map(micros);
        let before = since_epoch().expect("after 1970");
        let read = Clock::read().read_us;
        assert!((before..=since_epoch().expect("after 1970")).contains(&read));
    }
}
