//! The policies by name: the one place where a policy is registered.

mod adaptive;
mod adaptive_ewma;
mod adaptive_sma;
mod fleet;
mod least_conn;
mod lowest;
mod per_slot;
mod rotation;
mod round_robin;
mod selector;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::invalid::InvalidOptions;
#[cfg(test)]
pub(super) use adaptive::{Adaptive, Times};
#[cfg(not(test))]
use adaptive::{Adaptive, Times};
use adaptive_ewma::AdaptiveEwma;
use adaptive_sma::AdaptiveSma;
pub(super) use fleet::Answers;
use least_conn::LeastConn;
use lowest::FAILURE_SAMPLE;
use round_robin::RoundRobin;
pub(super) use selector::{Ranking, Sample, Selector, View};

/// A policy and its parameters. Displayed by its canonical name; parsed from that with its default
/// parameters, a dash and an underscore being the same.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Policy {
    /// Every backend in turn.
    RoundRobin,
    /// The lowest mean of the last `window` samples, 1 to [`super::MAX_WINDOW`].
    AdaptiveSma {
        /// The number of samples.
        window: usize,
    },
    /// The lowest exponentially weighted moving average.
    AdaptiveEwma {
        /// The weight of each new sample, above 0 and at most 1.
        alpha: f64,
    },
    /// The fewest leases.
    LeastConn,
    /// The least latency, as it will be with one request more.
    Adaptive,
}

impl Policy {
    /// All policies with their default parameters.
    pub const ALL: [Self; 5] = {
        let [round_robin, sma, ewma] = Self::PUBLISHED;
        [round_robin, sma, ewma, Self::LeastConn, Self::Adaptive]
    };

    /// Those that are kept as they were published, to be compared with.
    pub const PUBLISHED: [Self; 3] =
        [Self::RoundRobin, Self::AdaptiveSma { window: 3 }, Self::AdaptiveEwma { alpha: 0.2 }];

    /// The canonical name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::AdaptiveSma { .. } => "adaptive_sma",
            Self::AdaptiveEwma { .. } => "adaptive_ewma",
            Self::LeastConn => "least-conn",
            Self::Adaptive => "adaptive",
        }
    }

    /// The same policy with these parameters, as far as it has them.
    #[must_use]
    pub fn with(self, window: usize, alpha: f64) -> Self {
        match self {
            Self::RoundRobin | Self::LeastConn | Self::Adaptive => self,
            Self::AdaptiveSma { .. } => Self::AdaptiveSma { window },
            Self::AdaptiveEwma { .. } => Self::AdaptiveEwma { alpha },
        }
    }

    /// How long a backend may go without a sample before it gets a probe, if nothing else is said.
    /// The published policies never look again at a backend that was once slow.
    #[must_use]
    pub fn resample_after(self) -> Option<Duration> {
        (self == Self::Adaptive).then_some(Duration::from_secs(60))
    }

    /// What a failure counts as, if that is always the same.
    #[must_use]
    pub fn failure_sample(self) -> Option<Duration> {
        match self {
            Self::RoundRobin | Self::AdaptiveSma { .. } | Self::AdaptiveEwma { .. } => {
                Some(FAILURE_SAMPLE)
            }
            Self::LeastConn | Self::Adaptive => None,
        }
    }

    /// The names of its parameters, and their values, which are numbers.
    #[must_use]
    pub fn parameters(self) -> Vec<(&'static str, String)> {
        match self {
            Self::RoundRobin | Self::LeastConn | Self::Adaptive => Vec::new(),
            Self::AdaptiveSma { window } => vec![("window", window.to_string())],
            Self::AdaptiveEwma { alpha } => vec![("alpha", alpha.to_string())],
        }
    }

    /// A new one, which knows nothing of the backends in these slots yet.
    pub(super) fn selector(self, slots: usize) -> Result<Arc<Selector>, InvalidOptions> {
        Ok(Arc::new(match self {
            Self::RoundRobin => Selector::new(RoundRobin, slots),
            Self::AdaptiveSma { window } => {
                Selector::new(AdaptiveSma::policy(window, slots)?, slots)
            }
            Self::AdaptiveEwma { alpha } => {
                Selector::new(AdaptiveEwma::policy(alpha, slots)?, slots)
            }
            Self::LeastConn => Selector::new(LeastConn, slots),
            Self::Adaptive => Selector::new(Adaptive::new(slots, Times::DEFAULT), slots),
        }))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let same = |policy: &Self| text.replace('-', "_") == policy.name().replace('-', "_");
        Self::ALL.into_iter().find(same).ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

/// A name that no policy has.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct UnknownPolicy(String);

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Policy::ALL.map(Policy::name).join(", ");
        write!(f, "`{}` is not a policy; the policies are {names}", self.0)
    }
}

impl std::error::Error for UnknownPolicy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_and_an_underscore_are_the_same() {
        for text in ["round-robin", "round_robin"] {
            assert_eq!(text.parse(), Ok(Policy::RoundRobin));
        }
        for text in ["adaptive_sma", "adaptive-sma"] {
            assert_eq!(text.parse(), Ok(Policy::AdaptiveSma { window: 3 }));
        }
        for text in ["least_conn", "least-conn"] {
            assert_eq!(text.parse(), Ok(Policy::LeastConn));
        }
        for text in ["adaptive_ewma", "adaptive-ewma"] {
            assert_eq!(text.parse(), Ok(Policy::AdaptiveEwma { alpha: 0.2 }));
        }
    }

    #[test]
    fn the_names_shown_are_the_canonical_ones_and_are_read_back() {
        let shown = Policy::ALL.map(|policy| policy.to_string());
        let names = ["round-robin", "adaptive_sma", "adaptive_ewma", "least-conn", "adaptive"];
        assert_eq!(shown, names);
        assert_eq!(shown.map(|name| name.parse()), Policy::ALL.map(Ok));
        assert_eq!(format!("{:>12}|", Policy::RoundRobin), " round-robin|");
    }

    #[test]
    fn parameters_are_those_that_were_set() {
        let told = Policy::ALL.map(|policy| policy.with(7, 0.5).parameters());
        let parameter = |name, value: &str| vec![(name, value.to_owned())];
        let none = Vec::new;
        let expected =
            [none(), parameter("window", "7"), parameter("alpha", "0.5"), none(), none()];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_refusal_names_the_policies() {
        for text in ["", "random", "Round-Robin", "adaptive_", " adaptive_sma"] {
            let refusal = text.parse::<Policy>().expect_err(text).to_string();
            let names = "round-robin, adaptive_sma, adaptive_ewma, least-conn, adaptive";
            assert_eq!(refusal, format!("`{text}` is not a policy; the policies are {names}"));
        }
    }
}
