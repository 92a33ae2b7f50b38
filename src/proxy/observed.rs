//! All figures of a running proxy, as they are at one moment.

use std::time::Instant;

use super::backends::{BackendNow, Backends, Unresolved};
use super::lookups::NameNow;
use super::metrics::{BackendSnapshot, Snapshot};
use crate::balance::Score;

/// See the module.
#[derive(Debug)]
pub struct Observed {
    /// All backends, those included that were removed and are not gone yet.
    pub backends: Vec<BackendNow>,
    /// Those that can't be reached, because their names have no address.
    pub unresolved: Vec<Unresolved>,
    /// The names of backends.
    pub names: Vec<NameNow>,
    /// What the policy thinks of those that get requests.
    pub scores: Vec<Score>,
    /// Requests that wait because all backends are at their limits, and how many may.
    pub queue: Occupancy,
    /// What was counted.
    pub snapshot: Snapshot,
}

/// How many there are of something that is bounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Occupancy {
    /// How many there are.
    pub now: usize,
    /// How many there may be.
    pub most: usize,
}

impl Backends {
    /// All figures. No backend comes or goes meanwhile.
    #[must_use]
    pub fn observe(&self, now: Instant) -> Observed {
        let (backends, mut snapshot) = (self.now(now), self.metrics.snapshot());
        let registry = self.membership.registry();
        for BackendNow { id, .. } in &backends {
            // One that no worker has met may have been ejected all the same.
            snapshot.backends.entry(*id).or_insert_with(|| BackendSnapshot {
                ejections: registry.ejections(*id),
                ..BackendSnapshot::default()
            });
        }
        let (unresolved, names) = (self.unresolved_now(now), self.names_now());
        let (scores, queue) = (self.membership.scores(now), self.queue_now());
        Observed { backends, unresolved, names, scores, queue, snapshot }
    }

    /// How many requests wait, and how many may.
    #[must_use]
    pub fn queue_now(&self) -> Occupancy {
        Occupancy { now: self.queue.len(), most: self.settings.limits.queue }
    }
}
