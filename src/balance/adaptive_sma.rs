//! The simple moving average: a backend is as fast as its last few answers were on average.
//!
//! A plain argmin, kept as published: it herds (all requests go to one backend until its answers
//! make it the worse one) and never looks again at a backend that was once slow.

use std::time::{Duration, Instant};

use super::balancer::InvalidOptions;
use super::fastest::fastest;
use super::fleet::{Backend, Fleet};
use super::selector::Selector;
use super::set::{BackendId, Candidates};

/// The largest window, in samples.
pub const MAX_WINDOW: usize = 1000;

/// Chooses the lowest mean of the last `window` samples, or of as many as there are.
#[derive(Debug)]
pub(super) struct AdaptiveSma {
    window: usize,
}

impl AdaptiveSma {
    pub(super) fn new(window: usize) -> Result<Self, InvalidOptions> {
        if (1..=MAX_WINDOW).contains(&window) {
            Ok(Self { window })
        } else {
            Err(InvalidOptions::Window(window))
        }
    }
}

impl Selector for AdaptiveSma {
    fn select(&self, fleet: &Fleet, candidates: Candidates, _now: Instant) -> Option<BackendId> {
        fastest(fleet, candidates, |backend| self.estimate(backend))
    }

    fn observe(&self, backend: &Backend, latency: Duration, _now: Instant) {
        backend.samples.push(latency);
    }

    fn estimate(&self, backend: &Backend) -> Option<Duration> {
        backend.samples.mean()
    }

    fn is_adaptive(&self) -> bool {
        true
    }

    fn samples_remembered(&self) -> usize {
        self.window
    }
}
