//! What a worker does with its leases: observe, park, release. `choice.rs` gives them out.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

use super::availability::{Availability, Cause};
use super::candidate::Candidate;
use super::clock::{Nanos, nanos};
use super::decision::{Decision, Recorder, Recording};
use super::id::{BackendId, Tried};
use super::lease::{Lease, Outcome};
use super::load::Held;
use super::membership::{Acknowledged, NO_ROSTER};
use super::policy::{Answers, Sample};
use super::registry::Registry;
use super::roster::{Member, Roster};
use super::slot::{Slot, Stage};

/// Bytes after which no more backends are listed in an explanation.
const EXPLAINED_BYTES: usize = 800;

/// No sample counts for more. It keeps sums and averages of samples far from their limits.
pub(super) const LONGEST_SAMPLE: Nanos = 24 * 3600 * 1_000_000_000;

/// A request that is in flight for so long may be parked.
pub const PARKED_AFTER: Duration = Duration::from_secs(1);

/// Chooses backends for one worker and learns from what became of the requests.
#[derive(Debug)]
pub struct Balancer {
    pub(super) registry: Arc<Registry>,
    pub(super) roster: Arc<Roster>,
    /// Tells the membership which roster this is.
    acknowledged: Acknowledged,
    /// What this worker knows of the answers of all backends.
    pub(super) answers: Answers,
    /// The instant of the choice before, when it told the others last.
    pub(super) turn: Nanos,
    /// The instant that was counted last: all that happens in a turn happens at one.
    counted: Cell<Option<(Instant, Nanos)>>,
    /// Scratch for a choice.
    pub(super) candidates: Vec<Candidate>,
    /// The records of choices, if somebody may want them.
    pub(super) recorder: Option<Recorder>,
}

impl Balancer {
    pub(super) fn new(
        registry: Arc<Registry>,
        roster: Arc<Roster>,
        acknowledged: Acknowledged,
    ) -> Self {
        let candidates = Vec::with_capacity(registry.len());
        let (answers, turn) = (Answers::default(), Nanos::MAX);
        let counted = Cell::default();
        Self { registry, roster, acknowledged, answers, turn, counted, candidates, recorder: None }
    }

    pub(super) fn nanos(&self, now: Instant) -> Nanos {
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
            if !Arc::ptr_eq(&roster.selector, &self.roster.selector) {
                (self.answers, self.turn) = (Answers::default(), Nanos::MAX);
            }
            self.roster = roster;
            // What was done under the roster before happened before this is read.
            self.acknowledged.store(self.roster.version(), Release);
        }
    }

    /// Starts the attempt's clock anew: a pooled connection turned out to be stale, and the request
    /// goes to the same backend again. Call it before any outcome is observed.
    pub fn restart(&self, lease: &mut Lease, now: Instant) {
        self.unpark(lease);
        (lease.started, lease.excused) = (self.nanos(now), 0);
    }

    /// Parks a request that has been in flight for a second and was overtaken: a younger one to its
    /// backend was answered. It waits for something else than the backend's speed, as a long poll
    /// does, so it is not counted as in flight any more. Whether it is parked now; if not, ask
    /// again in a second.
    pub fn park(&self, lease: &mut Lease, now: Instant) -> bool {
        let age = self.nanos(now).saturating_sub(lease.started);
        let slot = self.registry.slot(lease.backend);
        if lease.held == Held::InFlight
            && age >= nanos(PARKED_AFTER)
            && slot.has_overtaken(lease.started)
        {
            self.hold(lease, Held::Parked);
        }
        lease.held == Held::Parked
    }

    /// A request that was parked counts as in flight again.
    pub fn unpark(&self, lease: &mut Lease) {
        if lease.held == Held::Parked {
            self.hold(lease, Held::InFlight);
        }
    }

    /// The request has become a tunnel, which counts as such from now on. Its answer must have been
    /// observed. It is whole, so failures before it and after it are none in a row.
    pub fn becomes_tunnel(&self, lease: &mut Lease) {
        self.registry.slot(lease.backend).standing.succeeded();
        self.hold(lease, Held::Tunnel);
    }

    fn hold(&self, lease: &mut Lease, held: Held) {
        self.registry.slot(lease.backend).load.shift(lease.held, held);
        lease.held = held;
    }

    /// Learns what became of an attempt, at the first byte of its response or at its failure.
    ///
    /// The first outcome counts, and after an answer also one [`Outcome::Failed`], as when the
    /// response breaks off; any other one changes nothing.
    pub fn observe(&mut self, lease: &mut Lease, outcome: Outcome, now: Instant) {
        if !lease.admits(outcome) {
            return;
        }
        let now = self.nanos(now);
        let took = now.saturating_sub(lease.started).saturating_sub(lease.excused);
        let sample = Sample {
            backend: lease.backend,
            outcome,
            took: took.min(LONGEST_SAMPLE),
            in_flight: lease.in_flight,
            relates: self.roster.options.hedges,
            now,
        };
        self.roster.selector.ranking.observe(&sample, &mut self.answers);
        let slot = self.registry.slot(lease.backend);
        let was_up = self.recorder.is_some() && slot.standing.is_up();
        match outcome {
            Outcome::Answered | Outcome::Declined => {
                slot.answered(lease.started);
                slot.standing.answered(lease.started, now);
            }
            Outcome::Failed => {
                if slot.standing.failed(self.roster.rules, lease.started, now) {
                    self.eject(slot, now);
                }
            }
            Outcome::Unreachable => {
                slot.standing.unreachable(self.roster.rules, lease.started, now);
            }
            Outcome::Abandoned => {}
        }
        if let Some(recorder) = self.recorder.as_mut().filter(|_| was_up && !slot.standing.is_up())
        {
            recorder.record_next();
        }
        self.yield_probe(lease);
    }

    /// Ejects a backend that failed often enough, if not too many take no requests already.
    fn eject(&self, slot: &Slot, now: Nanos) {
        let Roster { rules, options, .. } = &*self.roster;
        let members = self.roster.members();
        self.registry.one_at_a_time(|| {
            let standing = |member: &Member| &self.registry.slot(member.id).standing;
            let is_out = |member: &&Member| {
                member.tier.is_none()
                    || standing(member).availability(*rules, now) != Availability::Up
            };
            let out = members.iter().filter(is_out).count();
            if 100 * (out + 1) <= usize::from(options.max_ejected_percent) * members.len() {
                slot.standing.eject(*rules, now);
            }
        });
    }

    /// Ends an attempt, at the upstream's last byte or when it is given up. One without an outcome
    /// (the error was our own) leaves no trace: its probe is free again.
    pub fn release(&self, mut lease: Lease) {
        self.yield_probe(&mut lease);
        let slot = self.registry.slot(lease.backend);
        if matches!(lease.observed, Some(Outcome::Answered | Outcome::Declined)) {
            slot.standing.succeeded();
        }
        slot.load.end(lease.held);
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
        let mut members = self.roster.members().iter();
        members.any(|member| member.tier.is_some() && !tried.contains(member.id))
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
        self.roster.selector.ranking.estimate(id).map(Duration::from_nanos)
    }

    /// Whether a backend takes requests.
    #[must_use]
    pub fn availability(&self, id: BackendId, now: Instant) -> Availability {
        let slot = self.registry.slot(id);
        match slot.stage(id) {
            Stage::Active => slot.standing.availability(self.roster.rules, self.nanos(now)),
            Stage::Draining | Stage::Gone => Availability::Down,
        }
    }

    /// Why a backend takes requests, or none.
    #[must_use]
    pub fn cause(&self, id: BackendId) -> Cause {
        let slot = self.registry.slot(id);
        match slot.stage(id) {
            Stage::Active => slot.standing.cause(),
            Stage::Draining | Stage::Gone => Cause::Removed,
        }
    }

    /// From now on choices are recorded by this rule, or not at all.
    pub fn record(&mut self, recording: Option<Recording>) {
        match (&mut self.recorder, recording) {
            (Some(recorder), Some(recording)) => recorder.set(recording),
            (recorder, recording) => *recorder = recording.map(Recorder::new),
        }
    }

    /// Marks the next choice to be recorded, if any are: it is for a request that has waited in a
    /// queue. Returns whether it was marked before, for [`Balancer::keep_due`] after the choice.
    pub fn record_next(&mut self) -> bool {
        self.recorder.as_mut().is_some_and(Recorder::record_next)
    }

    /// Removes the mark of [`Balancer::record_next`], unless it was set before. It is still there
    /// if no choice was made.
    pub fn keep_due(&mut self, was_due: bool) {
        if let Some(recorder) = &mut self.recorder {
            recorder.keep_due(was_due);
        }
    }

    /// So many of the records that are kept, the newest first. For a minute from now on all choices
    /// are recorded, if any are, so that whoever asks again is told of each.
    pub fn decisions(&mut self, count: usize, now: Instant) -> Vec<Decision> {
        let now = self.nanos(now);
        let Some(recorder) = &mut self.recorder else { return Vec::new() };
        recorder.watch(now);
        recorder.last(count).cloned().collect()
    }

    /// Whether the choice that was just made has a record that was not taken yet.
    #[inline]
    #[must_use]
    pub fn has_decision(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::is_fresh)
    }

    /// The record of the choice that was just made, if it has one, and the backends that it was
    /// made from; each is given once.
    pub fn take_decision(&mut self) -> Option<(&Decision, &Roster)> {
        Some((self.recorder.as_mut()?.take()?, &self.roster))
    }

    /// One line about a choice that was just made, for people: the policy, what is known of each
    /// backend, the reason, and the backend chosen.
    /// `adaptive_sma 8081=12.3ms 8082=? 8083=ejected (first) -> 8082`.
    #[must_use]
    pub fn explain(&self, lease: &Lease, now: Instant) -> String {
        let mut line = self.roster.options.policy.to_string();
        let members = self.roster.members();
        let mut known =
            if self.roster.selector.ranking.is_adaptive() { members.iter() } else { [].iter() };
        while line.len() < EXPLAINED_BYTES
            && let Some(member) = known.next()
        {
            let label = member.label();
            if member.tier.is_none() {
                let _ = write!(line, " {label}=drained");
                continue;
            }
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
