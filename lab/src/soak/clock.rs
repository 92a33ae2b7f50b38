//! The only place where a soak looks at the clock, and where it rests.

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

/// A pause that belongs to the part somebody plays, such as that of a slow peer.
#[expect(clippy::disallowed_methods, reason = "the pause is what is played")]
pub(super) fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Tells all clients to stop, also those that rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub(super) fn call(&self) {
        let (told, bell) = &*self.0;
        *told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_all();
    }

    /// Rests for as long, or until it is time to stop; whether it is.
    pub(super) fn rest(&self, duration: Duration) -> bool {
        let (told, bell) = &*self.0;
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = bell.wait_timeout_while(told, duration, |told| !*told);
        *rested.unwrap_or_else(PoisonError::into_inner).0
    }
}
