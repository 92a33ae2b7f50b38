//! What the clients of a load saw.

use std::time::Duration;

/// What the clients of one contender saw in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Complete answers.
    pub requests: u64,
    /// The length of the load.
    pub duration: Duration,
    /// All bytes received.
    pub bytes: u64,
    /// Connections that failed or broke, answers that did not arrive in time, and statuses of 400
    /// or more.
    pub errors: u64,
    /// Half of the answers took no longer, in µs.
    pub p50_us: f64,
    /// 99 % of the answers took no longer, in µs.
    pub p99_us: f64,
    /// 99.9 % of the answers took no longer, in µs.
    pub p999_us: f64,
}

impl Load {
    /// Answers per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.duration.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_whole_answers() {
        let load = Load { requests: 3000, duration: Duration::from_secs(2), ..Load::default() };
        assert!((load.per_second() - 1500.0).abs() < 1e-9);
        assert!(Load::default().per_second().abs() < 1e-9);
    }
}
