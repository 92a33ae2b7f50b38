//! The requests that backends have, by key.

use std::ops::{Deref, DerefMut};

use super::table::{Key, Table};
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

/// See the module.
#[derive(Debug)]
pub(super) struct Jobs<T>(Table<Job<T>>);

impl<T> Default for Jobs<T> {
    fn default() -> Self {
        Self(Table::default())
    }
}

impl<T> Deref for Jobs<T> {
    type Target = Table<Job<T>>;

    fn deref(&self) -> &Table<Job<T>> {
        &self.0
    }
}

impl<T> DerefMut for Jobs<T> {
    fn deref_mut(&mut self) -> &mut Table<Job<T>> {
        &mut self.0
    }
}

impl<T> Jobs<T> {
    /// For whom all of those are that are waited for.
    pub(super) fn into_owners(self) -> impl Iterator<Item = T> {
        self.0.into_values().filter_map(|job| job.owner)
    }

    /// The keys of those that belong to a backend, in the order of their slots.
    pub(super) fn keys_at(&self, backend: usize) -> Vec<Key> {
        self.iter().filter(|(_, job)| job.backend == backend).map(|(key, _)| key).collect()
    }
}
