//! What one backend is busy with, in one word: requests in flight, parked requests, and tunnels.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::sync::AtomicU64;

/// Bits of each of the three counts. A process has far fewer descriptors than they can count.
const BITS: u32 = 21;
const MASK: u64 = (1 << BITS) - 1;

/// The largest `max-in-flight`.
pub const MAX_IN_FLIGHT: u32 = 1_000_000;

/// As what a lease counts.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Held {
    /// As a request that is waited for like any other.
    InFlight,
    /// As one that waits for something else than its backend's speed, such as a long poll.
    Parked,
    /// As a connection that changed its protocol.
    Tunnel,
}

impl Held {
    const fn one(self) -> u64 {
        1 << (BITS * self as u32)
    }
}

/// The three counts at one moment.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Load(u64);

impl Load {
    fn count(self, held: Held) -> u32 {
        ((self.0 / held.one()) & MASK) as u32
    }

    pub(super) fn in_flight(self) -> u32 {
        self.count(Held::InFlight)
    }

    pub(super) fn tunnels(self) -> u32 {
        self.count(Held::Tunnel)
    }

    pub(super) fn parked(self) -> u32 {
        self.count(Held::Parked)
    }

    /// All leases.
    pub(super) fn total(self) -> u32 {
        self.in_flight() + self.parked() + self.tunnels()
    }
}

/// The load of a backend now. Each change is one step, so that no lease is missing in between.
#[derive(Debug, Default)]
pub(super) struct LoadNow(AtomicU64);

impl LoadNow {
    /// A reader that finds no lease also sees all that was done under earlier ones.
    pub(super) fn get(&self) -> Load {
        Load(self.0.load(Acquire))
    }

    /// One more request in flight: the load with it; `None` if the limit is reached.
    pub(super) fn claim(&self, limit: Option<u32>) -> Option<Load> {
        let one = Held::InFlight.one();
        let Some(limit) = limit else {
            return Some(Load(self.0.fetch_add(one, Relaxed) + one));
        };
        let claim = |word| (Load(word).total() < limit).then_some(word + one);
        self.0.fetch_update(Relaxed, Relaxed, claim).ok().map(|before| Load(before + one))
    }

    /// A lease counts as something else from now on.
    pub(super) fn shift(&self, from: Held, to: Held) {
        self.0.fetch_add(to.one().wrapping_sub(from.one()), Relaxed);
    }

    /// A lease is given back. Nothing of its backend is touched under it any more.
    pub(super) fn end(&self, held: Held) {
        let before = Load(self.0.fetch_sub(held.one(), Release));
        debug_assert!(before.count(held) > 0, "more leases were given back than given out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(now: &LoadNow) -> [u32; 3] {
        [Held::InFlight, Held::Parked, Held::Tunnel].map(|held| now.get().count(held))
    }

    #[test]
    fn each_lease_counts_as_one_thing_and_all_of_them_towards_the_limit() {
        let now = LoadNow::default();
        let claimed = [(); 4].map(|()| now.claim(Some(3)).map(Load::in_flight));
        assert_eq!(claimed, [Some(1), Some(2), Some(3), None]);
        now.shift(Held::InFlight, Held::Parked);
        now.shift(Held::InFlight, Held::Tunnel);
        assert_eq!((counts(&now), now.get().total()), ([1, 1, 1], 3));
        assert_eq!(now.claim(Some(3)), None, "parked requests and tunnels count");
        assert_eq!(now.claim(None).map(Load::in_flight), Some(2));
        now.shift(Held::Parked, Held::InFlight);
        assert_eq!(counts(&now), [3, 0, 1]);
        for held in [Held::InFlight, Held::Tunnel, Held::InFlight, Held::InFlight] {
            now.end(held);
        }
        assert_eq!((counts(&now), now.get()), ([0; 3], Load::default()));
    }

    #[test]
    fn no_two_threads_claim_the_last_place() {
        let now = LoadNow::default();
        let claim = || (0..10_000).filter(|_| now.claim(Some(25_000)).is_some()).count();
        let claimed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(claim)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((claimed, now.get().in_flight()), (25_000, 25_000));
    }
}
