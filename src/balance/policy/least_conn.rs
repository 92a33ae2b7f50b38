//! Least connections: the backend that has least to do.
//!
//! Parked requests and tunnels count like all others, so that long-lived connections are spread
//! evenly.

use super::selector::{Ranking, View};
use crate::balance::candidate::Candidate;

/// The least `(leases + 1) / weight`.
#[derive(Debug)]
pub(super) struct LeastConn;

impl Ranking for LeastConn {
    fn rank(&self, candidates: &mut [Candidate], _view: &View<'_>) -> bool {
        for candidate in candidates {
            candidate.score = f64::from(candidate.load.total() + 1) / candidate.weight;
        }
        false
    }
}
