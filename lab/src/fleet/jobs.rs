//! The requests that backends have, by key.

use super::time::Time;

/// One request at a backend.
#[derive(Debug)]
pub(super) struct Job<T> {
    /// The client that waits for the answer. `None` if none does any more and only the backend
    /// knows of the request.
    pub(super) owner: Option<T>,
    pub(super) backend: usize,
    /// What it will be answered with.
    pub(super) status: u16,
    pub(super) stage: Stage,
    /// When the backend began to work on it; before that, when it came.
    pub(super) since: Time,
}

/// Where a request is in its backend.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// It queues; its work takes so many nanoseconds at normal speed.
    Queued(f64),
    /// It has a slot, until the backend's watch shows this.
    Served(Time),
    /// It is one of those that share the cores.
    Shared,
    /// It takes no slot.
    Aside,
}

/// The name of a request. It finds nothing once that has ended.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    index: usize,
    generation: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Jobs<T> {
    slots: Vec<(u64, Option<Job<T>>)>,
    free: Vec<usize>,
}

impl<T> Default for Jobs<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Jobs<T> {
    pub(super) fn insert(&mut self, job: Job<T>) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.1 = Some(job);
        Key { index, generation: slot.0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn get(&mut self, key: Key) -> Option<&mut Job<T>> {
        let (generation, job) = &mut self.slots[key.index];
        if *generation == key.generation { job.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Job<T>> {
        let (generation, job) = &mut self.slots[key.index];
        if *generation != key.generation {
            return None;
        }
        *generation += 1;
        self.free.push(key.index);
        job.take()
    }

    /// For whom all of those are that are waited for.
    pub(super) fn into_owners(self) -> impl Iterator<Item = T> {
        self.slots.into_iter().filter_map(|(_, job)| job?.owner)
    }

    /// The keys of those that belong to a backend, in the order of their slots.
    pub(super) fn keys_at(&self, backend: usize) -> Vec<Key> {
        let slots = self.slots.iter().enumerate();
        let is_there = |job: &Option<Job<T>>| job.as_ref().is_some_and(|it| it.backend == backend);
        let occupied = slots.filter(|(_, (_, job))| is_there(job));
        occupied.map(|(index, (generation, _))| Key { index, generation: *generation }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(owner: u8) -> Job<u8> {
        Job { owner: Some(owner), backend: 7, status: 200, stage: Stage::Aside, since: 0 }
    }

    #[test]
    fn a_key_finds_its_request_until_that_ends_and_never_another() {
        let mut jobs = Jobs::default();
        let [first, second] = [0, 1].map(|owner| jobs.insert(job(owner)));
        assert_eq!(jobs.keys_at(7), [first, second]);
        assert_eq!(jobs.remove(first).and_then(|job| job.owner), Some(0));
        let third = jobs.insert(job(2));
        assert!(jobs.get(first).is_none() && jobs.remove(first).is_none());
        assert_eq!(jobs.get(third).and_then(|job| job.owner), Some(2));
        assert_eq!(jobs.keys_at(7), [third, second]);
        assert_eq!((jobs.keys_at(0), jobs.len()), (vec![], 2));
    }
}
