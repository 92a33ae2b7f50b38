//! The module as a specification: time is simulated, and nothing here waits.

mod adaptive;
mod admission;
mod churn;
mod decisions;
mod ejection;
mod hedges;
mod kept;
mod limits;
mod membership;
mod parked;
mod properties;
mod published;
mod reasons;
mod threads;
mod unreachable;
mod watched;
mod weights;
mod workload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::candidate::Candidate;
use super::load::Load;
use super::{
    Availability, BackendId, Balancer, Choice, Ejections, Lease, Member, Membership, Options,
    Outcome, Policy, Reason, Role, Tier, Tried, Verdict,
};

pub(super) const SMA: Policy = Policy::AdaptiveSma { window: 3 };
pub(super) const EWMA: Policy = Policy::AdaptiveEwma { alpha: 0.2 };

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[expect(clippy::disallowed_methods, reason = "simulated time has to begin somewhere")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

/// The options of most tests: round robin, and ejections that are exactly as long as they are said
/// to be.
fn exact() -> Options {
    Options {
        policy: Policy::RoundRobin,
        resample_after: None,
        cooldown_jitter_percent: 0,
        ..Options::default()
    }
}

/// Candidates in slots from 0 that differ in nothing else.
pub(super) fn candidates(count: usize) -> Vec<Candidate> {
    let candidate = |id: BackendId| Candidate {
        id,
        place: id.slot(),
        load: Load::default(),
        weight: 1.0,
        handicap: 1.0,
        score: 0.0,
        lack: None,
    };
    ids(count).into_iter().map(candidate).collect()
}

/// Different backends, in slots from 0.
pub(crate) fn ids(count: usize) -> Vec<BackendId> {
    (0..).map(BackendId::first).take(count).collect()
}

/// Two backends that have one slot after each other.
pub(crate) fn reused() -> [BackendId; 2] {
    let id = BackendId::first(0);
    [id, id.next()]
}

/// What everyone asks for first.
fn acquire_from(balancer: &mut Balancer, now: Instant) -> Lease {
    balancer.acquire(&Tried::default(), now).lease().expect("a backend")
}

/// What a policy went by, or a probe.
fn is_probe(lease: &Lease) -> bool {
    lease.probe.is_some()
}

/// A worker's balancer over a few backends and a clock that moves when told to.
struct Scene {
    membership: Membership,
    balancer: Balancer,
    now: Instant,
}

impl Scene {
    fn of(count: usize, policy: Policy) -> Self {
        Self::with(count, Options { policy, ..exact() })
    }

    fn with(count: usize, options: Options) -> Self {
        let now = epoch();
        let mut membership = Membership::new(options, now).unwrap();
        for n in 1..=count {
            membership.add(&format!("http://localhost:{}", 8080 + n)).unwrap();
        }
        Self { balancer: membership.balancer(), membership, now }
    }

    /// Backends with these roles.
    fn with_roles(options: Options, roles: &[Role]) -> Self {
        let mut scene = Self::with(0, options);
        for (place, role) in roles.iter().enumerate() {
            let name = format!("http://localhost:{}", 8081 + place);
            scene.membership.add_as(&name, *role, scene.now).unwrap();
        }
        scene.balancer.set_roster(scene.membership.roster());
        scene
    }

    /// Three backends that have answered once each, after these times.
    fn measured(policy: Policy, latencies_ms: [u64; 3]) -> Self {
        Self::measured_with(Options { policy, ..exact() }, latencies_ms)
    }

    fn measured_with(options: Options, latencies_ms: [u64; 3]) -> Self {
        let mut scene = Self::with(latencies_ms.len(), options);
        for (slot, latency) in latencies_ms.into_iter().enumerate() {
            let probe = scene.acquire();
            assert_eq!((probe.backend().slot(), is_probe(&probe)), (slot, true));
            scene.answer_after(latency, probe);
        }
        scene
    }

    fn pass(&mut self, millis: u64) {
        self.now += ms(millis);
    }

    /// The time since the epoch.
    fn nanos(&self) -> u64 {
        self.balancer.registry().nanos(self.now)
    }

    fn acquire(&mut self) -> Lease {
        acquire_from(&mut self.balancer, self.now)
    }

    fn acquire_other(&mut self, tried: &Tried) -> Option<Lease> {
        self.balancer.acquire(tried, self.now).lease()
    }

    /// A lease of this backend, which a request gets that has tried all the others.
    fn acquire_only(&mut self, slot: usize) -> Lease {
        let others = self.ids().into_iter().filter(|id| id.slot() != slot);
        let tried = tried(others);
        self.acquire_other(&tried).unwrap()
    }

    fn ids(&self) -> Vec<BackendId> {
        self.balancer.roster().members().iter().map(Member::id).collect()
    }

    fn observe(&mut self, lease: &mut Lease, outcome: Outcome) {
        self.balancer.observe(lease, outcome, self.now);
    }

    /// The attempt comes to this outcome now and is over.
    fn finish(&mut self, mut lease: Lease, outcome: Outcome) {
        self.observe(&mut lease, outcome);
        self.balancer.release(lease);
    }

    /// A request that goes to this backend is refused.
    fn refuse(&mut self, slot: usize) {
        let lease = self.acquire_only(slot);
        self.finish(lease, Outcome::Unreachable);
    }

    fn answer_after(&mut self, millis: u64, lease: Lease) {
        self.pass(millis);
        self.finish(lease, Outcome::Answered);
    }

    /// Where each of the next requests goes if none of them comes to an end.
    fn next(&mut self, requests: usize) -> Vec<usize> {
        let leases: Vec<Lease> = (0..requests).map(|_| self.acquire()).collect();
        let slots = leases.iter().map(|lease| lease.backend().slot()).collect();
        self.release_all(leases);
        slots
    }

    /// The clients of these requests leave.
    fn release_all(&self, leases: Vec<Lease>) {
        for lease in leases {
            self.balancer.release(lease);
        }
    }

    /// What is said of the next request's choice.
    fn explain(&mut self) -> String {
        let lease = self.acquire();
        let line = self.balancer.explain(&lease, self.now);
        self.balancer.release(lease);
        line
    }

    /// Whether every backend's probe can be had, which takes them all.
    fn no_probe_is_stuck(&self) -> bool {
        let probing = |id| &self.balancer.registry().slot(id).probing;
        self.ids().into_iter().all(|id| probing(id).claim(u64::MAX - 1, u64::MAX).is_some())
    }

    fn estimates_ms(&self) -> Vec<Option<u128>> {
        let estimate = |id| self.balancer.estimate(id);
        self.ids().into_iter().map(|id| estimate(id).map(|e| e.as_millis())).collect()
    }

    fn in_flight(&self) -> Vec<u32> {
        let in_flight = |id| self.balancer.registry().in_flight(id);
        self.ids().into_iter().filter_map(in_flight).collect()
    }

    /// Whether a backend gets no requests, or only one to see whether it is back.
    fn is_ejected(&self, id: BackendId) -> bool {
        self.balancer.availability(id, self.now) != Availability::Up
    }
}

fn tried(ids: impl IntoIterator<Item = BackendId>) -> Tried {
    let mut tried = Tried::default();
    ids.into_iter().for_each(|id| tried.insert(id));
    tried
}
