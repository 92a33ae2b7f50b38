//! Backends that are alike, as a scenario has them.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tidegate::balance::{MAX_IN_FLIGHT, MAX_WEIGHT};
use tidegate::time::parse_duration;

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

impl Drift {
    fn is_right(self) -> bool {
        self.sigma > 0.0 && !self.time.is_zero()
    }
}

/// Parses `sigma=0.5,time=5s`.
impl FromStr for Drift {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is no drift; write sigma=0.5,time=5s, both above 0");
        let (sigma, time) = text.split_once(',').ok_or_else(refuse)?;
        let sigma = sigma.trim().strip_prefix("sigma=").and_then(|sigma| sigma.parse().ok());
        let time = time.trim().strip_prefix("time=").ok_or_else(refuse)?;
        let drift = Self { sigma: sigma.ok_or_else(refuse)?, time: parse_duration(time)? };
        if drift.is_right() { Ok(drift) } else { Err(refuse()) }
    }
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
    pub(super) fn wrong(&self) -> Option<&'static str> {
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
        } else if !self.drift.is_none_or(Drift::is_right) {
            Some("sigma and time of a drift are above 0")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_read_and_what_is_none_is_refused_with_what_is() {
        let drift = Drift { sigma: 0.5, time: Duration::from_secs(5) };
        assert_eq!("sigma=0.5, time=5s".parse(), Ok(drift));
        for text in ["", "0.5", "sigma=0,time=5s", "sigma=0.5,time=0s", "time=5s,sigma=1"] {
            let refusal = text.parse::<Drift>().expect_err(text);
            assert!(refusal.contains("sigma=0.5,time=5s"), "{refusal}");
        }
    }
}
