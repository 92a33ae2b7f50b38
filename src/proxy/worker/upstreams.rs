//! The connections of a worker to backends. Each is counted from the moment it is opened until it
//! leaves the table, so nothing else may put it there or take it out.

use std::io;
use std::ops::Deref;

use super::super::connection::Upstream;
use super::super::metrics::WorkerMetrics;
use crate::reactor::{Key, Slots};

pub(super) struct Upstreams {
    table: Slots<Upstream>,
    metrics: WorkerMetrics,
}

impl Upstreams {
    pub(super) fn new(tag: u8, metrics: WorkerMetrics) -> Self {
        Self { table: Slots::new(tag), metrics }
    }

    /// Puts in what `open` makes for its key.
    pub(super) fn open(
        &mut self,
        open: impl FnOnce(Key) -> io::Result<Upstream>,
    ) -> io::Result<Key> {
        let link = self.table.try_insert_with(open)?;
        if let Some(upstream) = self.table.get(link) {
            self.metrics.opened(upstream.backend);
        }
        Ok(link)
    }

    pub(super) fn get_mut(&mut self, link: Key) -> Option<&mut Upstream> {
        self.table.get_mut(link)
    }

    /// See [`WorkerMetrics::forget_gone`].
    pub(super) fn forget_gone(&mut self) {
        self.metrics.forget_gone();
    }

    /// Takes one out; dropped, it is closed.
    pub(super) fn remove(&mut self, link: Key) -> Option<Upstream> {
        let upstream = self.table.remove(link)?;
        self.metrics.closed(upstream.backend);
        Some(upstream)
    }
}

impl Drop for Upstreams {
    /// What ends with the worker is not open any more.
    fn drop(&mut self) {
        for link in self.table.keys().collect::<Vec<_>>() {
            self.remove(link);
        }
    }
}

impl Deref for Upstreams {
    type Target = Slots<Upstream>;

    fn deref(&self) -> &Slots<Upstream> {
        &self.table
    }
}
