//! Time in one word, so that it fits into atomics and costs a subtraction to compare.

use std::time::{Duration, Instant};

/// Nanoseconds since the epoch of a registry, or of a duration: enough for 584 years.
pub(super) type Nanos = u64;

/// What instants are counted from.
#[derive(Copy, Clone, Debug)]
pub(super) struct Epoch(pub(super) Instant);

impl Epoch {
    pub(super) fn nanos(self, now: Instant) -> Nanos {
        nanos(now.saturating_duration_since(self.0))
    }

    pub(super) fn instant(self, at: Nanos) -> Instant {
        self.0 + Duration::from_nanos(at)
    }
}

/// A duration; one that is longer than all others ends with them.
pub(super) fn nanos(duration: Duration) -> Nanos {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_until_they_fit_no_more() {
        assert_eq!(nanos(Duration::ZERO), 0);
        assert_eq!(nanos(Duration::new(3, 7)), 3_000_000_007);
        assert_eq!(nanos(Duration::from_nanos(u64::MAX)), u64::MAX);
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }

    #[test]
    fn what_lies_before_the_epoch_is_the_epoch() {
        let now = super::super::tests::epoch();
        let later = Epoch(now + Duration::from_millis(1));
        assert_eq!(later.nanos(now), 0);
        assert_eq!(Epoch(now).nanos(later.0), 1_000_000);
    }
}
