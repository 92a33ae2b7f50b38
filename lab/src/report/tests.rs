//! Reports of logs whose figures were computed by other means.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::*;

mod comparisons;
mod foreign;
mod verdicts;

const FIVE: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";
const SIX: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode,connection\n";

/// Logs in a folder of their own.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn of(files: &[(&str, &str)]) -> Report {
    report(&[folder(files).path().to_owned()], None).expect("a report")
}

/// The report of one log with these rows.
fn run(header: &str, rows: &str) -> Run {
    of(&[("run.csv", &format!("{header}{rows}"))]).runs.remove(0)
}

/// Written, and read back.
fn written(report: &Report) -> (String, Value, String) {
    let out = tempfile::tempdir().expect("a folder");
    let paths = write(report, &out.path().join("a/b")).expect("written");
    let [csv, json, _, html] = paths.map(|path| fs::read_to_string(path).expect("a file"));
    (csv, serde_json::from_str(&json).expect("JSON"), html)
}

/// Five latencies, 10, 20, 30, 40 and 1000 ms, in a run of four seconds with six rows.
///
/// By hand: the sum is 1100, so the mean is 220. Ranks are 0 to 4: the median is rank 2, 30; p95 is
/// rank 3.8, so 40 + 0.8 × 960 = 808; p99 is rank 3.96, so 40 + 0.96 × 960 = 961.6. Six rows in
/// four seconds are 1.5 a second. Three of six rows are of A, half; two of B, a third; one got to
/// no backend. Errors are the 503, the 404 and the fault: 3.
const BY_HAND: &str = "\
    2026-11-23T10:00:00.000000Z,http://a:1,10.000,200,round-robin,persistent,\n\
    2026-11-23T10:00:01.000000Z,http://b:1,20.000,200,round-robin,persistent,\n\
    2026-11-23T10:00:01.000000Z,http://a:1,1000.000,200,round-robin,persistent,truncated\n\
    2026-11-23T10:00:02.500000Z,,,503,round-robin,persistent,\n\
    2026-11-23T10:00:04.000000Z,http://a:1,40.000,404,round-robin,persistent,\n\
    2026-11-23T10:00:03.000000Z,http://b:1,30.000,200,round-robin,persistent,\n";

#[test]
fn no_text_of_the_table_begins_a_formula() {
    let row = "2026-11-23T10:00:00Z,x,1,200,=1+1";
    let six = format!("{SIX}{row},'@a\n");
    let folder = folder(&[("-2+3.csv", &six), ("+.csv", &format!("{FIVE}{row}\n"))]);
    let report = report(&[folder.path().to_owned()], None).expect("a report");
    let (csv, ..) = written(&report);
    let mut table = ::csv::Reader::from_reader(csv.as_bytes());
    let mut of_name = Vec::new();
    for record in table.records().map(|record| record.expect("cells")) {
        assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{record:?}");
        of_name.push((record[0].to_owned(), record[2].to_owned(), record[3].to_owned()));
    }
    let of = |cells: [&str; 3]| of_name.contains(&cells.map(str::to_owned).into());
    assert!(of(["'=1+1, @a", "'=1+1", "'@a"]) && of(["'+", "'=1+1", ""]), "{of_name:?}");
}

#[test]
fn probes_are_in_no_count_and_no_span() {
    let header = SIX.replace("connection\n", "connection,probe\n");
    let probe = |second: u32| format!("2026-11-23T10:00:{second:02}Z,,,200,a,persistent,health\n");
    let row = |second: u32| format!("2026-11-23T10:00:{second:02}Z,x,5,200,a,persistent,\n");
    let run = run(&header, &[probe(0), row(10), probe(11), row(12), probe(59)].concat());
    assert_eq!((run.requests, run.undispatched, run.seconds), (2, 0, 2.0));
}

#[test]
fn figures_are_those_computed_by_hand() {
    let header = SIX.replace("connection\n", "connection,fault\n");
    let report = of(&[
        ("run.csv", &format!("{header}{BY_HAND}")),
        ("run_wrk.txt", "Requests/sec:      1.25\n"),
    ]);
    let (csv, json, html) = written(&report);
    let found = &json["configurations"][0];
    assert_eq!(found["name"], "round-robin, persistent");
    for (figure, expected) in [
        ("requests", 6.0),
        ("seconds", 4.0),
        ("requests_per_s", 1.5),
        ("wrk_requests_per_s", 1.25),
        ("latencies", 5.0),
        ("mean_ms", 220.0),
        ("p50_ms", 30.0),
        ("p95_ms", 808.0),
        ("p99_ms", 961.6),
        ("max_ms", 1000.0),
        ("errors", 3.0),
        ("not_dispatched", 1.0),
        ("broken_lines", 0.0),
    ] {
        assert_eq!(found[figure].as_f64(), Some(expected), "{figure}");
    }
    let [a, b] = [&found["backends"][0], &found["backends"][1]];
    assert_eq!((a["share"].as_f64(), b["share"].as_f64()), (Some(0.5), Some(2.0 / 6.0)));
    assert_eq!((a["mean_ms"].as_f64(), b["mean_ms"].as_f64()), (Some(350.0), Some(25.0)));
    assert_eq!((a["errors"].as_u64(), b["errors"].as_u64()), (Some(2), Some(0)));
    let line = "\"round-robin, persistent\",";
    let row = csv.lines().find(|row| row.starts_with(line)).expect("a row");
    let end = ",6,4,1.5,1.25,220,30,808,961.6,1000,3,0,0.5,0.3333333333333333";
    assert!(row.ends_with(end), "{csv}");
    for words in ["962", "3 (50.0 %)", "50.0 %, 350 ms", "16.7 %"] {
        assert!(html.contains(words) && text(&report).contains(words), "{words}");
    }
}

/// What pandas 3.1 says of `tests/fixtures/report.csv`, to the nanosecond:
///
/// ```text
/// python3 -c 'import pandas; d = pandas.read_csv("tests/fixtures/report.csv")
/// l, t = d.latency_ms, pandas.to_datetime(d.timestamp)
/// print(len(d), (t.max() - t.min()).total_seconds(), l.count(), l.max())
/// print([round(x, 6) for x in [l.mean(), *l.quantile([.5, .95, .99])]])
/// print(d.backend_url.value_counts().to_dict(), (d.status_code >= 400).sum())'
///
/// 137 7.216185 131 545.355
/// [np.float64(41.857664), 18.656, 149.364, 434.4606]
/// {'http://localhost:8081': 71, 'http://localhost:8083': 35, 'http://localhost:8082': 25} 28
/// ```
const PANDAS: [(&str, f64); 9] = [
    ("requests", 137.0),
    ("seconds", 7.216_185),
    ("latencies", 131.0),
    ("max_ms", 545.355),
    ("mean_ms", 41.857_664),
    ("p50_ms", 18.656),
    ("p95_ms", 149.364),
    ("p99_ms", 434.4606),
    ("errors", 28.0),
];

#[test]
fn figures_are_those_of_pandas() {
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/report.csv");
    let (_, json, _) = written(&report(&[log], None).expect("a report"));
    let found = &json["configurations"][0];
    for (figure, expected) in PANDAS {
        let found = found[figure].as_f64().expect(figure);
        assert_eq!(format!("{found:.6}"), format!("{expected:.6}"), "{figure}");
    }
    let backends = found["backends"].as_array().expect("backends").iter();
    let requests: Vec<_> = backends.map(|backend| backend["requests"].as_u64()).collect();
    assert_eq!(requests, [Some(71), Some(25), Some(35)]);
}

#[test]
fn a_foreign_log_has_whole_milliseconds_no_zone_and_its_files_name() {
    let rows = "2026-11-23 10:00:00,http://a:1,10,200,adaptive_sma\n\
                2026-11-23 10:00:02,http://a:1,15,200,adaptive_sma\n\
                yesterday,http://a:1,15,200,adaptive_sma\n\
                2026-11-23 10:00:02,http://a:1,15 ms,200,adaptive_sma\n\
                2026-11-23 10:00:02,http://b:1,20,200,adaptive_sma";
    let run = run(FIVE, rows);
    assert_eq!((run.name.as_str(), run.requests, run.broken), ("run", 4, 1));
    assert_eq!((run.seconds, run.per_second()), (2.0, Some(2.0)));
    assert_eq!(run.first_broken.as_deref(), Some("`yesterday` is no timestamp"));
    assert_eq!(run.latency.map(|it| (it.mean_ms, it.max_ms)), Some((15.0, 20.0)));
}

#[test]
fn the_length_of_the_runs_can_be_said() {
    let folder = folder(&[("x.csv", &format!("{FIVE}2026-11-23 10:00:00,a,1,200,x\n"))]);
    let runs = report(&[folder.path().to_owned()], Some(0.5)).expect("a report").runs;
    assert_eq!(runs[0].per_second(), Some(2.0));
}

#[test]
fn runs_without_latencies_or_length_have_no_figures_and_say_so() {
    let row = |latency: &str, status| format!("2026-11-23 10:00:00,,{latency},{status},x\n");
    for (rows, requests, errors, words) in [
        (row("", 503) + &row("", 503), 2, 2, "all rows have the same time"),
        (row("7", 200), 1, 0, "all rows have the same time"),
    ] {
        let report = of(&[("run.csv", &format!("{FIVE}{rows}"))]);
        let run = &report.runs[0];
        assert_eq!((run.requests, run.errors, run.per_second()), (requests, errors, None));
        assert!(text(&report).contains(words), "{}", text(&report));
        let (_, json, html) = written(&report);
        assert_eq!(json["configurations"][0]["requests_per_s"], Value::Null);
        assert!(html.contains(words) && html.ends_with("</html>\n"));
    }
}

#[test]
fn what_a_log_says_is_text_in_the_page_and_commands_no_terminal() {
    let rows = "2026-11-23 10:00:00,\"http://<script>alert(1)</script>\",1,200,<b>,\u{1b}[2J\n\
                2026-11-23 10:00:01,x,1,200,<b>,\u{1b}[2J\n\
                <i>,x,1,200,<b>,\u{1b}[2J\n";
    let report = of(&[("<u>.csv", &format!("{SIX}{rows}"))]);
    let (_, _, html) = written(&report);
    for tag in ["<script", "<b>", "<i>", "<u>"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)") && html.contains("&lt;i&gt;"));
    assert!(!text(&report).contains('\u{1b}') && !html.contains('\u{1b}'));
}

#[test]
fn a_folder_is_its_logs_in_order_and_what_is_left_out_is_told() {
    let log = |mode: &str, connection: &str| {
        format!("{SIX}2026-11-23 10:00:00,a,1,200,{mode},{connection}\n")
    };
    let folder = folder(&[
        ("1.csv", &log("adaptive_ewma", "non-persistent")),
        ("2.csv", &log("adaptive_ewma", "persistent")),
        ("3.csv", &log("round-robin", "persistent")),
        ("4.CSV", &log("round-robin", "persistent")),
        ("empty.csv", ""),
        ("other.csv", "a,b\n1,2\n"),
        ("x.txt", &log("round-robin", "persistent")),
    ]);
    fs::create_dir(folder.path().join("old")).expect("a folder");
    fs::write(folder.path().join("old/5.csv"), log("x", "y")).expect("written");
    let report = report(&[folder.path().to_owned()], None).expect("a report");
    let names: Vec<_> = report.runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "round-robin, persistent (3)",
            "round-robin, persistent (4)",
            "adaptive_ewma, persistent",
            "adaptive_ewma, non-persistent",
        ]
    );
    assert!(report.left_out[0].ends_with("empty.csv: it has no header yet"));
    assert!(report.left_out[1].ends_with("its first line is `a,b`"));
    assert!(text(&report).contains("Left out: "));
}

/// Makes a folder, and a log of one configuration for each path in it.
fn tree(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for path in paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let row = "2026-11-23 10:00:00,a,1,200,round-robin,persistent\n";
        fs::write(path, format!("{SIX}{row}")).expect("written");
    }
    folder
}

fn names(report: &Report) -> Vec<&str> {
    report.runs.iter().map(|run| run.name.as_str()).collect()
}

#[test]
fn logs_are_found_in_folders_below_each_once_and_named_by_their_path() {
    let tree = tree(&["x.csv", "tue/x.csv", "tue/deep/y.csv", "old/x.csv", "tue/old/x.csv"]);
    let place = |name: &str| tree.path().join(name);
    fs::write(place("tue/x.csv.meta.json"), "{}").expect("written");
    fs::hard_link(place("x.csv"), place("z.csv")).expect("a link");
    std::os::unix::fs::symlink(place("x.csv"), place("tue/w.csv")).expect("a link");
    std::os::unix::fs::symlink(tree.path(), place("tue/circle")).expect("a link");
    let every = report(&[tree.path().to_owned(), place("x.csv")], None).expect("a report");
    let named = |label: &str| format!("round-robin, persistent ({label})");
    assert_eq!(names(&every), ["tue/deep/y", "tue/x", "x"].map(named));
    assert_eq!(every.left_out, Vec::<String>::new());
    fs::remove_file(place("tue/x.csv")).expect("removed");
    let one = report(&[place("tue")], None).expect("a report");
    assert_eq!(names(&one), ["deep/y", "w"].map(named));
    let alone = report(&[place("tue/deep/y.csv"), place("tue/deep")], None).expect("a report");
    assert_eq!(names(&alone), ["round-robin, persistent"]);
    let old = report(&[place("old")], None).expect("what was named is read");
    assert_eq!(names(&old), ["round-robin, persistent"]);
}

#[test]
fn runs_of_one_name_in_several_folders_are_told_by_the_whole_path() {
    let tree = tree(&["a/x.csv", "b/x.csv"]);
    let places = ["a", "b"].map(|name| tree.path().join(name));
    let report = report(&places, None).expect("a report");
    for (name, folder) in names(&report).into_iter().zip(&places) {
        let path = plain(&folder.join("x.csv").to_string_lossy());
        assert_eq!(name, format!("round-robin, persistent ({path})"));
    }
}

#[test]
fn a_log_of_several_configurations_is_named_by_its_file() {
    let rows =
        "2026-11-23 10:00:00,a,1,200,x,persistent\n2026-11-23 10:00:00,a,1,200,y,persistent\n";
    let run = run(SIX, rows);
    assert_eq!((run.name.as_str(), run.is_mixed, run.routing_mode), ("run", true, None));
}

#[test]
fn what_was_named_must_be_a_log() {
    let logs = folder(&[("other.csv", "a,b\n"), ("good.csv", FIVE)]);
    let place = |name: &str| logs.path().join(name);
    let refused = |places: &[PathBuf]| report(places, None).expect_err("no log").to_string();
    let said = refused(&[place("good.csv"), place("gone.csv")]);
    assert!(
        said.starts_with("can't read the log ") && said.contains("gone.csv: No such"),
        "{said}"
    );
    let said = refused(&[place("other.csv")]);
    assert!(said.contains("other.csv: expected the columns timestamp, "), "{said}");
    assert!(said.ends_with("its first line is `a,b`"), "{said}");
    let bare = folder(&[("other.csv", "a,b\n")]);
    let said = refused(&[bare.path().to_owned()]);
    assert!(said.starts_with("there is no log with rows in ") && said.contains("\n  "), "{said}");
}
