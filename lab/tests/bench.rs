//! The measuring tools as processes: they run, tell and write what they measured, and fail loudly.
//! No figure is judged here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use support::http::get;
use support::ports::free_ports;
use support::process::{Backend, Process};
use support::programs::program;
use support::scripted;
use tempfile::TempDir;

const LAB: &str = env!("CARGO_BIN_EXE_tidegate-lab");
const BACKEND: &str = env!("CARGO_BIN_EXE_tidegate-backend");

/// One round of one second of one workload.
fn bench(lab: &Path, reports: &TempDir, contenders: &[&str]) -> (Option<i32>, String) {
    bench_of("small-64", lab, reports, contenders)
}

fn bench_of(
    workload: &str,
    lab: &Path,
    reports: &TempDir,
    contenders: &[&str],
) -> (Option<i32>, String) {
    let mut command = Command::new(lab);
    command.args(["bench", "--rounds", "1", "--seconds", "1", "--workload", workload]);
    for contender in contenders {
        command.args(["--contender", contender]);
    }
    command.arg("--reports").arg(reports.path());
    let (status, said) = Process::spawn_group(&mut command).ends();
    (status.code(), said)
}

/// A folder with a lab, a backend, and a script in the proxy's place.
fn lab_with_proxy(script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for program in [LAB, BACKEND] {
        fs::copy(program, folder.path().join(Path::new(program).file_name().unwrap())).unwrap();
    }
    scripted::script(&folder.path().join("tidegate"), script);
    folder
}

#[test]
fn contenders_are_measured_and_reported() {
    let reports = tempfile::tempdir().unwrap();
    let (code, said) = bench(&program("tidegate-lab"), &reports, &["tidegate", "relay"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("small-64: ") && said.contains("1 rounds of 1 s"), "{said}");
    let read = |name: &str| fs::read_to_string(reports.path().join(name)).unwrap();
    let csv = read("bench.csv");
    assert!(csv.contains("\nsmall-64,tidegate,1,") && csv.contains("\nsmall-64,relay,1,"), "{csv}");
    let json: serde_json::Value = serde_json::from_str(&read("bench.json")).unwrap();
    let contenders = &json["workloads"][0]["contenders"];
    for index in [0, 1] {
        let contender = &contenders[index];
        assert!(contender["cpu_us_per_request"]["median"].as_f64().unwrap() > 0.0, "{contender}");
        assert!(contender["requests_per_s"]["median"].as_f64().unwrap() > 0.0, "{contender}");
        assert!(contender["peak_resident_bytes"].as_u64().unwrap() > 0, "{contender}");
    }
    assert!(contenders[0]["ratio_to_relay"].is_f64(), "{contenders}");
    assert!(read("bench.html").contains("<svg"));
}

#[test]
fn backends_at_unix_sockets_are_measured_beside_those_at_ports() {
    let reports = tempfile::tempdir().unwrap();
    let contenders = ["tidegate", "tidegate-unix", "relay", "relay-unix"];
    let (code, said) = bench_of("unix-64", &program("tidegate-lab"), &reports, &contenders);
    assert_eq!(code, Some(0), "{said}");
    let json = fs::read_to_string(reports.path().join("bench.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let measured = &json["workloads"][0]["contenders"];
    let cpu = |index: usize| measured[index]["cpu_us_per_request"]["median"].as_f64().unwrap();
    for (index, name) in contenders.iter().enumerate() {
        assert_eq!(measured[index]["name"], *name);
        // Each is compared with the relay that reaches its backends in the same way.
        let ratio = measured[index]["ratio_to_relay"].as_f64().unwrap();
        assert!((ratio - cpu(index) / cpu(2 + index % 2)).abs() < 1e-9, "{measured}");
    }
}

#[test]
fn a_contender_that_does_not_start_fails_the_bench_and_the_others_are_measured() {
    let folder = lab_with_proxy("echo no such flag >&2; exit 3");
    let reports = tempfile::tempdir().unwrap();
    let lab = folder.path().join("tidegate-lab");
    let (code, said) = bench(&lab, &reports, &["tidegate", "relay"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("tidegate in small-64: it ended with status 3: no such flag"), "{said}");
    let csv = fs::read_to_string(reports.path().join("bench.csv")).unwrap();
    assert!(csv.contains("small-64,relay,1,") && !csv.contains("tidegate"), "{csv}");
}

#[test]
fn a_contender_with_a_wrong_answer_fails_the_bench() {
    // A backend of another name, where the proxy should listen: the fifth word.
    let script = format!("exec {BACKEND} --listen 127.0.0.1 --port ${{5##*:}} --id ZZ --profile 0");
    let folder = lab_with_proxy(&script);
    let reports = tempfile::tempdir().unwrap();
    let (code, said) = bench(&folder.path().join("tidegate-lab"), &reports, &["tidegate"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("tidegate in small-64: a body of "), "{said}");
}

#[test]
fn a_missing_contender_is_named_and_left_out() {
    let folder = lab_with_proxy("exit 1");
    fs::remove_file(folder.path().join("tidegate")).unwrap();
    let reports = tempfile::tempdir().unwrap();
    let lab = folder.path().join("tidegate-lab");
    let (code, said) = bench(&lab, &reports, &["tidegate", "relay"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("left out: tidegate is not built"), "{said}");
    let (code, said) = bench(&lab, &reports, &["tidegate"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("takes part; tidegate is not built"), "{said}");
}

#[test]
fn the_relay_passes_bytes_on_until_it_is_stopped() {
    let backend = Backend::start(&["--profile", "0"]);
    let upstream = backend.address.to_string();
    let args = ["relay", "--listen", "127.0.0.1:0", "--upstream", &upstream];
    let mut relay = Process::spawn(Command::new(LAB).args(args));
    let address = relay.says("its address", |text| {
        text.split_once("listening on ")?.1.split([',', ' ', '\n']).next()?.parse().ok()
    });
    assert_eq!(get(address, "/").status, 200);
    relay.signal(Signal::TERM);
    assert!(relay.ended().code().is_none(), "it holds nothing that it would have to put in order");
}

#[test]
fn a_load_tells_its_percentiles_and_writes_them() {
    let backend = Backend::start(&["--profile", "0"]);
    let folder = tempfile::tempdir().unwrap();
    let run = |url: &str| {
        let args = ["load", "--rate", "200", "--connections", "2", "--seconds", "1", url];
        let mut command = Command::new(LAB);
        let (status, said) =
            Process::spawn_group(command.args(args).current_dir(folder.path())).ends();
        (status.code(), said)
    };
    let (code, said) = run(&format!("http://{}/", backend.address));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("200 answered, 0 errors, 0 unanswered"), "{said}");
    let json = fs::read_to_string(folder.path().join("reports/load.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["answered"], 200);
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_ports::<1>()[0]));
    let (code, said) = run(&format!("http://{nobody}/"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no server answers at"), "{said}");
}
