//! The choice that the published adaptive policies share: the lowest estimate wins.
//!
//! A plain argmin, kept as published. It herds (all requests go to one backend until its answers
//! make it the worse one), and never looks again at a backend that was once slow. An estimate alone
//! can't share requests between backends in a proportion; so where weights differ, it is multiplied
//! by the requests in flight per weight.

use std::fmt::Debug;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::fleet::Answers;
use super::per_slot::PerSlot;
use super::selector::{Ranking, Sample, View};
use crate::balance::candidate::{Candidate, Lack, weigh_the_same};
use crate::balance::clock::{Nanos, nanos};
use crate::balance::id::BackendId;
use crate::balance::lease::Outcome;
use crate::balance::sync::AtomicU64;

/// What a failure counts as, however short it took: a backend that fails fast must not look fast.
/// No timeout has a part in it, so that the policies choose alike whatever those are.
pub(super) const FAILURE_SAMPLE: Duration = Duration::from_secs(10);

/// The latency to expect of one backend, learnt from many threads at once.
pub(super) trait Estimator: Debug + Send + Sync {
    fn observe(&self, sample: Nanos);

    /// `None` before the first sample.
    fn estimate(&self) -> Option<Nanos>;

    /// Begins anew. No thread observes meanwhile.
    fn forget(&self);
}

/// Chooses the backend with the lowest estimate. Those that are equal take turns.
#[derive(Debug)]
pub(super) struct Lowest<E>(PerSlot<Learnt<E>>);

#[derive(Debug)]
struct Learnt<E> {
    estimator: E,
    /// When the last sample was recorded; `NEVER` before the first.
    observed_at: AtomicU64,
}

const NEVER: Nanos = Nanos::MAX;

impl<E: Estimator> Lowest<E> {
    pub(super) fn new(slots: usize, estimator: impl Fn() -> E) -> Self {
        let learnt = || Learnt { estimator: estimator(), observed_at: AtomicU64::new(NEVER) };
        Self(PerSlot::new(slots, learnt))
    }
}

impl<E: Estimator> Ranking for Lowest<E> {
    fn rank(&self, candidates: &mut [Candidate], view: &View<'_>) -> bool {
        let has_weights = !weigh_the_same(&*candidates);
        let mut lacking = false;
        for candidate in candidates {
            let learnt = &self.0[candidate.id];
            // One without an estimate comes last. While nothing is measured, that is all of them.
            candidate.score = learnt.estimator.estimate().unwrap_or(Nanos::MAX) as f64;
            if has_weights {
                candidate.score *= f64::from(candidate.load.in_flight() + 1) / candidate.weight;
            }
            candidate.lack = match learnt.observed_at.load(Relaxed) {
                NEVER => Some(Lack::Unmeasured),
                at => {
                    let is_old = view.now.saturating_sub(at) >= view.resample_after;
                    is_old.then_some(Lack::Since(at))
                }
            };
            lacking |= candidate.lack.is_some();
        }
        lacking
    }

    fn observe(&self, sample: &Sample, _answers: &mut Answers) {
        let took = match sample.outcome {
            Outcome::Answered | Outcome::Declined => sample.took,
            Outcome::Failed => nanos(FAILURE_SAMPLE),
            Outcome::Unreachable | Outcome::Abandoned => return,
        };
        let learnt = &self.0[sample.backend];
        learnt.estimator.observe(took);
        // A worker whose clock reading is a little older may win: nobody measures by microseconds
        // how long a backend went unobserved.
        learnt.observed_at.store(sample.now, Relaxed);
    }

    fn estimate(&self, backend: BackendId) -> Option<Nanos> {
        self.0[backend].estimator.estimate()
    }

    fn observed_at(&self, backend: BackendId) -> Option<Nanos> {
        Some(self.0[backend].observed_at.load(Relaxed)).filter(|at| *at != NEVER)
    }

    fn forget(&self, backend: BackendId) {
        let learnt = &self.0[backend];
        learnt.estimator.forget();
        learnt.observed_at.store(NEVER, Relaxed);
    }

    fn is_adaptive(&self) -> bool {
        true
    }
}
