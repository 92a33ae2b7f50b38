//! When requests come, and what each one is: the same for every policy and every proxy, simulated
//! or over sockets.

use std::time::Duration;

use fastrand::Rng;

use super::{Arrivals, Burst, Load, Scenario, exponential};

/// The streams of chance of a run. They are independent, so that a policy that needs more or less
/// of one does not change the others.
#[derive(Debug)]
pub struct Streams {
    /// When requests come.
    pub arrivals: Rng,
    /// What they are.
    pub requests: Rng,
    /// The speeds of backends that drift.
    pub drift: Rng,
    /// What policies leave to chance.
    pub policies: Rng,
}

impl Streams {
    /// Those of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut root = Rng::with_seed(seed);
        let [arrivals, requests, drift, policies] = [(); 4].map(|()| root.fork());
        Self { arrivals, requests, drift, policies }
    }
}

/// One request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// The index of its class.
    pub class: usize,
    /// The proxy that gets it, and the worker of that.
    pub proxy: usize,
    /// See `proxy`.
    pub worker: usize,
    /// The seed of its service time at its first attempt, whichever backend serves it.
    pub seed: u64,
    /// One bit for each focus that it belongs to.
    pub focus: u64,
}

/// The requests of a scenario, one after the other.
#[derive(Debug)]
pub struct Requests<'a> {
    scenario: &'a Scenario,
    pace: Option<Pace>,
    kinds: Rng,
}

impl<'a> Requests<'a> {
    /// Those that these streams give.
    #[must_use]
    pub fn new(scenario: &'a Scenario, arrivals: Rng, kinds: Rng) -> Self {
        let pace = match scenario.load {
            Load::Open { rate, arrivals: kind, burst } => {
                Some(Pace::new(rate, kind, burst, arrivals))
            }
            Load::Closed { .. } => None,
        };
        Self { scenario, pace, kinds }
    }

    /// When the next one comes, in an open loop. In a closed one that is up to the clients.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.pace.as_ref().map(|pace| pace.next)
    }

    /// Takes the next one, which comes at this time since the beginning.
    pub fn take(&mut self, at: Duration) -> Request {
        if let Some(pace) = &mut self.pace {
            pace.advance();
        }
        let Scenario { proxies, focus, classes, .. } = self.scenario;
        let rng = &mut self.kinds;
        let any = |rng: &mut Rng, count| if count > 1 { rng.usize(..count) } else { 0 };
        let (proxy, worker) = (any(rng, proxies.count), any(rng, proxies.workers));
        let (class, seed) = (class(self.scenario, rng), rng.u64(..).wrapping_add(1));
        let mut bits = 0;
        for (index, focus) in focus.iter().enumerate() {
            let is_then = focus.during.is_none_or(|window| window.contains(at));
            let is_of_it = focus.class.as_ref().is_none_or(|name| *name == classes[class].name);
            bits |= u64::from(is_then && is_of_it) << index;
        }
        Request { class, proxy, worker, seed, focus: bits }
    }
}

/// The arrivals of an open loop.
#[derive(Debug)]
struct Pace {
    rate: f64,
    arrivals: Arrivals,
    burst: Option<Burst>,
    is_high: bool,
    /// When the rate changes next.
    turn: Duration,
    /// When the next request comes.
    next: Duration,
    rng: Rng,
}

impl Pace {
    fn new(rate: f64, arrivals: Arrivals, burst: Option<Burst>, rng: Rng) -> Self {
        let (turn, next) = (Duration::ZERO, Duration::ZERO);
        let mut pace = Self { rate, arrivals, burst, is_high: true, turn, next, rng };
        pace.next = pace.gap();
        pace
    }

    fn advance(&mut self) {
        while let Some(burst) = self.burst
            && self.turn <= self.next
        {
            self.is_high = !self.is_high;
            self.turn += nanos(burst.time.as_secs_f64() * 1e9 * exponential(&mut self.rng));
        }
        let gap = self.gap();
        self.next += gap;
    }

    /// The time to the next request.
    fn gap(&mut self) -> Duration {
        let by = self.burst.map_or(0.0, |burst| if self.is_high { burst.by } else { -burst.by });
        let mean = 1e9 / (self.rate * (1.0 + by));
        nanos(match self.arrivals {
            Arrivals::Poisson => mean * exponential(&mut self.rng),
            Arrivals::Even => mean,
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
fn nanos(nanos: f64) -> Duration {
    Duration::from_nanos(nanos.round() as u64)
}

/// The class of the next request, drawn by the shares.
fn class(scenario: &Scenario, rng: &mut Rng) -> usize {
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
