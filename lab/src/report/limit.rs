//! A limit that no run may exceed, such as `p95>250`.

use std::str::FromStr;

use super::Report;
use super::run::{Latency, Run};
use super::written::{millis, per_second, percent};

/// What makes a report fail.
#[derive(Clone, Debug)]
pub struct Limit {
    /// As it was given.
    text: String,
    figure: Figure,
    relation: Relation,
    value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    PerSecond,
    Mean,
    P50,
    P95,
    P99,
    Max,
    Errors,
    ErrorShare,
}

#[derive(Clone, Copy, Debug)]
enum Relation {
    Above,
    AtLeast,
    Below,
    AtMost,
}

const NAMES: [(&str, Figure); 8] = [
    ("requests/s", Figure::PerSecond),
    ("rps", Figure::PerSecond),
    ("mean", Figure::Mean),
    ("p50", Figure::P50),
    ("p95", Figure::P95),
    ("p99", Figure::P99),
    ("max", Figure::Max),
    ("errors", Figure::Errors),
];

const RELATIONS: [(&str, Relation); 4] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    (">", Relation::Above),
    ("<", Relation::Below),
];

/// What a limit looks like.
const FORM: &str = "give a figure (requests/s, mean, p50, p95, p99, max or errors), a relation \
    (>, >=, < or <=) and a value, such as p95>250, p99>1.5s, errors>0.1% or requests/s<400";

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = RELATIONS.iter().find_map(|(sign, relation)| {
            let (figure, value) = text.split_once(sign)?;
            Some((figure.trim(), *relation, value.trim()))
        });
        let (name, relation, value) = found.ok_or(FORM)?;
        let figure = NAMES.iter().find(|(known, _)| *known == name);
        let figure = figure.ok_or_else(|| format!("`{name}` is no figure; {FORM}"))?.1;
        let (figure, value) = figure
            .with_value(value)
            .ok_or_else(|| format!("`{value}` is no value of {name}; {FORM}"))?;
        Ok(Self { text: text.trim().to_owned(), figure, relation, value })
    }
}

impl Figure {
    fn is_time(self) -> bool {
        matches!(self, Self::Mean | Self::P50 | Self::P95 | Self::P99 | Self::Max)
    }

    /// The value in the unit in which the figure is known.
    fn with_value(self, text: &str) -> Option<(Self, f64)> {
        let (figure, digits, factor) = if let Some(digits) = text.strip_suffix('%') {
            (self == Self::Errors).then_some((Self::ErrorShare, digits, 0.01))?
        } else if let Some(digits) = text.strip_suffix("ms") {
            self.is_time().then_some((self, digits, 1.0))?
        } else if let Some(digits) = text.strip_suffix('s') {
            self.is_time().then_some((self, digits, 1000.0))?
        } else {
            (self, text, 1.0)
        };
        let value: f64 = digits.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some((figure, value * factor))
    }

    fn of(self, run: &Run) -> Option<f64> {
        let latency = |of: fn(&Latency) -> f64| run.latency.as_ref().map(of);
        match self {
            Self::PerSecond => run.wrk_per_second.or_else(|| run.per_second()),
            Self::Mean => latency(|it| it.mean_ms),
            Self::P50 => latency(|it| it.p50_ms),
            Self::P95 => latency(|it| it.p95_ms),
            Self::P99 => latency(|it| it.p99_ms),
            Self::Max => latency(|it| it.max_ms),
            Self::Errors => Some(run.errors as f64),
            Self::ErrorShare => Some(run.share(run.errors)),
        }
    }

    fn words(self, value: f64) -> String {
        match self {
            Self::PerSecond => per_second(value),
            Self::Errors => value.to_string(),
            Self::ErrorShare => percent(value),
            _ => format!("{} ms", millis(value)),
        }
    }
}

impl Limit {
    /// Each run that exceeds the limit, or whose figure is not known, in words.
    pub fn exceeded<'a>(&'a self, report: &'a Report) -> impl Iterator<Item = String> + 'a {
        let bare = report.bare.iter();
        let bare = bare.map(|path| format!("{path}: {} is not known: it has no rows", self.text));
        let runs = report.runs.iter().filter_map(|run| {
            let Some(value) = self.figure.of(run) else {
                return Some(format!("{}: {} is not known", run.name, self.text));
            };
            let holds = match self.relation {
                Relation::Above => value > self.value,
                Relation::AtLeast => value >= self.value,
                Relation::Below => value < self.value,
                Relation::AtMost => value <= self.value,
            };
            let words = self.figure.words(value);
            holds.then(|| format!("{}: {} ({words})", run.name, self.text))
        });
        runs.chain(bare)
    }
}
