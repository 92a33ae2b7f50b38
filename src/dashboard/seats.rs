//! A limit on how many threads do the same at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A number of seats; each is free again when it is dropped.
#[derive(Clone, Debug)]
pub(super) struct Seats(Arc<AtomicUsize>);

/// The right to be one of them.
#[derive(Debug)]
#[must_use]
pub(super) struct Seat(Arc<AtomicUsize>);

impl Seats {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(count)))
    }

    /// Takes a seat if one is free.
    pub(super) fn take(&self) -> Option<Seat> {
        let taken = self.0.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(1));
        taken.ok().map(|_| Seat(Arc::clone(&self.0)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_seats_as_were_made_and_a_dropped_one_is_free_again() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take(), seats.take());
        assert!(first.is_some() && second.is_some() && seats.take().is_none());
        drop(first);
        let third = seats.take();
        assert!(third.is_some() && seats.take().is_none());
    }
}
