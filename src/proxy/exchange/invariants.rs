//! What must hold after each event, looked at in debug builds: tests, fuzzing and soaks fail where
//! it does not.

use std::time::Instant;

use super::Exchange;
use super::attempt::{Attempt, Link};
use super::state::{Request, Response};

impl Exchange {
    /// # Panics
    /// In debug builds, if something is as it can't be.
    pub(super) fn check(&self, now: Instant) {
        if cfg!(debug_assertions) {
            self.check_attempts(now);
            self.check_bytes();
            self.check_waits(now);
        }
    }

    fn check_attempts(&self, now: Instant) {
        let standing = self.attempts.standing();
        assert!(self.states.is_in_table(standing), "{:?} with {standing:?}", self.states);
        let is_admitted = matches!(self.states.response(), Response::Idle)
            && !matches!(self.states.request(), Request::Head(_));
        assert!(!is_admitted, "no backend was chosen");
        if let Some(winner) = self.attempts.winner() {
            assert!(self.attempts.len() == 1 && self.attempts.get(winner).is_some());
        }
        for attempt in self.attempts.all() {
            assert!(attempt.moved <= now, "an attempt of the future");
            assert!(attempt.end.is_none() || self.is_client_behind(), "an end left lying");
            assert!(!matches!(attempt.link, Link::Failed { .. }), "as above");
        }
        let is_all_held = self.attempts.all().all(Attempt::is_held);
        assert!(self.attempts.is_empty() || !is_all_held, "nothing better is awaited");
    }

    fn check_bytes(&self) {
        self.up.check(self.attempts.all().map(|attempt| attempt.sent));
        self.down.check(std::iter::once(self.delivered));
        self.attempts.all().for_each(|attempt| attempt.buffer.check());
        if matches!(self.states.response(), Response::Idle | Response::Awaited) {
            assert!(self.down.body.is_empty(), "a body without a response");
        }
    }

    fn check_waits(&self, now: Instant) {
        assert!(self.client_moved <= now && self.client_end.is_none());
    }
}
