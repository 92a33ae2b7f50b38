//! Idle upstream connections, per backend, last in first out.
//!
//! The one used last is the one least likely to have been closed meanwhile, and taking it lets the
//! others idle out when load falls.

use crate::reactor::{Key, Lists};

/// Keys of idle connections. A key leaves the pool before its connection is closed.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Lists,
    backends: usize,
    limit: usize,
}

impl Pool {
    /// For this many backends, and at most `limit` connections of each.
    pub(super) fn new(backends: usize, limit: usize) -> Self {
        Self { idle: Lists::new(backends), backends, limit }
    }

    /// Keeps at most `limit` connections of each backend from now on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The connection that was put back last.
    pub(super) fn take(&mut self, backend: usize) -> Option<Key> {
        self.idle.pop_last(backend)
    }

    /// Keeps a connection; false when there are enough.
    pub(super) fn put(&mut self, backend: usize, key: Key) -> bool {
        let room = self.idle.len(backend) < self.limit;
        if room {
            self.idle.push(backend, key);
        }
        room
    }

    /// Forgets a connection that is about to be closed.
    pub(super) fn remove(&mut self, key: Key) {
        self.idle.remove(key);
    }

    /// The connection that is missed least: of the backend that has most, the one idle longest.
    pub(super) fn spare(&self) -> Option<Key> {
        let fullest = (0..self.backends).max_by_key(|backend| self.idle.len(*backend))?;
        self.idle.first(fullest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Slots;

    fn keys(count: usize) -> Vec<Key> {
        let mut slots = Slots::new(1);
        (0..count).map(|_| slots.insert_with(|_| ())).collect()
    }

    #[test]
    fn the_connection_used_last_is_taken_first_and_each_backend_has_its_own() {
        let (keys, mut pool) = (keys(5), Pool::new(2, 3));
        for (backend, key) in [(0, 0), (0, 1), (1, 2), (0, 3)] {
            assert!(pool.put(backend, keys[key]));
        }
        assert!(!pool.put(0, keys[4]), "there are enough");
        assert_eq!(pool.spare(), Some(keys[0]));
        pool.remove(keys[1]);
        assert_eq!(
            [0, 0, 0, 1].map(|of| pool.take(of)),
            [3, 0, 9, 2].map(|at| keys.get(at).copied())
        );
        assert_eq!(pool.spare(), None);
    }

    #[test]
    fn half_a_million_connections_that_end_together_are_forgotten_one_by_one() {
        // A pool that is searched for each of them takes hours here.
        let (keys, mut pool) = (keys(500_000), Pool::new(1, usize::MAX));
        for key in &keys {
            assert!(pool.put(0, *key));
        }
        for key in &keys {
            pool.remove(*key);
        }
        assert_eq!(pool.take(0), None);
    }
}
