//! What a running proxy counts: requests and what became of them, bytes, connections, latencies.
//!
//! Each worker has a block of counters that it alone writes; any thread may sum them up while it
//! runs, see [`Metrics::snapshot`]. So counting costs a worker a few loads and stores into memory
//! that no other thread writes. A request counts when its row is made, and for the backend of its
//! last attempt; what is in flight now is known to the registry. Active checks are counted by
//! themselves, by the thread that makes them, and are no requests.
//!
//! The counters of a backend are found by its [`BackendId`]. They begin at zero, whatever was
//! counted of another backend that had the same slot before; when it is gone they end and remain in
//! the totals. If another backend of the same name is there, they go on as that one's: who watches
//! knows backends by their names, and a counter must not go back.
//!
//! [`exposition`] makes of all this the text that Prometheus reads.

mod counter;
pub mod exposition;
mod faults;
mod latency;
mod steps;
#[cfg(test)]
mod tests;
mod traffic;
mod worker;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;

pub use faults::{FAULT_LABELS_MAX, Faults};
pub use latency::Latencies;
pub use steps::{STEPS, Steps, end_of};
pub use traffic::{AnswerClass, Traffic};
pub use worker::WorkerMetrics;

use crate::balance::{BackendId, Ejections, Reason, Registry, Stage};
use counter::Counter;
use faults::{FaultCounters, merge_faults};
use latency::LatencyCounters;
use steps::StepCounters;
use traffic::TrafficCounters;

/// All counters of a proxy, to be read.
#[derive(Debug)]
pub struct Metrics {
    /// Each is alone on its cache lines, as are the counters of each backend, so that workers do
    /// not slow each other.
    workers: Box<[Arc<CachePadded<Block>>]>,
    /// As if the thread that makes checks was a worker.
    checks: Arc<CachePadded<Block>>,
    registry: Arc<Registry>,
    /// Locked while they change, and while all is summed up.
    ended: Mutex<Ended>,
}

/// What was counted of backends that are gone.
#[derive(Debug, Default)]
struct Ended {
    /// By the backend that has the name now.
    by_heir: HashMap<BackendId, BackendSnapshot>,
    others: BackendSnapshot,
}

impl Ended {
    fn of(&mut self, heir: Option<BackendId>) -> &mut BackendSnapshot {
        match heir {
            Some(heir) => self.by_heir.entry(heir).or_default(),
            None => &mut self.others,
        }
    }
}

/// What one worker counts.
#[derive(Debug, Default)]
struct Block {
    accepted: Counter,
    clients: Counter,
    outstanding: Counter,
    turns: Counter,
    /// Whether its worker runs no more.
    ended: AtomicBool,
    timer_lag: StepCounters,
    queue_waits: StepCounters,
    /// Requests that were sent to no backend.
    unrouted: TrafficCounters,
    /// Locked by its worker for each backend once, and to read.
    backends: Mutex<Backends>,
}

#[derive(Debug, Default)]
struct Backends {
    present: HashMap<BackendId, Arc<CachePadded<BackendCounters>>>,
    /// Of those that are gone, while the worker can still count: the row of a request comes after
    /// its lease, as late as its client likes.
    leaving: Vec<Leaving>,
}

#[derive(Debug)]
struct Leaving {
    counters: Arc<CachePadded<BackendCounters>>,
    /// The backend that has the name now, if there is one.
    heir: Option<BackendId>,
}

/// A backend that is gone, and the one that has its name now, if there is one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone {
    /// The backend.
    pub id: BackendId,
    /// The other one.
    pub heir: Option<BackendId>,
}

/// What one worker counts of one backend.
#[derive(Debug, Default)]
struct BackendCounters {
    traffic: TrafficCounters,
    failed_attempts: FaultCounters,
    checks: Counter,
    failed_checks: FaultCounters,
    unmade_checks: Counter,
    hedges: Counter,
    hedges_won: Counter,
    opened: Counter,
    open: Counter,
    connects: StepCounters,
    choices: [Counter; Reason::ALL.len()],
    latencies: LatencyCounters,
}

/// What was counted up to some moment, summed over workers. Each number is exact by itself; two of
/// them may be of moments a little apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// Client connections ever accepted.
    pub accepted: u64,
    /// Client connections open now.
    pub clients: u64,
    /// Those of them that have a request in progress.
    pub outstanding: u64,
    /// How long requests that ended had waited because all backends were at their limits; those
    /// that had not are left out.
    pub queue_waits: Steps,
    /// All requests, and the connections to all backends.
    pub total: BackendSnapshot,
    /// The same of each backend.
    pub backends: HashMap<BackendId, BackendSnapshot>,
    /// The event loops, by their numbers.
    pub workers: Vec<WorkerSnapshot>,
}

/// What one worker counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WorkerSnapshot {
    /// Its client connections that are open now.
    pub clients: u64,
    /// Turns of its event loop.
    pub turns: u64,
    /// How much later than they were due timers were noticed.
    pub timer_lag: Steps,
}

/// How far the event loop of a worker has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turns {
    /// So many turns.
    So(u64),
    /// It runs no more.
    Ended,
}

/// What was counted of one backend, or of all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BackendSnapshot {
    /// The requests whose last attempt was sent to it.
    pub traffic: Traffic,
    /// Attempts at it that failed while their request went on with another attempt, by what went
    /// wrong. They are not among the faults of requests.
    pub failed_attempts: Faults,
    /// How long those requests took from dispatch to the backend's last byte, as `latency_ms` in
    /// the log; tunnels are left out.
    pub latencies: Latencies,
    /// Second attempts that were sent to it while the first one was silent.
    pub hedges: u64,
    /// Those of them that answered first.
    pub hedges_won: u64,
    /// Active checks of it that came to a result.
    pub checks: u64,
    /// Those of them that failed, by what went wrong: `status`, or the label of a fault.
    pub failed_checks: Faults,
    /// Active checks that the proxy could not make, because it had no descriptor, port or memory.
    pub unmade_checks: u64,
    /// Connections ever opened to it for requests, or tried to be.
    pub opened: u64,
    /// Connections to it that are open now, or being opened.
    pub open: u64,
    /// How long it took to open those that came about.
    pub connects: Steps,
    /// Choices that fell on it, by [`Reason`].
    pub choices: [u64; Reason::ALL.len()],
    /// How often it was taken out.
    pub ejections: Ejections,
    /// Attempts in flight at it, each of which has one of those connections.
    pub outstanding: u64,
}

impl BackendSnapshot {
    /// Connections that serve no request: in the pool, kept for the client they are bound to, or
    /// read until the answer to an attempt ends that was cancelled.
    #[must_use]
    pub fn idle(&self) -> u64 {
        self.open.saturating_sub(self.outstanding)
    }

    fn add(&mut self, counters: &BackendCounters) {
        self.traffic.add(&counters.traffic);
        counters.failed_attempts.sum_into(&mut self.failed_attempts);
        self.hedges += counters.hedges.get();
        self.hedges_won += counters.hedges_won.get();
        self.latencies.add(&counters.latencies);
        self.checks += counters.checks.get();
        counters.failed_checks.sum_into(&mut self.failed_checks);
        self.unmade_checks += counters.unmade_checks.get();
        self.opened += counters.opened.get();
        self.open += counters.open.get();
        self.connects.add(&counters.connects);
        for (sum, counter) in self.choices.iter_mut().zip(&counters.choices) {
            *sum += counter.get();
        }
    }

    /// Adds those of another backend.
    pub fn merge(&mut self, other: &Self) {
        self.traffic.merge(&other.traffic);
        merge_faults(&mut self.failed_attempts, &other.failed_attempts);
        self.hedges += other.hedges;
        self.hedges_won += other.hedges_won;
        self.latencies.merge(&other.latencies);
        self.checks += other.checks;
        merge_faults(&mut self.failed_checks, &other.failed_checks);
        self.unmade_checks += other.unmade_checks;
        self.opened += other.opened;
        self.open += other.open;
        self.connects.merge(&other.connects);
        for (sum, count) in self.choices.iter_mut().zip(other.choices) {
            *sum += count;
        }
        self.ejections.merge(other.ejections);
        self.outstanding += other.outstanding;
    }
}

impl Metrics {
    /// Counters for so many workers that share this registry, all zero.
    #[must_use]
    pub fn new(workers: usize, registry: Arc<Registry>) -> Self {
        let workers = (0..workers).map(|_| Arc::default()).collect();
        Self { workers, checks: Arc::default(), registry, ended: Mutex::default() }
    }

    /// The end that a worker writes with. All that are asked for of one worker have to stay in one
    /// thread.
    #[must_use]
    pub fn worker(&self, index: usize) -> WorkerMetrics {
        WorkerMetrics::new(Arc::clone(&self.workers[index]), Arc::clone(&self.registry))
    }

    /// The end that the thread of the active checks writes with, of which there is one at a time.
    #[must_use]
    pub fn checks(&self) -> WorkerMetrics {
        WorkerMetrics::new(Arc::clone(&self.checks), Arc::clone(&self.registry))
    }

    fn blocks(&self) -> impl Iterator<Item = &Arc<CachePadded<Block>>> {
        self.workers.iter().chain([&self.checks])
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of backends that are gone, the counts remain in the totals, and go on as those of their
    /// heirs. All are to be named that are gone since the last time, before their slots are used
    /// again.
    pub fn retire(&self, gone: &[Gone]) {
        let heir_of = |id| gone.iter().find(|one| one.id == id).and_then(|one| one.heir);
        let mut ended = self.ended();
        for Gone { id, heir } in gone {
            let inherited = ended.by_heir.remove(id).unwrap_or_default();
            let all = ended.of(*heir);
            all.merge(&inherited);
            all.ejections.merge(self.registry.ejections(*id));
        }
        for block in self.blocks() {
            let Backends { present, leaving } = &mut *block.backends();
            for Leaving { heir, .. } in &mut *leaving {
                if heir.is_some_and(|heir| gone.iter().any(|one| one.id == heir)) {
                    *heir = heir.and_then(heir_of);
                }
            }
            let gone = present.extract_if(|id, _| self.registry.stage(*id) == Stage::Gone);
            leaving.extend(gone.map(|(id, counters)| Leaving { counters, heir: heir_of(id) }));
            let is_over = |leaving: &mut Leaving| Arc::get_mut(&mut leaving.counters).is_some();
            for Leaving { counters, heir } in leaving.extract_if(.., is_over) {
                ended.of(heir).add(&counters);
            }
        }
    }

    /// How far the event loops of the workers have come, by their numbers.
    #[must_use]
    pub fn turns(&self) -> Vec<Turns> {
        let turns = |block: &Arc<CachePadded<Block>>| {
            let has_ended = block.ended.load(Ordering::Relaxed);
            if has_ended { Turns::Ended } else { Turns::So(block.turns.get()) }
        };
        self.workers.iter().map(turns).collect()
    }

    /// All that was counted up to now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let ended = self.ended();
        let mut all = Snapshot::default();
        all.total.merge(&ended.others);
        all.backends.clone_from(&ended.by_heir);
        for block in self.blocks() {
            all.accepted += block.accepted.get();
            all.clients += block.clients.get();
            all.outstanding += block.outstanding.get();
            all.queue_waits.add(&block.queue_waits);
            all.total.traffic.add(&block.unrouted);
            let backends = block.backends();
            for Leaving { counters, heir } in &backends.leaving {
                match heir {
                    Some(heir) => all.backends.entry(*heir).or_default().add(counters),
                    None => all.total.add(counters),
                }
            }
            for (id, counters) in &backends.present {
                // A row may come after its backend is gone.
                match self.registry.stage(*id) {
                    Stage::Gone => all.total.add(counters),
                    Stage::Active | Stage::Draining => {
                        all.backends.entry(*id).or_default().add(counters);
                    }
                }
            }
        }
        for (id, backend) in &mut all.backends {
            backend.outstanding = self.registry.in_flight(*id).map_or(0, u64::from);
            backend.ejections.merge(self.registry.ejections(*id));
            all.total.merge(backend);
        }
        all.workers = self.workers.iter().map(|block| block.worker()).collect();
        all
    }
}

impl Block {
    /// The counters of a backend, made with the first call.
    fn enter(&self, backend: BackendId) -> Arc<CachePadded<BackendCounters>> {
        Arc::clone(self.backends().present.entry(backend).or_default())
    }

    fn worker(&self) -> WorkerSnapshot {
        let mut timer_lag = Steps::default();
        timer_lag.add(&self.timer_lag);
        WorkerSnapshot { clients: self.clients.get(), turns: self.turns.get(), timer_lag }
    }

    fn backends(&self) -> MutexGuard<'_, Backends> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
