//! Keeping requests off a backend that can't be reached.
//!
//! A refused or timed-out connect ejects a backend. When the time is over it stays ejected for all
//! but one request, the probe: an answer ends the outage, another failure doubles the time up to a
//! limit.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::clock::{Nanos, nanos};
use super::sync::AtomicU64;

/// How long a backend is ejected: `first`, then twice as long after each failed probe, at most
/// `longest`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Backoff {
    fn after(self, failures: u8) -> Micros {
        let doubled = 2_u32.saturating_pow(u32::from(failures.saturating_sub(1)));
        micros(nanos(self.first.saturating_mul(doubled).min(self.longest)))
    }
}

/// Whether a backend takes requests.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Availability {
    /// It takes requests.
    Up,
    /// It could not be reached: it takes no requests until its time is over.
    Ejected,
    /// Its time is over, but it takes one request at a time only, to see whether it is back.
    Probing,
    /// It is draining or gone: it takes no new requests, whatever time passes.
    Down,
}

impl Availability {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Probing => "probing",
            Self::Down => "down",
        }
    }
}

/// When a backend was last found unreachable, and how often in a row, in one word: since when in
/// the upper 56 bits, failures in the lower 8. Zero is up.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicU64);

const FAILURE_BITS: u32 = 8;

/// Microseconds since the epoch, of which 56 bits are enough.
type Micros = u64;

fn micros(time: Nanos) -> Micros {
    time / 1_000
}

#[derive(Copy, Clone)]
struct Ejection {
    since: Micros,
    failures: u8,
}

impl Ejection {
    fn unpack(word: u64) -> Option<Self> {
        let [failures, ..] = word.to_le_bytes();
        (failures > 0).then_some(Self { since: word >> FAILURE_BITS, failures })
    }

    fn pack(self) -> u64 {
        self.since << FAILURE_BITS | u64::from(self.failures)
    }

    fn due(self, backoff: Backoff) -> Micros {
        self.since + backoff.after(self.failures)
    }
}

impl Outage {
    pub(super) fn availability(&self, backoff: Backoff, now: Nanos) -> Availability {
        match self.due(backoff) {
            None => Availability::Up,
            Some(due) if micros(now) < due => Availability::Ejected,
            Some(_) => Availability::Probing,
        }
    }

    /// When the ejection is over, as a number to be compared; `None` if the backend is up.
    pub(super) fn due(&self, backoff: Backoff) -> Option<Micros> {
        Ejection::unpack(self.0.load(Relaxed)).map(|ejection| ejection.due(backoff))
    }

    /// An attempt begun at `started` got no connection: a backend that was up is ejected.
    pub(super) fn unreachable(&self, backoff: Backoff, started: Nanos, now: Nanos) {
        let first = Ejection { since: micros(now), failures: 1 }.pack();
        if self.0.compare_exchange(0, first, Relaxed, Relaxed).is_err() {
            self.failed(backoff, started, now);
        }
    }

    /// An attempt begun at `started` failed: an ejection whose time was over starts anew and takes
    /// twice as long. An attempt begun before that tells nothing new (a hundred requests refused at
    /// the same moment are one outage), and a backend that was up stays up.
    pub(super) fn failed(&self, backoff: Backoff, started: Nanos, now: Nanos) {
        let prolong = |word| {
            let before = Ejection::unpack(word).filter(|e| micros(started) >= e.due(backoff))?;
            let failures = before.failures.saturating_add(1);
            Some(Ejection { since: micros(now), failures }.pack())
        };
        // If it is declined, there is nothing to prolong.
        let _ = self.0.fetch_update(Relaxed, Relaxed, prolong);
    }

    /// An attempt begun at `started` was answered: the backend is up. An answer to a request that
    /// was sent before the outage is no proof, because a process that shuts down finishes what it
    /// has.
    pub(super) fn answered(&self, started: Nanos) {
        let word = self.0.load(Relaxed);
        if Ejection::unpack(word).is_some_and(|ejection| micros(started) > ejection.since) {
            // If another thread was first, it knew something newer.
            let _ = self.0.compare_exchange(word, 0, Relaxed, Relaxed);
        }
    }

    /// The slot has another occupant, which is up.
    pub(super) fn forget(&self) {
        self.0.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;
    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(5) };

    /// For how long the backend is ejected after each of `count` failures, each probe sent when
    /// due.
    fn ejections_ms(backoff: Backoff, count: usize) -> Vec<u64> {
        let outage = Outage::default();
        let mut now = 7_000;
        let mut ejection = || {
            outage.unreachable(backoff, now, now);
            let due = 1_000 * outage.due(backoff).unwrap();
            assert_eq!(outage.availability(backoff, due), Availability::Probing);
            if due > now {
                assert_eq!(outage.availability(backoff, due - 1), Availability::Ejected);
            }
            (due - std::mem::replace(&mut now, due)) / MS
        };
        (0..count).map(|_| ejection()).collect()
    }

    #[test]
    fn doubles_up_to_the_limit() {
        assert_eq!(ejections_ms(BACKOFF, 6), [500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(ejections_ms(BACKOFF, 600).last(), Some(&5000));
        let limit_below_first = Backoff { longest: Duration::from_millis(100), ..BACKOFF };
        assert_eq!(ejections_ms(limit_below_first, 3), [100, 100, 100]);
    }

    #[test]
    fn no_time_and_endless_time_are_times() {
        let none = Backoff { first: Duration::ZERO, longest: Duration::ZERO };
        assert_eq!(ejections_ms(none, 3), [0, 0, 0]);
        let endless = Backoff { first: Duration::MAX, longest: Duration::MAX };
        let outage = Outage::default();
        outage.unreachable(endless, u64::MAX, u64::MAX);
        assert_eq!(outage.availability(endless, u64::MAX), Availability::Ejected);
    }

    #[test]
    fn an_answer_ends_the_outage_and_forgets_how_often_it_failed() {
        let outage = Outage::default();
        outage.unreachable(BACKOFF, 0, 0);
        outage.unreachable(BACKOFF, 500 * MS, 500 * MS);
        outage.answered(1500 * MS);
        assert_eq!(outage.due(BACKOFF), None);
        outage.unreachable(BACKOFF, 1600 * MS, 1600 * MS);
        assert_eq!(outage.due(BACKOFF).map(|due| 1_000 * due), Some(2100 * MS));
    }

    #[test]
    fn what_began_before_the_outage_neither_prolongs_nor_ends_it() {
        let outage = Outage::default();
        outage.unreachable(BACKOFF, 10 * MS, 20 * MS);
        for started in [0, 10 * MS, 20 * MS] {
            outage.unreachable(BACKOFF, started, 30 * MS);
            outage.failed(BACKOFF, started, 600 * MS);
            outage.answered(started);
            assert_eq!(outage.due(BACKOFF).map(|due| 1_000 * due), Some(520 * MS), "{started}");
        }
        outage.answered(20 * MS + 1_000);
        assert_eq!(outage.due(BACKOFF), None);
    }

    #[test]
    fn a_failure_prolongs_an_outage_and_begins_none() {
        let outage = Outage::default();
        outage.failed(BACKOFF, 0, 0);
        assert_eq!(outage.due(BACKOFF), None);
        outage.unreachable(BACKOFF, 0, 0);
        outage.failed(BACKOFF, 500 * MS, 600 * MS);
        assert_eq!(outage.due(BACKOFF).map(|due| 1_000 * due), Some(1600 * MS));
    }
}
