//! The text in which Prometheus and programs like it read all figures of a running proxy.
//!
//! `of_proxy.rs`, `of_backends.rs` and `of_names.rs` have the tables of all metrics. Names follow
//! the conventions of Prometheus: base units, `_total` behind what only grows. There are two
//! formats of one content; the older one has no units and no end, and is that of a request that
//! asks for neither.
//!
//! Series are bounded: backends by the plan, faults and reasons by closed lists. The series of a
//! backend end when it is gone; what was counted stays in the metrics without the label `backend`.

mod encode;
mod families;
mod of_backends;
mod of_names;
mod of_proxy;
mod process;
mod scrape;
#[cfg(test)]
mod tests;

pub use encode::text;
pub use families::{Family, Kind, families};
pub use process::Process;
pub use scrape::{Log, Reloads, Scrape};

/// The table of all metrics in Markdown, for the documents.
#[must_use]
pub fn markdown() -> String {
    let head = "| metric | type | labels | unit | what it says |\n|---|---|---|---|---|\n";
    families().fold(head.to_owned(), |table, family| {
        let labels = family.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>();
        let cell = |text: &str| if text.is_empty() { String::new() } else { format!("{text} ") };
        table
            + &format!(
                "| `{}` | {} | {}| {}| {} |\n",
                family.sample(),
                family.kind.name(),
                cell(&labels.join(", ")),
                cell(family.unit.unwrap_or_default()),
                family.help.trim_end_matches('.')
            )
    })
}

/// A format of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// The format for a request with this `Accept` (RFC 9110 §12.5.1); `OpenMetrics` only for one
    /// that asks for it and likes nothing else better.
    #[must_use]
    pub fn of_accept(accept: &str) -> Self {
        let quality = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
                let quality = parts.find_map(|part| part.strip_prefix("q="));
                is_it.then(|| quality.map_or(Some(1.0), |text| text.parse::<f32>().ok()))?
            });
            ranges.fold(0.0, f32::max)
        };
        let open = quality("application/openmetrics-text");
        if open > 0.0 && open >= quality("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of the field `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}
