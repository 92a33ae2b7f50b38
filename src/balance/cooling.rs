//! Keeping requests off a backend that nobody can reach.
//!
//! A refused or timed-out connect cools a backend off. When the time is over it stays off for all
//! but one request, the probe: an answer ends the cool-off, another failure doubles it up to a
//! limit.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Microseconds since the fleet's epoch.
pub(super) type Micros = u64;

/// How long a backend cools off: `first`, then twice as long after each failed probe, at most
/// `longest`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Backoff {
    fn after(self, failures: u8) -> Micros {
        let doubled = 2_u32.saturating_pow(u32::from(failures.saturating_sub(1)));
        let wait = self.first.saturating_mul(doubled).min(self.longest);
        // A bound that no configuration comes near keeps the sum with an instant from overflowing.
        Micros::try_from(wait.as_micros()).unwrap_or(MAX_SINCE).min(MAX_SINCE)
    }
}

/// Whether a backend takes requests.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Temperature {
    /// It takes requests.
    Warm,
    /// It takes no requests.
    Cooling,
    /// Its time is over, but it takes one request only, to see whether it is back.
    Due,
}

/// When a backend was last found unreachable, and how often in a row, in one word: since when in
/// the upper 56 bits (enough for two thousand years), failures in the lower 8. Zero is warm.
#[derive(Debug, Default)]
pub(super) struct Cooling(AtomicU64);

const FAILURE_BITS: u32 = 8;
const MAX_SINCE: Micros = u64::MAX >> FAILURE_BITS;

#[derive(Copy, Clone)]
struct Outage {
    since: Micros,
    failures: u8,
}

impl Outage {
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

impl Cooling {
    pub(super) fn temperature(&self, backoff: Backoff, now: Micros) -> Temperature {
        match self.due(backoff) {
            None => Temperature::Warm,
            Some(due) if now < due => Temperature::Cooling,
            Some(_) => Temperature::Due,
        }
    }

    /// When the cool-off is over; `None` if the backend is warm.
    pub(super) fn due(&self, backoff: Backoff) -> Option<Micros> {
        Outage::unpack(self.0.load(Relaxed)).map(|outage| outage.due(backoff))
    }

    pub(super) fn is_warm(&self) -> bool {
        Outage::unpack(self.0.load(Relaxed)).is_none()
    }

    /// An attempt begun at `started` found nobody: a warm backend starts to cool off.
    pub(super) fn unreachable(&self, backoff: Backoff, started: Micros, now: Micros) {
        let first = Outage { since: now, failures: 1 }.pack();
        if self.0.compare_exchange(0, first, Relaxed, Relaxed).is_err() {
            self.failed(backoff, started, now);
        }
    }

    /// An attempt begun at `started` failed: a cool-off whose time was over starts anew and takes
    /// twice as long. An attempt begun before that tells nothing new (a hundred requests refused at
    /// the same moment are one outage), and a warm backend stays warm.
    pub(super) fn failed(&self, backoff: Backoff, started: Micros, now: Micros) {
        let prolong = |word| {
            let outage = Outage::unpack(word).filter(|outage| started >= outage.due(backoff))?;
            Some(Outage { since: now, failures: outage.failures.saturating_add(1) }.pack())
        };
        // Declined, there is nothing to prolong.
        let _ = self.0.fetch_update(Relaxed, Relaxed, prolong);
    }

    /// An attempt begun at `started` was answered: the backend is warm. An answer to a request that
    /// was sent before the outage is no proof: a process that shuts down finishes what it has.
    pub(super) fn answered(&self, started: Micros) {
        let word = self.0.load(Relaxed);
        if Outage::unpack(word).is_some_and(|outage| started > outage.since) {
            // If another thread was first, it knew something newer.
            let _ = self.0.compare_exchange(word, 0, Relaxed, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1_000;
    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(5) };

    /// How long the backend cools off after each of `count` failures, each probe sent when due.
    fn cool_offs_ms(backoff: Backoff, count: usize) -> Vec<u64> {
        let cooling = Cooling::default();
        let mut now = 7;
        let mut cool_off = || {
            cooling.unreachable(backoff, now, now);
            let due = cooling.due(backoff).unwrap();
            assert_eq!(cooling.temperature(backoff, due), Temperature::Due);
            if due > now {
                assert_eq!(cooling.temperature(backoff, due - 1), Temperature::Cooling);
            }
            (due - std::mem::replace(&mut now, due)) / MS
        };
        (0..count).map(|_| cool_off()).collect()
    }

    #[test]
    fn doubles_up_to_the_limit() {
        assert_eq!(cool_offs_ms(BACKOFF, 6), [500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(cool_offs_ms(BACKOFF, 600).last(), Some(&5000));
        let limit_below_first = Backoff { longest: Duration::from_millis(100), ..BACKOFF };
        assert_eq!(cool_offs_ms(limit_below_first, 3), [100, 100, 100]);
    }

    #[test]
    fn no_time_and_endless_time_are_times() {
        let none = Backoff { first: Duration::ZERO, longest: Duration::ZERO };
        assert_eq!(cool_offs_ms(none, 3), [0, 0, 0]);
        let endless = Backoff { first: Duration::MAX, longest: Duration::MAX };
        let cooling = Cooling::default();
        cooling.unreachable(endless, u64::MAX, u64::MAX);
        assert_eq!(cooling.temperature(endless, MAX_SINCE), Temperature::Cooling);
    }

    #[test]
    fn an_answer_warms_and_forgets_how_often_it_failed() {
        let cooling = Cooling::default();
        cooling.unreachable(BACKOFF, 0, 0);
        cooling.unreachable(BACKOFF, 500 * MS, 500 * MS);
        cooling.answered(1500 * MS);
        assert!(cooling.is_warm());
        cooling.unreachable(BACKOFF, 1600 * MS, 1600 * MS);
        assert_eq!(cooling.due(BACKOFF), Some(2100 * MS));
    }

    #[test]
    fn what_began_before_the_outage_neither_prolongs_nor_ends_it() {
        let cooling = Cooling::default();
        cooling.unreachable(BACKOFF, 10 * MS, 20 * MS);
        for started in [0, 10 * MS, 20 * MS] {
            cooling.unreachable(BACKOFF, started, 30 * MS);
            cooling.failed(BACKOFF, started, 600 * MS);
            cooling.answered(started);
            assert_eq!(cooling.due(BACKOFF), Some(520 * MS), "{started}");
        }
        cooling.answered(20 * MS + 1);
        assert!(cooling.is_warm());
    }

    #[test]
    fn a_failure_cools_off_only_what_was_cooling() {
        let cooling = Cooling::default();
        cooling.failed(BACKOFF, 0, 0);
        assert!(cooling.is_warm());
        cooling.unreachable(BACKOFF, 0, 0);
        cooling.failed(BACKOFF, 500 * MS, 600 * MS);
        assert_eq!(cooling.due(BACKOFF), Some(1600 * MS));
    }
}
