//! Any backend.

use fastrand::Rng;

use super::{Baseline, Candidate};
use crate::fleet::time::Time;

pub(super) struct Random;

impl Baseline for Random {
    fn choose(&mut self, candidates: &[Candidate], _now: Time, rng: &mut Rng) -> Option<usize> {
        rng.choice(candidates).map(|candidate| candidate.backend)
    }
}
