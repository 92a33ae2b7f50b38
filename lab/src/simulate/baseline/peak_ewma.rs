//! Peak EWMA of linkerd and tower: of two backends that are drawn, the one with the smaller product
//! of latency and requests in flight.
//!
//! A latency above the estimate becomes the estimate at once; one below it moves the estimate by
//! how long it was unchanged. An idle backend's estimate decays. Constants are linkerd's defaults.

use fastrand::Rng;

use super::{Baseline, Candidate, least, two};
use crate::fleet::time::{MILLISECOND, SECOND, Time};

const DECAY: Time = 10 * SECOND;
const FIRST: Time = 30 * MILLISECOND;

pub(super) struct PeakEwma(Vec<Estimate>);

#[derive(Copy, Clone)]
struct Estimate {
    nanos: f64,
    since: Time,
}

impl Estimate {
    const NEW: Self = Self { nanos: FIRST as f64, since: 0 };

    fn decay(self, now: Time) -> f64 {
        (-((now - self.since) as f64) / DECAY as f64).exp()
    }
}

impl PeakEwma {
    pub(super) fn new(backends: usize) -> Self {
        Self(vec![Estimate::NEW; backends])
    }
}

impl Baseline for PeakEwma {
    fn choose(&mut self, candidates: &[Candidate], now: Time, rng: &mut Rng) -> Option<usize> {
        let drawn = two(candidates, rng)?;
        least(&drawn, rng, |candidate| {
            let estimate = self.0[candidate.backend];
            estimate.nanos * estimate.decay(now) * (f64::from(candidate.in_flight) + 1.0)
        })
    }

    fn ended(&mut self, backend: usize, took: Time, now: Time) {
        let estimate = &mut self.0[backend];
        let (took, kept) = (took as f64, estimate.decay(now));
        let decayed = estimate.nanos * kept;
        let nanos = if took > decayed { took } else { decayed + took * (1.0 - kept) };
        *estimate = Estimate { nanos, since: now };
    }

    fn joined(&mut self, backend: usize, now: Time) {
        self.0[backend] = Estimate { since: now, ..Estimate::NEW };
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_at_once_and_what_follows_by_its_time() {
        let mut peak = PeakEwma::new(1);
        let mut after = |ms: Time, at: Time| {
            peak.ended(0, ms * MILLISECOND, at);
            peak.0[0].nanos / MILLISECOND as f64
        };
        assert_eq!(after(100, 0), 100.0);
        assert_eq!(after(10, 0), 100.0, "no time has passed");
        let half = 10.0 + 90.0 / std::f64::consts::E;
        assert!((after(10, DECAY) - half).abs() < 1e-9);
        assert_eq!(after(500, DECAY + SECOND), 500.0);
    }
}
