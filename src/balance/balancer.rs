//! The request path of balancing: acquire, observe, release.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use super::clock::{Nanos, nanos};
use super::id::{BackendId, Tried};
use super::lease::{Lease, Outcome, Reason};
use super::membership::{Acknowledged, NO_ROSTER};
use super::outage::Availability;
use super::policy::Policy;
use super::probe::Probe;
use super::registry::Registry;
use super::roster::{Member, Roster};
use super::slot::Stage;

/// Bytes after which no more backends are listed in an explanation.
const EXPLAINED_BYTES: usize = 800;

/// No sample counts for more. It keeps sums and averages of samples far from their limits.
pub(super) const LONGEST_SAMPLE: Nanos = 24 * 3600 * 1_000_000_000;

/// How to balance.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Options {
    /// How the best backend is found, with the parameters.
    pub policy: Policy,
    /// How long a backend may go without a sample before an adaptive policy sends it one probe;
    /// `None` for never, which is the published behaviour.
    pub resample_after: Option<Duration>,
    /// How long a backend is ejected that could not be reached for the first time.
    pub cooldown: Duration,
    /// The longest ejection; each failed probe doubles the last one up to this.
    pub cooldown_max: Duration,
    /// The sample that a failure counts as. No timeout of the proxy has a part in it, so that
    /// policies choose alike whatever those are.
    pub failure_sample: Duration,
    /// How long a probe keeps other requests from its backend at most.
    pub probe_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::RoundRobin,
            resample_after: None,
            cooldown: Duration::from_millis(500),
            cooldown_max: Duration::from_secs(5),
            failure_sample: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(5),
        }
    }
}

/// What came of asking for a backend.
#[must_use = "a lease counts as in flight until it is released"]
#[derive(Debug)]
pub enum Choice {
    /// The request goes to this one.
    Go(Lease),
    /// Every backend was tried, or there is none.
    Nobody,
}

/// Chooses backends for one worker and learns from what became of the requests.
#[derive(Debug)]
pub struct Balancer {
    registry: Arc<Registry>,
    roster: Arc<Roster>,
    /// Tells the membership which roster this is.
    acknowledged: Acknowledged,
    /// Scratch for a choice.
    candidates: Vec<BackendId>,
    /// The instant that was counted last: all that happens in a turn happens at one.
    counted: Cell<Option<(Instant, Nanos)>>,
}

impl Balancer {
    pub(super) fn new(
        registry: Arc<Registry>,
        roster: Arc<Roster>,
        acknowledged: Acknowledged,
    ) -> Self {
        let candidates = Vec::with_capacity(registry.len());
        Self { registry, roster, acknowledged, candidates, counted: Cell::default() }
    }

    fn nanos(&self, now: Instant) -> Nanos {
        match self.counted.get() {
            Some((instant, nanos)) if instant == now => nanos,
            _ => {
                let nanos = self.registry.nanos(now);
                self.counted.set(Some((now, nanos)));
                nanos
            }
        }
    }

    /// Chooses from this roster from now on. One that is older than the present one is ignored.
    pub fn set_roster(&mut self, roster: Arc<Roster>) {
        if roster.version() > self.roster.version() {
            self.roster = roster;
            // What was done under the roster before happened before this is read.
            self.acknowledged.store(self.roster.version(), Release);
        }
    }

    /// Chooses a backend for one attempt, which starts now.
    pub fn acquire(&mut self, tried: &Tried, now: Instant) -> Choice {
        let now = self.nanos(now);
        let Some((id, reason, probe)) = self.choose(tried, now) else { return Choice::Nobody };
        let reason = if tried.is_empty() { reason } else { Reason::Retry };
        Choice::Go(self.lease(id, reason, probe, now))
    }

    /// Takes the backend that a client is bound to, whichever the policy would choose. `None` if
    /// that has left the roster: a bound client does not keep a backend from draining.
    pub fn acquire_bound(&mut self, id: BackendId, now: Instant) -> Option<Lease> {
        let now = self.nanos(now);
        self.roster.contains(id).then(|| self.lease(id, Reason::Only, None, now))
    }

    fn lease(
        &self,
        backend: BackendId,
        reason: Reason,
        probe: Option<Probe>,
        started: Nanos,
    ) -> Lease {
        let slot = self.registry.slot(backend);
        debug_assert_ne!(slot.stage(backend), Stage::Gone, "{backend:?} is in a roster");
        Lease {
            backend,
            reason,
            in_flight: slot.begin(),
            estimate: self.roster.selector.estimate(backend),
            started,
            probe,
            excused: 0,
            observed: None,
        }
    }

    /// The first backend that deserves a probe, else the policy's choice among those that take
    /// requests, else the one that will be the first to take requests again.
    fn choose(&mut self, tried: &Tried, now: Nanos) -> Option<(BackendId, Reason, Option<Probe>)> {
        let Self { registry, roster, candidates, .. } = self;
        let (registry, roster) = (&**registry, &**roster);
        let selector = &*roster.selector;
        let is_adaptive = selector.is_adaptive();
        let resample_after = roster.options.resample_after.map_or(Nanos::MAX, nanos);
        candidates.clear();
        for member in roster.members() {
            let id = member.id();
            if tried.contains(id) {
                continue;
            }
            let slot = registry.slot(id);
            let reason = match slot.outage.availability(roster.backoff, now) {
                Availability::Up => {
                    candidates.push(id);
                    if !is_adaptive {
                        continue;
                    }
                    selector.lacks_sample(id, resample_after, now)
                }
                Availability::Probing => Some(Reason::Trial),
                Availability::Ejected | Availability::Down => None,
            };
            if let Some(reason) = reason
                && let Some(probe) = slot.probing.claim(now, nanos(roster.options.probe_timeout))
            {
                return Some((id, reason, Some(probe)));
            }
        }
        let (id, reason) = match candidates.as_mut_slice() {
            [] => (self.soonest_due(tried)?, Reason::Cooling),
            [only] => (*only, Reason::Only),
            candidates => selector.select(candidates, registry, now)?,
        };
        Some((id, reason, None))
    }

    /// Of backends that are all ejected, the one whose time is over first.
    fn soonest_due(&self, tried: &Tried) -> Option<BackendId> {
        let untried = self.roster.members().iter().map(Member::id);
        let due = |id: &BackendId| self.registry.slot(*id).outage.due(self.roster.backoff);
        untried.filter(|id| !tried.contains(*id)).min_by_key(due)
    }

    /// Starts the attempt's clock anew: a pooled connection turned out to be stale, and the request
    /// goes to the same backend again. Call it before any outcome is observed.
    pub fn restart(&self, lease: &mut Lease, now: Instant) {
        (lease.started, lease.excused) = (self.nanos(now), 0);
    }

    /// Learns what became of an attempt, at the first byte of its response or at its failure.
    ///
    /// The first outcome counts, and after [`Outcome::Answered`] also one [`Outcome::Failed`], as
    /// when the response breaks off; any other one changes nothing.
    pub fn observe(&self, lease: &mut Lease, outcome: Outcome, now: Instant) {
        if !lease.admits(outcome) {
            return;
        }
        let Roster { selector, options, backoff, .. } = &*self.roster;
        let slot = self.registry.slot(lease.backend);
        let now = self.nanos(now);
        let record =
            |sample: Nanos| selector.observe(lease.backend, sample.min(LONGEST_SAMPLE), now);
        match outcome {
            Outcome::Answered => {
                record(now.saturating_sub(lease.started).saturating_sub(lease.excused));
                slot.outage.answered(lease.started);
            }
            Outcome::Failed => {
                record(nanos(options.failure_sample));
                slot.outage.failed(*backoff, lease.started, now);
            }
            Outcome::Unreachable => slot.outage.unreachable(*backoff, lease.started, now),
        }
        self.yield_probe(lease);
    }

    /// Ends an attempt, at the upstream's last byte or when it is given up. One without an outcome
    /// (the client left, or the error was our own) leaves no trace: its probe is free again.
    pub fn release(&self, mut lease: Lease) {
        self.yield_probe(&mut lease);
        self.registry.slot(lease.backend).end();
        std::mem::forget(lease);
    }

    /// Ends the attempt's probe, if it is one. Called while it waits for its client: that may take
    /// as long as it likes, so another request shall learn of the backend. What this one learns
    /// counts as well.
    pub fn yield_probe(&self, lease: &mut Lease) {
        if let Some(probe) = lease.probe.take() {
            self.registry.slot(lease.backend).probing.end(probe);
        }
    }

    /// Whether there is a backend that was not tried.
    #[must_use]
    pub fn has_untried(&self, tried: &Tried) -> bool {
        self.roster.members().iter().any(|member| !tried.contains(member.id()))
    }

    /// The backends that are chosen from.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The name of a backend that is in the roster.
    #[must_use]
    pub fn name(&self, id: BackendId) -> Option<&str> {
        Some(self.roster.member(id)?.name())
    }

    /// What is known of the backends whatever the policy.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The latency that the policy expects of a backend; `None` before it was measured, and always
    /// if the policy measures nothing.
    #[must_use]
    pub fn estimate(&self, id: BackendId) -> Option<Duration> {
        self.roster.selector.estimate(id).map(Duration::from_nanos)
    }

    /// Whether a backend takes requests.
    #[must_use]
    pub fn availability(&self, id: BackendId, now: Instant) -> Availability {
        let slot = self.registry.slot(id);
        match slot.stage(id) {
            Stage::Active => slot.outage.availability(self.roster.backoff, self.nanos(now)),
            Stage::Draining | Stage::Gone => Availability::Down,
        }
    }

    /// One line about a choice that was just made, for people: the policy, what is known of each
    /// backend, the reason, and the backend chosen.
    /// `adaptive_sma 8081=12.3ms 8082=? 8083=ejected (first) -> 8082`.
    #[must_use]
    pub fn explain(&self, lease: &Lease, now: Instant) -> String {
        let mut line = self.roster.options.policy.to_string();
        let members = self.roster.members();
        let mut known = if self.roster.selector.is_adaptive() { members.iter() } else { [].iter() };
        while line.len() < EXPLAINED_BYTES
            && let Some(member) = known.next()
        {
            let label = member.label();
            // Writing to a `String` can't fail.
            let _ = match (self.availability(member.id(), now), self.estimate(member.id())) {
                (Availability::Up, Some(estimate)) => {
                    write!(line, " {label}={:.1}ms", estimate.as_secs_f64() * 1e3)
                }
                (Availability::Up, None) => write!(line, " {label}=?"),
                (other, _) => write!(line, " {label}={}", other.name()),
            };
        }
        if known.len() > 0 {
            let _ = write!(line, " and {} more", known.len());
        }
        let label = self.roster.member(lease.backend).map_or("one removed", |m| m.label());
        let _ = write!(line, " ({}) -> {label}", lease.reason.name());
        line
    }
}

impl Drop for Balancer {
    /// A worker that ended refers to no backend but those it has leases of.
    fn drop(&mut self) {
        self.acknowledged.store(NO_ROSTER, Release);
    }
}
