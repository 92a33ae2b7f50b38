mod behaviour;
mod closed_forms;
mod targets;

use super::*;
use crate::scenario::Run;
use std::time::Duration;
use tidegate::balance::Policy;

/// A scenario of these backends, this load and this length, and what else is given.
pub(super) fn scenario(backends: &str, load: &str, seconds: u32, more: &str) -> Scenario {
    let text = format!(
        "about = \"a test\"\n{backends}\n[load]\n{load}\n{more}\n\
         [run]\nwarm-up = \"2s\"\nlength = \"{seconds}s\"\nseeds = 1\n"
    );
    Scenario::parse("test", &text, None).unwrap_or_else(|error| panic!("{error}"))
}

/// What is measured of a policy of the proxy, or of a baseline.
pub(super) fn run(scenario: &Scenario, name: &str) -> Measured {
    simulate(scenario, name.parse().unwrap()).unwrap()
}

/// One backend that does `what` and all of what it is given.
pub(super) fn backend(what: &str) -> String {
    format!("[[backend]]\n{what}\n")
}

/// A run of so many milliseconds.
pub(super) fn short(warm_up: u64, length: u64, seeds: u64) -> Run {
    let [warm_up, length] = [warm_up, length].map(Duration::from_millis);
    Run { warm_up, length, seeds }
}

#[track_caller]
pub(super) fn assert_near(what: &str, found: f64, expected: f64, tolerance: f64) {
    let off = found / expected - 1.0;
    assert!(off.abs() <= tolerance, "{what}: {found:.4} for {expected:.4}, {:+.1} %", 100.0 * off);
}

#[test]
fn a_run_is_the_same_each_time_and_another_with_another_seed() {
    let mut two = Scenario::read("uneven", None).unwrap();
    two.run = short(1000, 5000, 2);
    for contender in Contender::all() {
        let runs = [(); 2].map(|()| simulate(&two, contender).unwrap());
        let [first, second] = runs.map(|run| (run.all.shares(), run.all.mean_ms(), run.p99_ms));
        assert_eq!(first, second, "{contender}");
        assert_ne!(first.2[0], first.2[1], "{contender}");
    }
}

#[test]
fn every_policy_sees_the_same_requests() {
    let mut scenario = Scenario::read("uneven", Some(0.5)).unwrap();
    scenario.run = short(1000, 60_000, 1);
    let sent = |name| run(&scenario, name).all.sent.iter().sum::<u64>();
    let requests = ["least-conn", "p2c", "least-time", "adaptive"].map(sent);
    assert_near("requests", requests[0] as f64, 60.0 * 350.0, 0.03);
    assert!(requests.iter().all(|count| *count == requests[0]), "{requests:?}");
}

#[test]
fn every_scenario_runs_with_every_policy() {
    for (name, _) in crate::scenario::BUILTIN {
        let mut scenario = Scenario::read(name, None).unwrap();
        let is_fast = ["uneven-us", "fleet", "background-errors"].contains(&name);
        scenario.run = if is_fast { short(10, 20, 1) } else { short(100, 700, 1) };
        for contender in Contender::all() {
            let measured = simulate(&scenario, contender).unwrap();
            assert!(measured.all.requests() > 0, "{name} {contender}");
        }
    }
}

#[test]
fn a_report_has_a_row_for_each_policy_and_a_table_for_each_focus() {
    let mut scenario = Scenario::read("slow-phase-8", None).unwrap();
    scenario.run = short(0, 8000, 1);
    let mut report = Report::new(&scenario);
    for name in ["least-conn", "least-time"] {
        report.add(name.parse().unwrap(), run(&scenario, name));
    }
    let text = report.text();
    assert_eq!(text.matches("\nleast-conn ").count(), 2, "{text}");
    assert!(text.contains("\nwhile one is slow:\npolicy "), "{text}");
    let json = report.json();
    assert_eq!(json["policies"][1]["policy"], "least-time");
    assert_eq!(json["policies"][0]["focus"][0]["name"], "while one is slow");
    assert_eq!(json["policies"][0]["shares"].as_array().map(Vec::len), Some(8));
}

#[test]
fn each_policy_of_the_proxy_is_its_own_code() {
    let backends = backend("service = \"fixed:1ms\"") + &backend("service = \"fixed:2ms\"");
    let scenario = scenario(&backends, "rate = 100\narrivals = \"even\"", 10, "");
    for policy in Policy::ALL {
        let shares = run(&scenario, policy.name()).all.shares();
        let is_even = (shares[0] - 0.5).abs() < 0.01;
        // One request at a time: what goes by latency knows the faster one, the others take turns.
        let goes_by_latency = policy.name().contains("adaptive");
        assert_eq!(is_even, !goes_by_latency, "{policy}: {shares:?}");
        assert!(is_even || shares[0] > 0.97, "{policy}: {shares:?}");
    }
}
