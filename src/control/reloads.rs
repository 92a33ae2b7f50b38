//! Counts what comes of reading the configuration file again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::proxy::metrics::exposition::Reloads;

/// See the module. Each clone is a handle on the same.
#[derive(Clone, Debug)]
pub struct ReloadCounter(Arc<Mutex<Reloads>>);

impl ReloadCounter {
    /// The file was applied at the start, at `now`, and not read again yet.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        let none = Reloads { applied: 0, refused: 0, is_last_applied: true, applied_at: now };
        Self(Arc::new(Mutex::new(none)))
    }

    /// It was read again, and applied or refused.
    pub fn count(&self, is_applied: bool, now: SystemTime) {
        let mut reloads = self.lock();
        reloads.is_last_applied = is_applied;
        if is_applied {
            reloads.applied += 1;
            reloads.applied_at = now;
        } else {
            reloads.refused += 1;
        }
    }

    /// What has come of it up to now.
    #[must_use]
    pub fn get(&self) -> Reloads {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Reloads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_last_one_decides_and_a_refusal_leaves_the_time() {
        let start = SystemTime::UNIX_EPOCH;
        let at = |seconds| start + Duration::from_secs(seconds);
        let counter = ReloadCounter::new(start);
        let told = |counter: &ReloadCounter| {
            let Reloads { applied, refused, is_last_applied, applied_at } = counter.get();
            (applied, refused, is_last_applied, applied_at)
        };
        assert_eq!(told(&counter), (0, 0, true, start));
        counter.count(false, at(1));
        assert_eq!(told(&counter), (0, 1, false, start));
        counter.clone().count(true, at(2));
        assert_eq!(told(&counter), (1, 1, true, at(2)));
    }
}
