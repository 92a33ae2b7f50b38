//! What a metric is: its name, what it says, and where its samples come from.

use std::fmt;

use super::encode::Samples;
use super::scrape::Scrape;
use super::{of_backends, of_names, of_proxy};
use crate::proxy::metrics::{AnswerClass, Faults};

/// One metric.
#[derive(Clone, Copy)]
pub struct Family {
    /// Its name with its unit, without what its kind adds.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The unit, which ends the name.
    pub unit: Option<&'static str>,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, as a sentence.
    pub help: &'static str,
    pub(super) tell: Tell,
}

/// Tells the samples.
pub(super) type Tell = fn(&Scrape, &mut Samples<'_>) -> fmt::Result;

/// How a metric behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is several counters, by the size of what is counted.
    Histogram,
    /// It is a text that does not change, in a label.
    Info,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

impl Family {
    /// The name of its samples; those of a histogram add to it what they count.
    #[must_use]
    pub fn sample(&self) -> String {
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{suffix}", self.name)
    }

    /// The name without the unit and what is between.
    pub(super) fn name_without_unit(&self) -> &'static str {
        let unit = self.unit.unwrap_or_default();
        self.name.strip_suffix(unit).unwrap_or(self.name).trim_end_matches('_')
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.name).finish()
    }
}

pub(super) type Names = &'static [&'static str];

pub(super) const fn family(
    kind: Kind,
    name: &'static str,
    labels: Names,
    help: &'static str,
    tell: Tell,
) -> Family {
    Family { name, kind, unit: None, labels, help, tell }
}

pub(super) const fn counter(
    name: &'static str,
    labels: Names,
    help: &'static str,
    tell: Tell,
) -> Family {
    family(Kind::Counter, name, labels, help, tell)
}

pub(super) const fn gauge(
    name: &'static str,
    labels: Names,
    help: &'static str,
    tell: Tell,
) -> Family {
    family(Kind::Gauge, name, labels, help, tell)
}

pub(super) const fn histogram(
    name: &'static str,
    labels: Names,
    help: &'static str,
    tell: Tell,
) -> Family {
    seconds(family(Kind::Histogram, name, labels, help, tell))
}

pub(super) const fn seconds(family: Family) -> Family {
    Family { unit: Some("seconds"), ..family }
}

pub(super) const fn bytes(family: Family) -> Family {
    Family { unit: Some("bytes"), ..family }
}

/// All metrics, in their order.
pub fn families() -> impl Iterator<Item = &'static Family> {
    of_proxy::FAMILIES.iter().chain(of_backends::FAMILIES).chain(of_names::FAMILIES)
}

pub(super) const CLASSES: [(AnswerClass, &str); AnswerClass::COUNT] = [
    (AnswerClass::Informational, "1xx"),
    (AnswerClass::Success, "2xx"),
    (AnswerClass::Redirection, "3xx"),
    (AnswerClass::ClientError, "4xx"),
    (AnswerClass::ServerError, "5xx"),
    (AnswerClass::ClientGone, "499"),
];

/// Counts by a label that stands behind others.
pub(super) fn by_label(labels: &[&str], counts: &Faults, out: &mut Samples<'_>) -> fmt::Result {
    counts.iter().try_for_each(|(label, count)| out.count(&[labels, &[label]].concat(), *count))
}
