//! The one request that is sent to a backend to learn of it.
//!
//! One at a time, so that an outage costs few requests. But none lasts for ever: a probe that takes
//! too long gives way to the next, and when it ends after all, it ends only itself.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::clock::Nanos;
use super::sync::AtomicU64;

/// A claim, told apart from later ones by when it was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Probe(u64);

/// Whether a backend is being probed.
#[derive(Debug, Default)]
pub(super) struct Probing(AtomicU64);

/// No probe is under way.
const NONE: u64 = 0;

fn is_over(claim: u64, now: Nanos, limit: Nanos) -> bool {
    claim == NONE || now.saturating_sub(claim - 1) >= limit
}

impl Probing {
    /// Whether a probe could begin at `now`.
    pub(super) fn is_free(&self, now: Nanos, limit: Nanos) -> bool {
        is_over(self.0.load(Relaxed), now, limit)
    }

    /// Begins a probe at `now`; `None` while another is under way for less than `limit`.
    ///
    /// The caller may have found the probe due just before another probe ended. Then one more
    /// request is a probe, one after the other, which does no harm.
    pub(super) fn claim(&self, now: Nanos, limit: Nanos) -> Option<Probe> {
        let current = self.0.load(Relaxed);
        if !is_over(current, now, limit) {
            return None;
        }
        // A claim is never that of the one it follows, nor NONE.
        let claim = now.saturating_add(1).max(current.saturating_add(1));
        self.0.compare_exchange(current, claim, Acquire, Relaxed).is_ok().then_some(Probe(claim))
    }

    /// Ends a probe; what it learned must have been recorded before. One that was followed by
    /// another ends nothing.
    pub(super) fn end(&self, probe: Probe) {
        let _ = self.0.compare_exchange(probe.0, NONE, Release, Relaxed);
    }

    /// The slot has another occupant, which is not being probed.
    pub(super) fn forget(&self) {
        self.0.store(NONE, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Nanos = 50;

    #[test]
    fn there_is_one_at_a_time() {
        let probing = Probing::default();
        let probe = probing.claim(0, LIMIT).expect("the first");
        assert_eq!(probing.claim(0, LIMIT), None);
        assert_eq!(probing.claim(49, LIMIT), None);
        probing.end(probe);
        assert!(probing.claim(0, LIMIT).is_some());
    }

    #[test]
    fn one_that_takes_too_long_loses_its_place_and_can_not_end_the_next() {
        let probing = Probing::default();
        let slow = probing.claim(100, LIMIT).expect("the first");
        let next = probing.claim(150, LIMIT).expect("its time is over");
        assert_ne!(slow, next);
        probing.end(slow);
        assert_eq!(probing.claim(151, LIMIT), None, "the second one is still under way");
        probing.end(next);
        assert!(probing.claim(151, LIMIT).is_some());
    }

    #[test]
    fn without_a_time_each_follows_at_once() {
        let probing = Probing::default();
        let first = probing.claim(7, 0).expect("the first");
        let second = probing.claim(7, 0).expect("the second");
        assert_ne!(first, second);
        probing.end(first);
        assert_eq!(probing.claim(7, LIMIT), None);
    }
}
