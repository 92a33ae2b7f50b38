//! Configurations against the baseline, what makes a report fail, and how the runs were made.

use super::super::*;
use super::verdicts::{log, of, uneven};
use super::written;

fn run_json(scenario: &str, load: &str, processor: &str) -> String {
    let machine = serde_json::json!({
        "processor": processor, "cores": 2, "kernel": "6.1.0", "versions": ["tidegate 0.1.0"],
    });
    let date = "2026-11-28T10:00:00Z";
    serde_json::json!({ "scenario": scenario, "date": date, "load": load, "machine": machine })
        .to_string()
}

#[test]
fn a_difference_is_told_with_its_interval_and_what_may_be_chance_as_such() {
    // Every latency is 12 % longer for one second in three, at another time for each.
    let noisy = |ms: u64, phase: u64| {
        move |number: u64| {
            if (number / 500 + phase).is_multiple_of(3) { ms * 112 / 100 } else { ms }
        }
    };
    let report = of(&[
        ("a.csv", &log("round-robin", 100, noisy(200, 0))),
        ("b.csv", &log("adaptive_ewma", 100, noisy(150, 1))),
        ("c.csv", &log("adaptive_sma", 100, noisy(199, 2))),
    ]);
    let said = text(&report);
    let ewma = "adaptive_ewma, persistent against round-robin, persistent: ";
    let line = said.lines().find(|line| line.starts_with(ewma)).expect("a sentence");
    assert!(line.contains("mean latency 15"), "{line}");
    assert!(line.contains(" instead of 20") && line.contains(" % less ("), "{line}");
    let sma = "adaptive_sma, persistent against round-robin, persistent: no difference that is";
    assert!(said.contains(sma), "{said}");
    let (_, json, page) = written(&report);
    assert_eq!(json["baseline"], "round-robin, persistent");
    let compared = json["comparisons"].as_array().expect("comparisons");
    let figure = |name: &str, key: &str| {
        let found = compared.iter().find(|it| it["name"] == name).expect("compared");
        let figures = found["figures"].as_array().expect("figures");
        figures.iter().find(|it| it["figure"] == key).expect("a figure").clone()
    };
    let mean = figure("adaptive_ewma, persistent", "mean_ms");
    assert_eq!(mean["more_than_chance"], true);
    let ends: Vec<f64> = serde_json::from_value(mean["interval_95"].clone()).expect("two");
    let by = mean["change"].as_f64().expect("a change");
    assert!(ends[0] < by && by < ends[1] && (by + 0.25).abs() < 0.03, "{mean}");
    assert_eq!(figure("adaptive_sma, persistent", "mean_ms")["more_than_chance"], false);
    assert!(page.contains("Share of each backend over time, adaptive_ewma, persistent"));
    assert!(page.contains("What the data say") && page.contains("≈ "), "≈ marks chance");
}

#[test]
fn the_baseline_is_the_first_or_the_one_that_is_named() {
    let run = run_json("1.2", "wrk", "x");
    let mut report = of(&[
        ("a.csv", &log("round-robin", 100, |_| 200)),
        ("b.csv", &log("adaptive_sma", 100, |_| 150)),
        ("b_run.json", &run),
    ]);
    assert!(
        text(&report).contains("1.2 adaptive_sma, persistent against round-robin, persistent:")
    );
    for name in ["1.2", "b", "1.2 adaptive_sma, persistent"] {
        report.baseline = None;
        report.set_baseline(name).expect("a run");
        let said = text(&report);
        let words = "round-robin, persistent against 1.2 adaptive_sma, persistent: ";
        assert!(
            said.contains(words) && said.contains("200 ms instead of 150 ms"),
            "{name}: {said}"
        );
    }
    let error = report.set_baseline("3.1").expect_err("none").to_string();
    let there = "there are: round-robin, persistent; 1.2 adaptive_sma, persistent";
    assert!(error.contains("no run called `3.1`") && error.ends_with(there), "{error}");
}

#[test]
fn there_is_no_verdict_on_runs_that_can_not_be_compared() {
    let even = log("round-robin", 100, |_| 200);
    let other = log("adaptive_sma", 100, |_| 150);
    let failing: String = other
        .lines()
        .enumerate()
        .map(|(number, line)| match number % 20 {
            7 => line.replace(",200,adaptive", ",503,adaptive") + "\n",
            _ => line.to_owned() + "\n",
        })
        .collect();
    let (ten, hundred) = ("wrk -c10 -d10s http://a:1", "wrk -c100 -d10s http://b:2");
    let a = run_json("", hundred, "x");
    for (log, run, reason) in [
        (
            &other,
            run_json("", ten, "x"),
            "the load differs: wrk -c10 -d10s against wrk -c100 -d10s",
        ),
        (
            &other,
            run_json("", hundred, "y"),
            "the machine differs: y, 2 cores, Linux 6.1.0 against x",
        ),
        (&failing, a.clone(), "5.0 % of the requests of adaptive_sma, persistent failed"),
    ] {
        let report =
            of(&[("a.csv", &even), ("a_run.json", &a), ("b.csv", log), ("b_run.json", &run)]);
        let said = text(&report);
        let words = "No verdict on adaptive_sma, persistent against round-robin, persistent: ";
        assert!(said.contains(&format!("{words}{reason}")), "{reason}: {said}");
        assert!(said.contains("not compared"), "{said}");
        let (_, json, _) = written(&report);
        assert_eq!(json["comparisons"][0]["figures"][0]["change"], serde_json::Value::Null);
    }
    let same = run_json("", "wrk -c100 -d10s http://c:3", "x");
    let report =
        of(&[("a.csv", &even), ("a_run.json", &a), ("b.csv", &other), ("b_run.json", &same)]);
    assert!(!text(&report).contains("No verdict"), "only the address differs");
}

#[test]
fn repetitions_are_one_configuration_whose_spread_is_told() {
    let files = [("a.csv", 200), ("a_2.csv", 210), ("a_3.csv", 190)];
    let logs = files.map(|(name, ms)| (name, log("round-robin", 100, move |_| ms)));
    let mut files: Vec<_> = logs.iter().map(|(name, log)| (*name, log.as_str())).collect();
    let (fast, slow) = (log("adaptive", 100, |_| 150), log("adaptive_sma", 100, |_| 205));
    files.extend([("b.csv", fast.as_str()), ("c.csv", &slow)]);
    let said = text(&of(&files));
    assert!(said.contains("200 ms (190 ms to 210 ms)"), "{said}");
    // Three runs of 190 to 210 have a mean that is exact to 25 ms.
    let chance = "adaptive_sma, persistent against round-robin, persistent (a): no difference";
    assert!(said.contains(chance), "{said}");
    let less = "adaptive, persistent against round-robin, persistent (a): requests/s by log";
    assert!(said.contains(less) && said.contains("25.0 % less (1"), "{said}");
    assert!(said.contains("from the runs of a configuration that was run three times"), "{said}");
    let other = log("adaptive_sma", 100, |_| 200);
    let (ten, twenty) = (run_json("", "wrk -c10", "x"), run_json("", "wrk -c20", "x"));
    for (second, more) in
        [(&other, vec![]), (&logs[1].1, vec![("a_run.json", &ten), ("a_2_run.json", &twenty)])]
    {
        let more = more.iter().map(|(name, text)| (*name, text.as_str()));
        let files: Vec<_> =
            [("a.csv", logs[0].1.as_str()), ("a_2.csv", second)].into_iter().chain(more).collect();
        let said = text(&of(&files));
        assert!(!said.contains("Runs of one configuration"), "not made alike: {said}");
    }
}

#[test]
fn how_the_runs_were_made_is_told_once_for_all_or_for_each() {
    let (a, b) = (log("round-robin", 100, |_| 200), log("adaptive_sma", 100, |_| 150));
    let (of_a, of_b) = (run_json("1.1", "wrk -c100", "x"), run_json("1.2", "wrk -c100", "y"));
    let meta = r#"{"parameters":{"window":3},"backends":[]}"#;
    let report = of(&[
        ("a.csv", &a),
        ("a_run.json", &of_a),
        ("b.csv", &b),
        ("b_run.json", &of_b),
        ("b.csv.meta.json", meta),
    ]);
    let (said, (_, json, _)) = (text(&report), written(&report));
    for line in [
        "Date: 2026-11-28 10:00:00 UTC.",
        "Load: wrk -c100.",
        "Machine: 1.1 round-robin, persistent: x, 2 cores, Linux 6.1.0; 1.2 adaptive_sma, \
         persistent: y, 2 cores, Linux 6.1.0.",
        "Versions: tidegate 0.1.0.",
        "Parameters: 1.2 adaptive_sma, persistent: window 3.",
    ] {
        assert!(said.lines().any(|found| found == line), "{line}: {said}");
    }
    let found = &json["configurations"][0];
    assert_eq!((&found["scenario"], &found["load"]), (&"1.1".into(), &"wrk -c100".into()));
}

#[test]
fn a_limit_is_exceeded_by_the_runs_of_which_it_is_true() {
    let report = of(&[
        ("a.csv", &log("round-robin", 100, uneven)),
        ("b.csv", &log("adaptive_sma", 100, |_| 150)),
    ]);
    let exceeded = |limit: &str| {
        let limit: Limit = limit.parse().expect("a limit");
        limit.exceeded(&report).collect::<Vec<_>>()
    };
    let slow = ["round-robin, persistent: p95>250 (900 ms)"];
    assert_eq!(exceeded("p95>250"), slow);
    assert_eq!(exceeded("p95 > 0.25s"), ["round-robin, persistent: p95 > 0.25s (900 ms)"]);
    assert_eq!(exceeded("p50<=113ms").len(), 1);
    assert_eq!(
        exceeded("mean>=150"),
        exceeded("mean>149")
            .iter()
            .map(|it| { it.replace("mean>149", "mean>=150") })
            .collect::<Vec<_>>()
    );
    assert_eq!(exceeded("requests/s<600").len(), 1);
    assert_eq!(exceeded("rps<600").len(), 1);
    for holds in ["errors>0", "errors>0%", "max>1s", "p99>900"] {
        assert_eq!(exceeded(holds), Vec::<String>::new(), "{holds}");
    }
    let bare = of(&[("a.csv", &log("round-robin", 100, |_| 200).replace(",200.000,", ",,"))]);
    let limit: Limit = "p95>250".parse().expect("a limit");
    let said: Vec<_> = limit.exceeded(&bare).collect();
    assert_eq!(said, ["round-robin, persistent: p95>250 is not known"]);
    let header = super::SIX;
    let with_none = of(&[("a.csv", &log("round-robin", 100, |_| 200)), ("none.csv", header)]);
    let said: Vec<_> = limit.exceeded(&with_none).collect();
    assert!(said.len() == 1 && said[0].ends_with("none.csv: p95>250 is not known: it has no rows"));
}

#[test]
fn a_limit_that_can_not_be_read_says_what_one_looks_like() {
    for (text, words) in [
        ("p95", "such as p95>250"),
        ("p96>1", "`p96` is no figure"),
        ("p95>fast", "`fast` is no value of p95"),
        ("p95>5%", "`5%` is no value of p95"),
        ("errors>5ms", "`5ms` is no value of errors"),
        ("requests/s<-1", "`-1` is no value of requests/s"),
        ("p95>inf", "`inf` is no value"),
    ] {
        let error = text.parse::<Limit>().expect_err(text);
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn a_policy_has_one_colour_and_connections_that_are_not_kept_are_dashed() {
    let fresh = log("round-robin", 100, |_| 210).replace(",persistent", ",non-persistent");
    let report = of(&[("a.csv", &log("round-robin", 100, |_| 200)), ("b.csv", &fresh)]);
    let lines = plots::lines(&report);
    assert_eq!(lines[0].ink, lines[1].ink);
    assert_eq!([lines[0].is_dashed, lines[1].is_dashed], [false, true]);
    let twice = of(&[
        ("a.csv", &log("round-robin", 100, |_| 200)),
        ("b.csv", &log("round-robin", 100, |_| 210)),
    ]);
    let lines = plots::lines(&twice);
    assert_ne!(lines[0].ink, lines[1].ink, "else they could not be told apart");
}

#[test]
fn what_is_for_pasting_has_tables_and_sentences_and_no_html() {
    let rows = log("<b>|x", 100, |_| 200);
    let report = of(&[("a.csv", &rows), ("b.csv", &log("adaptive_sma", 100, |_| 150))]);
    let text = markdown::document(&report);
    assert!(text.starts_with("## Comparison of runs\n"), "{text}");
    assert!(text.contains("### What the data say\n\n- The most requests/s"), "{text}");
    assert!(text.contains("\\<b>\\|x") && !text.replace("\\<", "").contains('<'), "{text}");
    let is_row = |line: &&str| line.starts_with("| ");
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let figures: Vec<_> = text.lines().filter(is_row).take(3).map(cells).collect();
    assert_eq!(figures, [11, 11, 11], "{text}");
}
