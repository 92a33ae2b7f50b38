//! Time as whole nanoseconds, simulated or real.

use std::time::{Duration, Instant};

/// Nanoseconds since an epoch, such as the start of a run.
pub(crate) type Time = u64;

pub(crate) const MILLISECOND: Time = 1_000_000;
pub(crate) const SECOND: Time = 1_000_000_000;

/// A duration of a scenario, which is a day at most.
pub(crate) fn nanos(duration: Duration) -> Time {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn duration(time: Time) -> Duration {
    Duration::from_nanos(time)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
pub(crate) fn whole(nanos: f64) -> Time {
    nanos.round() as Time
}

/// Where time begins for what takes instants.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    /// For simulated time: only differences matter, so a run is the same whenever it takes place.
    #[expect(
        clippy::disallowed_methods,
        reason = "simulated time needs some instant to start from"
    )]
    pub(crate) fn simulated() -> Self {
        Self(Instant::now())
    }

    /// For real time.
    pub(crate) fn at(instant: Instant) -> Self {
        Self(instant)
    }

    pub(crate) fn instant(self, time: Time) -> Instant {
        self.0 + duration(time)
    }

    pub(crate) fn time(self, instant: Instant) -> Time {
        nanos(instant.saturating_duration_since(self.0))
    }
}
