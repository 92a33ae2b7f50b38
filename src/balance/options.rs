//! How to balance.

use std::time::Duration;

use super::availability::Rules;
use super::policy::Policy;

/// How to balance.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Options {
    /// How the best backend is found, with the parameters.
    pub policy: Policy,
    /// How long a backend may go without a sample before an adaptive policy sends it one probe;
    /// `None` for never, which is the published behaviour.
    pub resample_after: Option<Duration>,
    /// Failures in a row that eject a backend; `None` if failures never do.
    pub eject_after: Option<u8>,
    /// How many of a hundred backends may be ejected by failures in a row. One that refuses
    /// connections is ejected whatever this is.
    pub max_ejected_percent: u8,
    /// How long a backend is ejected at first.
    pub cooldown: Duration,
    /// The longest ejection; each failed probe doubles the last one up to this.
    pub cooldown_max: Duration,
    /// By how much an ejection may be shorter, so that many proxies don't probe a backend together.
    pub cooldown_jitter_percent: u8,
    /// How long the share of a backend grows after it was added or came back; zero for none.
    pub slow_start: Duration,
    /// How long a probe keeps other requests from its backend at most.
    pub probe_timeout: Duration,
    /// Whether there are second attempts, for which more has to be learnt.
    pub hedges: bool,
}

impl Default for Options {
    fn default() -> Self {
        let policy = Policy::Adaptive;
        Self {
            policy,
            resample_after: policy.resample_after(),
            eject_after: Some(3),
            max_ejected_percent: 50,
            cooldown: Duration::from_millis(500),
            cooldown_max: Duration::from_secs(5),
            cooldown_jitter_percent: 10,
            slow_start: Duration::ZERO,
            probe_timeout: Duration::from_secs(5),
            hedges: false,
        }
    }
}

impl Options {
    pub(super) fn rules(self) -> Rules {
        Rules {
            first: self.cooldown,
            longest: self.cooldown_max,
            jitter_percent: self.cooldown_jitter_percent,
            eject_after: self.eject_after,
        }
    }
}
