//! What Prometheus itself says of the metrics and of the alert rules.
//!
//! Where `promtool` and `prometheus` are not installed, these tests are skipped, but not in CI.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod scene;
mod server;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use scene::{REQUESTS, Scene};
use serde_json::Value as Json;
use server::Prometheus;
use support::clock::until;
use tidegate::proxy::metrics::exposition::{Kind, families};

fn packaging(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus").join(file)
}

/// The file of a program; `None` if it is not installed, and need not be.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program));
    let found = found.into_iter().find(|file| file.is_file());
    if found.is_none() {
        let is_needed = std::env::var_os("CI").is_some();
        assert!(!is_needed, "{program} is missing: ./scripts/setup --prometheus");
        println!("skipped: {program} is not installed; ./scripts/setup --prometheus");
    }
    found
}

/// Runs `promtool` with this input; it must find nothing to say but what it always says.
fn promtool(args: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new(find("promtool")?);
    let command = command.args(args).current_dir(packaging(""));
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "promtool {args:?}: {said:?}");
    Some(said.concat())
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let scene = Scene::start();
    let text = scene.text();
    if let Some(said) = promtool(&["check", "metrics"], &text) {
        assert_eq!(said, "", "of\n{text}");
    }
}

#[test]
fn each_alert_rule_fires_when_it_should_and_then_only() {
    promtool(&["check", "rules", "tidegate.rules.yml"], "");
    promtool(&["test", "rules", "tidegate.rules.test.yml"], "");
    let (rules, tests) = ["tidegate.rules.yml", "tidegate.rules.test.yml"]
        .map(|file| fs::read_to_string(packaging(file)).unwrap())
        .into();
    let alerts: Vec<_> = alerts(&rules).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts {
        let fires = format!("- alertname: {alert}\n");
        let fires_not = format!("- {{alertname: {alert}, ");
        assert!(tests.contains(&fires) && tests.contains(&fires_not), "{alert} is tested");
    }
}

fn alerts(rules: &str) -> impl Iterator<Item = &str> {
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "))
}

#[test]
fn the_alert_rules_name_only_metrics_that_there_are() {
    let mut known = BTreeSet::from(["tidegate".to_owned()]);
    for family in families() {
        let suffixes: &[&str] = match family.kind {
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        known.extend(suffixes.iter().map(|suffix| family.sample() + suffix));
    }
    for file in ["tidegate.rules.yml", "tidegate.rules.test.yml"] {
        let text = fs::read_to_string(packaging(file)).unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let text = lines.filter(|line| !line.contains("rule_files")).collect::<String>();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names = words.filter(|word| word.starts_with("tidegate") || word.contains("process_"));
        for name in names {
            assert!(known.contains(name), "{file} names {name}");
        }
    }
}

#[test]
fn a_prometheus_reads_the_metrics_and_evaluates_each_rule() {
    let Some(program) = find("prometheus") else { return };
    let scene = Scene::start();
    let prometheus = Prometheus::start(&program, scene.admin, &packaging("tidegate.rules.yml"));
    until("a scrape", || prometheus.value("up").filter(|up| *up > 0.5));
    let requests = "tidegate_requests_total{class=\"2xx\"}";
    until("the requests", || {
        prometheus.value(requests).filter(|count| (*count - f64::from(REQUESTS)).abs() < 0.5)
    });
    // It is probed once its time is over.
    let labels = format!("backend=\"{}\",state=~\"ejected|probing\"", scene.down());
    let down = format!("max(tidegate_backend_state{{{labels}}})");
    until("the ejected backend", || prometheus.value(&down).filter(|is_so| *is_so > 0.5));
    let targets = prometheus.get("/api/v1/targets");
    let target = &targets["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()));
    let rules = until("all rules evaluated", || {
        let groups = prometheus.get("/api/v1/rules");
        let rules = groups["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    let text = fs::read_to_string(packaging("tidegate.rules.yml")).unwrap();
    assert_eq!(rules.len(), alerts(&text).count());
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let state = |name: &str| {
        let groups = prometheus.get("/api/v1/rules");
        let rules = groups["groups"][0]["rules"].as_array()?.clone();
        let rule = rules.iter().find(|rule| rule["name"] == name)?;
        Some(rule["state"].as_str()?.to_owned())
    };
    until("an alert that waits", || state("TidegateBackendDown").filter(|it| it == "pending"));
    scene.refuse_a_reload();
    until("an alert", || state("TidegateReloadFailed").filter(|it| it == "firing"));
    for quiet in ["TidegateNoBackendUp", "TidegateDown", "TidegateRowsLost"] {
        assert_eq!(state(quiet).as_deref(), Some("inactive"), "{quiet}");
    }
}

/// The only value of an answer to a query.
fn only_value(answer: &Json) -> Option<f64> {
    let results = answer["result"].as_array()?;
    let [result] = &results[..] else { return None };
    result["value"][1].as_str()?.parse().ok()
}
