//! One backend that a request may go to, as a choice sees it.

use super::clock::Nanos;
use super::id::BackendId;
use super::lease::Reason;
use super::load::Load;

/// See the module. A choice keeps a list of them as scratch.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) id: BackendId,
    /// Its place in the roster.
    pub(super) place: usize,
    pub(super) load: Load,
    /// Its configured weight, or a part of that during its slow start.
    pub(super) weight: f64,
    /// `1 / √weight`.
    pub(super) handicap: f64,
    /// What the policy gave it: the least one is chosen.
    pub(super) score: f64,
    /// Why it deserves a probe, if it does.
    pub(super) lack: Option<Lack>,
}

/// Why a backend deserves a probe. The least comes first.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Lack {
    /// It was never measured.
    Unmeasured,
    /// Its last sample, of this instant, is too old.
    Since(Nanos),
}

impl Lack {
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Unmeasured => Reason::First,
            Self::Since(_) => Reason::Trial,
        }
    }
}

/// Whether no candidate has another weight than the others.
pub(super) fn weigh_the_same<'a>(candidates: impl IntoIterator<Item = &'a Candidate>) -> bool {
    let mut weights = candidates.into_iter().map(|candidate| candidate.weight.to_bits());
    weights.next().is_none_or(|first| weights.all(|weight| weight == first))
}
