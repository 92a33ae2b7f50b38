//! The room as a specification: time is simulated, and nothing here waits.

mod decisions;
mod properties;
mod threads;
mod unreachable;
mod workload;

use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::{Backend, BackendSet, Balancer, Lease, Options, Outcome, Policy, Tried};

pub(super) const SMA: Policy = Policy::AdaptiveSma { window: 3 };
pub(super) const EWMA: Policy = Policy::AdaptiveEwma { alpha: 0.2 };

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[expect(clippy::disallowed_methods, reason = "simulated time has to begin somewhere")]
pub(super) fn epoch() -> Instant {
    Instant::now()
}

pub(super) fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("http://localhost:{}", 8080 + n)).collect()
}

/// A fleet to try a policy on without a balancer.
pub(super) fn fleet(count: usize, samples_remembered: usize) -> Fleet {
    Fleet::new(names(count), samples_remembered, epoch())
}

/// A balancer over a few backends and a clock that moves when told to.
struct Scene {
    balancer: Balancer,
    now: Instant,
}

impl Scene {
    fn of(count: usize, policy: Policy) -> Self {
        Self::with(count, Options { policy, ..Options::default() })
    }

    fn with(count: usize, options: Options) -> Self {
        let now = epoch();
        Self { balancer: Balancer::new(names(count), options, now).unwrap(), now }
    }

    /// Three backends that have answered once each, after these times.
    fn measured(policy: Policy, latencies_ms: [u64; 3]) -> Self {
        Self::measured_with(Options { policy, ..Options::default() }, latencies_ms)
    }

    fn measured_with(options: Options, latencies_ms: [u64; 3]) -> Self {
        let mut scene = Self::with(latencies_ms.len(), options);
        for (index, latency) in latencies_ms.into_iter().enumerate() {
            let probe = scene.acquire();
            assert_eq!((probe.backend().index(), probe.is_probe()), (index, true));
            scene.answer_after(latency, probe);
        }
        scene
    }

    fn pass(&mut self, millis: u64) {
        self.now += ms(millis);
    }

    fn acquire(&self) -> Lease {
        self.acquire_other(Tried::EMPTY).unwrap()
    }

    fn acquire_other(&self, tried: Tried) -> Option<Lease> {
        self.balancer.acquire(tried, self.now)
    }

    /// A lease of this backend, which a request gets that has tried all the others.
    fn acquire_only(&self, index: usize) -> Lease {
        let mut others = Tried::EMPTY;
        for id in self.ids().into_iter().filter(|id| id.index() != index) {
            others.insert(id);
        }
        self.acquire_other(others).unwrap()
    }

    fn ids(&self) -> BackendSet {
        BackendSet::first(self.balancer.backends().len())
    }

    fn observe(&self, lease: &mut Lease, outcome: Outcome) {
        self.balancer.observe(lease, outcome, self.now);
    }

    /// The attempt comes to this outcome now and is over.
    fn finish(&self, mut lease: Lease, outcome: Outcome) {
        self.observe(&mut lease, outcome);
        self.balancer.release(lease);
    }

    fn answer_after(&mut self, millis: u64, lease: Lease) {
        self.pass(millis);
        self.finish(lease, Outcome::Answered);
    }

    /// Where each of the next requests goes if none of them comes to an end.
    fn next(&self, requests: usize) -> Vec<usize> {
        let leases: Vec<Lease> = (0..requests).map(|_| self.acquire()).collect();
        let indices = leases.iter().map(|lease| lease.backend().index()).collect();
        self.release_all(leases);
        indices
    }

    /// The clients of these requests leave.
    fn release_all(&self, leases: Vec<Lease>) {
        for lease in leases {
            self.balancer.release(lease);
        }
    }

    /// Whether every backend's probe can be had, which takes them all.
    fn no_probe_is_stuck(&self) -> bool {
        self.balancer
            .backends()
            .iter()
            .all(|backend| backend.probing.claim(u64::MAX - 1, Duration::MAX).is_some())
    }

    fn estimates_ms(&self) -> Vec<Option<u128>> {
        let estimate = |backend| self.balancer.estimate(backend);
        self.balancer.backends().iter().map(|b| estimate(b).map(|e| e.as_millis())).collect()
    }

    fn outstanding(&self) -> Vec<usize> {
        self.balancer.backends().iter().map(Backend::outstanding).collect()
    }
}
