//! The choice that all adaptive policies share: the lowest estimate wins.

use super::id::BackendId;
use super::lease::Reason;
use super::rotation::Rotation;

/// What an estimate in nanoseconds is for a backend without one: it comes last.
pub(super) const UNMEASURED: u64 = u64::MAX;

/// The candidate with the lowest estimate. Those that are equal take turns: while nothing is
/// measured, that is all of them.
pub(super) fn lowest(
    candidates: &mut [BackendId],
    turns: &Rotation,
    estimate_ns: impl Fn(BackendId) -> u64,
) -> Option<(BackendId, Reason)> {
    let mut lowest_ns = u64::MAX;
    // Those with the lowest estimate so far are moved to the front, in their order.
    let mut tied = 0;
    for index in 0..candidates.len() {
        let id = candidates[index];
        let estimate_ns = estimate_ns(id);
        if estimate_ns < lowest_ns {
            (lowest_ns, tied) = (estimate_ns, 0);
        }
        if estimate_ns == lowest_ns {
            candidates[tied] = id;
            tied += 1;
        }
    }
    let reason = if tied > 1 { Reason::Tie } else { Reason::Best };
    candidates.get(turns.take(tied)).map(|id| (*id, reason))
}
