//! `tidegate-lab scenarios` as a process: the files it writes, and how it stops.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use support::clock::until;
use support::ports::{free_ports, is_open, until_closed};
use support::process::Process;
use support::programs::program;
use tempfile::TempDir;
use tidegate_lab::scenarios::names;

/// A run on free ports, with its files in a folder of its own.
struct Run {
    lab: Process,
    ports: [u16; 4],
}

impl Run {
    fn start(folder: &Path, seconds: u32) -> Self {
        let ports = free_ports::<4>();
        Self { lab: Process::spawn_group(&mut command(folder, seconds, ports)), ports }
    }
}

fn command(folder: &Path, seconds: u32, ports: [u16; 4]) -> Command {
    let mut command = Command::new(program("tidegate-lab"));
    let [proxy, backends @ ..] = ports.map(|port| port.to_string());
    command.args(["scenarios", "--seconds", &seconds.to_string(), "--logs"]).arg(folder);
    command.arg("--out").arg(folder.join("reports"));
    command.args(["--port", &proxy, "--backend-ports", &backends.join(",")]);
    command
}

/// The files in a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> =
        files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn six_scenarios_leave_five_files_each_and_put_earlier_ones_away() {
    let folder = TempDir::new().unwrap();
    let old = folder.path().join("adaptive_sma_persistent.csv");
    fs::write(&old, "of an earlier run\n").unwrap();
    let mut run = Run::start(folder.path(), 1);
    run.lab.line("0 of 6 s: round-robin_persistent");
    run.lab.line("round-robin_persistent: ");
    run.lab.line("  wrk: ");
    let last = folder.path().join("adaptive_ewma_non_persistent.csv");
    assert!(!last.exists(), "each result is told as it comes");
    let (status, said) = run.lab.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("an earlier run was moved to "), "{said}");
    for (second, name) in names().enumerate() {
        assert!(said.contains(&format!("{second} of 6 s: {name}\n")), "{said}");
    }
    let expected = names().flat_map(|name| {
        ["_console.txt", "_run.json", "_wrk.txt", ".csv", ".csv.meta.json"]
            .map(|ending| format!("{name}{ending}"))
    });
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    assert_eq!(files(folder.path()), expected);
    for name in names() {
        let read = |ending: &str| {
            fs::read_to_string(folder.path().join(format!("{name}{ending}"))).unwrap()
        };
        let rows = read(".csv").lines().count() - 1;
        let totals = format!("{rows} requests, 0 errors, {rows} rows, 0 rows lost");
        assert!(said.contains(&format!("{name}: {totals}")), "{rows} rows, but {said}");
        assert!(read("_console.txt").contains(&format!("proxy     | {totals}")));
        assert!(read("_wrk.txt").contains("99%"), "{}", read("_wrk.txt"));
    }
    let page = fs::read_to_string(folder.path().join("reports/report.html")).unwrap();
    for policy in ["round-robin", "adaptive_sma", "adaptive_ewma"] {
        for connections in ["persistent", "non-persistent"] {
            assert!(page.contains(&format!("{policy}, {connections}")), "{policy} {connections}");
        }
    }
    for port in run.ports {
        assert!(!is_open(port));
    }
}

#[test]
fn an_interrupted_run_leaves_nothing_running_and_nothing_half_done() {
    let folder = TempDir::new().unwrap();
    let run = Run::start(folder.path(), 600);
    let load = folder.path().join("round-robin_persistent_wrk.txt");
    until("the load", || load.is_file().then_some(()));
    run.lab.press_ctrl_c();
    let (status, said) = run.lab.ends();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(files(folder.path()).is_empty(), "{:?}", files(folder.path()));
    until_closed(&run.ports);
}

#[test]
fn a_proxy_that_dies_is_named_and_its_files_stay() {
    let folder = TempDir::new().unwrap();
    let run = Run::start(folder.path(), 600);
    let load = folder.path().join("round-robin_persistent_wrk.txt");
    until("the load", || load.is_file().then_some(()));
    let owner = tidegate_lab::ports::owner(run.ports[0]).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(owner.pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    let (status, said) = run.lab.ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("proxy was killed by signal 9"), "{said}");
    assert_eq!(files(folder.path()).len(), 4, "{:?}", files(folder.path()));
}

#[test]
fn what_cannot_be_run_is_said_before_anything_is_moved() {
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("adaptive_sma_persistent.csv");
    fs::write(&kept, "of an earlier run\n").unwrap();
    let ports = free_ports::<4>();
    let held = TcpListener::bind((Ipv4Addr::UNSPECIFIED, ports[0])).unwrap();
    let refused = |command: &mut Command, code: i32, words: &str| {
        let (status, said) = Process::spawn_group(command).ends();
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(kept.is_file(), "{said}");
    };
    refused(&mut command(folder.path(), 1, ports), 1, "for the proxy is taken by");
    drop(held);
    refused(command(folder.path(), 1, ports).env("PATH", ""), 1, "./scripts/setup installs it");
    refused(&mut command(folder.path(), 0, ports), 2, "--seconds");
    refused(&mut command(&kept, 1, ports), 1, "adaptive_sma_persistent.csv");
}
