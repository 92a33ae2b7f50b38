//! What all workers know of the backends, together.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use super::average::Average;
use super::cooling::{Cooling, Micros};
use super::probe::Probing;
use super::samples::Samples;
use super::set::{BackendId, BackendSet, MAX_BACKENDS};

/// The backends of one proxy and whose turn it is, shared by all workers.
#[derive(Debug)]
pub struct Fleet {
    backends: Box<[Backend]>,
    turns: Turns,
    /// Instants are kept in atomics as microseconds since this one.
    epoch: Instant,
}

/// How often a turn was taken among a number of candidates, by that number.
///
/// A retry has one candidate fewer than a first attempt. If both drew from one counter, the retries
/// of a backend that always fails would eat the turns of the one after it.
#[derive(Debug)]
#[repr(align(128))]
struct Turns([AtomicU64; MAX_BACKENDS + 1]);

impl Fleet {
    /// `names` are at most [`MAX_BACKENDS`].
    pub(super) fn new(names: Vec<String>, samples_remembered: usize, epoch: Instant) -> Self {
        let labels = labels(&names);
        let backend = |(name, label)| Backend::new(name, label, samples_remembered);
        Self {
            backends: names.into_iter().zip(labels).map(backend).collect(),
            turns: Turns([const { AtomicU64::new(0) }; MAX_BACKENDS + 1]),
            epoch,
        }
    }

    /// All backends, in the order of the configuration.
    #[must_use]
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// One of this fleet's backends.
    #[must_use]
    pub fn backend(&self, id: BackendId) -> &Backend {
        &self.backends[id.index()]
    }

    /// The members of `candidates` in turn, whichever worker asks; `None` if there is none.
    #[must_use]
    pub fn take_turn(&self, candidates: BackendSet) -> Option<BackendId> {
        let count = candidates.len();
        if count < 2 {
            return candidates.into_iter().next();
        }
        let turn = self.turns.0[count].fetch_add(1, Relaxed) % count as u64;
        candidates.into_iter().nth(usize::try_from(turn).unwrap_or(0))
    }

    pub(super) fn all(&self) -> BackendSet {
        BackendSet::first(self.backends.len())
    }

    pub(super) fn micros(&self, instant: Instant) -> Micros {
        let elapsed = instant.saturating_duration_since(self.epoch);
        Micros::try_from(elapsed.as_micros()).unwrap_or(Micros::MAX)
    }
}

/// One backend. It fills its own pair of cache lines (processors fetch lines in pairs), so that
/// workers that use different backends do not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
pub struct Backend {
    name: Box<str>,
    label: Box<str>,
    outstanding: AtomicUsize,
    /// When the last sample was recorded; `NEVER` before the first.
    observed_at: AtomicU64,
    /// The attempt under way, if there is one, that was sent to learn of this backend.
    pub(super) probing: Probing,
    pub(super) cooling: Cooling,
    pub(super) average: Average,
    pub(super) samples: Samples,
}

const NEVER: Micros = Micros::MAX;

impl Backend {
    fn new(name: String, label: String, samples_remembered: usize) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            outstanding: AtomicUsize::new(0),
            observed_at: AtomicU64::new(NEVER),
            probing: Probing::default(),
            cooling: Cooling::default(),
            average: Average::unknown(),
            samples: Samples::with_capacity(samples_remembered),
        }
    }

    /// The name as configured.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name in short: the port where the whole fleet is on one host, else host and port.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The number of leases held on this backend at the moment.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Relaxed)
    }

    /// Whether requests are kept off because the backend could not be reached.
    #[must_use]
    pub fn is_cooling(&self) -> bool {
        !self.cooling.is_warm()
    }

    pub(super) fn begin(&self) {
        self.outstanding.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self) {
        let before = self.outstanding.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "a lease of another fleet");
    }

    pub(super) fn observed(&self, now: Micros) {
        // A worker whose clock reading is a little older may win: no one measures by microseconds
        // how long a backend went unobserved.
        self.observed_at.store(now, Relaxed);
    }

    /// Whether no sample was recorded in the last `limit`; without a limit, whether none ever was.
    pub(super) fn is_unobserved(&self, limit: Option<Duration>, now: Micros) -> bool {
        match (self.observed_at.load(Relaxed), limit) {
            (NEVER, _) => true,
            (_, None) => false,
            (at, Some(limit)) => u128::from(now.saturating_sub(at)) >= limit.as_micros(),
        }
    }
}

/// The short names: only the ports, if every name has one and all hosts are the same.
fn labels(names: &[String]) -> Vec<String> {
    let authority = |name: &String| {
        let start = name.find("://").map_or(0, |at| at + "://".len());
        name[start..].trim_end_matches('/').to_owned()
    };
    let authorities: Vec<String> = names.iter().map(authority).collect();
    let split = |authority: &String| {
        let (host, port) = authority.rsplit_once(':')?;
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        is_port.then(|| (host.to_owned(), port.to_owned()))
    };
    let parts: Option<Vec<(String, String)>> = authorities.iter().map(split).collect();
    match parts {
        Some(parts) if parts.windows(2).all(|pair| pair[0].0 == pair[1].0) => {
            parts.into_iter().map(|(_, port)| port).collect()
        }
        _ => authorities,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels_of(names: &[&str]) -> Vec<String> {
        labels(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn labels_are_as_short_as_the_fleet_allows() {
        let on_one_host = ["http://localhost:8081", "http://localhost:8082/"];
        assert_eq!(labels_of(&on_one_host), ["8081", "8082"]);
        assert_eq!(labels_of(&["http://[::1]:8081", "http://[::1]:8082"]), ["8081", "8082"]);
        assert_eq!(labels_of(&["http://a:8080", "http://b:8080"]), ["a:8080", "b:8080"]);
        assert_eq!(labels_of(&["http://a", "http://a:8080"]), ["a", "a:8080"]);
        assert_eq!(labels_of(&["http://[::1]"]), ["[::1]"]);
        assert_eq!(labels_of(&["a:1"]), ["1"]);
        assert_eq!(labels_of(&["http://"]), [""]);
    }

    #[test]
    fn a_backend_fills_one_pair_of_cache_lines() {
        assert_eq!(size_of::<Backend>(), 128);
    }
}
