//! Backends as numbers, and small sets of them that fit into a register.

/// The largest number of backends of one fleet: a set of them is one machine word.
pub const MAX_BACKENDS: usize = 64;

/// One backend of a fleet, by its place in the configuration.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct BackendId(u16);

impl BackendId {
    /// The place in the configuration, counted from 0; an index into [`super::Balancer::backends`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The same place, in the width in which it is stored.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The backends that a request has already tried in vain.
pub type Tried = BackendSet;

/// The backends among which a policy chooses.
pub type Candidates = BackendSet;

/// A set of backends of one fleet; iterating yields them in the order of the configuration.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct BackendSet(u64);

impl BackendSet {
    /// The set without a member.
    pub const EMPTY: Self = Self(0);

    /// The first `count` backends, at most [`MAX_BACKENDS`].
    pub(super) fn first(count: usize) -> Self {
        debug_assert!(count <= MAX_BACKENDS);
        Self((0..count).fold(0, |bits, index| bits | 1 << index))
    }

    /// The set of one backend.
    #[must_use]
    pub fn only(id: BackendId) -> Self {
        Self(1 << id.0)
    }

    /// Adds a backend; adding it twice changes nothing.
    pub fn insert(&mut self, id: BackendId) {
        self.0 |= Self::only(id).0;
    }

    /// Whether the backend is a member.
    #[must_use]
    pub fn contains(self, id: BackendId) -> bool {
        self.0 & Self::only(id).0 != 0
    }

    /// The members that `others` does not hold.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// The number of members.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl IntoIterator for BackendSet {
    type Item = BackendId;
    type IntoIter = Members;

    fn into_iter(self) -> Members {
        Members(self.0)
    }
}

/// Iterates over a [`BackendSet`] in the order of the configuration.
#[derive(Clone, Debug)]
pub struct Members(u64);

impl Iterator for Members {
    type Item = BackendId;

    fn next(&mut self) -> Option<BackendId> {
        let lowest = u16::try_from(self.0.trailing_zeros()).ok()?;
        // Clears the lowest bit; of an empty set there is none to take.
        self.0 &= self.0.checked_sub(1)?;
        Some(BackendId(lowest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(set: BackendSet) -> Vec<usize> {
        set.into_iter().map(BackendId::index).collect()
    }

    #[test]
    fn the_smallest_and_the_largest_fleet_fit() {
        assert_eq!(indices(BackendSet::first(0)), Vec::<usize>::new());
        assert_eq!(indices(BackendSet::first(1)), [0]);
        assert_eq!(indices(BackendSet::first(MAX_BACKENDS)), (0..MAX_BACKENDS).collect::<Vec<_>>());
        assert_eq!(BackendSet::first(MAX_BACKENDS).len(), MAX_BACKENDS);
    }

    #[test]
    fn members_are_added_once_and_taken_away() {
        let mut tried = Tried::default();
        assert!(tried.is_empty());
        tried.insert(BackendId(63));
        tried.insert(BackendId(2));
        tried.insert(BackendId(2));
        assert_eq!((tried.len(), indices(tried)), (2, vec![2, 63]));
        assert!(tried.contains(BackendId(63)) && !tried.contains(BackendId(0)));
        assert_eq!(indices(BackendSet::first(4).without(tried)), [0, 1, 3]);
    }
}
