//! The arena as a process: a short scenario is run for real and reported, what is wrong with it is
//! named, and it ends whole. No figure is judged here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::clock::until;
use support::process::Process;
use support::programs::program;
use support::scripted;
use tempfile::TempDir;
use tidegate_lab::arena::{Results, contender, report};

const LAB: &str = env!("CARGO_BIN_EXE_tidegate-lab");

/// Phases, classes, a long poll and a focus; one round has about 400 requests.
const SCENARIO: &str = r#"
about = "One of three fails now and then"

[[backend]]
service = "exp:2ms"
slots = 4
script = ["300ms..500ms every 1s fail 503 after 1ms"]

[[backend]]
count = 2
service = "exp:4ms"
slots = 4

[[class]]
name = "small"
share = 0.95

[[class]]
name = "large"
share = 0.04
cost = 3

[[class]]
name = "poll"
share = 0.01
wait = "200ms"

[load]
rate = 400

[[focus]]
name = "while it fails"
during = "300ms..500ms every 1s"

[run]
warm-up = "1s"
length = "10s"

[arena]
warm-up = "200ms"
length = "1s"
"#;

/// A folder with a scenario.
fn folder(scenario: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, scenario).unwrap();
    (folder, file)
}

fn arena(lab: &Path, scenario: &Path, out: &Path, flags: &[&str]) -> Process {
    let mut command = Command::new(lab);
    command.arg("arena").arg("--scenario").arg(scenario).arg("--out").arg(out);
    Process::spawn_group(command.args(flags))
}

fn results(out: &Path) -> Results {
    report::read(&out.join("arena.json")).unwrap()
}

#[test]
fn ours_and_whoever_is_installed_are_run_and_reported() {
    let (folder, file) = folder(SCENARIO);
    let out = folder.path().join("out");
    let (status, said) = arena(&program("tidegate-lab"), &file, &out, &["--rounds", "1"]).ends();
    assert_eq!(status.code(), Some(0), "{said}");
    let results = results(&out);
    let there: Vec<&str> = results.contenders.iter().map(|it| &*it.name).collect();
    assert_eq!(there[0], "tidegate-adaptive");
    for name in contender::DEFAULT {
        assert!(there.contains(&name) || said.contains("is not "), "{name}: {said}");
    }
    let [measured] = &*results.scenarios else { panic!("{} scenarios", results.scenarios.len()) };
    assert_eq!(measured.entries.len(), there.len());
    let first = &measured.entries[0].rounds[0];
    for entry in &measured.entries {
        let [round] = &*entry.rounds else { panic!("{} rounds", entry.rounds.len()) };
        let name = there[entry.contender];
        // All get the same requests, so as many of them. All end, if only as errors.
        assert_eq!(round.sent, first.sent, "{name}");
        assert_eq!(round.all.latencies.len(), first.all.latencies.len(), "{name}");
        assert_eq!(round.focus[0].latencies.len(), first.focus[0].latencies.len(), "{name}");
        assert!(round.all.latencies.len() < round.sent, "{name}: long polls are not counted");
        assert!(round.received.iter().sum::<u64>() > 0, "{name}: {:?}", round.received);
        assert!((40..=100).contains(&round.series.len()), "{name}");
        assert!(round.cpu_us_per_request > 0.0, "{name}");
    }
    assert!(measured.entries[0].simulated.is_some(), "{said}");
    assert!(fs::read_to_string(out.join("arena.html")).unwrap().contains("<svg"));
}

#[test]
fn several_proxies_share_the_requests() {
    let (folder, file) = folder(&SCENARIO.replace("[run]", "[proxies]\ncount = 2\n[run]"));
    let out = folder.path().join("out");
    let flags = ["--rounds", "2", "--seconds", "6", "--contender", "tidegate-least-conn"];
    let (status, said) = arena(&program("tidegate-lab"), &file, &out, &flags).ends();
    assert_eq!(status.code(), Some(0), "{said}");
    let rounds = &results(&out).scenarios[0].entries[0].rounds;
    let requests: Vec<u64> = rounds.iter().map(|round| round.all.latencies.len()).collect();
    assert!(requests[0] != requests[1] && requests[0] > 0, "each round has its own: {requests:?}");
    assert!(rounds[0].seconds < 1.0, "rounds are as much shorter: {}", rounds[0].seconds);
}

#[test]
fn a_backend_that_stands_still_at_the_beginning_keeps_nobody_from_starting() {
    let paused = SCENARIO.replace("300ms..500ms every 1s fail 503 after 1ms", "0s..100ms pause");
    let (folder, file) = folder(&paused);
    let out = folder.path().join("out");
    let flags = ["--rounds", "1", "--seconds", "6", "--contender", "tidegate-adaptive"];
    let (status, said) = arena(&program("tidegate-lab"), &file, &out, &flags).ends();
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn a_wrong_scenario_or_contender_is_refused_with_what_is_allowed() {
    let (folder, file) = folder(&SCENARIO.replace("[arena]\nwarm-up", "[arena]\nwarmup"));
    let refused = |flags: &[&str], scenario: &Path| {
        let (status, said) = arena(Path::new(LAB), scenario, folder.path(), flags).ends();
        assert_eq!(status.code(), Some(2), "{said}");
        said
    };
    let said = refused(&[], &file);
    assert!(said.contains("own.toml, line 40: warmup = \"200ms\": unknown field"), "{said}");
    assert!(said.contains("did you mean warm-up?"), "{said}");
    let said = refused(&[], Path::new("unevn"));
    assert!(said.contains("did you mean uneven?"), "{said}");
    let said = refused(&["--contender", "nginx-leasttime"], &file);
    assert!(said.contains("did you mean nginx-least-time?"), "{said}");
    let said = refused(&["--seconds", "0"], &file);
    assert!(said.contains("1..=3600"), "{said}");
}

/// A folder with a lab, and a script in the proxy's place.
fn lab_with_proxy(script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(LAB, folder.path().join("tidegate-lab")).unwrap();
    scripted::script(&folder.path().join("tidegate"), script);
    folder
}

#[test]
fn a_contender_that_fails_is_told_and_the_others_are_run() {
    let lab = lab_with_proxy("[ $1 = --version ] && exit; echo no such flag >&2; exit 3");
    fs::copy(program("rival-hyper"), lab.path().join("rival-hyper")).unwrap();
    let (folder, file) = folder(SCENARIO);
    let out = folder.path().join("out");
    let flags =
        ["--rounds", "1", "--contender", "tidegate-adaptive", "--contender", "hyper-peak-ewma"];
    let (status, said) = arena(&lab.path().join("tidegate-lab"), &file, &out, &flags).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    let failure = "FAILED:\n  tidegate-adaptive in ";
    assert!(said.contains(failure), "{said}");
    assert!(said.contains("it ended with status 3: no such flag"), "{said}");
    let entries = &results(&out).scenarios[0].entries;
    assert_eq!(entries.iter().map(|it| it.rounds.len()).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_contender_that_is_missing_is_named_and_left_out() {
    let lab = lab_with_proxy("exit 1");
    let (folder, file) = folder(SCENARIO);
    let flags = ["--rounds", "1", "--contender", "hyper-peak-ewma"];
    let lab = lab.path().join("tidegate-lab");
    let (status, said) = arena(&lab, &file, folder.path(), &flags).ends();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("takes part; rival-hyper is not built"), "{said}");
}

#[test]
fn ctrl_c_ends_all_that_it_has_started() {
    let pids = tempfile::tempdir().unwrap();
    let file = pids.path().join("proxy");
    let script = format!(
        "[ $1 = --version ] && exit; echo $$ > {0}.new; mv {0}.new {0}; exec {1} \"$@\"",
        file.display(),
        program("tidegate").display()
    );
    let lab = lab_with_proxy(&script);
    let (folder, scenario) = folder(SCENARIO);
    let flags = ["--seconds", "600", "--contender", "tidegate-adaptive"];
    let mut arena = arena(&lab.path().join("tidegate-lab"), &scenario, folder.path(), &flags);
    let proxy = until("the proxy", || fs::read_to_string(&file).ok());
    let alive = |pid: &str| Path::new("/proc").join(pid.trim()).exists();
    assert!(alive(&proxy));
    let children = format!("/proc/{0}/task/{0}/children", arena.id());
    let children = fs::read_to_string(children).unwrap();
    assert!(children.split_whitespace().count() >= 2, "the backends and the proxy: {children}");
    arena.press_ctrl_c();
    assert_eq!(arena.ended().code(), Some(130), "{}", arena.stderr());
    until("all to end", || (!children.split_whitespace().any(alive)).then_some(()));
}
