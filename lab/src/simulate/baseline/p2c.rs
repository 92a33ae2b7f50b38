//! The power of two choices: the fewer requests in flight of two backends that are drawn, as
//! `LEAST_REQUEST` of Envoy and `random two` of nginx.
//!
//! M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001.

use fastrand::Rng;

use super::{Baseline, Candidate, least, two};
use crate::fleet::time::Time;

pub(super) struct P2c;

impl Baseline for P2c {
    fn choose(&mut self, candidates: &[Candidate], _now: Time, rng: &mut Rng) -> Option<usize> {
        let drawn = two(candidates, rng)?;
        least(&drawn, rng, |candidate| f64::from(candidate.in_flight))
    }
}
