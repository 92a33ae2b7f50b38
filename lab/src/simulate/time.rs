//! Simulated time.

use std::time::{Duration, Instant};

/// Nanoseconds since the start of a run.
pub(super) type Time = u64;

pub(super) const MILLISECOND: Time = 1_000_000;
pub(super) const SECOND: Time = 1_000_000_000;

/// A duration of a scenario, which is a day at most.
pub(super) fn nanos(duration: Duration) -> Time {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
pub(super) fn whole(nanos: f64) -> Time {
    nanos.round() as Time
}

pub(super) fn duration(time: Time) -> Duration {
    Duration::from_nanos(time)
}

/// The beginning of simulated time for what takes instants. Only differences matter, so a run is
/// the same whenever it takes place.
#[derive(Copy, Clone, Debug)]
pub(super) struct Epoch(Instant);

impl Epoch {
    #[expect(
        clippy::disallowed_methods,
        reason = "simulated time needs some instant to start from"
    )]
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    pub(super) fn instant(self, time: Time) -> Instant {
        self.0 + duration(time)
    }
}
