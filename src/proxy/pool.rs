//! Idle upstream connections, per backend, last in first out.
//!
//! The one used last is the one least likely to have been closed meanwhile, and taking it lets the
//! others idle out when load falls.

use crate::reactor::Key;

/// Keys of idle connections. A key leaves the pool before its connection is closed.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Vec<Vec<Key>>,
    limit: usize,
}

impl Pool {
    /// For this many backends, and at most `limit` connections of each.
    pub(super) fn new(backends: usize, limit: usize) -> Self {
        Self { idle: vec![Vec::new(); backends], limit }
    }

    /// The connection that was put back last.
    pub(super) fn take(&mut self, backend: usize) -> Option<Key> {
        self.idle[backend].pop()
    }

    /// Keeps a connection; false when there are enough.
    pub(super) fn put(&mut self, backend: usize, key: Key) -> bool {
        let idle = &mut self.idle[backend];
        let room = idle.len() < self.limit;
        if room {
            idle.push(key);
        }
        room
    }

    /// Forgets a connection that is about to be closed.
    pub(super) fn remove(&mut self, backend: usize, key: Key) {
        let idle = &mut self.idle[backend];
        if let Some(at) = idle.iter().rposition(|other| *other == key) {
            idle.remove(at);
        }
    }
}
