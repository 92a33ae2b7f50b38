//! Turns that all workers take together.

use std::sync::atomic::Ordering::Relaxed;

use crate::balance::sync::AtomicU64;

/// How often a turn was taken among a number of candidates, by that number.
///
/// A retry has one candidate fewer than a first attempt. If both drew from one counter, the retries
/// of a backend that always fails would take the turns of the one after it.
#[derive(Debug)]
pub(super) struct Rotation(Box<[AtomicU64]>);

impl Rotation {
    /// For at most so many candidates.
    pub(super) fn new(candidates: usize) -> Self {
        Self((0..=candidates).map(|_| AtomicU64::new(0)).collect())
    }

    /// The index of the one of `count` candidates whose turn it is, whichever worker asks.
    pub(super) fn take(&self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        let turn = self.0[count].fetch_add(1, Relaxed) % count as u64;
        usize::try_from(turn).unwrap_or(0)
    }
}
