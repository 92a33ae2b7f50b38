//! How long a backend works on a request.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;
use serde::Deserialize;
use tidegate::time::{format_duration, parse_duration};

use crate::backend::Profile;

/// A distribution of service times. Written as `exp:10ms`; see [`Service::GRAMMAR`].
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub enum Service {
    /// Always the same.
    Fixed(Duration),
    /// Exponential with this mean.
    Exponential(Duration),
    /// Lognormal with this mean, the logarithm having this standard deviation.
    Lognormal {
        /// The mean of the times, not of their logarithms.
        mean: Duration,
        /// The standard deviation of their logarithms.
        sigma: f64,
    },
    /// Pareto, without what is over [`PARETO_CUT`] times the least.
    Pareto {
        /// The mean.
        mean: Duration,
        /// The tail index.
        alpha: f64,
    },
    /// These in turn.
    Cycle(Profile),
    /// One of these, each with the same probability.
    Sample(Profile),
}

/// Without a bound the mean of a sample of this distribution hardly converges.
pub const PARETO_CUT: f64 = 1000.0;

impl Service {
    /// What is accepted.
    pub const GRAMMAR: &str = "fixed:10ms, exp:10ms, lognormal:10ms,sigma=1.4, \
        pareto:10ms,alpha=1.5, cycle:10,15,400x3 or sample:10,15,400x3 (milliseconds)";

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        match self {
            Self::Fixed(mean)
            | Self::Exponential(mean)
            | Self::Lognormal { mean, .. }
            | Self::Pareto { mean, .. } => *mean,
            Self::Cycle(profile) | Self::Sample(profile) => {
                let delays = profile.delays();
                delays.iter().sum::<Duration>().div_f64(delays.len() as f64)
            }
        }
    }

    /// The service time of the `turn`-th request, in nanoseconds.
    pub fn draw(&self, turn: usize, rng: &mut Rng) -> f64 {
        match self {
            Self::Fixed(mean) => nanos(*mean),
            Self::Exponential(mean) => nanos(*mean) * exponential(rng),
            Self::Lognormal { mean, sigma } => {
                nanos(*mean) * (sigma * normal(rng) - 0.5 * sigma * sigma).exp()
            }
            Self::Pareto { mean, alpha } => nanos(*mean) * pareto(*alpha, rng),
            Self::Cycle(profile) => {
                let delays = profile.delays();
                nanos(delays[turn % delays.len()])
            }
            Self::Sample(profile) => {
                let delays = profile.delays();
                nanos(delays[rng.usize(..delays.len())])
            }
        }
    }
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

/// Exponential with mean 1.
pub fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

/// Normal with mean 0 and standard deviation 1, by Box and Muller.
pub fn normal(rng: &mut Rng) -> f64 {
    let radius = (2.0 * exponential(rng)).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Pareto with mean 1, by its inverse distribution function.
fn pareto(alpha: f64, rng: &mut Rng) -> f64 {
    let kept = 1.0 - PARETO_CUT.powf(-alpha);
    let mean = alpha / (alpha - 1.0) * (1.0 - PARETO_CUT.powf(1.0 - alpha)) / kept;
    (1.0 - rng.f64() * kept).powf(-1.0 / alpha) / mean
}

impl TryFrom<String> for Service {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is no service time; write {}", Self::GRAMMAR);
        let (kind, rest) = text.split_once(':').ok_or_else(refuse)?;
        let mean = |text: &str| {
            let mean = parse_duration(text)?;
            if mean.is_zero() { Err("a service time of 0 is refused".to_owned()) } else { Ok(mean) }
        };
        // The mean, and a number above a bound.
        let shaped = |name: &str, above: f64| {
            let (first, second) = rest.split_once(',').ok_or_else(refuse)?;
            let value = second.trim().strip_prefix(name).and_then(|it| it.strip_prefix('='));
            let number: f64 = value.and_then(|it| it.parse().ok()).ok_or_else(refuse)?;
            if number > above && number <= 10.0 {
                Ok((mean(first)?, number))
            } else {
                Err(format!("{name} is {number}; give a number above {above}, up to 10"))
            }
        };
        match kind {
            "fixed" => mean(rest).map(Self::Fixed),
            "exp" => mean(rest).map(Self::Exponential),
            "lognormal" => {
                shaped("sigma", 0.0).map(|(mean, sigma)| Self::Lognormal { mean, sigma })
            }
            "pareto" => shaped("alpha", 1.0).map(|(mean, alpha)| Self::Pareto { mean, alpha }),
            "cycle" => rest.parse().map(Self::Cycle),
            "sample" => rest.parse().map(Self::Sample),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: &Duration| format_duration(*duration);
        match self {
            Self::Fixed(mean) => write!(f, "fixed:{}", ms(mean)),
            Self::Exponential(mean) => write!(f, "exp:{}", ms(mean)),
            Self::Lognormal { mean, sigma } => write!(f, "lognormal:{},sigma={sigma}", ms(mean)),
            Self::Pareto { mean, alpha } => write!(f, "pareto:{},alpha={alpha}", ms(mean)),
            Self::Cycle(profile) => write!(f, "cycle:{profile}"),
            Self::Sample(profile) => write!(f, "sample:{profile}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_is_written_as_it_is_read() {
        for text in [
            "fixed:10ms",
            "exp:250us",
            "lognormal:10ms,sigma=1.429",
            "pareto:1s,alpha=1.5",
            "cycle:10,15,400",
            "sample:0.5,5.5",
        ] {
            assert_eq!(text.parse::<Service>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused_with_what_is() {
        for text in ["", "10ms", "exp", "exp:", "exp:10", "normal:10ms", "exp:0ms", "cycle:fast"] {
            assert!(text.parse::<Service>().is_err(), "{text}");
        }
        for (text, word) in [
            ("normal:1ms", "lognormal:10ms,sigma=1.4"),
            ("lognormal:1ms,sigma=0", "above 0"),
            ("pareto:1ms,alpha=1", "above 1"),
            ("pareto:1ms,sigma=2", "pareto:10ms,alpha=1.5"),
        ] {
            let refusal = text.parse::<Service>().expect_err(text);
            assert!(refusal.contains(word), "{refusal}");
        }
    }

    #[test]
    fn means_and_quantiles_are_those_of_the_distribution() {
        const COUNT: usize = 200_000;
        for (text, mean, median) in [
            ("fixed:10ms", 10.0, 10.0),
            ("exp:10ms", 10.0, 6.931),
            ("lognormal:10ms,sigma=1", 10.0, 6.065),
            ("pareto:10ms,alpha=2.5", 10.0, 6.0 * 2f64.powf(0.4)),
            ("cycle:10,20,30", 20.0, 20.0),
            ("sample:5x9,55", 10.0, 5.0),
        ] {
            let service: Service = text.parse().expect(text);
            let mut rng = Rng::with_seed(1);
            let mut drawn: Vec<f64> =
                (0..COUNT).map(|turn| service.draw(turn, &mut rng) / 1e6).collect();
            drawn.sort_by(f64::total_cmp);
            let found = drawn.iter().sum::<f64>() / COUNT as f64;
            let told = service.mean().as_secs_f64() * 1e3;
            assert!((told / mean - 1.0).abs() < 1e-6, "{text}: {told}");
            assert!((found / mean - 1.0).abs() < 0.02, "{text}: mean {found}");
            let middle = drawn[COUNT / 2];
            assert!((middle / median - 1.0).abs() < 0.02, "{text}: median {middle}");
        }
    }

    #[test]
    fn a_cycle_goes_round() {
        let service: Service = "cycle:10,15x2".parse().expect("a cycle");
        let mut rng = Rng::with_seed(1);
        let drawn = [0, 1, 2, 3].map(|turn| service.draw(turn, &mut rng).to_string());
        assert_eq!(drawn, ["10000000", "15000000", "15000000", "10000000"]);
    }
}
