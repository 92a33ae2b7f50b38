//! What takes a backend out and back in beside its requests: the admin, and active checks.
//!
//! Requests may wait for what that changes, so the first of them is called each time.

use std::time::{Duration, Instant};

use super::backends::Backends;
use crate::balance::{BackendId, Verdict};

impl Backends {
    /// Gives a backend no requests for so long; whether it is there.
    pub fn eject(&mut self, id: BackendId, time: Duration, now: Instant) -> bool {
        let is_there = self.membership.eject(id, time, now);
        // Those that wait may have waited for it.
        self.queue.freed();
        is_there
    }

    /// Ends the ejection of a backend; whether it is there.
    pub fn admit(&mut self, id: BackendId, now: Instant) -> bool {
        let is_there = self.membership.admit(id, now);
        self.queue.freed();
        is_there
    }

    /// The active check of a backend has come to another verdict.
    pub(super) fn checked(&mut self, id: BackendId, verdict: Verdict, now: Instant) {
        self.membership.checked(id, verdict, now);
        self.queue.freed();
    }
}
