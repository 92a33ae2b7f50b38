//! `tidegate-lab load` as a process: what it says while it runs, and how it ends.

use std::process::Command;

use support::process::{Backend, Process};

#[test]
fn it_tells_how_far_it_is_and_then_the_latencies() {
    let backend = Backend::start(&["--profile", "0"]);
    let folder = tempfile::tempdir().unwrap();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_tidegate-lab"));
    lab.args(["load", "--seconds", "3", "--rate", "100", &format!("http://{}", backend.address)]);
    let mut lab = Process::spawn_group(lab.current_dir(folder.path()));
    lab.line("0 of 3 s: 0 sent, 0 answered, 0 errors");
    lab.line("1 of 3 s: ");
    assert!(!folder.path().join("reports").exists(), "it is told before the end");
    let (status, said) = lab.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("300 answered, 0 errors, 0 unanswered"), "{said}");
    assert!(folder.path().join("reports/load.json").is_file());
}
