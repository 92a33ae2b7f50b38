//! The only place where a soak reads the clock and sleeps.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Time since a soak began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the lab lives in real time")]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A pause of a slow client or backend.
#[expect(clippy::disallowed_methods, reason = "the pause is what is tested")]
pub(super) fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Tells all clients to stop, and wakes those that sleep.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub(super) fn set(&self) {
        let (is_set, changed) = &*self.0;
        *is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Sleeps for as long, or until it is set; whether it is.
    pub(super) fn wait(&self, duration: Duration) -> bool {
        let (is_set, changed) = &*self.0;
        let is_set = is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(is_set, duration, |is_set| !*is_set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
