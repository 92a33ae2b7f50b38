//! The only place where the end-to-end tests read the clock.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How long something may take that should take hardly any time, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The time.
#[expect(clippy::disallowed_methods, reason = "a test may read the clock to give up")]
pub fn now() -> Instant {
    Instant::now()
}

/// A pause that is part of a scenario, such as that of a slow peer; never a way to wait.
#[expect(clippy::disallowed_methods, reason = "the pause is what is tested")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Looks again and again until something is found.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "in vain: {what}");
        // Between two looks the processor is free for what is waited for.
        pause(Duration::from_millis(1));
    }
}

/// Waits for a message from another thread.
pub fn hear<T>(told: &Receiver<T>) -> T {
    told.recv_timeout(PATIENCE).expect("a message from another thread")
}
