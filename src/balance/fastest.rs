//! The choice that all adaptive policies share: the lowest estimate wins.

use std::time::Duration;

use super::fleet::{Backend, Fleet};
use super::set::{BackendId, BackendSet, Candidates};

/// The candidate with the lowest estimate. One without an estimate comes last, and those that are
/// equal take turns: while nothing is measured, that is all of them.
pub(super) fn fastest(
    fleet: &Fleet,
    candidates: Candidates,
    estimate: impl Fn(&Backend) -> Option<Duration>,
) -> Option<BackendId> {
    let mut lowest = Duration::MAX;
    let mut tied = BackendSet::EMPTY;
    for id in candidates {
        let estimate = estimate(fleet.backend(id)).unwrap_or(Duration::MAX);
        if estimate < lowest {
            lowest = estimate;
            tied = BackendSet::only(id);
        } else if estimate == lowest {
            tied.insert(id);
        }
    }
    fleet.take_turn(tied)
}
