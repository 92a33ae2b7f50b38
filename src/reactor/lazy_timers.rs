//! One [`LazyTimer`] per place of a table, outliving what lives there.
//!
//! A connection that ends leaves its entries in the timer heap, for nothing is ever taken back.
//! Were each new connection to queue its own, a proxy that serves 20,000 short connections a
//! second would hold a million entries for the dead. So the place keeps the timer: an entry queued
//! for one occupant rings for the next, who looks at its own deadline, and the heap grows with the
//! places in use and not with the connections made.

use std::time::Instant;

use super::{Key, LazyTimer, Timers};

/// The timers of a [`Slots`](super::Slots) table.
#[derive(Debug, Default)]
pub struct LazyTimers {
    places: Vec<LazyTimer>,
}

impl LazyTimers {
    /// Makes sure that the place of `key` is woken no later than `deadline`; `None` asks for
    /// nothing.
    pub fn set(&mut self, deadline: Option<Instant>, key: Key, timers: &mut Timers) {
        let place = key.index() as usize;
        if place >= self.places.len() {
            self.places.resize_with(place + 1, LazyTimer::default);
        }
        self.places[place].set(deadline, key, timers);
    }

    /// Whether the entry that expired at `at` is the one that the place of `key` waits for; see
    /// [`LazyTimer::fired`]. Who lives there now is told by
    /// [`Slots::occupant`](super::Slots::occupant).
    pub fn fired(&mut self, key: Key, at: Instant) -> bool {
        self.places.get_mut(key.index() as usize).is_some_and(|lazy_timer| lazy_timer.fired(at))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::super::Slots;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_million_short_lives_in_one_place_leave_two_entries() {
        let start = Instant::now();
        let (mut slots, mut lazy_timers, mut timers) =
            (Slots::new(1), LazyTimers::default(), Timers::default());
        for life in 0..1_000_000 {
            let now = start + Duration::from_micros(life);
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
