//! Round robin: every backend gets the same number of requests.

use super::rotation::Rotation;
use super::selector::Selector;
use crate::balance::clock::Nanos;
use crate::balance::id::BackendId;
use crate::balance::lease::Reason;
use crate::balance::registry::Registry;

/// Takes turns, whatever the backends' latencies.
#[derive(Debug)]
pub(super) struct RoundRobin {
    turns: Rotation,
}

impl RoundRobin {
    pub(super) fn new(slots: usize) -> Self {
        Self { turns: Rotation::new(slots) }
    }
}

impl Selector for RoundRobin {
    fn select(
        &self,
        candidates: &mut [BackendId],
        _registry: &Registry,
        _now: Nanos,
    ) -> Option<(BackendId, Reason)> {
        candidates.get(self.turns.take(candidates.len())).map(|id| (*id, Reason::Turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{ids, registry};

    fn turns(policy: &RoundRobin, candidates: &[BackendId], count: usize) -> Vec<Option<usize>> {
        let registry = registry();
        let choose = |_| {
            let choice = policy.select(&mut candidates.to_vec(), &registry, 0);
            choice.map(|(id, reason)| {
                assert_eq!(reason, Reason::Turn);
                id.slot()
            })
        };
        (0..count).map(choose).collect()
    }

    #[test]
    fn each_candidate_has_its_turn() {
        let policy = RoundRobin::new(3);
        assert_eq!(turns(&policy, &ids(3), 5), [0, 1, 2, 0, 1].map(Some));
        assert_eq!(turns(&policy, &ids(1), 2), [0, 0].map(Some));
        assert_eq!(turns(&policy, &[], 1), [None]);
    }

    #[test]
    fn those_that_are_no_candidates_are_skipped_and_the_others_stay_equal() {
        let mut candidates = ids(4);
        candidates.remove(1);
        let mut served = [0; 4];
        for slot in turns(&RoundRobin::new(4), &candidates, 300).into_iter().flatten() {
            served[slot] += 1;
        }
        assert_eq!(served, [100, 0, 100, 100]);
    }

    #[test]
    fn as_many_candidates_as_there_can_be_have_their_turn() {
        let count = crate::balance::MAX_BACKENDS;
        let expected: Vec<Option<usize>> = (0..count).chain(0..count).map(Some).collect();
        assert_eq!(turns(&RoundRobin::new(count), &ids(count), 2 * count), expected);
    }
}
