//! Round robin: every backend gets the same number of requests, or one in proportion to its weight.

use super::selector::Ranking;
use crate::balance::lease::Reason;

/// All are as good, whatever their latencies, so they take turns.
#[derive(Debug)]
pub(super) struct RoundRobin;

impl Ranking for RoundRobin {
    fn reason_of_tie(&self) -> Reason {
        Reason::Turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::Candidate;
    use crate::balance::policy::fleet::Answers;
    use crate::balance::policy::selector::{Selector, View};
    use crate::balance::tests::candidates;

    fn turns(selector: &Selector, candidates: &[Candidate], count: usize) -> Vec<usize> {
        let answers = Answers::default();
        let view = View { now: 0, resample_after: 0, answers: &answers };
        let choose = |_| {
            let mut candidates = candidates.to_vec();
            assert!(!selector.ranking.rank(&mut candidates, &view), "no probe");
            let (chosen, reason) = selector.select(&candidates).unwrap();
            assert!(candidates.len() == 1 || reason == Reason::Turn);
            chosen.id.slot()
        };
        (0..count).map(choose).collect()
    }

    #[test]
    fn each_candidate_has_its_turn() {
        let policy = Selector::new(RoundRobin, 3);
        assert_eq!(turns(&policy, &candidates(3), 5), [0, 1, 2, 0, 1]);
        assert_eq!(turns(&policy, &candidates(1), 2), [0, 0]);
    }

    #[test]
    fn those_that_are_no_candidates_are_skipped_and_the_others_stay_equal() {
        let mut candidates = candidates(4);
        candidates.remove(1);
        let mut served = [0; 4];
        for slot in turns(&Selector::new(RoundRobin, 4), &candidates, 300) {
            served[slot] += 1;
        }
        assert_eq!(served, [100, 0, 100, 100]);
    }

    #[test]
    fn as_many_candidates_as_there_can_be_have_their_turn() {
        let count = crate::balance::MAX_BACKENDS;
        let expected: Vec<usize> = (0..count).chain(0..count).collect();
        let policy = Selector::new(RoundRobin, count);
        assert_eq!(turns(&policy, &candidates(count), 2 * count), expected);
    }
}
