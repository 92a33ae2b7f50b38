//! From figures to text.
//!
//! The encoders of `prometheus-client` ask a collector, which writes the samples of each family.

use std::collections::HashMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
    prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use super::Format;
use super::families::{Family, Kind, families};
use super::scrape::Scrape;
use crate::proxy::metrics::{Steps, end_of};

/// About what a backend takes, so that the text need not move as it grows.
const BYTES_PER_BACKEND: usize = 9 << 10;

/// All figures as text.
#[must_use]
pub fn text(scrape: Scrape, format: Format) -> String {
    let mut out = String::with_capacity((scrape.backends.len() + 1) * BYTES_PER_BACKEND);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    // Writing to a String can't fail, and nothing else here does.
    let _ = match format {
        Format::Prometheus => prometheus_text::encode(&mut out, &registry),
        Format::OpenMetrics => text::encode(&mut out, &registry),
    };
    out
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in families() {
            let unit = family.unit.map(unit);
            let name = family.name_without_unit();
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
                Kind::Info => MetricType::Info,
            };
            let metric = encoder.encode_descriptor(name, family.help, unit.as_ref(), kind)?;
            let mut samples = Samples { metric, family };
            (family.tell)(self, &mut samples)?;
        }
        Ok(())
    }
}

fn unit(name: &'static str) -> Unit {
    match name {
        "seconds" => Unit::Seconds,
        "bytes" => Unit::Bytes,
        other => Unit::Other(other.to_owned()),
    }
}

/// Where the samples of a family go. Each is told with the values of the family's labels.
pub(super) struct Samples<'a> {
    metric: MetricEncoder<'a>,
    family: &'static Family,
}

impl Samples<'_> {
    /// A sample of a counter that counts things.
    pub(super) fn count(&mut self, labels: &[&str], count: u64) -> fmt::Result {
        let labels = Labels(self.family.labels, labels);
        let none = None::<&Exemplar<NoLabelSet, u64>>;
        self.metric.encode_family(&labels)?.encode_counter(&count, none)
    }

    /// A sample of a counter that adds up a quantity.
    pub(super) fn sum(&mut self, labels: &[&str], sum: f64) -> fmt::Result {
        let labels = Labels(self.family.labels, labels);
        let none = None::<&Exemplar<NoLabelSet, f64>>;
        self.metric.encode_family(&labels)?.encode_counter(&sum, none)
    }

    /// A sample of a gauge.
    pub(super) fn gauge(&mut self, labels: &[&str], value: f64) -> fmt::Result {
        let labels = Labels(self.family.labels, labels);
        self.metric.encode_family(&labels)?.encode_gauge(&value)
    }

    /// A sample of a gauge that is a number of things.
    pub(super) fn level(&mut self, labels: &[&str], count: u64) -> fmt::Result {
        let labels = Labels(self.family.labels, labels);
        self.metric.encode_family(&labels)?.encode_gauge(&count)
    }

    /// The samples of a histogram.
    pub(super) fn histogram(&mut self, labels: &[&str], steps: &Steps) -> fmt::Result {
        let buckets = steps.counts.iter().enumerate();
        let end = |step| end_of(step).map_or(f64::INFINITY, |end| end.as_secs_f64());
        let buckets: Vec<_> = buckets.map(|(step, count)| (end(step), *count)).collect();
        let labels = Labels(self.family.labels, labels);
        let none = None::<&HashMap<usize, Exemplar<NoLabelSet, f64>>>;
        let (sum, count) = (steps.sum.as_secs_f64(), steps.count());
        self.metric.encode_family(&labels)?.encode_histogram(sum, count, &buckets, none)
    }

    /// What does not change.
    pub(super) fn info(&mut self, labels: &[&str]) -> fmt::Result {
        self.metric.encode_info(&Labels(self.family.labels, labels))
    }
}

/// Names, and as many values.
struct Labels<'a>(&'a [&'a str], &'a [&'a str]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        debug_assert_eq!(self.0.len(), self.1.len(), "{:?}", self.0);
        for (name, value) in self.0.iter().zip(self.1) {
            (*name, *value).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}
