//! The attempts that are under way, by key.

use tidegate::balance::{Lease, Tried};

use super::time::Time;
use crate::scenario::Request as Drawn;

/// The status of what a backend answers unless it is told otherwise.
pub(super) const OK: u16 = 200;

/// One request of a client.
#[derive(Debug)]
pub(super) struct Request {
    /// When it came.
    pub(super) came: Time,
    /// What it is.
    pub(super) drawn: Drawn,
    pub(super) tried: Tried,
    pub(super) attempts: usize,
}

/// One try of a request at a backend.
#[derive(Debug)]
pub(super) struct Attempt {
    /// `None` if the proxy has given it up and only the backend knows of it.
    pub(super) waiting: Option<(Request, Lease)>,
    pub(super) backend: usize,
    /// When it was sent.
    pub(super) sent: Time,
    /// What it will be answered with.
    pub(super) status: u16,
    pub(super) stage: Stage,
}

/// Where an attempt is in its backend.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// It queues; its work takes so many nanoseconds at normal speed.
    Queued(f64),
    /// It is worked on, until the backend's watch shows this.
    Served(Time),
    /// It takes no slot.
    Aside,
}

/// The name of an attempt. It finds nothing once that attempt has ended.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    index: usize,
    generation: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    slots: Vec<(u64, Option<Attempt>)>,
    free: Vec<usize>,
}

impl Attempts {
    pub(super) fn insert(&mut self, attempt: Attempt) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.1 = Some(attempt);
        Key { index, generation: slot.0 }
    }

    pub(super) fn get(&mut self, key: Key) -> Option<&mut Attempt> {
        let (generation, attempt) = &mut self.slots[key.index];
        if *generation == key.generation { attempt.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Attempt> {
        let (generation, attempt) = &mut self.slots[key.index];
        if *generation != key.generation {
            return None;
        }
        *generation += 1;
        self.free.push(key.index);
        attempt.take()
    }

    /// The keys of all, in the order of their slots.
    pub(super) fn keys(&self) -> Vec<Key> {
        let slots = self.slots.iter().enumerate();
        let occupied = slots.filter(|(_, (_, attempt))| attempt.is_some());
        occupied.map(|(index, (generation, _))| Key { index, generation: *generation }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(backend: usize) -> Attempt {
        Attempt { waiting: None, backend, sent: 0, status: OK, stage: Stage::Aside }
    }

    #[test]
    fn a_key_finds_its_attempt_until_that_ends_and_never_another() {
        let mut attempts = Attempts::default();
        let [first, second] = [0, 1].map(|backend| attempts.insert(attempt(backend)));
        assert_eq!(attempts.keys(), [first, second]);
        assert_eq!(attempts.remove(first).map(|attempt| attempt.backend), Some(0));
        let third = attempts.insert(attempt(2));
        assert!(attempts.get(first).is_none() && attempts.remove(first).is_none());
        assert_eq!(attempts.get(third).map(|attempt| attempt.backend), Some(2));
        assert_eq!(attempts.keys(), [third, second]);
    }
}
