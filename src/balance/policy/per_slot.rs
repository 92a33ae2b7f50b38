//! What a policy knows of each backend.

use std::ops::Index;

use crossbeam_utils::CachePadded;

use crate::balance::id::BackendId;

/// A value for each slot of a registry, apart from each other, so that workers that use different
/// backends do not slow each other down.
#[derive(Debug)]
pub(super) struct PerSlot<T>(Box<[CachePadded<T>]>);

impl<T> PerSlot<T> {
    pub(super) fn new(slots: usize, value: impl Fn() -> T) -> Self {
        Self((0..slots).map(|_| CachePadded::new(value())).collect())
    }
}

impl<T> Index<BackendId> for PerSlot<T> {
    type Output = T;

    fn index(&self, id: BackendId) -> &T {
        &self.0[id.slot()]
    }
}
