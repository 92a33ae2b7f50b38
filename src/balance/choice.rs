//! Which backend an attempt goes to.
//!
//! The first that is to be probed, else the policy's choice among those that take requests: primary
//! ones, or backups if there is none. If no backend takes requests, the one that will be the first
//! to do so is tried, rather than none.

use std::time::Instant;

use super::availability::Availability;
use super::balancer::Balancer;
use super::candidate::Candidate;
use super::clock::{Nanos, nanos};
use super::id::{BackendId, Tried};
use super::lease::{Lease, Reason};
use super::load::{Held, Load};
use super::policy::View;
use super::probe::Probe;
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

impl Balancer {
    /// Chooses a backend for one attempt, which starts now.
    pub fn acquire(&mut self, tried: &Tried, now: Instant) -> Choice {
        let now = self.nanos(now);
        if now != self.turn {
            self.turn = now;
            self.roster.selector.ranking.fold(&mut self.answers);
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        // A backend that reached its limit since it was looked at is none the next time.
        let choice = loop {
            match self.choose(&mut candidates, tried, now) {
                Pick::Go(member, reason, probe) => {
                    let reason = if tried.is_empty() { reason } else { Reason::Retry };
                    if let Some(lease) = self.lease(member, reason, probe, now) {
                        break Choice::Go(lease);
                    }
                }
                Pick::Wait => break Choice::Wait,
                Pick::Nobody => break Choice::Nobody,
            }
        };
        self.candidates = candidates;
        choice
    }

    /// Takes the backend that a client is bound to, whichever the policy would choose. Nobody if
    /// that has left the roster: a bound client does not keep a backend from draining.
    pub fn acquire_bound(&mut self, id: BackendId, now: Instant) -> Choice {
        let Some(member) = self.roster.member(id) else { return Choice::Nobody };
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

    /// The first backend that deserves a probe, else the policy's choice among those that take
    /// requests, else the one that will be the first to take requests again.
    fn choose(&self, candidates: &mut Vec<Candidate>, tried: &Tried, now: Nanos) -> Pick<'_> {
        let mut is_full = false;
        for tier in self.roster.tiers() {
            if let Some(trial) = self.gather(*tier, candidates, &mut is_full, tried, now) {
                return trial;
            }
            if !candidates.is_empty() {
                return self.choose_among(candidates, now);
            }
        }
        if is_full { Pick::Wait } else { self.soonest_due(tried) }
    }

    /// Lists the backends of a tier that take requests, unless one of them takes a probe only and
    /// gets it now. Also finds out whether one would take requests if it was not at its limit.
    fn gather(
        &self,
        tier: Tier,
        candidates: &mut Vec<Candidate>,
        is_full: &mut bool,
        tried: &Tried,
        now: Nanos,
    ) -> Option<Pick<'_>> {
        let Roster { rules, options, .. } = &*self.roster;
        let slow_start = nanos(options.slow_start);
        candidates.clear();
        for member in self.roster.members().iter().filter(|member| member.role.tier == tier) {
            let id = member.id;
            if tried.contains(id) {
                continue;
            }
            let slot = self.registry.slot(id);
            let is_up = slot.standing.is_up();
            if !is_up && slot.standing.availability(*rules, now) != Availability::Probing {
                continue;
            }
            let load = slot.load.get();
            if member.role.max_in_flight.is_some_and(|limit| load.total() >= limit) {
                *is_full |= is_up;
                continue;
            }
            if is_up {
                candidates.push(candidate(member, slot, load, slow_start, now));
            } else if let Some(probe) = slot.probing.claim(now, nanos(options.probe_timeout)) {
                return Some(Pick::Go(member, Reason::Trial, Some(probe)));
            }
        }
        None
    }

    fn choose_among(&self, candidates: &mut [Candidate], now: Nanos) -> Pick<'_> {
        let Roster { selector, options, .. } = &*self.roster;
        let resample_after = options.resample_after.map_or(Nanos::MAX, nanos);
        let view = View { now, resample_after, answers: &self.answers };
        let go = |(id, reason, probe)| match self.roster.member(id) {
            Some(member) => Pick::Go(member, reason, probe),
            None => Pick::Nobody,
        };
        if selector.ranking.rank(candidates, &view) {
            let probed = candidates.iter().find_map(|candidate| {
                let reason = candidate.lacks_sample?;
                let slot = self.registry.slot(candidate.id);
                let probe = slot.probing.claim(now, nanos(options.probe_timeout))?;
                Some((candidate.id, reason, Some(probe)))
            });
            if let Some(probed) = probed {
                return go(probed);
            }
        }
        if let [only] = candidates {
            return go((only.id, Reason::Only, None));
        }
        let chosen = selector.select(candidates);
        chosen.map_or(Pick::Nobody, |(id, reason)| go((id, reason, None)))
    }

    /// Of backends that all take no requests, the one whose ejection is over first. Those that a
    /// check took down come last, the one with the least to do first.
    fn soonest_due(&self, tried: &Tried) -> Pick<'_> {
        let mut untried = self.roster.members().iter().filter(|member| !tried.contains(member.id));
        let slot = |member: &Member| self.registry.slot(member.id);
        let has_room = |member: &&Member| {
            let load = slot(member).load.get();
            member.role.max_in_flight.is_none_or(|limit| load.total() < limit)
        };
        let due = |member: &&Member| {
            let slot = slot(member);
            let due = slot.standing.due(self.roster.rules).unwrap_or(Nanos::MAX);
            (due, slot.load.get().total())
        };
        match untried.clone().filter(has_room).min_by_key(due) {
            Some(member) => Pick::Go(member, Reason::Cooling, None),
            None if untried.next().is_some() => Pick::Wait,
            None => Pick::Nobody,
        }
    }
}

/// A backend as the policy sees it. Its weight is a part of the configured one during its slow
/// start.
fn candidate(member: &Member, slot: &Slot, load: Load, slow_start: Nanos, now: Nanos) -> Candidate {
    let Member { id, weight, handicap, .. } = *member;
    let mut candidate = Candidate { id, load, weight, handicap, score: 0.0, lacks_sample: None };
    if slow_start > 0 {
        let share = slot.standing.share(slow_start, now);
        candidate.weight *= share;
        candidate.handicap /= share.sqrt();
    }
    candidate
}
