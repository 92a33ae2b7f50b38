//! The report as a process: what it prints, what it writes, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use support::process::Process;
use tempfile::TempDir;
use tidegate::journal::header;

const LAB: &str = env!("CARGO_BIN_EXE_tidegate-lab");

const ROWS: &str = "\
    2026-11-23T10:00:00Z,http://localhost:8081,10.000,200,round-robin,persistent,,,,,,,,,,\n\
    2026-11-23T10:00:02Z,http://localhost:8082,20.000,502,round-robin,persistent,,,,,,,,,,\n";

/// A folder with a folder of logs.
fn project() -> TempDir {
    let project = tempfile::tempdir().unwrap();
    fs::create_dir(project.path().join("logs")).unwrap();
    fs::write(project.path().join("logs/one.csv"), header() + ROWS).unwrap();
    project
}

fn report(project: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(LAB);
    let (status, said) =
        Process::spawn_group(command.arg("report").args(args).current_dir(project)).ends();
    (status.code(), said)
}

#[test]
fn the_logs_of_the_folder_are_told_and_written() {
    let project = project();
    let (code, said) = report(project.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
    for words in ["round-robin, persistent", "15.0", "1 (50.0 %)", "localhost:8082"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let written =
        "written: reports/report.csv, reports/report.json, reports/report.md, reports/report.html";
    assert!(said.contains(written), "{said}");
    let read = |name: &str| fs::read_to_string(project.path().join("reports").join(name)).unwrap();
    assert!(read("report.csv").contains(",2,2,1,,15,15,19.5,19.9,20,1,0,0.5,0.5\n"));
    let json: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(json["configurations"][0]["requests_per_s"], 1.0);
    assert!(read("report.html").contains("<svg"));
}

#[test]
fn files_seconds_and_a_folder_can_be_named() {
    let project = project();
    fs::write(project.path().join("logs/two.csv"), header() + ROWS).unwrap();
    let args = ["logs/one.csv", "logs/two.csv", "logs/one.csv", "--seconds", "4", "--out", "a/b"];
    let (code, said) = report(project.path(), &args);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("round-robin, persistent (one)") && said.contains("  0.5  "), "{said}");
    assert!(project.path().join("a/b/report.html").is_file());
}

#[test]
fn a_limit_and_a_baseline_decide_the_exit_status() {
    let project = project();
    let other = ROWS.replace("round-robin", "adaptive_sma");
    fs::write(project.path().join("logs/two.csv"), header() + &other).unwrap();
    let said = |args: &[&str], expected: i32| {
        let (code, said) = report(project.path(), args);
        assert_eq!(code, Some(expected), "{args:?}: {said}");
        said
    };
    said(&["--fail-if", "p95>250", "--fail-if", "errors>1"], 0);
    let failed = said(&["--fail-if", "p95>250", "--fail-if", "errors>=50%"], 3);
    let both = "round-robin, persistent: errors>=50% (50.0 %); adaptive_sma, persistent: errors";
    assert!(failed.contains(both) && failed.contains("written: "), "{failed}");
    assert!(said(&["--fail-if", "p95"], 2).contains("such as p95>250"));
    let told = said(&["--baseline", "two"], 0);
    assert!(told.contains("round-robin, persistent against adaptive_sma, persistent"), "{told}");
    assert!(said(&["--baseline", "x"], 2).contains("there is no run called `x`"));
}

#[test]
fn a_log_without_rows_is_left_out_beside_others_and_folders_below_are_looked_into() {
    let project = project();
    fs::write(project.path().join("bare.csv"), header()).unwrap();
    fs::create_dir(project.path().join("old")).unwrap();
    fs::write(project.path().join("old/one.csv"), header() + ROWS).unwrap();
    let (code, said) = report(project.path(), &["."]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Left out: ./bare.csv: it has no rows."), "{said}");
    let json = fs::read(project.path().join("reports/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["configurations"].as_array().unwrap().len(), 1);
}

#[test]
fn what_can_not_be_read_or_written_is_said() {
    let project = project();
    let fails = |args: &[&str], expected: i32, words: &str| {
        let (code, said) = report(project.path(), args);
        assert_eq!(code, Some(expected), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    };
    fails(&["gone.csv"], 1, "can't read the log gone.csv: No such file");
    fs::create_dir(project.path().join("empty")).unwrap();
    fails(&["empty"], 1, "there is no log with rows in empty");
    let expected = "expected the columns timestamp, backend_url, latency_ms, status_code, \
        routing_mode, by name in a header or in this order without one; its first line is `a,b`";
    fs::write(project.path().join("other.csv"), "a,b\n1,2\n").unwrap();
    fails(&["other.csv", "logs"], 1, expected);
    fs::write(project.path().join("bare.csv"), header()).unwrap();
    fails(&["bare.csv"], 1, "bare.csv: it has no rows");
    fails(&["--out", "logs/one.csv/x"], 1, "can't write the report to logs/one.csv/x: ");
    fails(&["--seconds", "0"], 2, "above 0");
    assert!(!project.path().join("reports").exists(), "nothing is written of nothing");
}
