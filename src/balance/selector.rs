//! What every policy has in common.

use std::time::{Duration, Instant};

use super::fleet::{Backend, Fleet};
use super::set::{BackendId, Candidates};

/// A theory of which backend is best.
///
/// It holds parameters only. What is known of the backends lives in the [`Fleet`], which all
/// workers share; selecting changes nothing there but the rotation.
pub trait Selector: Send + Sync {
    /// Chooses among `candidates`, all of which take requests; `None` only when there are none.
    fn select(&self, fleet: &Fleet, candidates: Candidates, now: Instant) -> Option<BackendId>;

    /// Learns that `backend` took `latency` to answer, or what a failure counts as.
    fn observe(&self, _backend: &Backend, _latency: Duration, _now: Instant) {}

    /// The latency expected of `backend`; `None` before it was measured, or if the policy measures
    /// nothing.
    fn estimate(&self, _backend: &Backend) -> Option<Duration> {
        None
    }

    /// Whether the policy decides by estimates, so that a backend without one, or with one that is
    /// too old, deserves a probe.
    fn is_adaptive(&self) -> bool {
        false
    }

    /// How many of a backend's last latencies the fleet has to remember for this policy.
    fn samples_remembered(&self) -> usize {
        0
    }
}
