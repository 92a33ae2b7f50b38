//! When a backend is checked, and what follows from the results.

use std::time::{Duration, Instant};

use super::super::settings::{Backend, Checks, Settings};
use super::conversation::{Conversation, Finding};
use crate::balance::{BackendId, Check, Verdict};

/// By how much an interval may be shorter, so that backends are not checked together, nor one
/// backend by many proxies.
const JITTER: f64 = 0.1;

/// A backend that is checked.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) id: BackendId,
    backend: Backend,
    check: Check,
    /// When the next check begins, unless the one before takes longer.
    due: Instant,
}

impl Target {
    /// A backend that is checked from now on, and passes until several checks failed. The first one
    /// is at a random moment of the first interval. Here and below `chance` is at least 0 and less
    /// than 1.
    pub(super) fn new(
        (id, backend): (BackendId, Backend),
        interval: Duration,
        chance: f64,
        now: Instant,
    ) -> Self {
        Self { id, backend, check: Check::default(), due: now + interval.mul_f64(chance) }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The settings may have changed: the next check is no later than they say.
    pub(super) fn hasten(&mut self, interval: Duration, chance: f64, now: Instant) {
        self.due = self.due.min(now + jittered(interval, chance));
    }

    /// A check begins.
    pub(super) fn begin(&mut self, settings: &Settings, chance: f64, now: Instant) -> Conversation {
        self.due = now + jittered(settings.checks.interval, chance);
        Conversation::new(&self.backend, settings, now)
    }

    /// Takes what a check found; the verdict, if that is another one now, and the line for people
    /// about it.
    pub(super) fn take(&mut self, finding: Finding, checks: &Checks) -> Option<(Verdict, String)> {
        let (url, &Checks { rise, fall, .. }) = (&self.backend.url, checks);
        if finding == Finding::Passed {
            let verdict = self.check.result(Verdict::Passes, rise.into())?;
            Some((verdict, format!("{url} is up (passed checks in a row: {rise})")))
        } else {
            let verdict = self.check.result(Verdict::Fails, fall.into())?;
            let text =
                format!("{url} is down (failed checks in a row: {fall}; the last: {finding})");
            Some((verdict, text))
        }
    }
}

fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(1.0 - JITTER * chance)
}
