//! A soak as a process: a short one is clean, a signal ends it early, and a row that is missing
//! from one log among six is found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../tests/running/mod.rs"]
mod running;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use running::programs::program;
use running::{PATIENCE, Running, until};

fn soak(lab: &Path, args: &[&str]) -> Running {
    Running::start(Command::new(lab).arg("soak").args(args))
}

#[test]
fn a_short_soak_accounts_for_every_request() {
    let (status, said) = soak(&program("tidegate-lab"), &["0.15", "--seed", "7"]).ends(PATIENCE);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("clean: every request has one row"), "{said}");
    // All kinds of traffic took place, and all proxies had some.
    for row in ["keep-alive ", "pipelined ", "malformed ", "cut short ", "adaptive_ewma non-pers"] {
        let line = said.lines().find(|line| line.starts_with(row)).expect(row);
        assert!(
            line.split_whitespace().any(|word| word.parse().is_ok_and(|n: u64| n > 0)),
            "{said}"
        );
    }
}

#[test]
fn a_signal_ends_it_early_with_a_report() {
    let mut soak = soak(&program("tidegate-lab"), &["60", "--seed", "8", "--rate", "300"]);
    let folder = soak.says("seed 8, logs in ", PATIENCE);
    let folder = Path::new(folder.split_once("logs in ").unwrap().1.trim());
    // The last proxy is started long after signals are watched for.
    let last = folder.join("adaptive_ewma_non-persistent.csv");
    until("the last proxy's log", PATIENCE, || last.exists());
    soak.press_ctrl_c();
    let (status, said) = soak.ends(PATIENCE);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("seed 8, ended by a signal") && said.contains("clean: "), "{said}");
}

#[test]
fn a_row_that_is_missing_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path().join("tidegate-lab");
    fs::copy(program("tidegate-lab"), &lab).unwrap();
    // The proxy, with the last row of one of its logs gone.
    let proxy = folder.path().join("tidegate");
    let script = format!(
        "#!/bin/sh\n\
         {} \"$@\" &\n\
         trap 'kill -TERM $!' TERM\ntrap 'kill -HUP $!' HUP\n\
         while kill -0 $! 2>/dev/null; do wait $!; done\n\
         case $1-$3 in adaptive_sma-persistent) sed -i '$d' \"$7\";; esac\n",
        program("tidegate").display()
    );
    fs::write(&proxy, script).unwrap();
    fs::set_permissions(&proxy, fs::Permissions::from_mode(0o755)).unwrap();
    let (status, said) = soak(&lab, &["0.05", "--seed", "9"]).ends(PATIENCE);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("has no row") && said.contains("its logs have"), "{said}");
    assert!(said.contains("FAILED: 2 findings"), "{said}");
    let kept = said.split_once("logs are kept in ").unwrap().1.lines().next().unwrap();
    fs::remove_dir_all(kept).unwrap();
}
