//! What is to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::time::Time;

/// Events of the same instant happen in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Events<E> {
    heap: BinaryHeap<Reverse<(Time, u64, E)>>,
    added: u64,
}

impl<E: Ord> Default for Events<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), added: 0 }
    }
}

impl<E: Ord> Events<E> {
    pub(crate) fn push(&mut self, at: Time, event: E) {
        self.added += 1;
        self.heap.push(Reverse((at, self.added, event)));
    }

    /// When the next one happens.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(crate) fn take(&mut self) -> Option<(Time, E)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_happen_in_the_order_of_time_and_then_of_their_addition() {
        let mut events = Events::<u8>::default();
        for (at, event) in [(5, 0), (3, 1), (5, 2), (1, 3), (3, 4)] {
            events.push(at, event);
        }
        assert_eq!(events.next_at(), Some(1));
        let order: Vec<_> = std::iter::from_fn(|| events.take()).collect();
        assert_eq!(order, [(1, 3), (3, 1), (3, 4), (5, 0), (5, 2)]);
    }
}
