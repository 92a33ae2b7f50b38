//! What every policy has in common.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::id::BackendId;
use super::lease::Reason;
use super::registry::Registry;

/// A theory of which backend is best, with what it has learnt of each.
///
/// All workers share it, so it learns through atomics. It keeps its own table of the backends, by
/// slot; a new policy is a new value that knows nothing yet.
pub trait Selector: Debug + Send + Sync {
    /// Chooses among `candidates`, all of which take requests; `None` only when there are none.
    ///
    /// The list is scratch and in the order of the configuration. What is known of a candidate
    /// whatever the policy, as how many requests it has in flight, the registry tells.
    fn select(
        &self,
        candidates: &mut [BackendId],
        registry: &Registry,
        now: Instant,
    ) -> Option<(BackendId, Reason)>;

    /// Learns that `backend` took `latency` to answer, or what a failure counts as.
    fn observe(&self, _backend: BackendId, _latency: Duration, _now: Instant) {}

    /// The latency expected of `backend`; `None` before it was measured, or if the policy measures
    /// nothing.
    fn estimate(&self, _backend: BackendId) -> Option<Duration> {
        None
    }

    /// Another backend has this slot from now on. Nobody chooses it or learns of it meanwhile.
    fn forget(&self, _backend: BackendId) {}

    /// Whether the policy decides by estimates, so that a backend without one, or with one that is
    /// too old, deserves a probe.
    fn is_adaptive(&self) -> bool {
        false
    }
}
