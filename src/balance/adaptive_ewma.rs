//! The exponentially weighted moving average: a backend is as fast as it was, corrected by a part of
//! each new answer's surprise.
//!
//! The weight is per sample, not per time: a backend without traffic keeps its estimate for ever. A
//! plain argmin, kept as published: it herds, and never looks again at a backend that was once slow.

use std::time::{Duration, Instant};

use super::balancer::InvalidOptions;
use super::fastest::fastest;
use super::fleet::{Backend, Fleet};
use super::selector::Selector;
use super::set::{BackendId, Candidates};

/// Chooses the lowest average, where `average += alpha * (sample - average)` and the first sample is
/// the first average.
#[derive(Debug)]
pub(super) struct AdaptiveEwma {
    alpha: f64,
}

impl AdaptiveEwma {
    pub(super) fn new(alpha: f64) -> Result<Self, InvalidOptions> {
        if alpha > 0.0 && alpha <= 1.0 {
            Ok(Self { alpha })
        } else {
            Err(InvalidOptions::Alpha(alpha))
        }
    }
}

impl Selector for AdaptiveEwma {
    fn select(&self, fleet: &Fleet, candidates: Candidates, _now: Instant) -> Option<BackendId> {
        fastest(fleet, candidates, |backend| self.estimate(backend))
    }

    fn observe(&self, backend: &Backend, latency: Duration, _now: Instant) {
        let sample_ns = latency.as_nanos() as f64;
        backend.average.update(|average_ns| match average_ns {
            None => sample_ns,
            Some(average_ns) => average_ns + self.alpha * (sample_ns - average_ns),
        });
    }

    fn estimate(&self, backend: &Backend) -> Option<Duration> {
        // An average of samples is never negative and, being one of at most `LONGEST_SAMPLE`, fits.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        backend.average.nanos().map(|nanos| Duration::from_nanos(nanos.round() as u64))
    }

    fn is_adaptive(&self) -> bool {
        true
    }
}
