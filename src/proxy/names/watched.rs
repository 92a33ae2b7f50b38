//! A name that is looked up again and again: when, and what its answers mean. Without sockets and
//! clocks.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::super::settings::Names;
use crate::dns::{Found, Outcome};
use crate::time::format_duration;

/// By how much the time between two look-ups may be shorter, so that many proxies do not ask
/// together.
const JITTER: f64 = 0.1;

/// Between two look-ups because of connections that failed.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Watched {
    /// The addresses that are in use.
    addresses: Vec<IpAddr>,
    standing: Standing,
    asked: Asked,
}

/// When it is looked up.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// Just now.
    Now { since: Instant },
    /// At this instant; not sooner than the other one.
    Later { due: Instant, soonest: Instant },
}

/// What the last look-ups found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// Addresses, or there was no look-up yet.
    Found,
    /// Nothing is known.
    Failing,
    /// The name does not exist, but its addresses stay in use for a while.
    Held { since: Instant },
    /// It does not exist.
    Absent,
}

impl Watched {
    /// A name that has these addresses and is looked up at `due`.
    pub(super) fn new(addresses: Vec<IpAddr>, due: Instant) -> Self {
        let asked = Asked::Later { due, soonest: due };
        Self { addresses, standing: Standing::Found, asked }
    }

    /// When it is to be looked up; `None` while it is.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.asked {
            Asked::Now { .. } => None,
            Asked::Later { due, .. } => Some(due),
        }
    }

    /// The addresses that are in use.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// It is looked up.
    pub(super) fn begin(&mut self, now: Instant) {
        self.asked = Asked::Now { since: now };
    }

    /// No address answers: it is looked up soon.
    pub(super) fn hasten(&mut self, now: Instant) {
        if let Asked::Later { due, soonest } = &mut self.asked {
            *due = (*due).min(now.max(*soonest));
        }
    }

    /// The settings may have changed: the next look-up is no later than they say.
    pub(super) fn follow(&mut self, names: &Names, now: Instant) {
        if let Asked::Later { due, .. } = &mut self.asked {
            *due = (*due).min(now + names.every);
        }
    }

    /// Takes what a look-up found; the line for people if things are other than before. `chance` is
    /// at least 0 and less than 1.
    pub(super) fn take(
        &mut self,
        outcome: Outcome,
        names: &Names,
        chance: f64,
        now: Instant,
    ) -> Option<String> {
        let ttl = match &outcome {
            Outcome::Found(found) => found.ttl.filter(|ttl| !ttl.is_zero()),
            _ => None,
        };
        let pause = ttl.map_or(names.every, |ttl| ttl.min(names.every));
        let since = if let Asked::Now { since } = self.asked { since } else { now };
        let soonest = since + SHORTEST_PAUSE.min(names.every);
        self.asked = Asked::Later { due: now + pause.mul_f64(1.0 - JITTER * chance), soonest };
        match outcome {
            Outcome::Found(found) => self.found(found),
            Outcome::Absent => self.absent(names.hold, now),
            Outcome::Failed(failure) => {
                let is_new = self.standing != Standing::Failing;
                self.standing = Standing::Failing;
                let what = if self.addresses.is_empty() {
                    "has no address"
                } else {
                    "keeps its addresses"
                };
                is_new.then(|| format!("can't be looked up and {what}: {failure}"))
            }
        }
    }

    fn found(&mut self, Found { mut addresses, unknown, .. }: Found) -> Option<String> {
        // Of the kind for which nobody answered, the last answer counts.
        if let Some(family) = unknown {
            addresses.extend(self.addresses.iter().filter(|address| family.has(address)));
        }
        self.addresses = Found::new(addresses, None, None).addresses;
        let was_found = std::mem::replace(&mut self.standing, Standing::Found) == Standing::Found;
        (!was_found).then(|| "is found".to_owned())
    }

    fn absent(&mut self, hold: Duration, now: Instant) -> Option<String> {
        let since = match self.standing {
            Standing::Absent => return None,
            Standing::Held { since } => since,
            Standing::Found | Standing::Failing => now,
        };
        let is_new = !matches!(self.standing, Standing::Held { .. });
        if self.addresses.is_empty() || now.duration_since(since) >= hold {
            self.addresses.clear();
            self.standing = Standing::Absent;
            return Some("does not exist or has no address; it gets no requests".to_owned());
        }
        self.standing = Standing::Held { since };
        let hold = format_duration(hold);
        is_new.then(|| {
            format!("does not exist or has no address; it keeps those that it had for {hold}")
        })
    }
}

#[cfg(test)]
mod tests;
