//! One backend that a request may go to, as a choice sees it.

use super::id::BackendId;
use super::lease::Reason;
use super::load::Load;

/// See the module. A choice keeps a list of them as scratch.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) id: BackendId,
    pub(super) load: Load,
    /// Its configured weight, or a part of that during its slow start.
    pub(super) weight: f64,
    /// `1 / √weight`.
    pub(super) handicap: f64,
    /// What the policy gave it: the least one is chosen.
    pub(super) score: f64,
    /// Why it deserves a probe, if it does.
    pub(super) lacks_sample: Option<Reason>,
}

/// Whether no candidate has another weight than the others.
pub(super) fn weigh_the_same(candidates: &[Candidate]) -> bool {
    let first = candidates.first().map(|candidate| candidate.weight.to_bits());
    candidates.iter().all(|candidate| Some(candidate.weight.to_bits()) == first)
}
