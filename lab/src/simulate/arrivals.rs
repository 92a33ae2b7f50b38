//! When requests come, and what kind each is: the same for every policy.

use fastrand::Rng;

use crate::fleet::time::{Time, nanos, whole};
use crate::scenario::{Arrivals, Burst, Load, Scenario, exponential};

/// The streams of chance of a run. They are independent, so that a policy that needs more or less
/// of one does not change the others.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) arrivals: Rng,
    pub(super) requests: Rng,
    pub(super) drift: Rng,
    pub(super) policies: Rng,
}

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        let mut root = Rng::with_seed(seed);
        let [arrivals, requests, drift, policies] = [(); 4].map(|()| root.fork());
        Self { arrivals, requests, drift, policies }
    }
}

/// The rate of an open loop as it changes.
#[derive(Debug)]
pub(super) struct Pace {
    arrivals: Arrivals,
    rate: f64,
    burst: Option<Burst>,
    is_high: bool,
}

impl Pace {
    /// `None` for a closed loop.
    pub(super) fn new(load: Load) -> Option<Self> {
        match load {
            Load::Open { rate, arrivals, burst } => {
                Some(Self { arrivals, rate, burst, is_high: true })
            }
            Load::Closed { .. } => None,
        }
    }

    /// The time to the next request.
    pub(super) fn gap(&self, rng: &mut Rng) -> Time {
        let by = self.burst.map_or(0.0, |burst| if self.is_high { burst.by } else { -burst.by });
        let mean = 1e9 / (self.rate * (1.0 + by));
        whole(match self.arrivals {
            Arrivals::Poisson => mean * exponential(rng),
            Arrivals::Even => mean,
        })
    }

    /// The rate changes; the time until it changes again.
    pub(super) fn turn(&mut self, rng: &mut Rng) -> Option<Time> {
        let burst = self.burst?;
        self.is_high = !self.is_high;
        Some(whole(nanos(burst.time) as f64 * exponential(rng)))
    }
}

/// The class of the next request, drawn by the shares.
pub(super) fn class(scenario: &Scenario, rng: &mut Rng) -> usize {
    let classes = &scenario.classes;
    if classes.len() == 1 {
        return 0;
    }
    let mut left = rng.f64();
    let drawn = classes.iter().position(|class| {
        left -= scenario.part(class);
        left < 0.0
    });
    drawn.unwrap_or(classes.len() - 1)
}
