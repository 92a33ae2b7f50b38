//! What a policy thinks of each backend, for those who watch.

use super::choice::Chooser;
use super::clock::Nanos;
use super::id::{BackendId, Tried};
use super::policy::{Answers, View};
use super::registry::Registry;
use super::roster::Roster;

/// See the module.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Score {
    /// The backend.
    pub id: BackendId,
    /// Its weight, which is a part of the configured one during its slow start.
    pub weight: f64,
    /// What the policy goes by, whether or not the backend takes requests: the least one is chosen.
    /// In seconds if the policy decides by latencies. `None` before it was measured, and if others
    /// have fewer tunnels and are as good.
    pub score: Option<f64>,
}

/// The scores with which a worker that has this roster would choose now. Nothing is changed by
/// asking.
pub(super) fn scores(registry: &Registry, roster: &Roster, now: Nanos) -> Vec<Score> {
    let (mut answers, tried) = (Answers::default(), Tried::default());
    let ranking = &roster.selector.ranking;
    // There is nothing to tell others, so this only asks what they know.
    ranking.fold(&mut answers);
    let chooser = Chooser { registry, roster, answers: &answers, tried: &tried, now };
    let members = roster.members().iter().enumerate();
    let mut candidates: Vec<_> = members
        .map(|(place, member)| {
            let slot = registry.slot(member.id);
            chooser.candidate(place, member, slot, slot.load.get())
        })
        .collect();
    let view = View { now, resample_after: roster.resample_after, answers: &answers };
    ranking.rank(&mut candidates, &view);
    let scores = candidates.iter().map(|candidate| {
        let score = if ranking.is_adaptive() {
            ranking.estimate(candidate.id).map(|_| candidate.score * 1e-9)
        } else {
            Some(candidate.score)
        };
        let score = score.filter(|score| score.is_finite());
        Score { id: candidate.id, weight: candidate.weight, score }
    });
    scores.collect()
}
