//! `tidegate-lab load` as a process: what it says while it runs, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../tests/running/mod.rs"]
mod running;

use std::process::Command;

use running::{PATIENCE, Running, free_ports};

#[test]
fn it_tells_how_far_it_is_and_then_the_latencies() {
    let [port] = free_ports::<1>().map(|port| port.to_string());
    let mut backend = Command::new(env!("CARGO_BIN_EXE_tidegate-backend"));
    let mut backend = Running::start(backend.args(["--port", &port, "--profile", "0"]));
    backend.says("listening", PATIENCE);
    let folder = tempfile::tempdir().unwrap();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_tidegate-lab"));
    lab.args(["load", "--seconds", "3", "--rate", "100", &format!("http://127.0.0.1:{port}")]);
    let mut lab = Running::start(lab.current_dir(folder.path()));
    lab.says("0 of 3 s: 0 sent, 0 answered, 0 errors", PATIENCE);
    lab.says("1 of 3 s: ", PATIENCE);
    assert!(!folder.path().join("reports").exists(), "it is told before the end");
    let (status, said) = lab.ends(PATIENCE);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("300 answered, 0 errors, 0 unanswered"), "{said}");
    assert!(folder.path().join("reports/load.json").is_file());
}
