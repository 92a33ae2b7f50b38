//! A soak as a process: a short one is clean, a signal ends it early, and a row that is missing
//! from one log among six is found.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::clock::until;
use support::process::Process;
use support::programs::program;
use support::scripted::script;

fn soak(lab: &Path, args: &[&str]) -> Process {
    Process::spawn_group(Command::new(lab).arg("soak").args(args))
}

#[test]
fn a_short_soak_accounts_for_every_request() {
    let (status, said) = soak(&program("tidegate-lab"), &["0.15", "--seed", "7"]).ends();
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
    let folder = soak.line("seed 8, logs in ");
    let folder = Path::new(folder.split_once("logs in ").unwrap().1.trim());
    // The last proxy is started long after signals are watched for.
    let last = folder.join("adaptive_ewma_non-persistent.csv");
    until("the last proxy's log", || last.exists().then_some(()));
    soak.press_ctrl_c();
    let (status, said) = soak.ends();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("seed 8, ended by a signal") && said.contains("clean: "), "{said}");
}

#[test]
fn a_row_that_is_missing_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path().join("tidegate-lab");
    fs::copy(program("tidegate-lab"), &lab).unwrap();
    // The proxy, with the last row of one of its logs gone.
    let text = format!(
        "{} \"$@\" &\n\
         trap 'kill -TERM $!' TERM\ntrap 'kill -HUP $!' HUP\n\
         while kill -0 $! 2>/dev/null; do wait $!; done\n\
         case $1-$3 in adaptive_sma-persistent) sed -i '$d' \"$7\";; esac",
        program("tidegate").display()
    );
    script(&folder.path().join("tidegate"), &text);
    let (status, said) = soak(&lab, &["0.05", "--seed", "9"]).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("has no row") && said.contains("its logs have"), "{said}");
    assert!(said.contains("FAILED: 2 findings"), "{said}");
    let kept = said.split_once("logs are kept in ").unwrap().1.lines().next().unwrap();
    fs::remove_dir_all(kept).unwrap();
}
