//! One attempt at one backend, from the choice to the backend's last byte.

use std::time::Duration;

use super::clock::{Nanos, nanos};
use super::id::BackendId;
use super::load::Held;
use super::probe::Probe;

/// What became of an attempt.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Outcome {
    /// The first byte of a final response came that is none of those below. The time it took is the
    /// sample.
    Answered,
    /// The same, of a 429 or a 5xx that is no failure. It is an answer, but if it came fast, that
    /// does not tell of a fast backend.
    Declined,
    /// A reset, a timeout, nonsense, or a 502, 503, 504 or 508 of the backend. However short that
    /// took, it counts as a long time: a backend that fails fast must not attract requests. Several
    /// in a row eject the backend, and one prolongs an ejection that the attempt was to end.
    Failed,
    /// The connect was refused or timed out at every address. The backend is ejected. Never report
    /// an error of our own (no file descriptor, no local port) as this: such an attempt is released
    /// without an outcome.
    Unreachable,
    /// Nobody waits for the response any more: the client left, or another attempt was answered
    /// first. That it was waited for so long is known.
    Abandoned,
}

/// Why a backend was chosen. Of several reasons that hold, it is the first in this order: what
/// narrowed the choice tells more than what decided the rest.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Reason {
    /// For a second attempt beside one that is out, whatever chose this one.
    Hedge,
    /// The request had tried another backend before, whatever chose this one.
    Retry,
    /// To probe a backend that is not measured yet.
    First,
    /// To probe one that was ejected, or whose last sample is too old.
    Trial,
    /// All are ejected, being probed or down, and its ejection ends first.
    Cooling,
    /// No other takes requests, or the client is bound to it.
    Only,
    /// Its score is the least: the latency expected of it, or what else the policy goes by.
    Best,
    /// It took its turn among those with the least score.
    Tie,
    /// It took its turn among all.
    Turn,
}

impl Reason {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Hedge,
        Self::Retry,
        Self::First,
        Self::Trial,
        Self::Cooling,
        Self::Only,
        Self::Best,
        Self::Tie,
        Self::Turn,
    ];

    /// The word for logs and people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hedge => "hedge",
            Self::Retry => "retry",
            Self::First => "first",
            Self::Trial => "trial",
            Self::Cooling => "cooling",
            Self::Only => "only",
            Self::Best => "best",
            Self::Tie => "tie",
            Self::Turn => "turn",
        }
    }
}

/// The right to send one request to one backend, and what was known when it was chosen.
///
/// It counts as in flight from [`super::Balancer::acquire`] to [`super::Balancer::release`], which
/// is at the upstream's last byte. It must come back: one that is dropped would count for ever, and
/// so would its probe, and its slot would never be free again. A debug build panics there.
#[must_use = "a lease counts as in flight until it is released"]
#[derive(Debug)]
pub struct Lease {
    pub(super) backend: BackendId,
    pub(super) reason: Reason,
    /// As what it counts.
    pub(super) held: Held,
    pub(super) in_flight: u32,
    pub(super) estimate: Option<Nanos>,
    /// When the attempt began; its sample is measured from here.
    pub(super) started: Nanos,
    /// The probe of its backend that this attempt still is.
    pub(super) probe: Option<Probe>,
    /// What of the time since the start is not the backend's.
    pub(super) excused: Nanos,
    /// The last outcome that counted.
    pub(super) observed: Option<Outcome>,
}

impl Lease {
    /// The backend to send the request to.
    #[must_use]
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// Why this backend was chosen.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The backend's requests in flight when it was chosen, this one included, and without those
    /// that were parked and tunnels.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether this attempt is there to measure its backend, so that nothing is known of that
    /// unless it comes to its end.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// The latency that was expected of the backend when it was chosen; `None` before it was
    /// measured, and always if the policy measures nothing.
    #[must_use]
    pub fn estimate(&self) -> Option<Duration> {
        self.estimate.map(Duration::from_nanos)
    }

    /// So much of the attempt's time the backend could not help, because the client took it to send
    /// its request: the sample of the answer is shorter by that.
    pub fn excuse(&mut self, spent: Duration) {
        self.excused = nanos(spent);
    }

    /// Whether `outcome` counts. The first one does; after an answer one failure does, too: a
    /// backend that answers at once and breaks off in the middle is not a fast one.
    pub(super) fn admits(&mut self, outcome: Outcome) -> bool {
        let counts = match self.observed {
            None => true,
            Some(Outcome::Answered | Outcome::Declined) => outcome == Outcome::Failed,
            Some(Outcome::Failed | Outcome::Unreachable | Outcome::Abandoned) => false,
        };
        if counts {
            self.observed = Some(outcome);
        }
        counts
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What panics already can't release what it holds.
        debug_assert!(std::thread::panicking(), "{self:?} was dropped, not released");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_are_listed_in_their_order() {
        let (_, behind) = include_str!("lease.rs").split_once("pub enum Reason {").expect("it");
        let variants = behind.split("\n}").next().unwrap_or_default().lines();
        let variants = variants.map(str::trim).filter(|line| line.ends_with(','));
        assert_eq!(variants.count(), Reason::ALL.len());
        let places = Reason::ALL.map(|reason| reason as usize);
        assert_eq!(places, std::array::from_fn(|place| place));
    }
}
