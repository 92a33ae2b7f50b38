//! What is before the backends of a scenario.

use std::time::Duration;

use serde::Deserialize;

use super::duration;
use super::load::some_duration;

/// What is before the backends. Each proxy sees its own requests only.
#[derive(Copy, Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Proxies {
    /// How many; a request goes to one of them by chance.
    pub count: usize,
    /// Workers of each, which share what they know.
    pub workers: usize,
    /// After what time an attempt has failed.
    #[serde(deserialize_with = "duration")]
    pub response_timeout: Duration,
    /// Attempts per request at most.
    pub max_attempts: usize,
    /// Failures in a row that eject a backend, under the proxy's policies; 0 for no number.
    pub eject_after: u8,
    /// How long the share of a backend grows that is new or comes back, under those policies.
    #[serde(deserialize_with = "duration")]
    pub slow_start: Duration,
    /// Requests that wait in each while all backends are at their limits, under those policies.
    pub queue: usize,
    /// For how long at most.
    #[serde(deserialize_with = "duration")]
    pub queue_timeout: Duration,
    /// Second attempts per hundred requests, under those policies; 0 for none.
    pub hedge: u8,
    /// How long an attempt is silent before; none if that is learnt.
    #[serde(deserialize_with = "some_duration")]
    pub hedge_delay: Option<Duration>,
    /// Of one request at most.
    pub hedge_attempts: u8,
    /// Whether they may go to a backend that has the request.
    pub hedge_same: bool,
}

impl Default for Proxies {
    /// As the proxy's.
    fn default() -> Self {
        let response_timeout = Duration::from_secs(60);
        let slow_start = Duration::ZERO;
        Self {
            count: 1,
            workers: 1,
            response_timeout,
            max_attempts: 3,
            eject_after: 3,
            slow_start,
            queue: 0,
            queue_timeout: Duration::from_secs(10),
            hedge: 0,
            hedge_delay: None,
            hedge_attempts: 1,
            hedge_same: false,
        }
    }
}
