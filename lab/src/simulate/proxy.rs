//! One simulated proxy: the real balancer, once per worker, in simulated time.
//!
//! All that decides is the proxy's own code: membership, leases, ejection, samples, policy, and
//! when a request gets a second attempt or waits. A baseline only takes the place of the policy's
//! choice, makes no second attempts, and lets no request wait.

use std::sync::Arc;

use fastrand::Rng;
use tidegate::balance::{
    BackendId, Balancer, Choice, Lease, MAX_BACKENDS, Membership, Options, Outcome, RegistryFull,
    Role, Tier, Tried,
};
use tidegate::proxy::hedging::Hedger;
use tidegate::proxy::queue::{Call, Class, Queue, Scope, Ticket, Turn, Wake, WorkerQueue};
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
    /// One queue, as each worker has it.
    queues: Vec<WorkerQueue>,
    /// How many may wait, and how long.
    queue: usize,
    pub(super) queue_timeout: Time,
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
        let queue = Arc::new(Queue::new(proxies.workers, Arc::new(Unneeded)));
        let queues = (0..proxies.workers).map(|it| WorkerQueue::new(Arc::clone(&queue), it));
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
            queues: queues.collect(),
            queue: if baseline.is_none() { proxies.queue } else { 0 },
            queue_timeout: nanos(proxies.queue_timeout),
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
        self.tell_workers(now);
        Ok(())
    }

    /// A backend leaves; what it has it may finish.
    pub(super) fn leave(&mut self, backend: usize, now: Time) {
        if let Some(id) = self.ids[backend].take() {
            self.membership.drain(id);
            self.tell_workers(now);
        }
    }

    fn tell_workers(&mut self, now: Time) {
        let roster = self.membership.roster();
        self.balancers.iter_mut().for_each(|worker| worker.set_roster(roster.clone()));
        self.freed(0, now);
    }

    /// A backend may take a request that took none before.
    pub(super) fn freed(&self, worker: usize, now: Time) {
        self.queues[worker].freed(|| self.places(worker, now));
    }

    fn places(&self, worker: usize, now: Time) -> usize {
        self.balancers[worker].places(self.epoch.instant(now))
    }

    /// Whether a request finds others that wait.
    pub(super) fn has_queue(&self) -> bool {
        !self.queues[0].is_empty()
    }

    /// A request waits, unless too many do. `tried` are those that it may not go to.
    pub(super) fn join_queue(
        &self,
        worker: usize,
        client: u64,
        tried: &Tried,
    ) -> Option<(Ticket, Turn)> {
        let (class, scope) =
            if tried.is_empty() { (Class::First, Scope::All) } else { (Class::Again, Scope::Some) };
        self.queues[worker].join(client, class, scope, self.queue)
    }

    /// Requests whose turn has come.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.queues.iter().flat_map(WorkerQueue::take_calls).collect()
    }

    /// One that waits has got a backend.
    pub(super) fn goes(&self, worker: usize, ticket: &Ticket, now: Time) {
        ticket.goes(|| self.places(worker, now), || self.next_chance(worker, now).is_some());
    }

    /// When a backend may take a request although nothing happens until then.
    pub(super) fn next_chance(&self, worker: usize, now: Time) -> Option<Time> {
        let instant = self.epoch.instant(now);
        let chance = self.balancers[worker].next_chance(instant)?;
        Some(now + nanos(chance.saturating_duration_since(instant)))
    }

    /// The backend that the next attempt of a request goes to.
    pub(super) fn acquire(&mut self, worker: usize, tried: &Tried, now: Time) -> Choice {
        let instant = self.epoch.instant(now);
        let balancer = &mut self.balancers[worker];
        let Some((baseline, rng)) = &mut self.baseline else {
            return balancer.acquire(tried, instant);
        };
        self.candidates.clear();
        for (backend, id) in self.ids.iter().enumerate() {
            if let Some(id) = id.filter(|id| !tried.contains(*id)) {
                let in_flight = balancer.registry().in_flight(id).unwrap_or(0);
                self.candidates.push(Candidate { backend, in_flight });
            }
        }
        let chosen = baseline.choose(&self.candidates, now, rng);
        let id = chosen.and_then(|chosen| self.ids[chosen]);
        id.map_or(Choice::Nobody, |id| balancer.acquire_bound(id, instant))
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
        if !self.queues[worker].is_empty() {
            self.hedger.refund();
            return Choice::Wait;
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
        self.freed(worker, now);
    }

    /// Gives back a lease at the end of the run.
    pub(super) fn abandon(&mut self, worker: usize, lease: Lease) {
        self.balancers[worker].release(lease);
    }
}

/// The calls are looked for after each event.
#[derive(Debug)]
struct Unneeded;

impl Wake for Unneeded {
    fn wake(&self, _: usize) {}
}
