//! One simulated proxy: the real balancer, once per worker, in simulated time.
//!
//! All that decides is the proxy's own code: membership, leases, ejection, samples, policy. A
//! baseline only takes the place of the policy's choice.

use fastrand::Rng;
use tidegate::balance::{
    BackendId, Balancer, Choice, Lease, MAX_BACKENDS, Membership, Options, Outcome, RegistryFull,
    Role, Tier, Tried,
};

use super::SimulateError;
use super::baseline::{Baseline, Candidate};
use super::contender::Contender;
use crate::fleet::time::{Epoch, Time};
use crate::scenario::{Group, Proxies};

/// See the module.
pub(super) struct Proxy {
    epoch: Epoch,
    membership: Membership,
    balancers: Vec<Balancer>,
    /// The present id of each backend of the scenario.
    ids: Vec<Option<BackendId>>,
    /// The backend that had each slot last.
    backends: Vec<usize>,
    baseline: Option<(Box<dyn Baseline>, Rng)>,
    /// Scratch for a choice of a baseline.
    candidates: Vec<Candidate>,
}

impl Proxy {
    /// Without backends yet.
    pub(super) fn new(
        contender: Contender,
        backends: usize,
        proxies: &Proxies,
        rng: Rng,
    ) -> Result<Self, SimulateError> {
        let epoch = Epoch::simulated();
        let policy = contender.policy();
        let options = Options {
            policy,
            resample_after: policy.resample_after(),
            eject_after: Some(proxies.eject_after).filter(|count| *count > 0),
            slow_start: proxies.slow_start,
            ..Options::default()
        };
        // A backend that left and comes back has another slot, while its last requests end.
        let slots = (4 * backends).clamp(16, MAX_BACKENDS);
        let mut membership = Membership::with_slots(slots, options, epoch.instant(0))?;
        let balancers = (0..proxies.workers).map(|_| membership.balancer()).collect();
        Ok(Self {
            epoch,
            membership,
            balancers,
            ids: vec![None; backends],
            backends: vec![0; slots],
            baseline: contender.baseline(backends).map(|baseline| (baseline, rng)),
            candidates: Vec::with_capacity(backends),
        })
    }

    /// A backend joins.
    pub(super) fn join(
        &mut self,
        backend: usize,
        group: &Group,
        now: Time,
    ) -> Result<(), RegistryFull> {
        self.membership.collect();
        let role = Role {
            weight: group.weight.unwrap_or(1),
            max_in_flight: group.max_in_flight,
            tier: if group.backup { Tier::Backup } else { Tier::Primary },
            ..Role::default()
        };
        let name = format!("http://backend-{backend}");
        let id = self.membership.add_as(&name, role, self.epoch.instant(now))?;
        (self.ids[backend], self.backends[id.slot()]) = (Some(id), backend);
        if let Some((baseline, _)) = &mut self.baseline {
            baseline.joined(backend, now);
        }
        self.tell_workers();
        Ok(())
    }

    /// A backend leaves; what it has it may finish.
    pub(super) fn leave(&mut self, backend: usize) {
        if let Some(id) = self.ids[backend].take() {
            self.membership.drain(id);
            self.tell_workers();
        }
    }

    fn tell_workers(&mut self) {
        let roster = self.membership.roster();
        self.balancers.iter_mut().for_each(|worker| worker.set_roster(roster.clone()));
    }

    /// The backend that the next attempt of a request goes to.
    pub(super) fn acquire(&mut self, worker: usize, tried: &Tried, now: Time) -> Option<Lease> {
        let instant = self.epoch.instant(now);
        let balancer = &mut self.balancers[worker];
        let Some((baseline, rng)) = &mut self.baseline else {
            return lease(balancer.acquire(tried, instant));
        };
        self.candidates.clear();
        for (backend, id) in self.ids.iter().enumerate() {
            if let Some(id) = id.filter(|id| !tried.contains(*id)) {
                let in_flight = balancer.registry().in_flight(id).unwrap_or(0);
                self.candidates.push(Candidate { backend, in_flight });
            }
        }
        let chosen = baseline.choose(&self.candidates, now, rng)?;
        lease(balancer.acquire_bound(self.ids[chosen]?, instant))
    }

    /// An attempt has been under way for another second; whether it is parked now. Baselines count
    /// all requests as in flight.
    pub(super) fn park(&self, worker: usize, lease: &mut Lease, now: Time) -> bool {
        self.baseline.is_some() || self.balancers[worker].park(lease, self.epoch.instant(now))
    }

    /// The backend of a lease.
    pub(super) fn backend(&self, lease: &Lease) -> usize {
        self.backends[lease.backend().slot()]
    }

    /// Whether the request may go to another backend.
    pub(super) fn has_untried(&self, worker: usize, tried: &Tried) -> bool {
        self.balancers[worker].has_untried(tried)
    }

    /// An attempt that took so long has ended so.
    pub(super) fn end(
        &mut self,
        worker: usize,
        mut lease: Lease,
        outcome: Outcome,
        took: Time,
        now: Time,
    ) {
        let backend = self.backend(&lease);
        if let Some((baseline, _)) = &mut self.baseline
            && outcome != Outcome::Unreachable
        {
            baseline.ended(backend, took, now);
        }
        let balancer = &mut self.balancers[worker];
        balancer.observe(&mut lease, outcome, self.epoch.instant(now));
        balancer.release(lease);
    }

    /// Gives back a lease at the end of the run.
    pub(super) fn abandon(&mut self, worker: usize, lease: Lease) {
        self.balancers[worker].release(lease);
    }
}

/// There is no queue in front of backends that are at their limits: the request gets an error.
fn lease(choice: Choice) -> Option<Lease> {
    match choice {
        Choice::Go(lease) => Some(lease),
        Choice::Wait | Choice::Nobody => None,
    }
}
