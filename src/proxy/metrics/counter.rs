//! A number that one thread writes and any may read.

use std::sync::atomic::{AtomicU64, Ordering};

/// Relaxed, because each number stands by itself; and without a locked instruction, because one
/// thread alone writes it.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.set(self.get().wrapping_add(amount));
    }

    pub(super) fn subtract(&self, amount: u64) {
        self.set(self.get().wrapping_sub(amount));
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
