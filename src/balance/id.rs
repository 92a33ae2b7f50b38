//! What a backend is called by everything that is not text.

use std::fmt;

/// The largest number of backends at a time, those included that are draining.
pub const MAX_BACKENDS: usize = 1024;

/// One backend, for as long as anything can refer to it.
///
/// The slot is an index into tables; it is used again when its backend is gone. The generation
/// tells the occupants of a slot apart, so what was kept of an earlier one finds nothing.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct BackendId {
    slot: u16,
    generation: u16,
}

impl BackendId {
    /// The first occupant of a slot.
    pub(super) fn first(slot: u16) -> Self {
        Self { slot, generation: 0 }
    }

    /// The next occupant of the same slot.
    ///
    /// After 65,536 of them an id comes again. What refers to the earlier one would have to have
    /// outlived as many others: leases and rosters are waited for before a slot is used again, and
    /// what else is kept by id (connections, addresses) is dropped with the roster.
    pub(super) fn next(self) -> Self {
        Self { generation: self.generation.wrapping_add(1), ..self }
    }

    /// The index of this backend in a table of [`MAX_BACKENDS`].
    #[must_use]
    pub fn slot(self) -> usize {
        usize::from(self.slot)
    }

    pub(super) fn generation(self) -> u16 {
        self.generation
    }
}

impl fmt::Display for BackendId {
    /// The slot and the generation: `3.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// The backends that a request has already tried in vain: as many as it had attempts, so few.
#[derive(Clone, Debug, Default)]
pub struct Tried(Vec<BackendId>);

impl Tried {
    /// Forgets all; the allocation stays.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a backend; adding it twice changes nothing.
    pub fn insert(&mut self, id: BackendId) {
        if !self.contains(id) {
            self.0.push(id);
        }
    }

    /// Whether the backend was tried.
    #[must_use]
    pub fn contains(&self, id: BackendId) -> bool {
        self.0.contains(&id)
    }

    /// Whether none was tried yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_there_once_until_it_is_cleared() {
        let [first, second] = [3, 1023].map(BackendId::first);
        let mut tried = Tried::default();
        assert!(tried.is_empty());
        for id in [first, second, first] {
            tried.insert(id);
        }
        assert!(tried.contains(first) && tried.contains(second));
        assert_eq!(tried.0.len(), 2);
        assert!(!tried.contains(first.next()), "another backend in the same slot");
        tried.clear();
        assert!(tried.is_empty() && !tried.contains(first));
    }

    #[test]
    fn the_occupants_of_a_slot_differ_until_the_generations_begin_anew() {
        let first = BackendId::first(7);
        let mut id = first;
        for _ in 0..u16::MAX {
            let next = id.next();
            assert!(next.slot() == 7 && next != id && next != first);
            id = next;
        }
        assert_eq!(id.next(), first);
    }
}
