//! The slots of all backends, shared by all workers.

use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::clock::{Epoch, Nanos};
use super::id::BackendId;
use super::slot::{Slot, Stage};

/// What is known of each backend whatever the policy: relaxed atomics, because each word stands on
/// its own. A decision made from a view some nanoseconds old is as good as one made those
/// nanoseconds earlier.
#[derive(Debug)]
pub struct Registry {
    slots: Box<[CachePadded<Slot>]>,
    epoch: Epoch,
}

impl Registry {
    pub(super) fn new(slots: usize, epoch: Instant) -> Self {
        let slots = (0..slots).map(|_| CachePadded::new(Slot::vacant())).collect();
        Self { slots, epoch: Epoch(epoch) }
    }

    /// How far this backend has come.
    #[must_use]
    pub fn stage(&self, id: BackendId) -> Stage {
        self.slot(id).stage(id)
    }

    /// The leases held on this backend; `None` once it is gone.
    #[must_use]
    pub fn in_flight(&self, id: BackendId) -> Option<u32> {
        let slot = self.slot(id);
        (slot.stage(id) != Stage::Gone).then(|| slot.in_flight())
    }

    /// The number of slots.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot of a backend of this registry, which may be another backend's now.
    pub(super) fn slot(&self, id: BackendId) -> &Slot {
        &self.slots[id.slot()]
    }

    pub(super) fn nanos(&self, now: Instant) -> Nanos {
        self.epoch.nanos(now)
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
