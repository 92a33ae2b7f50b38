//! How requests come, and what kinds there are.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::{Group, duration};

/// A kind of requests.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What it is called.
    pub name: String,
    /// Its part of the requests, in relation to the other classes.
    #[serde(default = "unit")]
    pub share: f64,
    /// How many times as long as usual a backend works on one.
    #[serde(default = "unit")]
    pub cost: f64,
    /// A long poll: it is answered after this time, takes no slot, and its latency is not counted.
    #[serde(default, deserialize_with = "some_duration")]
    pub wait: Option<Duration>,
}

/// How requests come.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Load {
    /// At a rate, whatever becomes of them.
    Open {
        /// Requests per second.
        rate: f64,
        /// When exactly.
        arrivals: Arrivals,
        /// Whether the rate changes.
        burst: Option<Burst>,
    },
    /// From so many clients, each of which sends the next request when it has the answer.
    Closed {
        /// How many.
        clients: usize,
    },
}

/// When requests of an open loop come.
#[derive(Copy, Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Independently of each other.
    #[default]
    Poisson,
    /// At equal intervals.
    Even,
}

/// The rate is `1 - by` and `1 + by` times as high in turn.
#[derive(Copy, Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// By what part.
    pub by: f64,
    /// For how long on average; exponentially distributed.
    #[serde(deserialize_with = "duration")]
    pub time: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadTable {
    pub(super) load: Option<f64>,
    pub(super) rate: Option<f64>,
    pub(super) clients: Option<usize>,
    arrivals: Option<Arrivals>,
    burst: Option<Burst>,
}

const fn unit() -> f64 {
    1.0
}

pub(super) fn some_duration<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// Requests per second that these backends can serve; `None` if one is unlimited.
pub(super) fn capacity(backends: &[Group], classes: &[Class]) -> Option<f64> {
    let total: f64 = classes.iter().map(|class| class.share).sum();
    let cost = |class: &Class| if class.wait.is_some() { 0.0 } else { class.cost };
    let work: f64 = classes.iter().map(|class| class.share / total * cost(class)).sum();
    let of_group = |group: &Group| {
        let at_once = group.slots.or(group.cores)?;
        Some((group.count * at_once) as f64 / group.service.mean().as_secs_f64())
    };
    Some(backends.iter().map(of_group).sum::<Option<f64>>()? / work)
}

impl LoadTable {
    pub(super) fn check(self, capacity: Option<f64>) -> Result<Load, String> {
        let rate = match (self.load, self.rate, self.clients) {
            (None, None, Some(clients)) => {
                let is_open = self.arrivals.is_some() || self.burst.is_some();
                return match clients {
                    0 => Err("clients is above 0".to_owned()),
                    _ if is_open => Err("clients wait for answers: no arrivals, no burst".into()),
                    _ => Ok(Load::Closed { clients }),
                };
            }
            (Some(load), None, None) => {
                let what = "an unlimited backend has no capacity; give rate or clients";
                // A product has digits that mean nothing.
                (load * capacity.ok_or(what)? * 1e6).round() / 1e6
            }
            (None, Some(rate), None) => rate,
            _ => return Err("give one of load, rate and clients".to_owned()),
        };
        if !(rate > 0.0 && rate <= 1e9) {
            return Err(format!("{rate} requests per second; give a number above 0"));
        }
        if self.burst.is_some_and(|it| !(it.by > 0.0 && it.by < 1.0) || it.time.is_zero()) {
            return Err("a burst is by more than 0 and less than 1, for more than 0s".to_owned());
        }
        Ok(Load::Open { rate, arrivals: self.arrivals.unwrap_or_default(), burst: self.burst })
    }
}
