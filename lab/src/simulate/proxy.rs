//! One simulated proxy: the real balancer, once per worker, in simulated time.
//!
//! All that decides is the proxy's own code: membership, leases, ejection, samples, policy, and
//! when a request gets a second attempt. A baseline only takes the place of the policy's choice,
//! and makes no second attempts.

use fastrand::Rng;
use tidegate::balance::{
    BackendId, Balancer, Choice, Lease, MAX_BACKENDS, Membership, Options, Outcome, RegistryFull,
    Role, Tier, Tried,
};
use tidegate::proxy::hedging::Hedger;
use tidegate::proxy::settings::Hedging;

use super::SimulateError;
use super::baseline::{Baseline, Candidate};
use super::contender::Contender;
use crate::fleet::time::{Epoch, Time, duration, nanos};
use crate::scenario::{Group, Proxies};

/// See the module.
pub(super) struct Proxy {
    epoch: Epoch,
    membership: Membership,
    balancers: Vec<Balancer>,
    hedger: Hedger,
    pub(super) hedging: Hedging,
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
            hedges: proxies.hedge > 0,
            ..Options::default()
        };
        // A backend that left and comes back has another slot, while its last requests end.
        let slots = (4 * backends).clamp(16, MAX_BACKENDS);
        let mut membership = Membership::with_slots(slots, options, epoch.instant(0))?;
        let balancers = (0..proxies.workers).map(|_| membership.balancer()).collect();
        let baseline = contender.baseline(backends).map(|baseline| (baseline, rng));
        Ok(Self {
            epoch,
            membership,
            balancers,
            hedger: Hedger::default(),
            hedging: Hedging {
                percent: Some(proxies.hedge).filter(|part| *part > 0 && baseline.is_none()),
                delay: proxies.hedge_delay,
                attempts: proxies.hedge_attempts,
                same: proxies.hedge_same,
            },
            ids: vec![None; backends],
            backends: vec![0; slots],
            baseline,
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

    /// A request that may be sent twice has been sent.
    pub(super) fn earn_hedge(&self) {
        self.hedger.earn(&self.hedging);
    }

    /// How long an attempt is silent before there may be another one; `None` for ever.
    pub(super) fn hedge_delay(&self) -> Option<Time> {
        self.hedger.delay(&self.hedging).map(nanos)
    }

    /// The backend that a second attempt of a request goes to, which is paid for then.
    pub(super) fn acquire_hedge(&mut self, worker: usize, tried: &Tried, now: Time) -> Choice {
        if !self.hedger.spend() {
            return Choice::Nobody;
        }
        let (none, instant) = (Tried::default(), self.epoch.instant(now));
        let tried = if self.hedging.same { &none } else { tried };
        let choice = self.balancers[worker].acquire_hedge(tried, instant);
        if !matches!(choice, Choice::Go(_)) {
            self.hedger.refund();
        }
        choice
    }

    /// A second attempt has ended: whether its answer was the first one.
    pub(super) fn hedge_ended(&self, has_won: bool) {
        self.hedger.ended(has_won);
    }

    /// Another attempt took so long, or longer if it was given up.
    pub(super) fn learn_delay(&self, outcome: Outcome, took: Time) {
        let (hedger, took) = (&self.hedger, duration(took));
        match outcome {
            Outcome::Abandoned => hedger.given_up(&self.hedging, took),
            Outcome::Answered | Outcome::Declined => hedger.answered(&self.hedging, took),
            Outcome::Failed | Outcome::Unreachable => {}
        }
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
