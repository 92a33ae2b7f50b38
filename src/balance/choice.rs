//! Which backend an attempt goes to.
//!
//! The first that is to be probed, else the policy's choice among those that take requests: primary
//! ones, or backups if there is none. If no backend takes requests, the one that will be the first
//! to do so is tried, or the policy chooses among those that checks took down, rather than none.

use std::time::Instant;

use super::availability::Availability;
use super::balancer::Balancer;
use super::candidate::{Candidate, Lack};
use super::clock::Nanos;
use super::id::{BackendId, Tried};
use super::lease::{Lease, Reason};
use super::load::{Held, Load};
use super::policy::{Answers, View};
use super::probe::Probe;
use super::registry::Registry;
use super::role::Tier;
use super::roster::{Member, Roster};
use super::slot::{Slot, Stage};

/// What came of asking for a backend.
#[must_use = "a lease counts as in flight until it is released"]
#[derive(Debug)]
pub enum Choice {
    /// The request goes to this one.
    Go(Lease),
    /// All that could take it are at their limits.
    Wait,
    /// Every backend was tried, or there is none.
    Nobody,
}

impl Choice {
    /// The lease, if there is one.
    #[must_use]
    pub fn lease(self) -> Option<Lease> {
        match self {
            Self::Go(lease) => Some(lease),
            Self::Wait | Self::Nobody => None,
        }
    }
}

/// Which backend a choice fell on, before it is known whether that is below its limit still.
enum Pick<'a> {
    Go(&'a Member, Reason, Option<Probe>),
    Wait,
    Nobody,
}

/// What a choice depends on.
pub(super) struct Chooser<'a> {
    pub(super) registry: &'a Registry,
    pub(super) roster: &'a Roster,
    pub(super) answers: &'a Answers,
    pub(super) tried: &'a Tried,
    pub(super) now: Nanos,
}

impl Balancer {
    /// Chooses a backend for one attempt, which starts now.
    pub fn acquire(&mut self, tried: &Tried, now: Instant) -> Choice {
        let now = self.nanos(now);
        self.fold(now);
        let (registry, roster, answers) = (&*self.registry, &*self.roster, &self.answers);
        let chooser = Chooser { registry, roster, answers, tried, now };
        // A backend that has reached its limit meanwhile is no candidate the next time.
        loop {
            match chooser.choose(&mut self.candidates) {
                Pick::Go(member, reason, probe) => {
                    let reason = if tried.is_empty() { reason } else { Reason::Retry };
                    if let Some(lease) = self.lease(member, reason, probe, now) {
                        if self.recorder.is_some() {
                            self.record_choice(tried, &lease);
                        }
                        return Choice::Go(lease);
                    }
                }
                Pick::Wait => return Choice::Wait,
                Pick::Nobody => return Choice::Nobody,
            }
        }
    }

    /// Chooses a backend for a hedge, an attempt beside one that is out, which starts now.
    ///
    /// It never goes to a backend that is at its limit, ejected, a backup, not measured or being
    /// measured, nor to one that is so busy that other requests would wait longer.
    /// [`Choice::Wait`] if the backend that the policy chooses may not have it now, or there is
    /// none; [`Choice::Nobody`] if all were tried.
    #[cold]
    pub fn acquire_hedge(&mut self, tried: &Tried, now: Instant) -> Choice {
        let now = self.nanos(now);
        self.fold(now);
        let (registry, roster, answers) = (&*self.registry, &*self.roster, &self.answers);
        let chooser = Chooser { registry, roster, answers, tried, now };
        match chooser.choose_hedge(&mut self.candidates) {
            Pick::Go(member, reason, probe) => {
                let Some(lease) = self.lease(member, reason, probe, now) else {
                    return Choice::Wait;
                };
                self.record_choice(tried, &lease);
                Choice::Go(lease)
            }
            Pick::Wait => Choice::Wait,
            Pick::Nobody => Choice::Nobody,
        }
    }

    /// Records the choice that was just made, if it is one of those that are. Out of line, because
    /// the choice itself needs its place in registers.
    #[inline(never)]
    fn record_choice(&mut self, tried: &Tried, lease: &Lease) {
        let Some(recorder) = &mut self.recorder else { return };
        let (registry, roster, answers) = (&*self.registry, &*self.roster, &self.answers);
        let now = lease.started;
        if let Some(why) = recorder.wants(lease.reason, roster, now) {
            let chooser = Chooser { registry, roster, answers, tried, now };
            recorder.add(&chooser, &self.candidates, lease, why);
        }
    }

    /// Tells the other workers what this one knows, and the other way round, once per turn.
    fn fold(&mut self, now: Nanos) {
        if now != self.turn {
            self.turn = now;
            self.roster.selector.ranking.fold(&mut self.answers);
        }
    }

    /// Takes the backend that a client is bound to, whichever the policy would choose. Nobody if
    /// that has left the roster or is drained: a bound client does not keep a backend from
    /// draining.
    pub fn acquire_bound(&mut self, id: BackendId, now: Instant) -> Choice {
        let member = self.roster.member(id).filter(|member| member.tier.is_some());
        let Some(member) = member else { return Choice::Nobody };
        let lease = self.lease(member, Reason::Only, None, self.nanos(now));
        lease.map_or(Choice::Wait, Choice::Go)
    }

    /// The lease of a backend; `None` if that is at its limit.
    fn lease(
        &self,
        member: &Member,
        reason: Reason,
        probe: Option<Probe>,
        started: Nanos,
    ) -> Option<Lease> {
        let backend = member.id;
        let slot = self.registry.slot(backend);
        debug_assert_ne!(slot.stage(backend), Stage::Gone, "{backend:?} is in a roster");
        let Some(load) = slot.load.claim(member.role.max_in_flight) else {
            if let Some(probe) = probe {
                slot.probing.end(probe);
            }
            return None;
        };
        Some(Lease {
            backend,
            reason,
            held: Held::InFlight,
            in_flight: load.in_flight(),
            estimate: self.roster.selector.ranking.estimate(backend),
            started,
            probe,
            excused: 0,
            observed: None,
        })
    }
}

impl<'a> Chooser<'a> {
    /// The first backend that deserves a probe, else the policy's choice among those that take
    /// requests, else the one that will be the first to take requests again.
    fn choose(&self, candidates: &mut Vec<Candidate>) -> Pick<'a> {
        let mut is_full = false;
        for tier in [Tier::Primary, Tier::Backup] {
            if let Some(trial) = self.gather(tier, candidates, &mut is_full) {
                return trial;
            }
            if !candidates.is_empty() {
                return self.choose_among(candidates);
            }
        }
        if is_full { Pick::Wait } else { self.choose_last_resort(candidates) }
    }

    /// The policy's choice among the backends that may have a hedge, if that one is not busy.
    #[cold]
    fn choose_hedge(&self, candidates: &mut Vec<Candidate>) -> Pick<'a> {
        let Self { registry, roster, tried, now, .. } = *self;
        candidates.clear();
        let mut is_all_tried = true;
        for (place, member) in roster.members().iter().enumerate() {
            if member.tier.is_none() || tried.contains(member.id) {
                continue;
            }
            is_all_tried = false;
            let slot = registry.slot(member.id);
            let load = slot.load.get();
            let is_full = member.role.max_in_flight.is_some_and(|limit| load.total() >= limit);
            if member.tier == Some(Tier::Primary) && slot.standing.is_up() && !is_full {
                candidates.push(self.candidate(place, member, slot, load));
            }
        }
        if is_all_tried {
            return Pick::Nobody;
        }
        let ranking = &roster.selector.ranking;
        ranking.rank(candidates, &self.view());
        candidates.retain(|candidate| {
            candidate.lack != Some(Lack::Unmeasured)
                && registry.slot(candidate.id).probing.is_free(now, roster.probe_timeout)
        });
        let is_calm = |candidate: &&Candidate| {
            let limit = ranking.hedge_limit(candidate.id, self.answers);
            f64::from(candidate.load.in_flight()) <= limit
        };
        // Of equal ones the time chooses, which is as good as chance.
        let start = now % candidates.len().max(1) as u64;
        candidates.rotate_left(usize::try_from(start).unwrap_or(0));
        let least = candidates.iter().min_by(|one, other| one.score.total_cmp(&other.score));
        let chosen = least.filter(is_calm);
        match chosen.and_then(|chosen| roster.members().get(chosen.place)) {
            Some(member) => Pick::Go(member, Reason::Hedge, None),
            None => Pick::Wait,
        }
    }

    /// Lists the backends of a tier that take requests, unless one of them takes a probe only and
    /// gets it now. Also finds out whether one would take requests if it was not at its limit.
    fn gather(
        &self,
        tier: Tier,
        candidates: &mut Vec<Candidate>,
        is_full: &mut bool,
    ) -> Option<Pick<'a>> {
        let Self { roster, now, .. } = *self;
        candidates.clear();
        for (place, member) in roster.members().iter().enumerate() {
            if member.tier != Some(tier) || self.tried.contains(member.id) {
                continue;
            }
            let slot = self.registry.slot(member.id);
            let is_up = slot.standing.is_up();
            if !is_up && slot.standing.availability(roster.rules, now) != Availability::Probing {
                continue;
            }
            let load = slot.load.get();
            if member.role.max_in_flight.is_some_and(|limit| load.total() >= limit) {
                *is_full |= is_up;
                continue;
            }
            if is_up {
                candidates.push(self.candidate(place, member, slot, load));
            } else if let Some(probe) = slot.probing.claim(now, roster.probe_timeout) {
                return Some(Pick::Go(member, Reason::Trial, Some(probe)));
            }
        }
        None
    }

    /// A backend as the policy sees it. Its weight is a part of the configured one during its slow
    /// start.
    pub(super) fn candidate(
        &self,
        place: usize,
        member: &Member,
        slot: &Slot,
        load: Load,
    ) -> Candidate {
        let Member { id, weight, handicap, .. } = *member;
        let mut candidate = Candidate { id, place, load, weight, handicap, score: 0.0, lack: None };
        let slow_start = self.roster.slow_start;
        if slow_start > 0 {
            let share = slot.standing.share(slow_start, self.now);
            candidate.weight *= share;
            candidate.handicap /= share.sqrt();
        }
        candidate
    }

    pub(super) fn view(&self) -> View<'a> {
        let resample_after = self.roster.resample_after;
        View { now: self.now, resample_after, answers: self.answers }
    }

    fn choose_among(&self, candidates: &mut [Candidate]) -> Pick<'a> {
        let Self { roster, now, .. } = *self;
        let view = self.view();
        let go = |candidate: &Candidate, reason, probe| match roster.members().get(candidate.place)
        {
            Some(member) => Pick::Go(member, reason, probe),
            None => Pick::Nobody,
        };
        if roster.selector.ranking.rank(candidates, &view) {
            let probing = |candidate: &Candidate| &self.registry.slot(candidate.id).probing;
            let limit = roster.probe_timeout;
            let free = candidates.iter().filter(|other| probing(other).is_free(now, limit));
            let lacking = free.filter_map(|candidate| Some((candidate.lack?, candidate)));
            // Where another worker is faster, the next one is probed.
            while let Some((lack, candidate)) = lacking.clone().min_by_key(|(lack, _)| *lack) {
                if let Some(probe) = probing(candidate).claim(now, limit) {
                    return go(candidate, lack.reason(), Some(probe));
                }
            }
        }
        if let [only] = candidates {
            return go(only, Reason::Only, None);
        }
        let chosen = roster.selector.select(candidates);
        chosen.map_or(Pick::Nobody, |(chosen, reason)| go(chosen, reason, None))
    }

    /// Of backends that all take no requests, the one whose ejection is over first. If there is
    /// none, checks took all of them down, and the policy chooses as if they had not: what they ask
    /// for may be what is wrong.
    fn choose_last_resort(&self, candidates: &mut Vec<Candidate>) -> Pick<'a> {
        let Self { roster, .. } = *self;
        let mut is_full = false;
        // The ejected ones, by the ends of their ejections, and what they have to do.
        let mut ejected: Option<((Nanos, u32), &Member)> = None;
        candidates.clear();
        for (place, member) in roster.members().iter().enumerate() {
            if member.tier.is_none() || self.tried.contains(member.id) {
                continue;
            }
            let slot = self.registry.slot(member.id);
            let load = slot.load.get();
            if member.role.max_in_flight.is_some_and(|limit| load.total() >= limit) {
                is_full = true;
            } else if let Some(due) = slot.standing.due(roster.rules) {
                let rank = (due, load.total());
                ejected = ejected.filter(|(least, _)| *least <= rank).or(Some((rank, member)));
            } else {
                candidates.push(self.candidate(place, member, slot, load));
            }
        }
        if let Some((_, soonest)) = ejected {
            return Pick::Go(soonest, Reason::Cooling, None);
        }
        let is_primary = |candidate: &Candidate| {
            let member = roster.members().get(candidate.place);
            member.is_some_and(|member| member.tier == Some(Tier::Primary))
        };
        if candidates.iter().any(is_primary) {
            candidates.retain(is_primary);
        }
        match self.choose_among(candidates) {
            Pick::Go(member, _, probe) => Pick::Go(member, Reason::Cooling, probe),
            _ if is_full => Pick::Wait,
            other => other,
        }
    }
}
