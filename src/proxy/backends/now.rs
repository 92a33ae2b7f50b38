//! The backends as they are now, for people and for metrics.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::lookups::NameNow;
use super::super::settings::Backend;
use super::Backends;
use crate::balance::{BackendId, Known};

/// A backend as it is now.
#[derive(Clone, Debug)]
pub struct BackendNow {
    /// What it is called by all that is not text.
    pub id: BackendId,
    /// As configured.
    pub backend: Backend,
    /// What is known of it.
    pub known: Known,
}

/// A backend that gets no requests, because nothing is known to which they could be sent.
#[derive(Clone, Debug)]
pub struct Unresolved {
    /// As configured.
    pub backend: Backend,
    /// Why that is so, in a few words.
    pub reason: &'static str,
    /// Since when.
    pub age: Duration,
}

impl Backends {
    /// All backends that get requests, or that were removed and are not gone yet.
    #[must_use]
    pub fn now(&self, now: Instant) -> Vec<BackendNow> {
        let known = self.named().filter_map(|(id, backend)| {
            let known = self.membership.known(id, now)?;
            Some(BackendNow { id, backend: backend.clone(), known })
        });
        known.collect()
    }

    /// The others.
    #[must_use]
    pub fn unresolved_now(&self, now: Instant) -> Vec<Unresolved> {
        let one = |configured: &super::Configured| {
            let backend = configured.backend.clone();
            let known = backend.host_name().and_then(|name| self.lookups.of(name));
            let reason = match known {
                _ if configured.ips().next().is_some() => "too many backends",
                Some(name) if name.is_failing => "look-up failed",
                _ => "no address",
            };
            let age = now.saturating_duration_since(configured.moved_at);
            Unresolved { backend, reason, age }
        };
        self.without_members().map(one).collect()
    }

    /// The names of backends, with what came of looking them up.
    #[must_use]
    pub fn names_now(&self) -> Vec<NameNow> {
        let mut left_out: HashMap<&str, usize> = HashMap::new();
        for configured in &self.configured {
            if let Some(name) = configured.backend.host_name() {
                let most = left_out.entry(name).or_default();
                *most = configured.left_out.max(*most);
            }
        }
        let mut names = self.lookups.now(&self.names());
        for name in &mut names {
            name.left_out = left_out.get(&*name.name).copied().unwrap_or_default();
        }
        names
    }
}
