//! What all workers know of one backend.

use std::sync::atomic::Ordering::Relaxed;

use super::availability::Standing;
use super::clock::Nanos;
use super::id::BackendId;
use super::load::LoadNow;
use super::probe::Probing;
use super::sync::{AtomicU32, AtomicU64};

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
    /// The leases held.
    pub(super) load: LoadNow,
    /// When the youngest request that was answered had been sent.
    youngest_answered: AtomicU64,
    /// The attempt under way, if there is one, that was sent to learn of this backend.
    pub(super) probing: Probing,
    pub(super) standing: Standing,
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
            load: LoadNow::default(),
            youngest_answered: AtomicU64::new(0),
            probing: Probing::default(),
            standing: Standing::default(),
        }
    }

    /// Begins anew with this backend. Nothing may refer to the slot.
    pub(super) fn occupy(&self, id: BackendId, now: Nanos) {
        self.probing.forget();
        self.standing.begin(now);
        self.youngest_answered.store(0, Relaxed);
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

    /// Whether no backend has had the slot since this one.
    pub(super) fn is_last(&self, id: BackendId) -> bool {
        self.occupant.load(Relaxed) >> STAGE_BITS == u32::from(id.generation())
    }

    /// A request sent at `started` was answered. A worker that overwrites a later instant with an
    /// earlier one delays parking until the next answer, and does no other harm.
    pub(super) fn answered(&self, started: Nanos) {
        if started > self.youngest_answered.load(Relaxed) {
            self.youngest_answered.store(started, Relaxed);
        }
    }

    /// Whether a request was answered that had been sent after `started`.
    pub(super) fn has_overtaken(&self, started: Nanos) -> bool {
        self.youngest_answered.load(Relaxed) > started
    }
}
