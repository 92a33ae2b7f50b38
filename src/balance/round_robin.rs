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
