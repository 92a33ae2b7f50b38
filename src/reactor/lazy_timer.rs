//! A deadline that moves with every request and yet hardly ever touches the timer heap.
//!
//! A connection's deadline is moved over and over, usually to later, and almost never arrives. So
//! an entry is queued only when the deadline is now before every entry already queued; an entry
//! that expires too early is the occasion to look at the real deadline again. Moving a deadline
//! later costs one comparison.

use std::time::Instant;

use super::{Key, Timers};

/// One owner's entries in the timer heap. The deadline itself stays with the owner.
///
/// When an [`Expired`](super::Event::Expired) wake names the owner and [`LazyTimer::fired`] says it
/// is this timer's, the owner compares its deadline with now, acts if that has come, and calls
/// [`LazyTimer::set`] again in either case.
#[derive(Debug, Default)]
pub struct LazyTimer {
    /// The earliest entry of ours in the heap.
    queued: Option<Instant>,
    /// The entry `queued` came before. Remembering it lets two alternating timeouts, a short one
    /// per request and a long one between requests, use two entries for ever.
    overtaken: Option<Instant>,
}

impl LazyTimer {
    /// Makes sure that `key` is woken no later than `deadline`; `None` asks for nothing.
    pub fn set(&mut self, deadline: Option<Instant>, key: Key, timers: &mut Timers) {
        let Some(deadline) = deadline else { return };
        if self.queued.is_none_or(|queued| deadline < queued) {
            timers.wake_at(key, deadline);
            self.overtaken = self.queued.replace(deadline);
        }
    }

    /// Whether an entry is queued for `deadline` or before.
    #[must_use]
    pub fn covers(&self, deadline: Instant) -> bool {
        self.queued.is_some_and(|queued| queued <= deadline)
    }

    /// Whether the entry that expired at `at` is the one this timer waits for. A `false` is an
    /// entry long forgotten: nothing is to be done.
    pub fn fired(&mut self, at: Instant) -> bool {
        if self.queued != Some(at) {
            return false;
        }
        self.queued = self.overtaken.take();
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const KEY: Key = Key::fixed(1, 0);

    /// An owner as a worker would write it, run over simulated milliseconds.
    struct Owner {
        start: Instant,
        lazy_timer: LazyTimer,
        timers: Timers,
        deadline: Option<Instant>,
        pushed: usize,
        fired: Vec<u64>,
    }

    impl Owner {
        fn new() -> Self {
            Self {
                start: Instant::now(),
                lazy_timer: LazyTimer::default(),
                timers: Timers::default(),
                deadline: None,
                pushed: 0,
                fired: Vec::new(),
            }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn set(&mut self, deadline_ms: Option<u64>) {
            self.deadline = deadline_ms.map(|ms| self.at(ms));
            self.rearm();
        }

        fn rearm(&mut self) {
            let before = self.timers.len();
            self.lazy_timer.set(self.deadline, KEY, &mut self.timers);
            self.pushed += self.timers.len() - before;
        }

        fn advance_to(&mut self, ms: u64) {
            let now = self.at(ms);
            while let Some((at, key)) = self.timers.pop_due(now) {
                assert_eq!(key, KEY);
                if !self.lazy_timer.fired(at) {
                    continue;
                }
                if self.deadline.is_some_and(|deadline| deadline <= now) {
                    self.deadline = None;
                    self.fired.push(ms);
                }
                self.rearm();
            }
        }
    }

    #[test]
    fn putting_a_deadline_off_does_not_touch_the_heap() {
        let mut owner = Owner::new();
        for now in 0..100 {
            owner.advance_to(now);
            owner.set(Some(now + 1000));
        }
        assert_eq!((owner.pushed, owner.timers.len()), (1, 1));
        owner.advance_to(1098);
        assert_eq!(owner.fired, [0; 0], "the first entry came up and was put back");
        owner.advance_to(1099);
        assert_eq!(owner.fired, [1099]);
    }

    #[test]
    fn setting_the_same_deadline_again_does_not_touch_the_heap() {
        let mut owner = Owner::new();
        owner.set(Some(10));
        owner.set(Some(10));
        assert_eq!(owner.timers.len(), 1);
    }

    #[test]
    fn an_earlier_deadline_overtakes() {
        let mut owner = Owner::new();
        owner.set(Some(75_000));
        owner.set(Some(10_000));
        owner.advance_to(9_999);
        assert_eq!(owner.fired, [0; 0]);
        owner.advance_to(10_000);
        assert_eq!(owner.fired, [10_000]);
    }

    #[test]
    fn a_deadline_that_was_dropped_never_fires() {
        let mut owner = Owner::new();
        owner.set(Some(10));
        owner.set(None);
        owner.advance_to(1000);
        assert_eq!(owner.fired, [0; 0]);
        assert_eq!(owner.timers.len(), 0);
    }

    #[test]
    fn alternating_timeouts_use_two_entries() {
        let mut owner = Owner::new();
        for request in 0..1000 {
            let now = request * 30;
            owner.advance_to(now);
            owner.set(Some(now + 10));
            owner.advance_to(now + 10);
            owner.set(Some(now + 75_000));
            assert!(owner.timers.len() <= 2, "request {request}: {} entries", owner.timers.len());
        }
        assert_eq!(owner.fired.len(), 1000);
    }

    #[test]
    fn an_expiry_that_is_not_ours_is_ignored() {
        let mut owner = Owner::new();
        owner.set(Some(100));
        let (ours, foreign) = (owner.at(100), owner.at(50));
        assert!(!owner.lazy_timer.fired(foreign));
        assert!(owner.lazy_timer.fired(ours));
        assert!(!owner.lazy_timer.fired(ours), "it fires once");
    }

    proptest! {
        /// However the deadline moves, it fires at the first look at the clock at which it has
        /// passed, and never before.
        #[test]
        fn fires_exactly_when_due(
            steps in proptest::collection::vec((0u64..50, proptest::option::of(0u64..200)), 1..60)
        ) {
            let mut owner = Owner::new();
            let mut now = 0;
            let mut expected = Vec::new();
            let mut deadline = None;
            for (wait, timeout) in steps {
                now += wait;
                if deadline.is_some_and(|deadline| deadline <= now) {
                    deadline = None;
                    expected.push(now);
                }
                owner.advance_to(now);
                prop_assert_eq!(&owner.fired, &expected);
                deadline = timeout.map(|timeout| now + timeout).or(deadline);
                owner.set(deadline);
            }
        }
    }
}
