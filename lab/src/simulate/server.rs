//! A backend: what it does with requests, and what its script does with it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use fastrand::Rng;

use super::attempts::{Key, OK};
use super::time::{MILLISECOND, Time, duration, nanos};
use super::watch::Watch;
use crate::scenario::{Conduct, Drift, Group, normal};

/// How often a speed that drifts changes.
pub(super) const DRIFT_STEP: Time = 50 * MILLISECOND;

/// The status of errors that come by chance.
const UNAVAILABLE: u16 = 503;

/// See the module.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) group: &'a Group,
    pub(super) work: Work,
    pub(super) watch: Watch,
    /// What it does with new requests.
    pub(super) conduct: Option<Conduct>,
    /// How many times as long everything takes by its script.
    slow: f64,
    drift: Option<Drifting>,
    /// The number of requests that it was to work on.
    turn: usize,
}

/// Who is worked on.
#[derive(Debug)]
pub(super) enum Work {
    Slots(Slots),
    Cores(Cores),
}

/// The logarithm of a speed, by which it is divided.
#[derive(Debug)]
struct Drifting {
    drift: Drift,
    deviation: f64,
}

/// What the script has changed.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Other,
    Joined,
    Left,
    Restarted,
}

impl<'a> Server<'a> {
    pub(super) fn new(group: &'a Group, rng: &mut Rng) -> Self {
        let work = match group.cores {
            Some(cores) => Work::Cores(Cores::new(cores)),
            None => Work::Slots(Slots::new(group.slots.unwrap_or(usize::MAX))),
        };
        let drift = group.drift.map(|drift| {
            let deviation = drift.sigma * normal(rng);
            Drifting { drift, deviation }
        });
        let watch = Watch::default();
        let mut server = Self { group, work, watch, conduct: None, slow: 1.0, drift, turn: 0 };
        server.follow_script(0);
        server
    }

    /// How long the next request takes at normal speed, and the status of its answer.
    pub(super) fn draw(&mut self, cost: f64, noise: u64) -> (f64, u16) {
        let mut rng = Rng::with_seed(noise);
        let work = self.group.service.draw(self.turn, &mut rng) * cost;
        self.turn += 1;
        let is_error = self.group.errors > 0.0 && rng.f64() < self.group.errors;
        (work, if is_error { UNAVAILABLE } else { OK })
    }

    /// How many times as long everything takes now.
    pub(super) fn slowness(&self) -> f64 {
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
        let phases = self.group.script.iter();
        phases.filter_map(|phase| phase.window.next_change(duration(now))).min().map(nanos)
    }

    /// Does what the script says. Slow phases at the same time multiply; of others the first one
    /// counts.
    pub(super) fn follow_script(&mut self, now: Time) -> Change {
        let before = self.conduct;
        let at = duration(now);
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
            Some(until) => self.watch.pause(now, nanos(until)),
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

/// Requests that are worked on one per slot; the others queue, the first one first.
#[derive(Debug)]
pub(super) struct Slots {
    free: usize,
    queue: VecDeque<Key>,
}

impl Slots {
    fn new(slots: usize) -> Self {
        Self { free: slots, queue: VecDeque::new() }
    }

    /// A request comes; whether it has a slot. If not, it queues.
    pub(super) fn enter(&mut self, key: Key) -> bool {
        if self.free == 0 {
            self.queue.push_back(key);
            return false;
        }
        self.free -= 1;
        true
    }

    /// A slot becomes free, for the next in the queue if there is one.
    pub(super) fn leave(&mut self) -> Option<Key> {
        let next = self.queue.pop_front();
        if next.is_none() {
            self.free += 1;
        }
        next
    }
}

/// Requests that share cores equally, none having more than one.
///
/// In virtual time each gets a core of its own, so a request ends when that has gone on by its
/// work, whoever comes and goes.
#[derive(Debug)]
pub(super) struct Cores {
    count: f64,
    /// The virtual time, in nanoseconds, and what the watch showed then.
    virtual_now: f64,
    read: Time,
    /// By the virtual time of their end, which is never negative, so that its bits are in order.
    jobs: BinaryHeap<Reverse<(u64, Key)>>,
    /// Grows with each change, which makes what was foreseen wrong.
    pub(super) version: u64,
}

impl Cores {
    fn new(cores: usize) -> Self {
        Self { count: cores as f64, virtual_now: 0.0, read: 0, jobs: BinaryHeap::new(), version: 0 }
    }

    /// How fast virtual time goes.
    fn rate(&self) -> f64 {
        (self.count / self.jobs.len().max(1) as f64).min(1.0)
    }

    fn advance(&mut self, read: Time) {
        self.virtual_now += (read - self.read) as f64 * self.rate();
        self.read = read;
        self.version += 1;
    }

    pub(super) fn enter(&mut self, key: Key, work: f64, read: Time) {
        self.advance(read);
        self.jobs.push(Reverse(((self.virtual_now + work).to_bits(), key)));
    }

    /// The request that ends first, ends.
    pub(super) fn leave(&mut self, read: Time) -> Option<Key> {
        self.advance(read);
        let Reverse((end, key)) = self.jobs.pop()?;
        // Rounding to whole nanoseconds must not make it younger than what has ended.
        self.virtual_now = self.virtual_now.max(f64::from_bits(end));
        Some(key)
    }

    /// What the watch will show when the next one ends.
    pub(super) fn next_end(&self) -> Option<Time> {
        let Reverse((end, _)) = self.jobs.peek()?;
        let left = (f64::from_bits(*end) - self.virtual_now).max(0.0) / self.rate();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        Some(self.read + left.ceil() as Time)
    }

    fn clear(&mut self) {
        self.jobs.clear();
        self.version += 1;
    }
}

impl Work {
    /// All that it has is lost. Those in slots are to be taken out by their owner.
    pub(super) fn reset(&mut self, group: &Group) {
        match self {
            Self::Slots(slots) => *slots = Slots::new(group.slots.unwrap_or(usize::MAX)),
            Self::Cores(cores) => cores.clear(),
        }
    }
}
