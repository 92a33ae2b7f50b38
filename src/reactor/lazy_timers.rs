//! One [`LazyTimer`] per index of a table, which outlives the connections at that index.
//!
//! A connection that ends leaves its entries in the timer heap, because none is ever removed early.
//! If each new connection queued its own, a proxy that serves 20,000 short connections a second
//! would hold a million stale entries. So the timer belongs to the index: an entry that one
//! connection queued fires for the next one at that index, whose own deadline is then looked at.
//! The heap grows with the indices in use and not with the connections made.

use std::time::Instant;

use super::{Key, LazyTimer, Timers};

/// The timers of a [`Slots`](super::Slots) table.
#[derive(Debug, Default)]
pub struct LazyTimers {
    by_index: Vec<LazyTimer>,
}

impl LazyTimers {
    /// Makes sure that the index of `key` is woken no later than `deadline`; `None` asks for
    /// nothing.
    pub fn set(&mut self, deadline: Option<Instant>, key: Key, timers: &mut Timers) {
        let index = key.index() as usize;
        if index >= self.by_index.len() {
            self.by_index.resize_with(index + 1, LazyTimer::default);
        }
        self.by_index[index].set(deadline, key, timers);
    }

    /// Whether the index of `key` is woken no later than `deadline`.
    #[must_use]
    pub fn covers(&self, deadline: Instant, key: Key) -> bool {
        let lazy_timer = self.by_index.get(key.index() as usize);
        lazy_timer.is_some_and(|lazy_timer| lazy_timer.covers(deadline))
    }

    /// Whether the entry that expired at `at` is the one that the index of `key` waits for; see
    /// [`LazyTimer::fired`]. [`Slots::occupant`](super::Slots::occupant) gives the key that has
    /// this index now.
    pub fn fired(&mut self, key: Key, at: Instant) -> bool {
        self.by_index.get_mut(key.index() as usize).is_some_and(|lazy_timer| lazy_timer.fired(at))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::super::Slots;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_million_short_connections_at_one_index_leave_two_entries() {
        let start = Instant::now();
        let (mut slots, mut lazy_timers, mut timers) =
            (Slots::new(1), LazyTimers::default(), Timers::default());
        for connection in 0..1_000_000 {
            let now = start + Duration::from_micros(connection);
            let key = slots.insert_with(|_| ());
            lazy_timers.set(Some(now + Duration::from_secs(75)), key, &mut timers);
            lazy_timers.set(Some(now + Duration::from_secs(10)), key, &mut timers);
            slots.remove(key);
        }
        assert_eq!(timers.len(), 2);
    }

    #[test]
    fn an_entry_of_a_former_occupant_wakes_the_present_one_in_time() {
        let start = Instant::now();
        let (mut slots, mut lazy_timers, mut timers) =
            (Slots::new(1), LazyTimers::default(), Timers::default());
        let first = slots.insert_with(|_| ());
        lazy_timers.set(Some(start + Duration::from_secs(10)), first, &mut timers);
        slots.remove(first);
        let second = slots.insert_with(|_| ());
        let deadline = start + Duration::from_secs(12);
        lazy_timers.set(Some(deadline), second, &mut timers);
        let (at, key) = timers.pop_due(start + Duration::from_secs(11)).expect("the old entry");
        assert!(lazy_timers.fired(key, at));
        assert_eq!(slots.occupant(key), Some(second));
        lazy_timers.set(Some(deadline), second, &mut timers);
        assert_eq!(timers.next(), Some(deadline));
    }
}
