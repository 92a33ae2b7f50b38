//! The request path of balancing: acquire, observe, release.

use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use super::cooling::{Backoff, Temperature};
use super::fleet::{Backend, Fleet};
use super::invalid::InvalidOptions;
use super::lease::{Lease, Outcome};
use super::policy::Policy;
use super::probe::Probe;
use super::samples::LONGEST_SAMPLE;
use super::selector::Selector;
use super::set::{BackendId, BackendSet, MAX_BACKENDS, Tried};

/// How to balance.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Options {
    /// The theory of which backend is best, with its parameters.
    pub policy: Policy,
    /// How long a backend may go without a sample before an adaptive policy sends it one probe;
    /// `None` for never, which is the published behaviour.
    pub resample_after: Option<Duration>,
    /// How long a backend cools off that could not be reached for the first time.
    pub cooldown: Duration,
    /// The longest cool-off; each failed probe doubles the last one up to this.
    pub cooldown_max: Duration,
    /// The sample that a failure counts as. No timeout of the proxy has a part in it, so that
    /// policies choose alike whatever those are.
    pub failure_sample: Duration,
    /// How long a probe keeps other requests from its backend at most.
    pub probe_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::RoundRobin,
            resample_after: None,
            cooldown: Duration::from_millis(500),
            cooldown_max: Duration::from_secs(5),
            failure_sample: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(5),
        }
    }
}

/// Chooses backends for all workers and learns from what became of the requests.
pub struct Balancer {
    fleet: Fleet,
    selector: Box<dyn Selector>,
    options: Options,
    backoff: Backoff,
}

impl Balancer {
    /// A balancer over the backends of these names, all unmeasured and assumed to be reachable.
    ///
    /// # Errors
    /// The number of backends or a parameter of the policy is out of its range.
    pub fn new(names: Vec<String>, options: Options, now: Instant) -> Result<Self, InvalidOptions> {
        if !(1..=MAX_BACKENDS).contains(&names.len()) {
            return Err(InvalidOptions::Backends(names.len()));
        }
        let selector = options.policy.selector()?;
        let fleet = Fleet::new(names, selector.samples_remembered(), now);
        let backoff = Backoff { first: options.cooldown, longest: options.cooldown_max };
        Ok(Self { fleet, selector, options, backoff })
    }

    /// Chooses a backend for one attempt, which starts now; `None` only when every backend was
    /// tried.
    pub fn acquire(&self, tried: Tried, now: Instant) -> Option<Lease> {
        let (id, probe) = self.choose(self.fleet.all().without(tried), now)?;
        self.fleet.backend(id).begin();
        Some(Lease::new(id, now, probe))
    }

    /// Takes a backend that is bound to be asked, whichever the policy would choose.
    pub fn acquire_bound(&self, id: BackendId, now: Instant) -> Lease {
        self.fleet.backend(id).begin();
        Lease::new(id, now, None)
    }

    /// The first backend that deserves a probe, else the policy's choice among those that take
    /// requests, else the one that will be the first to take requests again.
    fn choose(&self, untried: BackendSet, now: Instant) -> Option<(BackendId, Option<Probe>)> {
        let at = self.fleet.micros(now);
        let mut warm = BackendSet::EMPTY;
        for id in untried {
            let backend = self.fleet.backend(id);
            let deserves_probe = match backend.cooling.temperature(self.backoff, at) {
                Temperature::Warm => {
                    warm.insert(id);
                    self.selector.is_adaptive()
                        && backend.is_unobserved(self.options.resample_after, at)
                }
                Temperature::Cooling => false,
                Temperature::Due => true,
            };
            if deserves_probe
                && let Some(probe) = backend.probing.claim(at, self.options.probe_timeout)
            {
                return Some((id, Some(probe)));
            }
        }
        let choice = self.selector.select(&self.fleet, warm, now);
        choice.or_else(|| self.soonest_due(untried)).map(|id| (id, None))
    }

    /// Of backends that all cool off, the one whose time is over first.
    fn soonest_due(&self, cooling: BackendSet) -> Option<BackendId> {
        cooling.into_iter().min_by_key(|id| self.fleet.backend(*id).cooling.due(self.backoff))
    }

    /// Starts the attempt's clock anew: a pooled connection turned out to be stale, and the request
    /// goes to the same backend again. Call it before any outcome is observed.
    pub fn restart(&self, lease: &mut Lease, now: Instant) {
        (lease.started, lease.excused) = (now, Duration::ZERO);
    }

    /// Learns what became of an attempt, at the first byte of its response or at its failure.
    ///
    /// The first outcome counts, and after [`Outcome::Answered`] also one [`Outcome::Failed`], as
    /// when the response breaks off; any other one changes nothing.
    pub fn observe(&self, lease: &mut Lease, outcome: Outcome, now: Instant) {
        if !lease.admits(outcome) {
            return;
        }
        let backend = self.fleet.backend(lease.backend);
        let at = self.fleet.micros(now);
        let started = || self.fleet.micros(lease.started);
        let record = |sample: Duration| {
            self.selector.observe(backend, sample.min(LONGEST_SAMPLE), now);
            backend.observed(at);
        };
        match outcome {
            Outcome::Answered => {
                let latency = now.saturating_duration_since(lease.started);
                record(latency.saturating_sub(lease.excused));
                if !backend.cooling.is_warm() {
                    backend.cooling.answered(started());
                }
            }
            Outcome::Failed => {
                record(self.options.failure_sample);
                backend.cooling.failed(self.backoff, started(), at);
            }
            Outcome::Unreachable => backend.cooling.unreachable(self.backoff, started(), at),
        }
        self.end_probe(lease);
    }

    /// Ends an attempt, at the upstream's last byte or when it is given up. One without an outcome
    /// (the client left, or the error was our own) leaves no trace: its probe is free again.
    pub fn release(&self, mut lease: Lease) {
        self.end_probe(&mut lease);
        self.fleet.backend(lease.backend).end();
    }

    /// Ends the attempt's probe, if it is one, because it waits for its client. That may take as
    /// long as it likes, so another request shall learn of the backend. What this one learns
    /// counts as well.
    pub fn yield_probe(&self, lease: &mut Lease) {
        self.end_probe(lease);
    }

    fn end_probe(&self, lease: &mut Lease) {
        if let Some(probe) = lease.probe.take() {
            self.fleet.backend(lease.backend).probing.end(probe);
        }
    }

    /// All backends, in the order of the configuration.
    #[must_use]
    pub fn backends(&self) -> &[Backend] {
        self.fleet.backends()
    }

    /// The backend of a lease.
    #[must_use]
    pub fn backend(&self, id: BackendId) -> &Backend {
        self.fleet.backend(id)
    }

    /// The latency that the policy expects of a backend; `None` before it was measured, and always
    /// if the policy measures nothing.
    #[must_use]
    pub fn estimate(&self, backend: &Backend) -> Option<Duration> {
        self.selector.estimate(backend)
    }

    /// One line about a choice and what is known of the backends right now, for people:
    /// `adaptive_sma 8081=12.3ms 8082=? 8083=cooling -> 8081`.
    #[must_use]
    pub fn explain(&self, chosen: BackendId) -> String {
        let mut line = self.options.policy.to_string();
        let known = if self.selector.is_adaptive() { self.backends() } else { &[] };
        for backend in known {
            let label = backend.label();
            // Writing to a `String` can't fail.
            let _ = match self.estimate(backend) {
                _ if backend.is_cooling() => write!(line, " {label}=cooling"),
                Some(estimate) => write!(line, " {label}={:.1}ms", estimate.as_secs_f64() * 1e3),
                None => write!(line, " {label}=?"),
            };
        }
        line + " -> " + self.backend(chosen).label()
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer").field("fleet", &self.fleet).finish_non_exhaustive()
    }
}
