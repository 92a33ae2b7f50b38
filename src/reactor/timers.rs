//! When to wake which key.
//!
//! A binary heap, ordered by instant. One queue per distinct timeout looks cheaper, but a deadline
//! that moved is put back lazily, only once its old entry has come up, and then it belongs in the
//! middle of such a queue rather than at its end; a heap has no such problem, and with a
//! [`LazyTimer`](super::LazyTimer) per connection it is touched far more rarely than once per
//! request.
//!
//! No entry is ever removed early: one whose key has gone stale expires and finds nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::Key;

/// The pending wake-ups of one event loop.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Key)>>,
}

impl Timers {
    /// Has `key` woken once, at `at` or up to a millisecond and a turn's work later.
    pub fn wake_at(&mut self, key: Key, at: Instant) {
        self.heap.push(Reverse((at, key)));
    }

    /// The instant of the next wake-up.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the earliest wake-up that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Key)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// How many wake-ups are pending, those of stale keys included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_due_comes_out_in_order_and_nothing_else() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        for ms in [30, 10, 20, 10] {
            timers.wake_at(Key::fixed(1, ms), after(u64::from(ms)));
        }
        assert_eq!(timers.next(), Some(after(10)));
        assert_eq!(timers.pop_due(after(9)), None);
        assert_eq!(timers.pop_due(after(10)), Some((after(10), Key::fixed(1, 10))));
        assert_eq!(timers.pop_due(after(25)), Some((after(10), Key::fixed(1, 10))));
        assert_eq!(timers.pop_due(after(25)), Some((after(20), Key::fixed(1, 20))));
        assert_eq!(timers.pop_due(after(25)), None);
        assert_eq!(timers.len(), 1);
    }
}
