//! The load at a fixed rate: `tidegate-lab load`, which writes its figures as JSON.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::seen::Load;
use super::workload::Workload;

/// The arguments for `workload` at `address` and `rate_per_s`, with the figures in `output`.
pub(super) fn args(
    workload: &Workload,
    rate_per_s: u32,
    address: SocketAddr,
    seconds: u32,
    output: &Path,
) -> Vec<OsString> {
    vec![
        "load".into(),
        "--rate".into(),
        rate_per_s.to_string().into(),
        "--connections".into(),
        workload.connections.to_string().into(),
        "--seconds".into(),
        seconds.to_string().into(),
        "--output".into(),
        output.into(),
        format!("http://{address}/").into(),
    ]
}

/// Parses the figures.
pub(super) fn parse(text: &str) -> Option<Load> {
    let document: Value = serde_json::from_str(text).ok()?;
    let count = |name: &str| document[name].as_u64();
    let latencies = document["latencies"].as_array()?;
    let percentile = |wanted: f64| {
        let is_it = |one: &&Value| one["percentile"].as_f64() == Some(wanted);
        latencies.iter().find(is_it)?["us"].as_f64()
    };
    Some(Load {
        requests: count("answered")?,
        duration: Duration::from_secs_f64(document["took_s"].as_f64()?),
        bytes: count("bytes")?,
        errors: count("errors")? + count("unanswered")?,
        p50_us: percentile(50.0)?,
        p99_us: percentile(99.0)?,
        p999_us: percentile(99.9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::load::{Plan, Report};
    use super::*;
    use hdrhistogram::Histogram;

    #[test]
    fn what_the_load_writes_is_read() {
        let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds");
        (1..=1000).for_each(|us| latencies.record(us).expect("in bounds"));
        let took = Duration::from_millis(1500);
        let report = Report { errors: 2, unanswered: 3, took, bytes: 70_000, latencies };
        let target = "http://a".parse().expect("a URL");
        let plan = Plan { target, per_second: 10, connections: 2, seconds: 100 };
        let load = parse(&report.json(&plan)).expect("figures");
        let expected = Load {
            requests: 1000,
            duration: took,
            bytes: 70_000,
            errors: 5,
            p50_us: 500.0,
            p99_us: 990.0,
            // Of a thousand, the histogram takes the last for this.
            p999_us: 1000.0,
        };
        assert_eq!(load, expected);
        assert_eq!(parse("{}"), None);
        assert_eq!(parse(""), None);
    }
}
