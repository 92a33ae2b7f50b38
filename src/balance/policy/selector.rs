//! The choice by a policy: the least score, and turns among equal ones.

use std::fmt::Debug;

use super::fleet::Answers;
use super::rotation::Rotation;
use crate::balance::candidate::Candidate;
use crate::balance::clock::Nanos;
use crate::balance::id::BackendId;
use crate::balance::lease::{Outcome, Reason};

/// What became of an attempt, as a policy learns it.
#[derive(Debug)]
pub(in crate::balance) struct Sample {
    pub(in crate::balance) backend: BackendId,
    pub(in crate::balance) outcome: Outcome,
    /// From the start of the attempt until now, without the time that its client took.
    pub(in crate::balance) took: Nanos,
    /// In flight at the backend when the attempt began, itself included.
    pub(in crate::balance) in_flight: u32,
    /// Whether it is to be learnt how the latency depends on what is in flight.
    pub(in crate::balance) relates: bool,
    pub(in crate::balance) now: Nanos,
}

/// What a choice depends on beside the candidates.
#[derive(Debug)]
pub(in crate::balance) struct View<'a> {
    pub(in crate::balance) now: Nanos,
    /// How long a backend may go without a sample.
    pub(in crate::balance) resample_after: Nanos,
    /// What this worker knows of the answers of all backends.
    pub(in crate::balance) answers: &'a Answers,
}

/// What a policy knows of a backend.
#[derive(Copy, Clone, Debug)]
pub(in crate::balance) struct Learnt {
    /// The latency to expect of it.
    pub(in crate::balance) expected: Nanos,
    /// When the last sample was taken in.
    pub(in crate::balance) at: Nanos,
    /// How many requests it usually has in flight, if the policy learns that.
    pub(in crate::balance) usual: Option<f64>,
}

/// Decides which backend is best, by what it has learnt of each.
///
/// All workers share it, so it learns through atomics. It keeps a table of its own of the backends,
/// by slot; a new policy is a new value that knows nothing yet.
pub(in crate::balance) trait Ranking: Debug + Send + Sync {
    /// Gives each candidate its score, which was 0, and says which of them lack a sample; whether
    /// any does.
    fn rank(&self, _candidates: &mut [Candidate], _view: &View<'_>) -> bool {
        false
    }

    /// Why one of several candidates with the least score was chosen.
    fn reason_of_tie(&self) -> Reason {
        Reason::Tie
    }

    /// Learns what became of an attempt.
    fn observe(&self, _sample: &Sample, _answers: &mut Answers) {}

    /// Tells other workers what this one knows of the answers of all backends, and the other way
    /// round. A worker does this once per turn.
    fn fold(&self, _answers: &mut Answers) {}

    /// The latency expected of `backend`; `None` before it was measured, or if the policy measures
    /// nothing.
    fn estimate(&self, _backend: BackendId) -> Option<Nanos> {
        None
    }

    /// When the last sample of `backend` was taken in; `None` before the first.
    fn observed_at(&self, _backend: BackendId) -> Option<Nanos> {
        None
    }

    /// What is known of `backend` as it counts in a choice now; `None` as with
    /// [`Ranking::estimate`].
    fn learnt(&self, backend: BackendId, _view: &View<'_>) -> Option<Learnt> {
        let (expected, at) = (self.estimate(backend)?, self.observed_at(backend)?);
        Some(Learnt { expected, at, usual: None })
    }

    /// The most requests that a backend may have in flight when it gets a second attempt, so that
    /// this makes no others wait. None where the policy does not know how much a backend can take.
    fn hedge_limit(&self, _backend: BackendId, _answers: &Answers) -> f64 {
        0.0
    }

    /// Another backend has this slot from now on. No thread uses the slot meanwhile.
    fn forget(&self, _backend: BackendId) {}

    /// Whether the policy decides by estimates.
    fn is_adaptive(&self) -> bool {
        false
    }
}

/// A policy in use.
#[derive(Debug)]
pub(in crate::balance) struct Selector {
    pub(in crate::balance) ranking: Box<dyn Ranking>,
    turns: Rotation,
}

impl Selector {
    pub(in crate::balance) fn new(ranking: impl Ranking + 'static, slots: usize) -> Self {
        Self { ranking: Box::new(ranking), turns: Rotation::new(slots) }
    }

    /// Chooses among candidates that have their scores.
    pub(in crate::balance) fn select<'a>(
        &self,
        candidates: &'a [Candidate],
    ) -> Option<(&'a Candidate, Reason)> {
        let (mut best, mut tied) = (candidates.first()?, 0);
        for candidate in candidates {
            if candidate.score < best.score {
                (best, tied) = (candidate, 0);
            }
            tied += usize::from(candidate.score <= best.score);
        }
        if tied == 1 {
            return Some((best, Reason::Best));
        }
        let least = candidates.iter().filter(|candidate| candidate.score <= best.score);
        Some((self.turns.take(tied, least)?, self.ranking.reason_of_tie()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::policy::round_robin::RoundRobin;
    use crate::balance::tests::candidates;

    fn select(scores: &[f64], times: usize) -> Vec<(usize, Reason)> {
        let selector = Selector::new(RoundRobin, scores.len());
        let choose = |_| {
            let mut candidates = candidates(scores.len());
            for (candidate, score) in candidates.iter_mut().zip(scores) {
                candidate.score = *score;
            }
            let (chosen, reason) = selector.select(&candidates).unwrap();
            (chosen.id.slot(), reason)
        };
        (0..times).map(choose).collect()
    }

    #[test]
    fn the_least_score_is_chosen_and_equal_ones_take_turns() {
        assert_eq!(select(&[3.0, 1.0, 2.0], 2), [(1, Reason::Best); 2]);
        assert_eq!(select(&[1.0, 2.0, 1.0, 1.0], 4), [0, 2, 3, 0].map(|slot| (slot, Reason::Turn)));
        assert_eq!(select(&[f64::INFINITY; 2], 2), [(0, Reason::Turn), (1, Reason::Turn)]);
        assert!(Selector::new(RoundRobin, 1).select(&[]).is_none());
    }
}
