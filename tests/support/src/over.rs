//! The end of what threads do meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

/// Says that it is over when it is dropped. A test that panics says so, too, and does not wait for
/// its threads for ever.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
