//! `tidegate-lab simulate` as a program: what it prints, and with which status it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

fn simulate(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_tidegate-lab");
    Command::new(program).arg("simulate").args(args).output().unwrap()
}

/// What a call prints that must succeed.
fn printed(args: &str) -> String {
    let output = simulate(&args.split_whitespace().collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn without_a_scenario_those_there_are_are_listed() {
    let list = printed("");
    assert!(list.contains("\nuneven    ") && list.contains("\nfleet     "), "{list}");
}

#[test]
fn the_policies_are_compared_in_the_order_given() {
    let table = printed("uneven least-time adaptive --seeds 1 --seconds 5 --load 0.5");
    let rows: Vec<_> = table.lines().filter_map(|line| line.split_once(' ')).collect();
    let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    assert!(names.ends_with(&["policy", "least-time", "adaptive"]), "{table}");
}

#[test]
fn programs_get_json_and_the_same_each_time() {
    let args = "joins-cold adaptive --seeds 2 --requests 40000 --workers 2 --proxies 2 --json";
    let printed = [(); 2].map(|()| printed(args));
    assert_eq!(printed[0], printed[1]);
    let figures: Value = serde_json::from_str(&printed[0]).unwrap();
    let adaptive = &figures["policies"][0];
    assert_eq!(adaptive["policy"], "adaptive");
    // Whole periods of 30 s: 60 s, twice.
    let requests = adaptive["requests"].as_u64().unwrap();
    assert!((120_000..150_000).contains(&requests), "{requests}");
    assert_eq!(adaptive["p99_ms_by_seed"].as_array().unwrap().len(), 2);
}

#[test]
fn a_file_of_one_s_own_is_run_and_what_is_wrong_in_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    let path = path.to_str().unwrap();
    let text = "about = \"own\"\n[[backend]]\nservice = \"fixed:1ms\"\n[load]\nclients = 2\n\
        [run]\nwarm-up = \"0s\"\nlength = \"1s\"\n";
    fs::write(path, text).unwrap();
    let table = printed(&format!("{path} round-robin --seeds 1"));
    assert!(table.contains("2,000"), "{table}");
    fs::write(path, text.replace("clients", "client")).unwrap();
    let output = simulate(&[path]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("own.toml, line 5: client = 2: unknown field `client`"), "{said}");
    assert!(said.contains("did you mean clients?"), "{said}");
}

#[test]
fn all_scenarios_are_one_table_or_one_object() {
    let args = "all random --seeds 1 --seconds 1";
    let table = printed(args);
    let names: Vec<_> = table.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    let figures: Value = serde_json::from_str(&printed(&format!("{args} --json"))).unwrap();
    assert!(names.len() > 20, "{table}");
    for name in names {
        assert_eq!(figures[name]["policies"][0]["policy"], "random", "{name}");
    }
}
