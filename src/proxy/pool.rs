//! Idle upstream connections, per backend, last in first out.
//!
//! The one used last is the one least likely to have been closed meanwhile, and taking it lets the
//! others idle out when load falls. Beside them are those that are not idle yet, because they are
//! read to the end of the answer to a cancelled attempt.

use crate::balance::{BackendId, MAX_BACKENDS};
use crate::reactor::{Key, Lists};

/// The list of connections that are read to the end of an answer, behind the backends' lists.
const ENDING: usize = MAX_BACKENDS;

/// Most of those.
const MOST_ENDING: usize = 256;

/// Keys of idle connections, by the slot of their backend. A key leaves the pool before its
/// connection is closed, and all of a backend's leave it before another one has the slot.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Lists,
    limit: usize,
}

impl Pool {
    /// For at most `limit` connections of each backend.
    pub(super) fn new(limit: usize) -> Self {
        Self { idle: Lists::new(MAX_BACKENDS + 1), limit }
    }

    /// Keeps at most `limit` connections of each backend from now on. It forgets those that are too
    /// many, of each backend the ones idle longest; they are to be closed.
    pub(super) fn set_limit(&mut self, limit: usize) -> Vec<Key> {
        self.limit = limit;
        let mut surplus = Vec::new();
        for slot in 0..MAX_BACKENDS {
            while self.idle.len(slot) > limit {
                surplus.extend(self.idle.pop_first(slot));
            }
        }
        surplus
    }

    /// The connection that was put back last.
    pub(super) fn take(&mut self, backend: BackendId) -> Option<Key> {
        self.idle.pop_last(backend.slot())
    }

    /// Keeps a connection; false when there are enough.
    pub(super) fn put(&mut self, backend: BackendId, key: Key) -> bool {
        let room = self.idle.len(backend.slot()) < self.limit;
        if room {
            self.idle.push(backend.slot(), key);
        }
        room
    }

    /// Keeps a connection aside until it is put here or removed; false when there are enough.
    pub(super) fn await_end(&mut self, key: Key) -> bool {
        let room = self.idle.len(ENDING) < MOST_ENDING;
        if room {
            self.idle.push(ENDING, key);
        }
        room
    }

    /// Forgets a connection that is about to be closed.
    pub(super) fn remove(&mut self, key: Key) {
        self.idle.remove(key);
    }

    /// Whether a connection is here.
    pub(super) fn contains(&self, key: Key) -> bool {
        self.idle.list_of(key).is_some()
    }

    /// The connection that is missed least: one whose last answer is awaited, else of the backend
    /// that has most, the one idle longest.
    pub(super) fn spare(&self) -> Option<Key> {
        let ending = self.idle.first(ENDING);
        if ending.is_some() {
            return ending;
        }
        let fullest = (0..MAX_BACKENDS).max_by_key(|slot| self.idle.len(*slot))?;
        self.idle.first(fullest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::ids;
    use crate::reactor::Slots;

    fn keys(count: usize) -> Vec<Key> {
        let mut slots = Slots::new(1);
        (0..count).map(|_| slots.insert_with(|_| ())).collect()
    }

    #[test]
    fn the_connection_used_last_is_taken_first_and_each_backend_has_its_own() {
        let (keys, ids, mut pool) = (keys(5), ids(2), Pool::new(3));
        for (backend, key) in [(0, 0), (0, 1), (1, 2), (0, 3)] {
            assert!(pool.put(ids[backend], keys[key]));
        }
        assert!(!pool.put(ids[0], keys[4]), "there are enough");
        assert_eq!(pool.spare(), Some(keys[0]));
        pool.remove(keys[1]);
        assert_eq!(
            [0, 0, 0, 1].map(|of| pool.take(ids[of])),
            [3, 0, 9, 2].map(|at| keys.get(at).copied())
        );
        assert_eq!(pool.spare(), None);
    }

    #[test]
    fn a_smaller_limit_leaves_the_connections_used_last() {
        let (keys, ids, mut pool) = (keys(5), ids(2), Pool::new(3));
        for (backend, key) in [(0, 0), (0, 1), (1, 2), (0, 3)] {
            assert!(pool.put(ids[backend], keys[key]));
        }
        assert_eq!(pool.set_limit(1), keys[..2]);
        assert!(!pool.put(ids[1], keys[4]));
        assert_eq!([0, 1, 0].map(|of| pool.take(ids[of])), [Some(keys[3]), Some(keys[2]), None]);
        assert_eq!(pool.set_limit(9), []);
        assert!(pool.put(ids[1], keys[4]));
    }

    #[test]
    fn half_a_million_connections_that_end_together_are_forgotten_one_by_one() {
        // A pool that is searched for each of them takes hours here.
        let (keys, id, mut pool) = (keys(500_000), ids(1)[0], Pool::new(usize::MAX));
        for key in &keys {
            assert!(pool.put(id, *key));
        }
        for key in &keys {
            pool.remove(*key);
        }
        assert_eq!(pool.take(id), None);
    }
}
