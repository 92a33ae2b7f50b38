//! The record of a choice: which backends there were, what was known of each, and which one it was.
//!
//! It is filled by the code that chose, from the scores by which it did. Most choices have none:
//! every so many get one, all that are unusual, and all for a while after somebody asked. One that
//! is added takes the place, and the memory, of the oldest.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use super::availability::{Availability, Cause};
use super::candidate::Candidate;
use super::choice::Chooser;
use super::clock::{Nanos, nanos};
use super::id::BackendId;
use super::lease::{Lease, Reason};
use super::policy::Policy;
use super::role::Tier;
use super::roster::{Member, Roster};

/// How many backends of a choice are listed. The chosen one and the runner-up are listed anyway.
const LISTED_MAX: usize = 16;

/// How long all choices are recorded after somebody asked.
const WATCH: Duration = Duration::from_secs(60);

/// Which choices are recorded, and how many of the last records are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recording {
    /// Every so many; all that are unusual are recorded as well.
    pub every: u32,
    /// So many are kept, one at least.
    pub kept: usize,
}

/// Why a choice was recorded. The first that holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// It was its turn, as it is for every so many. So these are a fair sample.
    Sample,
    /// It was none of the usual ones, or the first one after an ejection.
    Unusual,
    /// Somebody had asked a short while ago.
    Asked,
}

impl Recorded {
    /// The word for logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Unusual => "unusual",
            Self::Asked => "asked",
        }
    }
}

/// A choice that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// When.
    pub at: Instant,
    /// By which policy.
    pub policy: Policy,
    /// The backend it fell on.
    pub chosen: BackendId,
    /// Why.
    pub reason: Reason,
    /// Why there is a record of it.
    pub recorded: Recorded,
    /// The candidate with the least score beside it; `None` if there is none, or the policy gives
    /// no scores.
    pub runner_up: Option<BackendId>,
    /// How likely the choice was, if chance decided.
    pub probability: Option<f64>,
    /// The backends in their order, or the first of many.
    pub backends: Vec<Considered>,
    /// How many more there were.
    pub more: usize,
}

/// A backend as a choice saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Considered {
    /// Which one.
    pub id: BackendId,
    /// Whether it could be chosen.
    pub part: Part,
    /// How long it has been up, or not up; `None` if that is not known.
    pub since: Option<Duration>,
    /// How long its ejection still took.
    pub ejected_for: Option<Duration>,
    /// Its requests in flight, without the one that was to be sent.
    pub in_flight: u32,
    /// Its weight, which is a part of the configured one during its slow start.
    pub weight: f64,
    /// The latency that was expected of it.
    pub estimate: Option<Duration>,
    /// The age of the last sample in that.
    pub estimate_age: Option<Duration>,
    /// How many requests it usually has in flight, if the policy learns that.
    pub usual: Option<f64>,
    /// What the policy gave it: milliseconds if it decides by latencies, else requests per weight.
    /// The least one is chosen. `None` if it had no part in that, before it was measured, and if
    /// others were as good and had fewer tunnels.
    pub score: Option<f64>,
}

/// The part that a backend had in a choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// It could be chosen, or could have been if no other one had been measured first.
    Up,
    /// It was configured to get no requests.
    Drained,
    /// The request had been there.
    Tried,
    /// It had as many requests as it may have.
    Full,
    /// It is for times at which no primary one takes requests.
    Backup,
    /// It took no requests, or one at a time only.
    Out(Availability, Cause),
}

impl Part {
    /// The word for logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Drained => "drained",
            Self::Tried => "tried",
            Self::Full => "full",
            Self::Backup => "backup",
            Self::Out(availability, _) => availability.name(),
        }
    }

    /// Why it took no requests.
    #[must_use]
    pub fn cause(self) -> Option<&'static str> {
        match self {
            Self::Out(_, cause) => Some(cause.name()),
            _ => None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Recorder {
    recording: Recording,
    /// The choices to the next one that is recorded, that one included.
    left: u32,
    /// Until when all are.
    watched_until: Nanos,
    /// Something unusual came before: the next choice is recorded because of that.
    is_due: bool,
    /// The last one is for the log, and was not taken yet.
    is_fresh: bool,
    decisions: VecDeque<Decision>,
}

impl Recorder {
    pub(super) fn new(recording: Recording) -> Self {
        let decisions = VecDeque::new();
        Self { recording, left: 1, watched_until: 0, is_due: false, is_fresh: false, decisions }
    }

    /// Goes on by another rule.
    pub(super) fn set(&mut self, recording: Recording) {
        self.recording = recording;
        self.left = self.left.min(recording.every).max(1);
        let most = recording.kept.max(1);
        self.decisions.drain(..self.decisions.len().saturating_sub(most));
    }

    pub(super) fn watch(&mut self, now: Nanos) {
        self.watched_until = now.saturating_add(nanos(WATCH));
    }

    /// Marks the next choice to be recorded, because what came before it is unusual. Returns
    /// whether it was marked before.
    pub(super) fn record_next(&mut self) -> bool {
        mem::replace(&mut self.is_due, true)
    }

    /// Removes the mark, unless it was set before.
    pub(super) fn keep_due(&mut self, was_due: bool) {
        self.is_due &= was_due;
    }

    /// Whether a choice is to be recorded, and why. Asked once for each.
    #[inline]
    pub(super) fn wants(
        &mut self,
        reason: Reason,
        roster: &Roster,
        now: Nanos,
    ) -> Option<Recorded> {
        self.left -= 1;
        self.is_fresh = false;
        if self.left == 0 {
            self.left = self.recording.every.max(1);
            self.is_due = false;
            return Some(Recorded::Sample);
        }
        // A retry does not show that a backend was ejected, because that was tried. So it leaves
        // the mark to the next choice.
        if is_unusual(reason, roster) || mem::take(&mut self.is_due) {
            return Some(Recorded::Unusual);
        }
        (now < self.watched_until).then_some(Recorded::Asked)
    }

    /// Records a choice among these candidates.
    #[cold]
    pub(super) fn add(
        &mut self,
        chooser: &Chooser<'_>,
        candidates: &[Candidate],
        lease: &Lease,
        recorded: Recorded,
    ) {
        let is_full = self.decisions.len() >= self.recording.kept.max(1);
        let oldest = if is_full { self.decisions.pop_front() } else { None };
        let mut backends = oldest.map_or_else(Vec::new, |decision| decision.backends);
        backends.clear();
        let Chooser { registry, roster, .. } = *chooser;
        let chosen = lease.backend;
        let score = |candidate: &Candidate| chooser.told_score(candidate);
        let others = candidates.iter().filter(|candidate| candidate.id != chosen);
        let scored = others.filter_map(|other| Some((score(other)?, other.id)));
        let runner_up = scored.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|it| it.1);
        let is_shown = |id| id == chosen || Some(id) == runner_up;
        let members = roster.members().iter().enumerate();
        let listed = members.filter(|(at, member)| *at < LISTED_MAX || is_shown(member.id));
        backends.extend(listed.map(|(_, member)| {
            let candidate = candidates.iter().find(|candidate| candidate.id == member.id);
            chooser.consider(member, candidate, lease)
        }));
        self.is_fresh = recorded != Recorded::Asked;
        self.decisions.push_back(Decision {
            at: registry.instant(lease.started),
            policy: roster.options.policy,
            chosen,
            reason: lease.reason,
            recorded,
            runner_up,
            probability: probability(lease, candidates),
            more: roster.members().len() - backends.len(),
            backends,
        });
    }

    /// Whether the last choice was recorded for the log, and not taken yet.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// The last one, if it is for the log and was not taken yet.
    pub(super) fn take(&mut self) -> Option<&Decision> {
        if mem::take(&mut self.is_fresh) { self.decisions.back() } else { None }
    }

    /// The last ones, the newest first.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().rev().take(count)
    }
}

/// Whether a choice tells more than that all is as ever. That only one backend is left is unusual
/// only if there are others.
fn is_unusual(reason: Reason, roster: &Roster) -> bool {
    match reason {
        Reason::Hedge | Reason::Retry | Reason::First | Reason::Trial | Reason::Cooling => true,
        Reason::Only => {
            let is_primary = |member: &&Member| member.tier == Some(Tier::Primary);
            roster.members().iter().filter(is_primary).nth(1).is_some()
        }
        Reason::Best | Reason::Tie | Reason::Turn => false,
    }
}

/// Chance decides only between backends that are as good for a hedge.
fn probability(lease: &Lease, candidates: &[Candidate]) -> Option<f64> {
    let chosen = candidates.iter().find(|candidate| candidate.id == lease.backend)?;
    let equal = candidates.iter().filter(|candidate| candidate.score <= chosen.score).count();
    (lease.reason == Reason::Hedge && equal > 1).then(|| 1.0 / equal as f64)
}

impl Chooser<'_> {
    /// A score as it is told; `None` if the policy gave none.
    fn told_score(&self, candidate: &Candidate) -> Option<f64> {
        let ranking = &self.roster.selector.ranking;
        let score = Some(candidate.score).filter(|score| *score > 0.0 && score.is_finite())?;
        if !ranking.is_adaptive() {
            return Some(score);
        }
        // Before it is measured, a score says only that it comes last.
        ranking.estimate(candidate.id).map(|_| score / 1e6)
    }

    /// A backend as this choice saw it.
    fn consider(
        &self,
        member: &Member,
        candidate: Option<&Candidate>,
        lease: &Lease,
    ) -> Considered {
        let Self { registry, roster, now, .. } = *self;
        let Member { id, weight, .. } = *member;
        let slot = registry.slot(id);
        let load = candidate.map_or_else(|| slot.load.get(), |candidate| candidate.load);
        let is_claimed = candidate.is_none() && id == lease.backend;
        let learnt = roster.selector.ranking.learnt(id, &self.view());
        let (since, left) = slot.standing.times(roster.rules, now);
        let part = match self.part(member, lease) {
            // If all are down, they are candidates.
            part @ Part::Out(..) => part,
            _ if candidate.is_some() => Part::Up,
            part => part,
        };
        let is_ejected = matches!(part, Part::Out(Availability::Ejected, _));
        Considered {
            id,
            part,
            since,
            ejected_for: left.filter(|_| is_ejected),
            in_flight: load.in_flight() - u32::from(is_claimed),
            weight: candidate.map_or(weight, |candidate| candidate.weight),
            estimate: learnt.map(|it| Duration::from_nanos(it.expected)),
            estimate_age: learnt.map(|it| Duration::from_nanos(now.saturating_sub(it.at))),
            usual: learnt.and_then(|it| it.usual),
            score: candidate.and_then(|candidate| self.told_score(candidate)),
        }
    }

    /// Why a backend was no candidate.
    fn part(&self, member: &Member, lease: &Lease) -> Part {
        let Self { registry, roster, tried, now, .. } = *self;
        let slot = registry.slot(member.id);
        let availability = slot.standing.availability(roster.rules, now);
        let is_full = |limit| slot.load.get().total() >= limit && member.id != lease.backend;
        if member.tier.is_none() {
            Part::Drained
        } else if tried.contains(member.id) {
            Part::Tried
        } else if availability != Availability::Up {
            Part::Out(availability, slot.standing.cause())
        } else if member.role.max_in_flight.is_some_and(is_full) {
            Part::Full
        } else if member.tier == Some(Tier::Backup) && member.id != lease.backend {
            Part::Backup
        } else {
            Part::Up
        }
    }
}
