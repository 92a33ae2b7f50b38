//! The choice that the published adaptive policies share: the lowest estimate wins.
//!
//! A plain argmin, kept as published. It herds (all requests go to one backend until its answers
//! make it the worse one), and never looks again at a backend that was once slow.

use std::fmt::Debug;
use std::sync::atomic::Ordering::Relaxed;

use super::per_slot::PerSlot;
use super::rotation::Rotation;
use super::selector::Selector;
use crate::balance::clock::Nanos;
use crate::balance::id::BackendId;
use crate::balance::lease::Reason;
use crate::balance::registry::Registry;
use crate::balance::sync::AtomicU64;

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
pub(super) struct Lowest<E> {
    learnt: PerSlot<Learnt<E>>,
    turns: Rotation,
}

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
        Self { learnt: PerSlot::new(slots, learnt), turns: Rotation::new(slots) }
    }
}

impl<E: Estimator> Selector for Lowest<E> {
    fn select(
        &self,
        candidates: &mut [BackendId],
        _registry: &Registry,
        _now: Nanos,
    ) -> Option<(BackendId, Reason)> {
        let mut lowest = Nanos::MAX;
        // Those with the lowest estimate so far are moved to the front, in their order.
        let mut tied = 0;
        for index in 0..candidates.len() {
            let id = candidates[index];
            // One without an estimate comes last. While nothing is measured, that is all of them.
            let estimate = self.learnt[id].estimator.estimate().unwrap_or(Nanos::MAX);
            if estimate < lowest {
                (lowest, tied) = (estimate, 0);
            }
            if estimate == lowest {
                candidates[tied] = id;
                tied += 1;
            }
        }
        let reason = if tied > 1 { Reason::Tie } else { Reason::Best };
        candidates.get(self.turns.take(tied)).map(|id| (*id, reason))
    }

    fn observe(&self, backend: BackendId, sample: Nanos, now: Nanos) {
        let learnt = &self.learnt[backend];
        learnt.estimator.observe(sample);
        // A worker whose clock reading is a little older may win: nobody measures by microseconds
        // how long a backend went unobserved.
        learnt.observed_at.store(now, Relaxed);
    }

    fn estimate(&self, backend: BackendId) -> Option<Nanos> {
        self.learnt[backend].estimator.estimate()
    }

    fn lacks_sample(&self, backend: BackendId, limit: Nanos, now: Nanos) -> Option<Reason> {
        match self.learnt[backend].observed_at.load(Relaxed) {
            NEVER => Some(Reason::First),
            at => (now.saturating_sub(at) >= limit).then_some(Reason::Trial),
        }
    }

    fn forget(&self, backend: BackendId) {
        let learnt = &self.learnt[backend];
        learnt.estimator.forget();
        learnt.observed_at.store(NEVER, Relaxed);
    }

    fn is_adaptive(&self) -> bool {
        true
    }
}
