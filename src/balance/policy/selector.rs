//! What every policy has in common.

use std::fmt::Debug;

use crate::balance::clock::Nanos;
use crate::balance::id::BackendId;
use crate::balance::lease::Reason;
use crate::balance::registry::Registry;

/// Decides which backend is best, by what it has learnt of each.
///
/// All workers share it, so it learns through atomics. It keeps a table of its own of the backends,
/// by slot; a new policy is a new value that knows nothing yet.
pub(in crate::balance) trait Selector: Debug + Send + Sync {
    /// Chooses among `candidates`, all of which take requests; `None` only when there are none.
    ///
    /// The list is scratch, in the order of the roster. What is known of a candidate whatever the
    /// policy, as how many requests it has in flight, the registry tells.
    fn select(
        &self,
        candidates: &mut [BackendId],
        registry: &Registry,
        now: Nanos,
    ) -> Option<(BackendId, Reason)>;

    /// Learns that `backend` took so long to answer, or what a failure counts as.
    fn observe(&self, _backend: BackendId, _sample: Nanos, _now: Nanos) {}

    /// The latency expected of `backend`; `None` before it was measured, or if the policy measures
    /// nothing.
    fn estimate(&self, _backend: BackendId) -> Option<Nanos> {
        None
    }

    /// Why `backend` deserves a probe, if it does: it has no estimate, or had no sample for
    /// `limit`. Asked only of a policy that decides by estimates.
    fn lacks_sample(&self, _backend: BackendId, _limit: Nanos, _now: Nanos) -> Option<Reason> {
        None
    }

    /// Another backend has this slot from now on. No thread uses the slot meanwhile.
    fn forget(&self, _backend: BackendId) {}

    /// Whether the policy decides by estimates.
    fn is_adaptive(&self) -> bool {
        false
    }
}
