//! The adaptive policy: the least latency, as it will be with one request more.
//!
//! Of each backend it keeps a latency `L`, the weight `w` of the samples in it, and the usual
//! number in flight `m`; of the fleet the mean latency `P` of its answers (`fleet.rs`). The score
//! of a backend with `n` in flight and a configured weight `c` is `L·(n + 1) / √(m·c)`.
//!
//! `L` contains the queue that `m` in flight make. `L·(n + 1)/m` is the exact prediction where a
//! backend is full, and `L·(n + 1)` counts the queue twice; the root is between them.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::fleet::{Answers, Fleet};
use super::per_slot::PerSlot;
use super::selector::{self, Ranking, Sample, View};
use crate::balance::candidate::{Candidate, Lack};
use crate::balance::clock::Nanos;
use crate::balance::id::BackendId;
use crate::balance::lease::Outcome;
use crate::balance::sync::AtomicU64;

/// Samples that an estimate is the mean of at least, however old they are.
const LEAST_SAMPLES: f64 = 10.0;
/// A sample counts as so many times the estimate at most.
const CLIP: f64 = 5.0;
/// A failure counts as so many times the latency at least, and ...
const FAILURE: f64 = 5.0;
/// ... as so many times the latency of the fleet at most, so that a fleet stays usable that failed
/// as a whole.
const WORST_FAILURE: f64 = 100.0;
/// The weight of the evidence that a failure meets at most. With it, a failure counts as much at
/// ten thousand requests a second as at ten.
const FAILURE_MEETS: f64 = 11.0;
/// What the first sample is averaged with: so many samples like the fleet's mean.
const PRIOR: f64 = 2.0;
/// A backend gets a second attempt only if what it has in flight, times the elasticity, is at most
/// such a part of what it usually has, times what is missing from the elasticity to 1.
const HEDGED_PART: f64 = 0.7;
/// Among scores that are so many times the least, or less, the fewest tunnels win.
const NEARLY: f64 = 1.05;

/// The times that the policy goes by, in nanoseconds.
#[derive(Copy, Clone, Debug)]
pub(in crate::balance) struct Times {
    /// An estimate is the mean of as much time.
    pub(in crate::balance) memory: f64,
    /// Without a sample for longer, a slow backend is forgotten to be slow ...
    pub(in crate::balance) idle: Nanos,
    /// ... by so much time.
    pub(in crate::balance) forgetting: f64,
    /// No latency is shorter.
    pub(in crate::balance) shortest: f64,
}

impl Times {
    pub(in crate::balance) const DEFAULT: Self =
        Self { memory: 1e9, idle: 1_000_000_000, forgetting: 10e9, shortest: 100.0 };
}

/// See the module.
#[derive(Debug)]
pub(in crate::balance) struct Adaptive {
    times: Times,
    learnt: PerSlot<Learnt>,
    fleet: Fleet,
}

/// What is known of one backend, in words that one worker at a time writes and any reads. A reader
/// that meets a writer combines words of two samples that follow each other, which does no harm.
#[derive(Debug)]
struct Learnt {
    /// [`BUSY`] while a worker writes, and in the bits above the failures that wait to be counted.
    writer: AtomicU64,
    /// `L` as the bits of an `f64`, as the next three; zero while it is unmeasured.
    latency: AtomicU64,
    weight: AtomicU64,
    usual: AtomicU64,
    /// `L/√m`, so that a choice takes no root.
    rate: AtomicU64,
    /// The mean of the logarithm of what is in flight.
    usual_log: AtomicU64,
    /// When the last sample was recorded; `NEVER` before the first.
    observed_at: AtomicU64,
}

const BUSY: u64 = 1;
const WAITING: u64 = 2;
const NEVER: Nanos = Nanos::MAX;

/// The estimate of one backend.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Estimate {
    latency: f64,
    weight: f64,
    usual: f64,
    at: Nanos,
}

/// What one attempt tells.
#[derive(Copy, Clone, Debug)]
struct Evidence {
    outcome: Outcome,
    took: f64,
    in_flight: f64,
    now: Nanos,
}

impl Estimate {
    /// The part of what is known that is left after an idle time; all of it if the backend is not
    /// slower than the fleet, or had a sample a short while ago.
    fn kept(self, times: Times, mean: f64, now: Nanos) -> f64 {
        let idle = now.saturating_sub(self.at);
        let forgets = idle > times.idle && self.latency > mean;
        if forgets { (-(idle as f64) / times.forgetting).exp() } else { 1.0 }
    }

    /// The latency to expect when such a part of what is known is left.
    fn expected(self, kept: f64, mean: f64) -> f64 {
        if kept < 1.0 { mean + (self.latency - mean) * kept } else { self.latency }
    }

    /// The first sample, which is averaged with what the fleet is like. A failure of a backend that
    /// is not measured says nothing while nothing is known of the fleet either.
    fn first(evidence: Evidence, mean: Option<f64>) -> Option<(Self, f64)> {
        let Evidence { outcome, took, in_flight, now } = evidence;
        let sample = match outcome {
            Outcome::Answered => took,
            Outcome::Declined => took.max(mean?),
            Outcome::Failed | Outcome::Unreachable => FAILURE * mean?,
            Outcome::Abandoned => return None,
        };
        let prior = mean.map_or(0.0, |_| PRIOR);
        let weight = 1.0 + prior;
        let latency = (sample + prior * mean.unwrap_or(0.0)) / weight;
        Some((Self { latency, weight, usual: in_flight, at: now }, sample))
    }

    /// One more sample: the estimate with it, and what it counted as; `None` if it tells nothing.
    fn next(self, evidence: Evidence, times: Times, mean: Option<f64>) -> Option<(Self, f64)> {
        let Evidence { outcome, took, in_flight, now } = evidence;
        let mean = mean.unwrap_or(self.latency);
        let kept = self.kept(times, mean, now);
        let latency = self.expected(kept, mean);
        let before = self.weight * kept;
        let is_failure = matches!(outcome, Outcome::Failed | Outcome::Unreachable);
        let sample = match outcome {
            Outcome::Abandoned if took <= latency => return None,
            Outcome::Answered | Outcome::Abandoned => took.min(CLIP * latency),
            Outcome::Declined => took.clamp(latency, CLIP * latency),
            Outcome::Failed | Outcome::Unreachable => {
                took.max(FAILURE * latency.max(mean)).min(latency.max(WORST_FAILURE * mean))
            }
        };
        // Below the least number the weight only grows, so its decay needs no exponential there.
        let mut weight = before + 1.0;
        if before > LEAST_SAMPLES {
            let age = now.saturating_sub(self.at) as f64;
            weight = (before * (-age / times.memory).exp()).max(LEAST_SAMPLES) + 1.0;
        }
        if is_failure {
            weight = weight.min(FAILURE_MEETS);
        }
        let after = Self {
            latency: latency + (sample - latency) / weight,
            weight,
            usual: self.usual + (in_flight - self.usual) / weight,
            at: now.max(self.at),
        };
        Some((after, sample))
    }
}

impl Learnt {
    fn new() -> Self {
        let learnt = Self {
            writer: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            weight: AtomicU64::new(0),
            usual: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            usual_log: AtomicU64::new(0),
            observed_at: AtomicU64::new(0),
        };
        learnt.forget();
        learnt
    }

    fn forget(&self) {
        self.writer.store(0, Relaxed);
        self.observed_at.store(NEVER, Relaxed);
        for word in [&self.latency, &self.weight, &self.usual, &self.rate, &self.usual_log] {
            word.store(0.0_f64.to_bits(), Relaxed);
        }
    }

    fn estimate(&self) -> Option<Estimate> {
        let number = |word: &AtomicU64| f64::from_bits(word.load(Relaxed));
        let latency = number(&self.latency);
        (latency > 0.0).then(|| Estimate {
            latency,
            weight: number(&self.weight),
            usual: number(&self.usual),
            at: self.observed_at.load(Relaxed),
        })
    }

    fn store(&self, estimate: Estimate) {
        let Estimate { latency, weight, usual, at } = estimate;
        let words = [
            (&self.weight, weight),
            (&self.usual, usual),
            (&self.rate, latency / usual.sqrt()),
            (&self.latency, latency),
        ];
        for (word, number) in words {
            word.store(number.to_bits(), Relaxed);
        }
        self.observed_at.store(at, Relaxed);
    }

    /// Becomes the one writer; whether it did. A failure that meets another writer is left to that
    /// one, and any other sample is dropped.
    fn begin(&self, is_failure: bool) -> bool {
        let step = |word| match word {
            0 => Some(BUSY),
            _ => is_failure.then_some(word + WAITING),
        };
        self.writer.fetch_update(Acquire, Relaxed, step) == Ok(0)
    }

    /// Ends writing, once it has counted all failures that were left to it.
    fn end(&self, now: Nanos, times: Times, mean: Option<f64>) {
        let mut word = BUSY;
        while let Err(seen) = self.writer.compare_exchange(word, 0, Release, Relaxed) {
            self.count_waiting((seen - word) / WAITING, now, times, mean);
            word = seen;
        }
    }

    /// Counts so many failures that were left to this writer. They count as if they had come at
    /// once and had met the usual load.
    fn count_waiting(&self, failures: u64, now: Nanos, times: Times, mean: Option<f64>) {
        // After a hundred of them the estimate is as bad as it can be.
        for _ in 0..failures.min(100) {
            let in_flight = self.estimate().map_or(1.0, |known| known.usual);
            let evidence = Evidence { outcome: Outcome::Failed, took: 0.0, in_flight, now };
            self.learn(evidence, times, mean);
        }
    }

    /// Learns from one attempt: what it counted as; `None` if it told nothing. Only the one writer
    /// may.
    fn learn(&self, evidence: Evidence, times: Times, mean: Option<f64>) -> Option<f64> {
        let (estimate, sample) = match self.estimate() {
            None => Estimate::first(evidence, mean),
            Some(known) => known.next(evidence, times, mean),
        }?;
        self.store(estimate);
        Some(sample)
    }

    /// Learns how a sample depends on what was in flight. Only the one writer may.
    #[cold]
    fn relate(&self, before: Option<Estimate>, sample: f64, in_flight: u32, answers: &mut Answers) {
        let number = |word: &AtomicU64| f64::from_bits(word.load(Relaxed));
        let (log, usual) = (f64::from(in_flight).ln(), number(&self.usual_log));
        let Some(before) = before else {
            return self.usual_log.store(log.to_bits(), Relaxed);
        };
        let after = usual + (log - usual) / number(&self.weight);
        self.usual_log.store(after.to_bits(), Relaxed);
        answers.relate(sample / before.latency - 1.0, log - usual);
    }
}

impl Adaptive {
    pub(in crate::balance) fn new(slots: usize, times: Times) -> Self {
        Self { times, learnt: PerSlot::new(slots, Learnt::new), fleet: Fleet::new() }
    }
}

impl Ranking for Adaptive {
    fn rank(&self, candidates: &mut [Candidate], view: &View<'_>) -> bool {
        let mean = view.answers.mean().unwrap_or(f64::INFINITY);
        let (mut lacking, mut measured, mut tunnels) = (false, false, 0);
        for candidate in &mut *candidates {
            let learnt = &self.learnt[candidate.id];
            let (rate, at) = (learnt.rate.load(Relaxed), learnt.observed_at.load(Relaxed));
            let mut rate = f64::from_bits(rate);
            let is_measured = rate > 0.0;
            candidate.score = f64::INFINITY;
            candidate.lack = Some(Lack::Unmeasured);
            if is_measured {
                let idle = view.now.saturating_sub(at);
                if idle > self.times.idle
                    && let Some(known) = learnt.estimate()
                {
                    let kept = known.kept(self.times, mean, view.now);
                    rate *= known.expected(kept, mean) / known.latency;
                }
                let queue = f64::from(candidate.load.in_flight() + 1);
                candidate.score = rate * queue * candidate.handicap;
                candidate.lack = (idle >= view.resample_after).then_some(Lack::Since(at));
            }
            measured |= is_measured;
            lacking |= candidate.lack.is_some();
            tunnels += candidate.load.tunnels();
        }
        if !measured {
            for candidate in &mut *candidates {
                candidate.score = f64::from(candidate.load.in_flight() + 1) / candidate.weight;
            }
        }
        if tunnels > 0 {
            prefer_fewest_tunnels(candidates);
        }
        lacking
    }

    fn observe(&self, sample: &Sample, answers: &mut Answers) {
        let Sample { backend, outcome, took, in_flight, relates, now } = *sample;
        let learnt = &self.learnt[backend];
        let (times, mean) = (self.times, answers.mean());
        let is_failure = matches!(outcome, Outcome::Failed | Outcome::Unreachable);
        if !learnt.begin(is_failure) {
            return;
        }
        let took = (took as f64).max(times.shortest);
        let evidence = Evidence { outcome, took, in_flight: f64::from(in_flight), now };
        let before = if relates { learnt.estimate() } else { None };
        let counted = learnt.learn(evidence, times, mean);
        if let (Some(sample), Outcome::Answered | Outcome::Declined) = (counted, outcome) {
            answers.add(sample);
        }
        if let Some(sample) = counted.filter(|_| relates) {
            learnt.relate(before, sample, in_flight, answers);
        }
        learnt.end(now, times, mean);
    }

    fn fold(&self, answers: &mut Answers) {
        self.fleet.fold(answers);
    }

    fn estimate(&self, backend: BackendId) -> Option<Nanos> {
        let latency = f64::from_bits(self.learnt[backend].latency.load(Relaxed));
        // Latencies are positive, and at most a day.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (latency > 0.0).then_some((latency + 0.5) as Nanos)
    }

    fn observed_at(&self, backend: BackendId) -> Option<Nanos> {
        Some(self.learnt[backend].observed_at.load(Relaxed)).filter(|at| *at != NEVER)
    }

    fn learnt(&self, backend: BackendId, view: &View<'_>) -> Option<selector::Learnt> {
        let known = self.learnt[backend].estimate()?;
        let mean = view.answers.mean().unwrap_or(f64::INFINITY);
        let expected = known.expected(known.kept(self.times, mean, view.now), mean);
        // Latencies are positive, and at most a day.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let expected = (expected + 0.5) as Nanos;
        Some(selector::Learnt { expected, at: known.at, usual: Some(known.usual) })
    }

    fn hedge_limit(&self, backend: BackendId, answers: &Answers) -> f64 {
        let usual = f64::from_bits(self.learnt[backend].usual.load(Relaxed));
        let elasticity = answers.elasticity();
        HEDGED_PART * (1.0 - elasticity) / elasticity * usual
    }

    fn forget(&self, backend: BackendId) {
        self.learnt[backend].forget();
    }

    fn is_adaptive(&self) -> bool {
        true
    }
}

/// A tunnel costs its backend nothing that the score shows. So among those that are nearly the
/// best, others than those with the fewest tunnels by their weights are out. Which are nearly the
/// best is asked without weights: else of two idle backends the heavier one would get all tunnels.
fn prefer_fewest_tunnels(candidates: &mut [Candidate]) {
    let bare = |candidate: &Candidate| candidate.score / candidate.handicap;
    let tunnels = |candidate: &Candidate| f64::from(candidate.load.tunnels()) / candidate.weight;
    let least = candidates.iter().map(bare).fold(f64::INFINITY, f64::min);
    let is_near = |candidate: &Candidate| bare(candidate) <= NEARLY * least;
    let near = candidates.iter().filter(|candidate| is_near(candidate));
    let fewest = near.map(tunnels).fold(f64::INFINITY, f64::min);
    for candidate in candidates {
        if is_near(candidate) && tunnels(candidate) > fewest {
            candidate.score = f64::INFINITY;
        }
    }
}

#[cfg(test)]
mod tests;
