//! Round robin: every backend gets the same number of requests.

use std::time::Instant;

use super::fleet::Fleet;
use super::selector::Selector;
use super::set::{BackendId, Candidates};

/// Takes turns, whatever the backends' latencies.
#[derive(Debug)]
pub(super) struct RoundRobin;

impl Selector for RoundRobin {
    fn select(&self, fleet: &Fleet, candidates: Candidates, _now: Instant) -> Option<BackendId> {
        fleet.take_turn(candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::BackendSet;
    use super::super::tests::{epoch, fleet};
    use super::*;

    fn turns(candidates: BackendSet, count: usize) -> Vec<Option<usize>> {
        let fleet = fleet(candidates.len(), 0);
        let choose = || RoundRobin.select(&fleet, candidates, epoch());
        (0..count).map(|_| choose().map(BackendId::index)).collect()
    }

    #[test]
    fn each_candidate_has_its_turn() {
        assert_eq!(turns(BackendSet::first(3), 5), [0, 1, 2, 0, 1].map(Some));
        assert_eq!(turns(BackendSet::first(1), 2), [0, 0].map(Some));
        assert_eq!(turns(BackendSet::EMPTY, 1), [None]);
    }

    #[test]
    fn those_that_are_no_candidates_are_skipped_and_the_others_stay_equal() {
        let fleet = fleet(4, 0);
        let all = BackendSet::first(4);
        let second = all.into_iter().nth(1).unwrap();
        let candidates = all.without(BackendSet::only(second));
        let mut served = [0; 4];
        for _ in 0..300 {
            served[RoundRobin.select(&fleet, candidates, epoch()).unwrap().index()] += 1;
        }
        assert_eq!(served, [100, 0, 100, 100]);
    }
}
