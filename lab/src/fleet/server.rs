//! A backend: what it does with requests, and what its script does with it.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::time::{MILLISECOND, Time, duration, nanos};
use super::watch::Watch;
use super::work::Work;
use super::{Change, OK, Recorded};
use crate::scenario::{Conduct, Drift, Group, normal};

/// How often a speed that drifts changes.
pub(super) const DRIFT_STEP: Time = 50 * MILLISECOND;

/// The status of errors that come by chance.
const UNAVAILABLE: u16 = 503;

/// See the module.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) group: Group,
    pub(super) work: Work,
    pub(super) watch: Watch,
    /// When its script begins.
    zero: Time,
    /// What it does with new requests.
    pub(super) conduct: Option<Conduct>,
    /// How many times as long everything takes by its script.
    slow: f64,
    drift: Option<Drifting>,
    /// How long requests take if a log says it.
    recorded: Option<Arc<dyn Recorded>>,
    /// The number of requests that it was to work on.
    turn: usize,
}

/// The logarithm of a speed, by which it is divided.
#[derive(Debug)]
struct Drifting {
    drift: Drift,
    deviation: f64,
}

impl Server {
    /// It does what its script says of the beginning.
    pub(super) fn new(group: &Group) -> Self {
        let mut server = Self {
            group: group.clone(),
            work: Work::new(group),
            watch: Watch::default(),
            zero: 0,
            conduct: None,
            slow: 1.0,
            drift: group.drift.map(|drift| Drifting { drift, deviation: 0.0 }),
            recorded: None,
            turn: 0,
        };
        server.follow_script(0);
        server
    }

    /// Takes times from a log instead of drawing them.
    pub(super) fn replay(&mut self, recorded: Arc<dyn Recorded>) {
        self.recorded = Some(recorded);
    }

    /// Its script begins at `zero`, and its speed is drawn.
    pub(super) fn begin(&mut self, zero: Time, now: Time, rng: &mut Rng) {
        (self.zero, self.turn) = (zero, 0);
        if let Some(Drifting { drift, deviation }) = &mut self.drift {
            *deviation = drift.sigma * normal(rng);
        }
        self.follow_script(now);
    }

    /// Whether its port accepts connections.
    pub(super) fn listens(&self) -> bool {
        !matches!(self.conduct, Some(Conduct::Refuse | Conduct::Restart | Conduct::Absent))
    }

    /// How long the next request takes at normal speed, and the status of its answer. Where a log
    /// says how long, its place there stands instead of the time.
    pub(super) fn draw(&mut self, cost: f64, noise: u64) -> (f64, u16) {
        let mut rng = Rng::with_seed(noise);
        let drawn = self.group.service.draw(self.turn, &mut rng) * cost;
        let work = if self.recorded.is_some() { cost } else { drawn };
        self.turn += 1;
        let is_error = self.group.errors > 0.0 && rng.f64() < self.group.errors;
        (work, if is_error { UNAVAILABLE } else { OK })
    }

    /// How long what was [drawn](Self::draw) takes if the work on it begins now.
    pub(super) fn time(&self, work: f64, now: Time) -> f64 {
        match &self.recorded {
            Some(recorded) => recorded.time(work, now),
            None => work * self.slowness(),
        }
    }

    /// How many times as long everything takes now.
    fn slowness(&self) -> f64 {
        let Some(Drifting { drift, deviation }) = &self.drift else { return self.slow };
        // So that the mean speed is 1.
        self.slow * (0.5 * drift.sigma * drift.sigma - deviation).exp()
    }

    pub(super) fn drift(&mut self, rng: &mut Rng) {
        if let Some(Drifting { drift, deviation }) = &mut self.drift {
            let kept = (-(DRIFT_STEP as f64) / nanos(drift.time) as f64).exp();
            *deviation = *deviation * kept + drift.sigma * (1.0 - kept * kept).sqrt() * normal(rng);
        }
    }

    /// When the script next changes something.
    pub(super) fn next_change(&self, now: Time) -> Option<Time> {
        let (phases, at) = (self.group.script.iter(), self.script_time(now));
        let next = phases.filter_map(|phase| phase.window.next_change(at)).min();
        next.map(|at| self.zero + nanos(at))
    }

    /// Before its beginning a script stands at it.
    fn script_time(&self, now: Time) -> Duration {
        duration(now.saturating_sub(self.zero))
    }

    /// Does what the script says. Slow phases at the same time multiply; of others the first one
    /// counts.
    pub(super) fn follow_script(&mut self, now: Time) -> Change {
        let before = self.conduct;
        let at = self.script_time(now);
        (self.conduct, self.slow) = (None, 1.0);
        let mut pause = None;
        for phase in self.group.script.iter().filter(|phase| phase.window.contains(at)) {
            match phase.conduct {
                Conduct::Slow(factor) => self.slow *= factor,
                Conduct::Pause => pause = pause.max(phase.window.end(at)),
                conduct => self.conduct = self.conduct.or(Some(conduct)),
            }
        }
        match pause {
            Some(until) => self.watch.pause(now, self.zero + nanos(until)),
            None => self.watch.resume(now),
        }
        match (before, self.conduct) {
            (before, after) if before == after => Change::Other,
            (Some(Conduct::Absent), _) => Change::Joined,
            (_, Some(Conduct::Absent)) => Change::Left,
            (_, Some(Conduct::Restart)) => Change::Restarted,
            _ => Change::Other,
        }
    }
}
