//! The result of a load, for people and for programs.

use std::fmt::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use super::Plan;

const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// The result of a load.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests whose connection broke, or that got a status of 400 or more.
    pub errors: u64,
    /// Requests without an answer, or never sent, by the end.
    pub unanswered: u64,
    /// From the first intended start to the end.
    pub took: Duration,
    /// Bytes received.
    pub bytes: u64,
    /// Latencies of complete answers in µs, from the intended start.
    pub latencies: Histogram<u64>,
}

impl Report {
    /// Whether every request got a status below 400.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors == 0 && self.unanswered == 0
    }

    /// The report for programs, with the plan.
    #[must_use]
    pub fn json(&self, plan: &Plan) -> String {
        let percentiles = PERCENTILES.map(|percentile| {
            let us = self.latencies.value_at_percentile(percentile);
            json!({ "percentile": percentile, "us": us })
        });
        let document = json!({
            "requests_per_s": plan.per_second,
            "connections": plan.connections,
            "seconds": plan.seconds,
            "took_s": self.took.as_secs_f64(),
            "answered": self.latencies.len(),
            "errors": self.errors,
            "unanswered": self.unanswered,
            "bytes": self.bytes,
            "mean_us": self.latencies.mean(),
            "latencies": percentiles,
        });
        format!("{document:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = self.latencies.len();
        let (errors, unanswered) = (self.errors, self.unanswered);
        writeln!(f, "{answered} answered, {errors} errors, {unanswered} unanswered")?;
        let mut heads = String::new();
        let mut values = String::new();
        for percentile in PERCENTILES {
            let name = match percentile {
                100.0 => "max".to_owned(),
                percentile => format!("p{percentile}"),
            };
            let millis = self.latencies.value_at_percentile(percentile) as f64 / 1000.0;
            write!(heads, "{name:>10}")?;
            write!(values, "{millis:>10.3}")?;
        }
        writeln!(f, "latency from the intended start, in ms:\n{heads}\n{values}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(errors: u64, unanswered: u64) -> Report {
        let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds");
        for us in 1..=1000 {
            latencies.record(us * 1000).expect("in bounds");
        }
        Report { errors, unanswered, took: Duration::from_secs(1), bytes: 3, latencies }
    }

    #[test]
    fn people_read_milliseconds() {
        let text = report(1, 2).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "1000 answered, 1 errors, 2 unanswered");
        let heads: Vec<_> = lines[2].split_ascii_whitespace().collect();
        assert_eq!(heads, ["p50", "p90", "p99", "p99.9", "p99.99", "max"]);
        assert!(lines[3].trim_start().starts_with("500."), "{text}");
        assert_eq!(lines[2].len(), lines[3].len());
    }

    #[test]
    fn programs_read_microseconds() {
        let plan = Plan {
            target: "http://a".parse().expect("a URL"),
            per_second: 10,
            connections: 2,
            seconds: 100,
        };
        let text = report(0, 0).json(&plan);
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["answered"], 1000);
        assert_eq!(document["bytes"], 3);
        assert_eq!(document["latencies"][0]["percentile"], 50.0);
        let us = document["latencies"][0]["us"].as_u64().expect("a number");
        assert!((499_000..=501_000).contains(&us), "{us}");
    }

    #[test]
    fn only_a_load_that_was_answered_in_full_is_clean() {
        assert!(report(0, 0).is_clean());
        assert!(!report(1, 0).is_clean() && !report(0, 1).is_clean());
    }
}
