//! Wall-clock time of the monotonic instants that workers tell.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks. Read anew in each round, so that it follows a clock that is set
/// while we run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) now: Instant,
    now_us: i64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "no worker waits for this thread to read a clock"
    )]
    pub(super) fn read() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { now: Instant::now(), now_us: micros(since_epoch) }
    }

    /// A clock that said this once.
    #[cfg(test)]
    pub(super) fn at(now: Instant, now_us: i64) -> Self {
        Self { now, now_us }
    }

    /// Microseconds since 1970 UTC.
    pub(super) fn timestamp_us(&self, instant: Instant) -> i64 {
        // Compared first, because a subtraction that would be negative is made twice.
        if instant <= self.now {
            self.now_us.saturating_sub(micros(self.now.duration_since(instant)))
        } else {
            self.now_us.saturating_add(micros(instant.duration_since(self.now)))
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
    fn the_clock_is_the_systems() {
        let since_epoch = || SystemTime::now().duration_since(UNIX_EPOCH).map(micros);
        let before = since_epoch().expect("after 1970");
        let read = Clock::read().now_us;
        assert!((before..=since_epoch().expect("after 1970")).contains(&read));
    }
}
