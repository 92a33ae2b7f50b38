//! Logs of other tools, each in `tests/fixtures/logs`, and what a report says of them.

use std::path::{Path, PathBuf};

use super::super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/logs").join(name)
}

fn read(name: &str) -> Run {
    let report = report(&[fixture(name)], None).unwrap_or_else(|error| panic!("{name}: {error}"));
    report.runs.into_iter().next().expect("a run")
}

/// All of these say the same in their own way: five requests of two backends in four seconds, with
/// latencies of 10, 20.5, 25, 30 and 400 ms; the third a 503, the last a 404.
const SAME: [&str; 30] = [
    "american.csv",
    "bars.csv",
    "blank_first.csv",
    "byte_order_mark.csv",
    "capitals.csv",
    "comment_first.csv",
    "common_log.csv",
    "day_first.csv",
    "decimal_comma.csv",
    "decimal_comma_quoted.csv",
    "epoch_millis.csv",
    "epoch_scientific.csv",
    "epoch_seconds.csv",
    "european.csv",
    "excel_sep.csv",
    "float_status.csv",
    "newest_first.csv",
    "no_header.csv",
    "offset.csv",
    "other_order.csv",
    "packed.csv.gz",
    "pandas_index.csv",
    "quoted.csv",
    "semicolons.csv",
    "space_after_comma.csv",
    "space_before_quote.csv",
    "suffix_utc.csv",
    "tabs.csv",
    "two_clocks.csv",
    "gap.csv",
];

#[test]
fn every_form_of_a_log_says_the_same() {
    for name in SAME {
        let run = read(name);
        // Two of them have each request twice, in another time.
        let (times, seconds) = match name {
            "two_clocks.csv" => (2, 604.0),
            "gap.csv" => (2, 28_804.0),
            _ => (1, 4.0),
        };
        assert_eq!((run.requests, run.errors), (5 * times, 2 * times), "{name}");
        assert_eq!((run.broken, run.undispatched, run.outliers), (0, 0, None), "{name}");
        assert!((run.seconds - seconds).abs() < 1e-6, "{name}: {} s", run.seconds);
        assert_eq!(run.routing_mode.as_deref(), Some("round-robin"), "{name}");
        let latency = run.latency.expect("latencies");
        assert_eq!(
            (latency.p50_ms, latency.max_ms, latency.mean_ms),
            (25.0, 400.0, 97.1),
            "{name}"
        );
        let backends: Vec<_> =
            run.backends.iter().map(|it| (&*it.name, it.requests / times)).collect();
        assert_eq!(
            backends,
            [("http://localhost:8081", 3), ("http://localhost:8082", 2)],
            "{name}"
        );
    }
}

#[test]
fn a_request_without_a_latency_that_can_be_read_is_one() {
    let run = read("no_latency.csv");
    assert_eq!((run.requests, run.errors, run.broken), (14, 7, 0));
    assert_eq!(run.latency.map(|it| (it.count, it.max_ms)), Some((7, 25.0)));
    assert_eq!(run.backends[0].mean_ms, None);
}

#[test]
fn a_request_without_a_status_is_an_error() {
    let run = read("no_status.csv");
    assert_eq!((run.requests, run.errors, run.broken), (6, 5, 0));
}

#[test]
fn odd_times_count_and_are_told_and_are_in_no_span() {
    let report = report(&[fixture("odd_time.csv")], None).expect("a report");
    let run = &report.runs[0];
    assert_eq!((run.requests, run.outlier_rows(), run.seconds), (7, 2, 4.0));
    assert_eq!(run.per_second(), Some(1.25));
    let latency = run.latency.as_ref().expect("latencies");
    assert_eq!((latency.count, latency.slots.len()), (7, 5));
    let sentence = "2 rows are more than a day from the median row (1970-01-01 00:00:07 to \
        2031-01-01 00:00:00 UTC), so not in the duration";
    assert!(text(&report).contains(sentence), "{}", text(&report));
    let json: serde_json::Value = serde_json::from_str(&json::document(&report)).expect("JSON");
    assert_eq!(json["configurations"][0]["outlier_rows"], 2);
}

#[test]
fn what_is_refused_says_what_was_expected_and_found() {
    let columns = "expected the columns timestamp, backend_url, latency_ms, status_code, \
        routing_mode, by name in a header or in this order without one; its first line is ";
    for (name, reason) in [
        ("utf16.csv", "it is UTF-16 text; save it as UTF-8".to_owned()),
        ("carriage_returns.csv", "its lines end in CR alone; have them end in LF".to_owned()),
        ("other_columns.csv", columns.to_owned() + "`time,url,ms`"),
        ("three_columns.csv", columns.to_owned() + "`timestamp,latency_ms,status_code`"),
        ("no_rows.csv", "it has no rows".to_owned()),
        (
            "no_row_is_read.csv",
            "none of its 3 lines is a row; the first: `yesterday` is no timestamp".to_owned(),
        ),
        ("cut_off.csv.gz", "its gzip data is broken or cut off: ".to_owned()),
    ] {
        let said = report(&[fixture(name)], None).expect_err(name).to_string();
        assert!(said.contains(name) && said.contains(&reason), "{name}: {said}");
    }
}

#[test]
fn a_log_without_rows_is_left_out_beside_others() {
    let places = ["no_rows.csv", "tabs.csv", "no_row_is_read.csv"].map(fixture);
    let report = report(&places, None).expect("a report");
    assert_eq!((report.runs.len(), report.left_out.len()), (1, 2));
    assert!(report.left_out[0].ends_with("no_rows.csv: it has no rows"), "{:?}", report.left_out);
    assert!(text(&report).contains("Left out: "));
}
