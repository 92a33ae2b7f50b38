//! How a backend divides itself among its requests: by slots and a queue, or by cores.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::table::Key;
use super::time::Time;
use crate::scenario::Group;

/// The requests that are worked on, and those that queue.
#[derive(Debug)]
pub(super) enum Work {
    Slots(Slots),
    Cores(Cores),
}

/// Requests that are worked on one per slot; the others queue, the first one first.
#[derive(Debug)]
pub(super) struct Slots {
    free: usize,
    queue: VecDeque<Key>,
}

impl Slots {
    fn new(slots: usize) -> Self {
        Self { free: slots, queue: VecDeque::new() }
    }

    /// A request comes; whether it has a slot. If not, it queues.
    pub(super) fn enter(&mut self, key: Key) -> bool {
        if self.free == 0 {
            self.queue.push_back(key);
            return false;
        }
        self.free -= 1;
        true
    }

    /// A slot becomes free, for the next in the queue if there is one.
    pub(super) fn leave(&mut self) -> Option<Key> {
        let next = self.queue.pop_front();
        if next.is_none() {
            self.free += 1;
        }
        next
    }
}

/// Requests that share cores equally, none having more than one.
///
/// In virtual time each gets a core of its own, so a request ends when that has gone on by its
/// work, whoever comes and goes.
#[derive(Debug)]
pub(super) struct Cores {
    count: f64,
    /// The virtual time, in nanoseconds, and what the watch showed then.
    virtual_now: f64,
    read: Time,
    /// By the virtual time of their end, which is never negative, so that its bits are in order.
    jobs: BinaryHeap<Reverse<(u64, Key)>>,
    /// Grows with each change, which makes what was foreseen wrong.
    pub(super) version: u64,
}

impl Cores {
    fn new(cores: usize) -> Self {
        Self { count: cores as f64, virtual_now: 0.0, read: 0, jobs: BinaryHeap::new(), version: 0 }
    }

    /// How fast virtual time goes.
    fn rate(&self) -> f64 {
        (self.count / self.jobs.len().max(1) as f64).min(1.0)
    }

    fn advance(&mut self, read: Time) {
        self.virtual_now += (read - self.read) as f64 * self.rate();
        self.read = read;
        self.version += 1;
    }

    pub(super) fn enter(&mut self, key: Key, work: f64, read: Time) {
        self.advance(read);
        self.jobs.push(Reverse(((self.virtual_now + work).to_bits(), key)));
    }

    /// The request that ends first, ends.
    pub(super) fn leave(&mut self, read: Time) -> Option<Key> {
        self.advance(read);
        let Reverse((end, key)) = self.jobs.pop()?;
        // Rounding to whole nanoseconds must not make it younger than what has ended.
        self.virtual_now = self.virtual_now.max(f64::from_bits(end));
        Some(key)
    }

    /// What the watch will show when the next one ends.
    pub(super) fn next_end(&self) -> Option<Time> {
        let Reverse((end, _)) = self.jobs.peek()?;
        let left = (f64::from_bits(*end) - self.virtual_now).max(0.0) / self.rate();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        Some(self.read + left.ceil() as Time)
    }

    fn clear(&mut self) {
        self.jobs.clear();
        self.version += 1;
    }
}

impl Work {
    pub(super) fn new(group: &Group) -> Self {
        match group.cores {
            Some(cores) => Self::Cores(Cores::new(cores)),
            None => Self::Slots(Slots::new(group.slots.unwrap_or(usize::MAX))),
        }
    }

    /// All that it has is lost. Those in slots are to be taken out by their owner.
    pub(super) fn reset(&mut self, group: &Group) {
        match self {
            Self::Slots(slots) => *slots = Slots::new(group.slots.unwrap_or(usize::MAX)),
            Self::Cores(cores) => cores.clear(),
        }
    }
}
