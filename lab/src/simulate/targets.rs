//! What the policy `adaptive` is to reach, measured in the same scenarios as the others.
//!
//! A ratio compares runs with the same seeds, so it varies less than the figures themselves.

use std::time::Duration;

use super::contender::Contender;
use super::measured::{Measured, Tally};
use super::{SimulateError, simulate};
use crate::render::{Row, Table};
use crate::scenario::{Proxies, ReadError, Scenario};

/// One goal.
#[derive(Copy, Clone, Debug)]
pub struct Target {
    scenario: &'static str,
    load: Option<f64>,
    hedging: Hedging,
    figure: Figure,
    goal: Goal,
}

/// Second attempts, which the scenarios have none of.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Hedging {
    percent: u8,
    delay_ms: Option<u64>,
    attempts: u8,
    same: bool,
}

const UNHEDGED: Hedging = Hedging { percent: 0, delay_ms: None, attempts: 1, same: false };

impl Hedging {
    fn adapt(self, proxies: &mut Proxies) {
        proxies.hedge = self.percent;
        proxies.hedge_delay = self.delay_ms.map(Duration::from_millis);
        proxies.hedge_attempts = self.attempts;
        proxies.hedge_same = self.same;
    }
}

/// What is measured. Those of a focus have its index.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Figure {
    PerSecond,
    MeanMs,
    P95Ms,
    P99Ms,
    P999Ms,
    /// Attempts per request.
    Attempts,
    FocusP99Ms(usize),
    FocusErrorPart(usize),
    /// The share of the first backend, relative to a fair one.
    FocusFairShare(usize),
}

/// How large the figure may be.
#[derive(Copy, Clone, Debug)]
enum Goal {
    Most(f64),
    Least(f64),
    /// So many times that of this policy at most.
    OfPolicy(&'static str, f64),
    /// So many times another figure of the same run at most.
    OfFigure(Figure, f64),
    /// So many times the same without second attempts at most.
    OfUnhedged(f64),
    /// So many times the same without limits, and so without a queue, at most.
    OfUnlimited(f64),
}

impl Target {
    /// Whether it is about this scenario.
    #[must_use]
    pub fn is_of(&self, scenario: &str) -> bool {
        self.scenario == scenario
    }

    /// Whether it is about second attempts.
    #[must_use]
    pub fn is_hedged(&self) -> bool {
        self.hedging != UNHEDGED
    }
}

/// Who is to reach them.
const OURS: &str = "adaptive";

/// All of them.
pub const TARGETS: [Target; 34] = {
    use Figure::{
        Attempts, FocusErrorPart, FocusFairShare, FocusP99Ms, MeanMs, P95Ms, P99Ms, P999Ms,
        PerSecond,
    };
    use Goal::{Least, Most, OfFigure, OfPolicy, OfUnhedged, OfUnlimited};
    const CONN: &str = "least-conn";
    const TIME: &str = "least-time";
    const fn new(scenario: &'static str, figure: Figure, goal: Goal) -> Target {
        Target { scenario, load: None, hedging: UNHEDGED, figure, goal }
    }
    const fn uneven(load: f64, figure: Figure, goal: Goal) -> Target {
        Target { load: Some(load), ..new("uneven", figure, goal) }
    }
    const fn limited(load: f64, goal: Goal) -> Target {
        Target { load: Some(load), ..new("one-core", P99Ms, goal) }
    }
    const fn hedged(percent: u8, target: Target) -> Target {
        Target { hedging: Hedging { percent, ..UNHEDGED }, ..target }
    }
    const fn original(percent: u8, attempts: u8, figure: Figure, goal: Goal) -> Target {
        let hedging = Hedging { percent, delay_ms: Some(25), attempts, same: attempts > 1 };
        Target { hedging, ..new("original", figure, goal) }
    }
    [
        uneven(0.5, P99Ms, OfPolicy(CONN, 0.62)),
        uneven(0.5, P99Ms, OfPolicy(TIME, 0.77)),
        uneven(0.5, MeanMs, OfPolicy(CONN, 0.8)),
        uneven(0.7, P99Ms, OfPolicy(CONN, 0.73)),
        uneven(0.7, P99Ms, OfPolicy(TIME, 0.87)),
        uneven(0.7, MeanMs, OfPolicy(CONN, 0.95)),
        uneven(0.9, P99Ms, OfPolicy(CONN, 0.79)),
        uneven(0.9, P99Ms, OfPolicy(TIME, 0.93)),
        uneven(0.9, MeanMs, OfPolicy(CONN, 1.05)),
        new("uneven-us", P99Ms, OfPolicy(TIME, 0.75)),
        limited(0.8, OfUnlimited(0.7)),
        limited(0.9, OfUnlimited(0.7)),
        new("one-big", P99Ms, OfPolicy(CONN, 0.3)),
        new("slow-phase", P999Ms, OfPolicy(CONN, 0.55)),
        new("joins-cold", FocusP99Ms(0), OfPolicy(CONN, 0.6)),
        new("fails-fast", FocusErrorPart(0), Most(0.001)),
        new("fails-fast", FocusFairShare(1), Least(0.8)),
        // Eight of the 1,200 requests that come meanwhile.
        new("fails-fast-3s", FocusErrorPart(0), Most(8.0 / 1200.0)),
        new("fails-whole", FocusP99Ms(1), OfFigure(FocusP99Ms(2), 1.1)),
        new("recovers", FocusFairShare(0), Least(0.8)),
        new("fleet", P99Ms, OfPolicy(CONN, 0.45)),
        new("long-polls", FocusP99Ms(0), OfPolicy(CONN, 0.65)),
        new("original", PerSecond, Least(570.0)),
        hedged(5, new("heavy-tail", P99Ms, OfUnhedged(0.55))),
        // The budget, and what was saved up of it before.
        hedged(5, new("heavy-tail", Attempts, Most(1.0501))),
        hedged(5, uneven(0.7, P99Ms, OfUnhedged(1.05))),
        hedged(5, uneven(0.9, P99Ms, OfUnhedged(1.05))),
        hedged(5, uneven(0.95, P99Ms, OfUnhedged(1.05))),
        original(33, 1, PerSecond, Least(1050.0)),
        original(33, 1, MeanMs, Most(96.0)),
        original(33, 1, P95Ms, Most(285.0)),
        original(50, 3, PerSecond, Least(2400.0)),
        original(50, 3, MeanMs, Most(45.0)),
        original(50, 3, P95Ms, Most(100.0)),
    ]
};

/// A goal, and what was found.
#[derive(Clone, Debug)]
pub struct Judged {
    target: Target,
    /// The figure, and what it is compared with.
    scenario: Scenario,
    figure: f64,
    other: Option<f64>,
}

/// Why it is not known whether a target is met.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is no such scenario.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It can't be run.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// There is no such policy.
    #[error("{0}")]
    Policy(String),
}

/// A scenario, its load, the second attempts, how many may wait, and the policy.
type Run = (&'static str, Option<f64>, Hedging, usize, &'static str);

/// Runs scenarios, each policy only once.
#[derive(Debug, Default)]
pub struct Judge {
    runs: Vec<(Run, Measured)>,
}

impl Judge {
    /// Measures what a target is about. `adapt` may shorten the scenario.
    ///
    /// # Errors
    /// The scenario or the policy is wrong.
    pub fn judge(
        &mut self,
        target: Target,
        adapt: impl Fn(&mut Scenario),
    ) -> Result<Judged, TargetError> {
        let mut scenario = Scenario::read(target.scenario, target.load)?;
        adapt(&mut scenario);
        let figure = self.figure(target, &scenario, OURS, target.figure)?;
        let other = match target.goal {
            Goal::Most(_) | Goal::Least(_) => None,
            Goal::OfPolicy(policy, _) => {
                Some(self.figure(target, &scenario, policy, target.figure)?)
            }
            Goal::OfFigure(other, _) => Some(self.figure(target, &scenario, OURS, other)?),
            Goal::OfUnhedged(_) => {
                let target = Target { hedging: UNHEDGED, ..target };
                Some(self.figure(target, &scenario, OURS, target.figure)?)
            }
            Goal::OfUnlimited(_) => {
                let mut scenario = scenario.clone();
                scenario.proxies.queue = 0;
                scenario.backends.iter_mut().for_each(|group| group.max_in_flight = None);
                Some(self.figure(target, &scenario, OURS, target.figure)?)
            }
        };
        Ok(Judged { target, scenario, figure, other })
    }

    fn figure(
        &mut self,
        target: Target,
        scenario: &Scenario,
        policy: &'static str,
        figure: Figure,
    ) -> Result<f64, TargetError> {
        let queue = scenario.proxies.queue;
        let run = (target.scenario, target.load, target.hedging, queue, policy);
        if let Some((_, measured)) = self.runs.iter().find(|(known, _)| *known == run) {
            return Ok(figure.of(measured));
        }
        let contender: Contender = policy.parse().map_err(TargetError::Policy)?;
        let mut scenario = scenario.clone();
        target.hedging.adapt(&mut scenario.proxies);
        let measured = simulate(&scenario, contender)?;
        let value = figure.of(&measured);
        self.runs.push((run, measured));
        Ok(value)
    }
}

impl Figure {
    fn of(self, measured: &Measured) -> f64 {
        let focus = |index: usize, figure: fn(&Tally) -> f64| {
            measured.focus.get(index).map_or(f64::NAN, figure)
        };
        let p99 = |tally: &Tally| tally.quantile_ms(0.99);
        let fair = |tally: &Tally| tally.shares()[0] * tally.shares().len() as f64;
        match self {
            Self::PerSecond => measured.per_second(),
            Self::MeanMs => measured.all.mean_ms(),
            Self::P95Ms => measured.all.quantile_ms(0.95),
            Self::P99Ms => p99(&measured.all),
            Self::Attempts => measured.all.attempts(),
            Self::P999Ms => measured.all.quantile_ms(0.999),
            Self::FocusP99Ms(index) => focus(index, p99),
            Self::FocusErrorPart(index) => focus(index, Tally::error_part),
            Self::FocusFairShare(index) => focus(index, fair),
        }
    }

    fn words(self, scenario: &Scenario) -> String {
        let focus = |index: usize| scenario.focus.get(index).map_or("", |focus| &focus.name);
        match self {
            Self::PerSecond => "requests/s".to_owned(),
            Self::MeanMs => "mean".to_owned(),
            Self::P95Ms => "p95".to_owned(),
            Self::P99Ms => "p99".to_owned(),
            Self::Attempts => "attempts per request".to_owned(),
            Self::P999Ms => "p99.9".to_owned(),
            Self::FocusP99Ms(index) => format!("p99 {}", focus(index)),
            Self::FocusErrorPart(index) => format!("errors {}", focus(index)),
            Self::FocusFairShare(index) => format!("÷ fair share {}", focus(index)),
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0}"),
            Self::MeanMs | Self::P95Ms => format!("{value:.1} ms"),
            Self::FocusErrorPart(_) => format!("{:.3} %", 100.0 * value),
            _ => format!("{value:.3}"),
        }
    }
}

impl Judged {
    /// What is to be reached: the ratio, or the figure itself.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.other.map_or(self.figure, |other| self.figure / other)
    }

    /// Whether it is reached, the goal being missed by this factor at most.
    #[must_use]
    pub fn is_met(&self, slack: f64) -> bool {
        match self.target.goal {
            Goal::Most(most)
            | Goal::OfPolicy(_, most)
            | Goal::OfFigure(_, most)
            | Goal::OfUnhedged(most)
            | Goal::OfUnlimited(most) => self.value() <= most * slack,
            Goal::Least(least) => self.value() * slack >= least,
        }
    }

    fn row(&self) -> Row {
        let Target { scenario, load, hedging, figure, goal } = self.target;
        let mut name = load.map_or(scenario.to_owned(), |load| format!("{scenario} at {load}"));
        if hedging != UNHEDGED {
            name.extend([", ", &hedging.percent.to_string(), " % hedged"]);
        }
        let what = figure.words(&self.scenario);
        let (what, bound) = match goal {
            Goal::Most(most) => (what, format!("≤ {}", figure.shown(most))),
            Goal::Least(least) => (what, format!("≥ {}", figure.shown(least))),
            Goal::OfPolicy(policy, most) => (format!("{what} ÷ {policy}"), format!("≤ {most:.2}")),
            Goal::OfUnlimited(most) => (format!("{what} ÷ unlimited"), format!("≤ {most:.2}")),
            Goal::OfUnhedged(most) => (format!("{what} ÷ unhedged"), format!("≤ {most:.2}")),
            Goal::OfFigure(other, most) => {
                (format!("{what} ÷ {}", other.words(&self.scenario)), format!("≤ {most:.2}"))
            }
        };
        let found = match self.other {
            Some(_) => format!("{:.3}", self.value()),
            None => figure.shown(self.figure),
        };
        let verdict = if self.is_met(1.0) { "met" } else { "MISSED" };
        Row { cells: vec![name, what, bound, found, verdict.to_owned()], is_marked: false }
    }
}

/// A table for a terminal.
#[must_use]
pub fn table(judged: &[Judged]) -> String {
    let heads = ["scenario", "figure", "goal", "found", ""].map(str::to_owned).to_vec();
    let rows = judged.iter().map(Judged::row).collect();
    Table { caption: String::new(), heads, rows }.text()
}
