//! The only place where the end-to-end tests look at the clock.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How long something may take that should take no time, on a machine that is busy with all else.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "a test may look at the clock to give up")]
pub fn now() -> Instant {
    Instant::now()
}

/// A pause that is part of a scenario, such as that of a slow peer; never a way to wait.
#[expect(clippy::disallowed_methods, reason = "the pause is what is tested")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Looks again and again until there is an answer.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "in vain: {what}");
        // Between two looks the machine belongs to what is awaited.
        pause(Duration::from_millis(1));
    }
}

/// Waits for word from another thread.
pub fn hear<T>(told: &Receiver<T>) -> T {
    told.recv_timeout(PATIENCE).expect("word from another thread")
}
