//! The power of two choices: the fewer requests in flight of two backends that are drawn, as
//! `random two` of nginx; or of two draws, which may be the same backend, as `LEAST_REQUEST` of
//! Envoy.
//!
//! M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001.

use fastrand::Rng;

use super::{Baseline, Candidate, least, two};
use crate::fleet::time::Time;

pub(super) struct P2c;

pub(super) struct TwoDraws;

impl Baseline for P2c {
    fn choose(&mut self, candidates: &[Candidate], _now: Time, rng: &mut Rng) -> Option<usize> {
        let drawn = two(candidates, rng)?;
        least(&drawn, rng, |candidate| f64::from(candidate.in_flight))
    }
}

impl Baseline for TwoDraws {
    fn choose(&mut self, candidates: &[Candidate], _now: Time, rng: &mut Rng) -> Option<usize> {
        let drawn = [*rng.choice(candidates)?, *rng.choice(candidates)?];
        least(&drawn, rng, |candidate| f64::from(candidate.in_flight))
    }
}
