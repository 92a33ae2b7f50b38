//! What all workers know of one backend.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::id::BackendId;
use super::outage::Outage;
use super::probe::Probing;
use super::sync::AtomicU32;

/// How far a backend has come from its addition to its removal.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Stage {
    /// It gets requests.
    Active,
    /// It finishes what it has. A roster without it is on its way to the workers; those that hold
    /// it choose this backend no more.
    Draining,
    /// Nothing refers to it any more: its slot is free, or another backend's.
    Gone,
}

/// The words of one slot, each meaningful by itself.
#[derive(Debug)]
pub(super) struct Slot {
    /// The occupant's generation and its stage. Only the membership writes it.
    occupant: AtomicU32,
    /// Leases held.
    in_flight: AtomicU32,
    /// The attempt under way, if there is one, that was sent to learn of this backend.
    pub(super) probing: Probing,
    pub(super) outage: Outage,
}

const STAGE_BITS: u32 = 2;
const ACTIVE: u32 = 0;
const DRAINING: u32 = 1;
const GONE: u32 = 2;

fn occupant(id: BackendId, stage: u32) -> u32 {
    u32::from(id.generation()) << STAGE_BITS | stage
}

impl Slot {
    pub(super) fn vacant() -> Self {
        Self {
            occupant: AtomicU32::new(GONE),
            in_flight: AtomicU32::new(0),
            probing: Probing::default(),
            outage: Outage::default(),
        }
    }

    /// Begins anew with this backend. Nothing may refer to the slot.
    pub(super) fn occupy(&self, id: BackendId) {
        self.probing.forget();
        self.outage.forget();
        self.occupant.store(occupant(id, ACTIVE), Relaxed);
    }

    pub(super) fn drain(&self, id: BackendId) {
        self.occupant.store(occupant(id, DRAINING), Relaxed);
    }

    pub(super) fn vacate(&self, id: BackendId) {
        self.occupant.store(occupant(id, GONE), Relaxed);
    }

    pub(super) fn stage(&self, id: BackendId) -> Stage {
        let word = self.occupant.load(Relaxed);
        if word == occupant(id, ACTIVE) {
            Stage::Active
        } else if word == occupant(id, DRAINING) {
            Stage::Draining
        } else {
            Stage::Gone
        }
    }

    /// Leases held. Who reads none has seen all that was done under those that were.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Acquire)
    }

    /// A lease is given out: the number of leases with it.
    pub(super) fn begin(&self) -> u32 {
        self.in_flight.fetch_add(1, Relaxed) + 1
    }

    /// A lease is given back. Nothing of this slot is touched under it any more.
    pub(super) fn end(&self) {
        let before = self.in_flight.fetch_sub(1, Release);
        debug_assert!(before > 0, "more leases were given back than given out");
    }
}
