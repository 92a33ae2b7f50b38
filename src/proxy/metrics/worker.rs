//! A worker's end of the counters.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::{AnswerClass, BackendCounters, Block};
use crate::balance::{BackendId, Reason, Registry, Stage};
use crate::journal::Record;
use crate::proxy::exchange::HedgeEvent;

/// Counts for one worker. Nothing here waits or takes a lock, but the first thing that is counted
/// of a backend.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    block: Arc<CachePadded<Block>>,
    registry: Arc<Registry>,
    /// The counters of the backends that were met, by slot.
    known: Vec<Known>,
    /// What stands for none.
    vacant: Known,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// None for a slot of which no backend was met.
    id: Option<BackendId>,
    counters: Arc<CachePadded<BackendCounters>>,
}

impl WorkerMetrics {
    pub(super) fn new(block: Arc<CachePadded<Block>>, registry: Arc<Registry>) -> Self {
        Self { block, registry, known: Vec::new(), vacant: Known::default() }
    }

    /// Counts a request that ended, and whose last attempt was sent to `backend`.
    pub fn record(&mut self, record: &Record<'_>, backend: Option<BackendId>) {
        let class = AnswerClass::of(record.status);
        if let Some(wait) = record.queue {
            self.block.queue_waits.record(wait);
        }
        let Some(backend) = backend else { return self.block.unrouted.record(record, class) };
        let counters = self.of(backend);
        counters.traffic.record(record, class);
        if let Some(latency) = record.latency
            && class != AnswerClass::Informational
        {
            counters.latencies.record(latency);
        }
    }

    /// A choice fell on `backend`.
    pub fn chosen(&mut self, backend: BackendId, reason: Reason) {
        if let Some(counter) = self.of(backend).choices.get(reason as usize) {
            counter.add(1);
        }
    }

    /// An attempt at `backend` failed, and its request went on with another attempt.
    pub fn attempt_failed(&mut self, backend: BackendId, label: &'static str) {
        self.of(backend).failed_attempts.add(label);
    }

    /// An active check of `backend` came to a result: it passed, or failed for this reason.
    pub fn checked(&mut self, backend: BackendId, result: Result<(), &'static str>) {
        let counters = self.of(backend);
        counters.checks.add(1);
        if let Err(label) = result {
            counters.failed_checks.add(label);
        }
    }

    /// An active check of `backend` could not be made.
    pub fn not_checked(&mut self, backend: BackendId) {
        self.of(backend).unmade_checks.add(1);
    }

    /// A second attempt was sent to `backend`, or its answer was the first one.
    #[cold]
    pub fn hedged(&mut self, backend: BackendId, event: HedgeEvent) {
        let counters = self.of(backend);
        let counter = match event {
            HedgeEvent::Sent => &counters.hedges,
            HedgeEvent::Won => &counters.hedges_won,
        };
        counter.add(1);
    }

    /// A client's connection was accepted.
    pub fn accepted(&self) {
        self.block.accepted.add(1);
    }

    /// So many client connections are open, and so many of them have a request in progress.
    pub fn clients(&self, open: usize, outstanding: usize) {
        self.block.clients.set(open as u64);
        self.block.outstanding.set(outstanding as u64);
    }

    /// A turn of the event loop has ended.
    pub fn turned(&self) {
        self.block.turns.add(1);
    }

    /// The event loop has ended.
    pub fn ended(&self) {
        self.block.clients.set(0);
        self.block.outstanding.set(0);
        self.block.ended.store(true, Ordering::Relaxed);
    }

    /// A timer was noticed so much later than it was due.
    pub fn timer_fired(&self, lag: Duration) {
        self.block.timer_lag.record(lag);
    }

    /// A connection to a backend was opened.
    pub fn opened(&mut self, backend: BackendId) {
        let counters = self.of(backend);
        counters.opened.add(1);
        counters.open.add(1);
    }

    /// A connection to a backend came about after so long.
    pub fn connected(&mut self, backend: BackendId, took: Duration) {
        self.of(backend).connects.record(took);
    }

    /// A connection to a backend is no more.
    pub fn closed(&mut self, backend: BackendId) {
        self.of(backend).open.subtract(1);
    }

    /// Lets go of the counters of backends that are gone, so that their memory is free.
    pub fn forget_gone(&mut self) {
        for known in &mut self.known {
            if known.id.is_some_and(|id| self.registry.stage(id) == Stage::Gone) {
                *known = self.vacant.clone();
            }
        }
    }

    fn of(&mut self, id: BackendId) -> &BackendCounters {
        let slot = id.slot();
        if self.known.get(slot).is_none_or(|known| known.id != Some(id)) {
            self.meet(id);
        }
        &self.known[slot].counters
    }

    #[cold]
    fn meet(&mut self, id: BackendId) {
        let slot = id.slot();
        if slot >= self.known.len() {
            self.known.resize(slot + 1, self.vacant.clone());
        }
        self.known[slot] = Known { id: Some(id), counters: self.block.enter(id) };
    }
}
