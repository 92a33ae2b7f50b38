//! Runs with known figures, and the verdicts on them.

use jiff::Timestamp;

use super::super::*;
use super::{SIX, folder, written};

/// The log of a policy under whose `connections` that ask one after the other for ten seconds,
/// each answered after as long as `latency_ms` says for the number of the request.
pub(super) fn log(policy: &str, connections: u64, latency_ms: impl Fn(u64) -> u64) -> String {
    const BEGIN_MS: u64 = 1_795_000_000_000;
    let mut rows = Vec::new();
    let mut asks: std::collections::BTreeSet<_> = (0..connections).map(|it| (0, it)).collect();
    for number in 0.. {
        let Some((asked, connection)) = asks.pop_first() else { break };
        let ms = latency_ms(number);
        rows.push((asked + ms, ms));
        if asked + ms < 10_000 {
            asks.insert((asked + ms, connection));
        }
    }
    rows.sort_unstable();
    let row = |(ended, ms): &(u64, u64)| {
        let ended = i64::try_from(BEGIN_MS + ended).expect("fits");
        let ended = Timestamp::from_millisecond(ended).expect("a time");
        format!("{ended},http://a:1,{ms}.000,200,{policy},persistent\n")
    };
    SIX.to_owned() + &rows.iter().map(row).collect::<String>()
}

pub(super) fn of(files: &[(&str, &str)]) -> Report {
    report(&[folder(files).path().to_owned()], None).expect("a report")
}

/// A mean of 200 ms with a long tail.
pub(super) fn uneven(number: u64) -> u64 {
    if number.is_multiple_of(9) { 900 } else { 112 + number % 3 }
}

#[test]
fn the_drain_is_in_no_rate_and_in_no_plot_over_time() {
    let report = of(&[("run.csv", &log("round-robin", 100, |_| 200))]);
    let run = &report.runs[0];
    assert_eq!((run.requests, run.drain_rows), (5000, 100));
    let rate = run.per_second().expect("a rate");
    assert!((run.seconds - 9.8).abs() < 1e-9 && (rate - 500.0).abs() < 1e-9, "{rate}");
    let latency = run.latency.as_ref().expect("latencies");
    assert_eq!(latency.count, 5000, "it is in the latencies");
    let counts: Vec<_> = latency.slots.iter().map(|slot| slot.count).collect();
    assert_eq!(counts, [400, 500, 500, 500, 500, 500, 500, 500, 500, 500]);
    let said = text(&report);
    assert!(said.contains("nor shown over time: 100 of round-robin, persistent."), "{said}");
    let (_, json, _) = written(&report);
    assert_eq!(json["configurations"][0]["drain_rows"], 100);
}

/// The log with the drain, or `count` rows in the middle, left by their clients.
fn left(log: &str, first: usize, count: usize) -> String {
    let mut lines: Vec<_> = log.lines().map(str::to_owned).collect();
    for line in &mut lines[first..first + count] {
        let start: Vec<_> = line.split(',').take(2).collect();
        *line = format!("{},1.000,499,round-robin,persistent", start.join(","));
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_client_that_leaves_after_the_load_is_no_error_and_has_no_latency() {
    let log = log("round-robin", 100, |_| 200);
    // In the log that began with a header, the last 100 of 5,000 rows are the drain.
    let report = of(&[("run.csv", &left(&log, 4901, 97))]);
    let run = &report.runs[0];
    assert_eq!((run.requests, run.errors, run.left_at_end), (5000, 0, 97));
    assert_eq!(run.latency.as_ref().map(|it| (it.count, it.max_ms)), Some((4903, 200.0)));
    assert_eq!((run.backends[0].requests, run.backends[0].mean_ms), (5000, Some(200.0)));
    let words = "100 of round-robin, persistent, of which 97 were abandoned by their clients";
    assert!(text(&report).contains(words), "{}", text(&report));
    assert_eq!(written(&report).1["configurations"][0]["left_at_end"], 97);
}

#[test]
fn a_client_that_leaves_under_load_is_an_error() {
    let log = log("round-robin", 100, |_| 200);
    let run = of(&[("run.csv", &left(&log, 2000, 97))]).runs.remove(0);
    assert_eq!((run.errors, run.left_at_end), (97, 0));
    assert_eq!(run.latency.map(|it| it.count), Some(5000));
}

#[test]
fn the_length_that_is_said_is_that_of_the_load() {
    let folder = folder(&[("run.csv", &log("round-robin", 100, |_| 200))]);
    let report = report(&[folder.path().to_owned()], Some(10.0)).expect("a report");
    assert_eq!(report.runs[0].per_second(), Some(490.0));
}

#[test]
fn no_long_tail_makes_a_rate_higher() {
    let (even, uneven) = (log("adaptive_sma", 100, |_| 200), log("round-robin", 100, uneven));
    let report = of(&[("a.csv", &even), ("b.csv", &uneven)]);
    let rates: Vec<_> = report.runs.iter().filter_map(Run::per_second).collect();
    assert!(rates.iter().all(|rate| (rate - 500.0).abs() < 5.0), "{rates:?}");
    let said = text(&report);
    assert!(said.contains("The most requests/s by log: a tie of all 2 (50"), "{said}");
    let (_, json, _) = written(&report);
    let names = json["best"][0]["names"].as_array().map(Vec::len);
    assert_eq!((json["best"][0]["figure"].as_str(), names), (Some("requests_per_s"), Some(2)));
}

#[test]
fn runs_are_compared_by_wrks_figure_if_all_have_it() {
    let (slow, fast) = (log("round-robin", 100, uneven), log("adaptive_ewma", 100, |_| 150));
    let mut files = vec![("slow.csv", slow.as_str()), ("fast.csv", &fast)];
    files.push(("slow_wrk.txt", "Requests/sec:   900.00\n"));
    let said = text(&of(&files));
    assert!(said.contains("most requests/s by log: adaptive_ewma, persistent (667)."), "{said}");
    assert!(said.contains("lowest 95th percentile: adaptive_ewma, persistent (150 ms)"), "{said}");
    assert!(said.contains("A tie is a difference of less than 1 %"), "{said}");
    files.push(("fast_wrk.txt", "Requests/sec:   665.00\n"));
    let report = of(&files);
    let said = text(&report);
    assert!(said.contains("most requests/s by wrk: round-robin, persistent (900)."), "{said}");
    let (_, json, page) = written(&report);
    assert_eq!(json["best"][0]["figure"], "wrk_requests_per_s");
    assert_eq!(json["best"][0]["names"][0], "round-robin, persistent");
    assert!(
        page.contains("most requests/s by wrk: round-robin") && page.contains("requests/s by wrk<")
    );
}

#[test]
fn a_figure_of_wrk_within_noise_is_a_tie() {
    let (a, b) = (log("round-robin", 100, uneven), log("adaptive_ewma", 100, |_| 150));
    let report = of(&[
        ("a.csv", &a),
        ("a_wrk.txt", "Requests/sec:   501.00\n"),
        ("b.csv", &b),
        ("b_wrk.txt", "Requests/sec:   497.00\n"),
    ]);
    let said = text(&report);
    assert!(said.contains("most requests/s by wrk: a tie of all 2 (501 to 497)."), "{said}");
}

#[test]
fn of_short_runs_none_is_best() {
    let rows = |policy: &str, ms: u64| log(policy, 2, |number| if number > 9 { 9999 } else { ms });
    let report = of(&[("a.csv", &rows("round-robin", 9)), ("b.csv", &rows("adaptive_sma", 900))]);
    let said = text(&report);
    assert!(said.contains("mean latency: the runs are too short to tell"), "{said}");
    let (_, json, _) = written(&report);
    assert!(
        json["best"].as_array().is_some_and(|best| best.iter().all(|it| it["names"].is_null()))
    );
}

#[test]
fn one_run_alone_is_not_best_at_anything() {
    let report = of(&[("run.csv", &log("round-robin", 100, |_| 200))]);
    assert!(!text(&report).contains("most requests/s"), "{}", text(&report));
}
