//! One attempt at one backend, from the choice to the backend's last byte.

use std::time::{Duration, Instant};

use super::probe::Probe;
use super::set::BackendId;

/// What became of an attempt.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Outcome {
    /// The first byte of a final response came that is none of 502, 503, 504 and 508. The time it
    /// took is the sample.
    Answered,
    /// A reset, a timeout, nonsense, or a 502, 503, 504 or 508 of the backend. The sample is
    /// [`super::Options::failure_sample`], however short the failure took: a backend that fails
    /// fast must not attract requests. It also prolongs a cool-off that the attempt was to end.
    Failed,
    /// The connect was refused or timed out at every address. The backend cools off; there is no
    /// sample, for nothing was measured. Never report an error of our own (no file descriptor, no
    /// local port) as this: such an attempt is released without an outcome.
    Unreachable,
}

/// The right to send one request to one backend.
///
/// It counts as outstanding from [`super::Balancer::acquire`] to [`super::Balancer::release`],
/// which is at the upstream's last byte. A lease that is dropped instead counts for ever, and so
/// does its probe.
#[must_use = "a lease counts as outstanding until it is released"]
#[derive(Debug)]
pub struct Lease {
    pub(super) backend: BackendId,
    pub(super) started: Instant,
    /// Whether this attempt still holds its backend's probe.
    pub(super) probe: Option<Probe>,
    /// What of the time since the start is not the backend's.
    pub(super) excused: Duration,
    /// The last outcome that counted.
    observed: Option<Outcome>,
}

impl Lease {
    pub(super) fn new(backend: BackendId, started: Instant, probe: Option<Probe>) -> Self {
        Self { backend, started, probe, excused: Duration::ZERO, observed: None }
    }

    /// The backend to send the request to.
    #[must_use]
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// When the attempt started; its sample is measured from here.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether the request went to this backend to learn of it, not because it was the best. False
    /// once an outcome was observed, for then it has been learned.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// So much of the attempt's time the backend could not help, because the client took it to send
    /// its request: the sample of the answer is shorter by that.
    pub fn excuse(&mut self, spent: Duration) {
        self.excused = spent;
    }

    /// Whether `outcome` counts. The first one does; after [`Outcome::Answered`] one failure does,
    /// too: a backend that answers at once and breaks off in the middle is not a fast one.
    pub(super) fn admits(&mut self, outcome: Outcome) -> bool {
        let counts = match self.observed {
            None => true,
            Some(Outcome::Answered) => outcome == Outcome::Failed,
            Some(Outcome::Failed | Outcome::Unreachable) => false,
        };
        if counts {
            self.observed = Some(outcome);
        }
        counts
    }
}
