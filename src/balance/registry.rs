//! The slots of all backends, shared by all workers.

use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::availability::Ejections;
use super::clock::{Epoch, Nanos};
use super::id::BackendId;
use super::slot::{Slot, Stage};
use super::sync::AtomicU32;

/// What is known of each backend whatever the policy: relaxed atomics, because each word stands on
/// its own. A decision made from a view some nanoseconds old is as good as one made those
/// nanoseconds earlier.
#[derive(Debug)]
pub struct Registry {
    slots: Box<[CachePadded<Slot>]>,
    epoch: Epoch,
    /// Whether a worker decides just now whether a backend may be ejected.
    ejecting: AtomicU32,
}

impl Registry {
    pub(super) fn new(slots: usize, epoch: Instant) -> Self {
        let slots = (0..slots).map(|_| CachePadded::new(Slot::vacant())).collect();
        Self { slots, epoch: Epoch(epoch), ejecting: AtomicU32::new(0) }
    }

    /// How far this backend has come.
    #[must_use]
    pub fn stage(&self, id: BackendId) -> Stage {
        self.slot(id).stage(id)
    }

    /// The leases held on this backend, those of parked requests and tunnels included; `None` once
    /// it is gone.
    #[must_use]
    pub fn in_flight(&self, id: BackendId) -> Option<u32> {
        let slot = self.slot(id);
        (slot.stage(id) != Stage::Gone).then(|| slot.load.get().total())
    }

    /// How often this backend was taken out. They remain when it is gone, until another one has its
    /// slot.
    #[must_use]
    pub fn ejections(&self, id: BackendId) -> Ejections {
        let slot = self.slot(id);
        if slot.is_last(id) { slot.standing.ejections() } else { Ejections::default() }
    }

    /// The number of slots.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot of a backend of this registry, which may be another backend's now.
    pub(super) fn slot(&self, id: BackendId) -> &Slot {
        &self.slots[id.slot()]
    }

    /// Does `work` unless another worker does such work at the same moment. So what it finds does
    /// not change meanwhile.
    pub(super) fn one_at_a_time(&self, work: impl FnOnce()) {
        if self.ejecting.swap(1, Acquire) == 0 {
            work();
            self.ejecting.store(0, Release);
        }
    }

    pub(super) fn nanos(&self, now: Instant) -> Nanos {
        self.epoch.nanos(now)
    }

    pub(super) fn instant(&self, at: Nanos) -> Instant {
        self.epoch.instant(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_as_small_as_one_that_shares_no_cache_line_can_be() {
        assert_eq!(size_of::<CachePadded<Slot>>(), size_of::<CachePadded<u8>>());
    }
}
