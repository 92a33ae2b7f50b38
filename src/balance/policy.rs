//! The policies by name: the one place where a policy is registered.

mod adaptive_ewma;
mod adaptive_sma;
mod lowest;
mod per_slot;
mod rotation;
mod round_robin;
mod selector;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::invalid::InvalidOptions;
use adaptive_ewma::AdaptiveEwma;
use adaptive_sma::AdaptiveSma;
use round_robin::RoundRobin;
pub(super) use selector::Selector;

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
}

impl Policy {
    /// All policies with their default parameters.
    pub const ALL: [Self; 3] =
        [Self::RoundRobin, Self::AdaptiveSma { window: 3 }, Self::AdaptiveEwma { alpha: 0.2 }];

    /// The canonical name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::AdaptiveSma { .. } => "adaptive_sma",
            Self::AdaptiveEwma { .. } => "adaptive_ewma",
        }
    }

    /// The same policy with these parameters, as far as it has them.
    #[must_use]
    pub fn with(self, window: usize, alpha: f64) -> Self {
        match self {
            Self::RoundRobin => self,
            Self::AdaptiveSma { .. } => Self::AdaptiveSma { window },
            Self::AdaptiveEwma { .. } => Self::AdaptiveEwma { alpha },
        }
    }

    /// The names of its parameters, and their values, which are numbers.
    #[must_use]
    pub fn parameters(self) -> Vec<(&'static str, String)> {
        match self {
            Self::RoundRobin => Vec::new(),
            Self::AdaptiveSma { window } => vec![("window", window.to_string())],
            Self::AdaptiveEwma { alpha } => vec![("alpha", alpha.to_string())],
        }
    }

    /// A new one, which knows nothing of the backends in these slots yet.
    pub(super) fn selector(self, slots: usize) -> Result<Arc<dyn Selector>, InvalidOptions> {
        Ok(match self {
            Self::RoundRobin => Arc::new(RoundRobin::new(slots)),
            Self::AdaptiveSma { window } => Arc::new(AdaptiveSma::policy(window, slots)?),
            Self::AdaptiveEwma { alpha } => Arc::new(AdaptiveEwma::policy(alpha, slots)?),
        })
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
        for text in ["adaptive_ewma", "adaptive-ewma"] {
            assert_eq!(text.parse(), Ok(Policy::AdaptiveEwma { alpha: 0.2 }));
        }
    }

    #[test]
    fn the_names_shown_are_the_canonical_ones_and_are_read_back() {
        let shown = Policy::ALL.map(|policy| policy.to_string());
        assert_eq!(shown, ["round-robin", "adaptive_sma", "adaptive_ewma"]);
        assert_eq!(shown.map(|name| name.parse()), Policy::ALL.map(Ok));
        assert_eq!(format!("{:>12}|", Policy::RoundRobin), " round-robin|");
    }

    #[test]
    fn parameters_are_those_that_were_set() {
        let told = Policy::ALL.map(|policy| policy.with(7, 0.5).parameters());
        let parameter = |name, value: &str| vec![(name, value.to_owned())];
        assert_eq!(told, [vec![], parameter("window", "7"), parameter("alpha", "0.5")]);
    }

    #[test]
    fn a_refusal_names_the_policies() {
        for text in ["", "random", "Round-Robin", "adaptive", " adaptive_sma"] {
            let refusal = text.parse::<Policy>().expect_err(text).to_string();
            let names = "round-robin, adaptive_sma, adaptive_ewma";
            assert_eq!(refusal, format!("`{text}` is not a policy; the policies are {names}"));
        }
    }
}
