//! `least_time` of nginx 1.31: the least product of latency, in steps of 20 ms, and requests in
//! flight.
//!
//! Latencies are whole milliseconds, averaged with a weight of 5 %. A backend that was not chosen
//! for over ten seconds (`fail_timeout`) counts half as much for each eleven.

use fastrand::Rng;

use super::{Baseline, Candidate, least};
use crate::fleet::time::{MILLISECOND, SECOND, Time};

const STEP_MS: u64 = 20;
/// A latency above this counts as this.
const LONGEST_MS: u64 = 5000;
const FAIL_TIMEOUT: u64 = 10;

pub(super) struct LeastTime(Vec<Peer>);

#[derive(Copy, Clone, Default)]
struct Peer {
    /// The average; 0 before the first answer.
    ms: u64,
    /// The second in which it was last looked at.
    checked: u64,
}

impl Peer {
    fn response_time(self, second: u64) -> u64 {
        let idle = second - self.checked;
        let halvings = if idle > FAIL_TIMEOUT { idle / (FAIL_TIMEOUT + 1) } else { 0 };
        match self.ms.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0) {
            ms if ms > LONGEST_MS => LONGEST_MS,
            ms => ms + STEP_MS - ms % STEP_MS,
        }
    }
}

impl LeastTime {
    pub(super) fn new(backends: usize) -> Self {
        Self(vec![Peer::default(); backends])
    }
}

impl Baseline for LeastTime {
    fn choose(&mut self, candidates: &[Candidate], now: Time, rng: &mut Rng) -> Option<usize> {
        let second = now / SECOND;
        let chosen = least(candidates, rng, |candidate| {
            let latency = self.0[candidate.backend].response_time(second);
            latency as f64 * (1.0 + f64::from(candidate.in_flight))
        })?;
        let peer = &mut self.0[chosen];
        if second - peer.checked > FAIL_TIMEOUT {
            peer.checked = second;
        }
        Some(chosen)
    }

    fn ended(&mut self, backend: usize, took: Time, _now: Time) {
        let (ms, peer) = (took / MILLISECOND, &mut self.0[backend]);
        // Rounded to the nearest whole millisecond.
        peer.ms = if peer.ms == 0 { ms } else { (ms + 19 * peer.ms + 10) / 20 };
    }

    fn joined(&mut self, backend: usize, _now: Time) {
        self.0[backend].ms = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_count_in_steps_and_half_when_they_are_old() {
        let peer = Peer { ms: 85, checked: 100 };
        let after = |seconds: u64| peer.response_time(100 + seconds);
        assert_eq!([0, 10, 11, 21, 22, 3000].map(after), [100, 100, 60, 60, 40, 20]);
        assert_eq!(Peer { ms: 9000, checked: 0 }.response_time(0), 5000);
        assert_eq!(Peer::default().response_time(0), 20);
    }

    #[test]
    fn a_new_answer_has_a_weight_of_a_twentieth() {
        let mut policy = LeastTime::new(1);
        let mut after = |ms: u64| {
            policy.ended(0, ms * MILLISECOND, 0);
            policy.0[0].ms
        };
        assert_eq!([100, 200, 0, 0].map(&mut after), [100, 105, 100, 95]);
    }
}
