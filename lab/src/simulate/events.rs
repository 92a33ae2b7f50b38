//! What is to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::attempts::Key;
use super::time::Time;

/// Something that happens at an instant.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Event {
    /// A request comes.
    Arrive,
    /// A phase of this backend's script begins or ends.
    Script(usize),
    /// The speeds of backends drift.
    Drift,
    /// An attempt is answered, if nothing has delayed it.
    Finish(Key),
    /// The next attempt is answered by a backend whose attempts share cores, unless others have
    /// come since this was foreseen.
    Share(usize, u64),
}

/// Events of the same instant happen in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<(Time, u64, Event)>>,
    added: u64,
}

impl Events {
    pub(super) fn add(&mut self, at: Time, event: Event) {
        self.added += 1;
        self.heap.push(Reverse((at, self.added, event)));
    }

    /// When the next one happens.
    pub(super) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn take(&mut self) -> Option<(Time, Event)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_happen_in_the_order_of_time_and_then_of_their_addition() {
        let mut events = Events::default();
        for (at, backend) in [(5, 0), (3, 1), (5, 2), (1, 3), (3, 4)] {
            events.add(at, Event::Script(backend));
        }
        assert_eq!(events.next_at(), Some(1));
        let order: Vec<_> = std::iter::from_fn(|| events.take()).collect();
        let expected = [(1, 3), (3, 1), (3, 4), (5, 0), (5, 2)];
        assert_eq!(order, expected.map(|(at, backend)| (at, Event::Script(backend))));
    }
}
