//! Choices as they are told: with the names of backends, and numbers in the units of the logs.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::settings::Settings;
use super::worker::CHOICES_KEPT;
use crate::balance::{self, BackendId, Balancer, Considered, Recording};
use crate::decision::{Candidate, Decision, Told};

/// A choice that waits for the end of its request, to be written with its row.
#[derive(Debug)]
pub struct Decided {
    /// When it was made.
    pub at: Instant,
    /// What there is to tell.
    pub told: Box<dyn Told>,
}

/// A choice with the names of its backends, which may be gone when it is written. It takes as few
/// allocations as there can be, because the worker makes it.
#[derive(Debug)]
struct Named {
    decision: balance::Decision,
    /// A line for each backend.
    names: String,
}

impl Told for Named {
    fn decision(&self) -> Decision<'_> {
        let backends = self.decision.backends.iter().zip(self.names.lines());
        let names: Vec<_> = backends.map(|(it, name)| (it.id, name)).collect();
        let name = |id| names.iter().find(|it| it.0 == id).map(|it| Cow::Borrowed(it.1));
        describe(&self.decision, name)
    }
}

/// Room for most names.
const NAME_BYTES: usize = 64;

/// A choice, for the admin.
#[derive(Clone, Debug)]
pub struct Explained {
    /// How long ago it was made.
    pub age: Duration,
    /// What there is to tell.
    pub decision: Decision<'static>,
}

/// Which choices are recorded: none, if nobody may want them.
pub(super) fn recording(settings: &Settings) -> Option<Recording> {
    let kept = if settings.admin.is_empty() { 0 } else { CHOICES_KEPT };
    let is_wanted = kept > 0 || settings.decisions.is_some();
    is_wanted.then_some(Recording { every: settings.decision_sample, kept })
}

/// The choice that was just made, if it is to be logged.
#[cold]
pub(super) fn take(balancer: &mut Balancer) -> Option<Decided> {
    let (decision, roster) = balancer.take_decision()?;
    let mut names = String::with_capacity(NAME_BYTES * decision.backends.len());
    for Considered { id, .. } in &decision.backends {
        match roster.member(*id) {
            Some(member) => names.push_str(member.name()),
            None => names.push_str(&id.to_string()),
        }
        names.push('\n');
    }
    Some(Decided { at: decision.at, told: Box::new(Named { decision: decision.clone(), names }) })
}

/// The last choices, the newest first.
pub(super) fn explain(balancer: &mut Balancer, count: usize, now: Instant) -> Vec<Explained> {
    let decisions = balancer.decisions(count, now);
    let name = |id| balancer.name(id).map(|name| Cow::Owned(name.to_owned()));
    let explained = decisions.iter().map(|decision| Explained {
        age: now.saturating_duration_since(decision.at),
        decision: describe(decision, name),
    });
    explained.collect()
}

/// A choice with names. A backend that has left has its id.
fn describe<'a>(
    decision: &balance::Decision,
    name: impl Fn(BackendId) -> Option<Cow<'a, str>>,
) -> Decision<'a> {
    let name = |id: BackendId| name(id).unwrap_or_else(|| id.to_string().into());
    Decision {
        policy: decision.policy.name().into(),
        chosen: name(decision.chosen),
        reason: decision.reason.name().into(),
        recorded: decision.recorded.name().into(),
        runner_up: decision.runner_up.map(name),
        probability: decision.probability.map(|it| rounded(it, 1e6)),
        candidates: decision.backends.iter().map(|it| candidate(it, name(it.id))).collect(),
        more_candidates: decision.more,
    }
}

fn candidate<'a>(it: &Considered, url: Cow<'a, str>) -> Candidate<'a> {
    let seconds = |time: Duration| rounded(time.as_secs_f64(), 1e3);
    let millis = |time: Duration| rounded(time.as_secs_f64() * 1e3, 1e3);
    Candidate {
        url,
        state: it.part.name().into(),
        cause: it.part.cause().map(Cow::Borrowed),
        since_seconds: it.since.map(seconds),
        ejected_for_seconds: it.ejected_for.map(seconds),
        estimate_ms: it.estimate.map(millis),
        estimate_age_ms: it.estimate_age.map(millis),
        in_flight: it.in_flight,
        usual_in_flight: it.usual.map(|usual| rounded(usual, 1e3)),
        weight: rounded(it.weight, 1e3),
        score: it.score.map(|score| rounded(score, 1e6)),
    }
}

/// With so many parts of one.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}
