//! Backends that are alike, as a scenario has them.

use std::time::Duration;

use serde::Deserialize;
use tidegate::balance::{MAX_IN_FLIGHT, MAX_WEIGHT};

use super::duration;
use super::script::Phase;
use super::service::Service;

/// Backends that are alike.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// How many.
    #[serde(default = "one")]
    pub count: usize,
    /// How long each works on a request of cost 1.
    pub service: Service,
    /// Requests that it works on at once; the others queue. Without slots and cores it works on all
    /// that it has.
    pub slots: Option<usize>,
    /// Cores that all its requests share.
    pub cores: Option<usize>,
    /// What happens to it.
    #[serde(default)]
    pub script: Vec<Phase>,
    /// Its speed changes by chance.
    pub drift: Option<Drift>,
    /// The part of its answers that are 503, by chance.
    #[serde(default)]
    pub errors: f64,
    /// Its share beside the others, under the proxy's policies.
    pub weight: Option<u32>,
    /// Requests that a proxy has there at once, at most.
    pub max_in_flight: Option<u32>,
    /// Whether it gets requests only while no other takes them.
    #[serde(default)]
    pub backup: bool,
    /// Whether it also works on what nobody waits for any more.
    #[serde(default)]
    pub ignore_aborts: bool,
}

/// The logarithm of the speed is an Ornstein-Uhlenbeck process; the mean speed is 1.
#[derive(Copy, Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The standard deviation of the logarithm.
    pub sigma: f64,
    /// The time after which about a third of a deviation is left.
    #[serde(deserialize_with = "duration")]
    pub time: Duration,
}

const fn one() -> usize {
    1
}

impl Group {
    /// One backend without limits, to which nothing happens.
    #[must_use]
    pub fn new(service: Service) -> Self {
        Self {
            count: 1,
            service,
            slots: None,
            cores: None,
            script: Vec::new(),
            drift: None,
            errors: 0.0,
            weight: None,
            max_in_flight: None,
            backup: false,
            ignore_aborts: false,
        }
    }

    /// What is wrong with it.
    #[must_use]
    pub fn wrong(&self) -> Option<&'static str> {
        let is_drifting = |drift: Drift| drift.sigma > 0.0 && !drift.time.is_zero();
        if self.slots.is_some() && self.cores.is_some() {
            Some("give slots or cores, not both")
        } else if self.slots.or(self.cores) == Some(0) {
            Some("slots and cores are above 0; without them a backend is unlimited")
        } else if self.weight.is_some_and(|weight| weight == 0 || weight > MAX_WEIGHT) {
            Some("weight is 1 to 1000")
        } else if self.max_in_flight.is_some_and(|limit| limit == 0 || limit > MAX_IN_FLIGHT) {
            Some("max-in-flight is 1 to 1000000")
        } else if !(0.0..=1.0).contains(&self.errors) {
            Some("errors is a part, 0 to 1")
        } else if self.count == 0 {
            Some("count is above 0")
        } else if !self.drift.is_none_or(is_drifting) {
            Some("sigma and time of a drift are above 0")
        } else {
            None
        }
    }
}
