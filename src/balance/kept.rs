//! The last choices of a worker, for those who ask why requests go where they go.
//!
//! They are kept only if somebody may ask. One that is added takes the place, and the memory, of
//! the oldest.

use std::collections::VecDeque;
use std::time::Duration;

use super::candidate::Candidate;
use super::clock::Nanos;
use super::id::BackendId;
use super::lease::{Lease, Reason};
use super::policy::Ranking;

/// How many candidates of a choice are kept.
const CANDIDATES_MAX: usize = 16;

/// A choice that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// How long ago.
    pub age: Duration,
    /// The name of the backend that was chosen, or its id if it left meanwhile.
    pub backend: String,
    /// Why.
    pub reason: Reason,
    /// Which backends it was chosen from: those that took requests, or the first of many. None if
    /// it was sent to be probed.
    pub candidates: Vec<Scored>,
    /// How many more there were.
    pub more: usize,
}

/// A backend as the policy saw it at a choice.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its name, or its id if it left meanwhile.
    pub backend: String,
    /// The least one is chosen. `None` if the policy gives none, as round-robin.
    pub score: Option<f64>,
    /// Its requests in flight before this one.
    pub in_flight: u32,
    /// The latency that was expected of it.
    pub estimate: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct KeptChoices {
    choices: VecDeque<Kept>,
    most: usize,
}

#[derive(Debug)]
struct Kept {
    at: Nanos,
    backend: BackendId,
    reason: Reason,
    candidates: Vec<Seen>,
    more: usize,
}

#[derive(Debug)]
struct Seen {
    backend: BackendId,
    score: f64,
    in_flight: u32,
    estimate: Option<Nanos>,
}

impl KeptChoices {
    /// Keeps so many.
    pub(super) fn new(most: usize) -> Self {
        Self { choices: VecDeque::with_capacity(most), most }
    }

    /// Adds a choice that was made from these candidates.
    pub(super) fn add(&mut self, lease: &Lease, candidates: &[Candidate], ranking: &dyn Ranking) {
        let oldest = if self.choices.len() < self.most { None } else { self.choices.pop_front() };
        let mut seen = oldest.map_or_else(Vec::new, |kept| kept.candidates);
        seen.clear();
        // One that is probed is chosen before the others are looked at.
        let candidates = if lease.probe.is_some() { &[][..] } else { candidates };
        let (first, others) = candidates.split_at(candidates.len().min(CANDIDATES_MAX));
        let chosen = others.iter().find(|other| other.id == lease.backend);
        seen.extend(first.iter().chain(chosen).map(|candidate| Seen {
            backend: candidate.id,
            score: candidate.score,
            in_flight: candidate.load.in_flight(),
            estimate: ranking.estimate(candidate.id),
        }));
        let more = candidates.len() - seen.len();
        let Lease { backend, reason, started, .. } = *lease;
        self.choices.push_back(Kept { at: started, backend, reason, candidates: seen, more });
    }

    /// The last ones, the newest first.
    pub(super) fn last(
        &self,
        count: usize,
        now: Nanos,
        name: impl Fn(BackendId) -> String,
    ) -> Vec<Explanation> {
        let explain = |kept: &Kept| Explanation {
            age: Duration::from_nanos(now.saturating_sub(kept.at)),
            backend: name(kept.backend),
            reason: kept.reason,
            candidates: kept.candidates.iter().map(|seen| scored(seen, &name)).collect(),
            more: kept.more,
        };
        self.choices.iter().rev().take(count).map(explain).collect()
    }
}

fn scored(seen: &Seen, name: impl Fn(BackendId) -> String) -> Scored {
    Scored {
        backend: name(seen.backend),
        score: (seen.score > 0.0).then_some(seen.score),
        in_flight: seen.in_flight,
        estimate: seen.estimate.map(Duration::from_nanos),
    }
}
