//! What the programs say of a command line that is wrong: the right one, or nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

const PROXY: &str = env!("CARGO_BIN_EXE_tidegate");
const DASHBOARD: &str = env!("CARGO_BIN_EXE_tidegate-dashboard");

/// What a refused command line is answered with; the status is that of a wrong flag.
fn said(program: &str, args: &str) -> String {
    let output = Command::new(program).args(args.split_whitespace()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{program} {args}: {said}");
    said
}

#[test]
fn a_suggestion_is_right_for_the_program_that_makes_it() {
    for (program, args, tip) in [
        (PROXY, "--polcy adaptive_ewma", "without a flag: 'tidegate adaptive_ewma'"),
        (PROXY, "--policy=adaptive_ewma", "without a flag: 'tidegate adaptive_ewma'"),
        (PROXY, "--ports 8080", "'--port'"),
        (PROXY, "--alpha 0.5", "'--ewma-alpha'"),
        (PROXY, "--ewma_alpha 0.5", "'--ewma-alpha'"),
        (PROXY, "--sma-widnow 5", "'--sma-window'"),
        (PROXY, "--backend http://a", "'--upstream http://host:port'"),
        (PROXY, "--connections nonpersistant", "'non-persistent'"),
        (PROXY, "ewma", "did you mean adaptive_ewma?"),
        (PROXY, "SMA", "did you mean adaptive_sma?"),
        (PROXY, "roundrobin", "did you mean round-robin?"),
        (DASHBOARD, "--prot 5002", "'--port'"),
    ] {
        let said = said(program, args);
        assert!(said.contains(tip), "{args}: {said}");
        assert!(!said.contains("as a value, use"), "{args}: {said}");
    }
}

#[test]
fn nothing_is_suggested_where_nothing_is_right() {
    for (program, args) in [
        (PROXY, "--dashboard-port 5002"),
        (PROXY, "fastest"),
        (DASHBOARD, "--policy adaptive_ewma"),
        (DASHBOARD, "--ewma-alpha 0.5"),
    ] {
        let said = said(program, args);
        assert!(!said.contains("tip:") && !said.contains("did you mean"), "{args}: {said}");
    }
}
