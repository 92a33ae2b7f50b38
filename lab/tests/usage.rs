//! What the programs say of a command line that is wrong: the right one, or nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

const BACKEND: &str = env!("CARGO_BIN_EXE_tidegate-backend");
const LAB: &str = env!("CARGO_BIN_EXE_tidegate-lab");

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
        (LAB, "up --polcy adaptive_ewma", "without a flag: 'tidegate-lab up adaptive_ewma'"),
        (LAB, "up --prot 8080", "'--port'"),
        (LAB, "up ewma", "did you mean adaptive_ewma?"),
        (LAB, "up adaptive_ewma --ewma-alpha 0.5", "up <POLICY> -- --ewma-alpha 0.5'"),
        (LAB, "up --ewma-alpha=0.5 adaptive_ewma", "up <POLICY> -- --ewma-alpha 0.5'"),
        (LAB, "up --log none", "up <POLICY> -- --log none'"),
        (LAB, "up -v", "up <POLICY> -- -v'"),
        (LAB, "up --connections persistant", "'persistent'"),
        (LAB, "scenarios --polcy ewma", "one alone is run by 'tidegate-lab up <POLICY>"),
        (LAB, "scenarios ewma", "one alone is run by 'tidegate-lab up <POLICY>"),
        (LAB, "scenarios --ports 8080", "'--port'"),
        (LAB, "scenarios --ewma-alpha 0.5", "'tidegate-lab up' takes them after '--'"),
        (LAB, "load --port 9090", "'tidegate-lab load http://localhost:9090'"),
        (LAB, "load --url http://a", "URL is given without a flag: 'tidegate-lab load http://a'"),
        (LAB, "relay --port 9090", "'--listen 127.0.0.1:9090'"),
        (LAB, "soak --minutes 5", "MINUTES is given without a flag: 'tidegate-lab soak 5'"),
        (LAB, "bench --worklaod small-64", "'--workload'"),
        (LAB, "simulate unevn", "did you mean uneven"),
        (LAB, "simulate uneven least-tme", "did you mean least-time?"),
        (LAB, "simulate uneven --sedes 3", "'--seeds'"),
        (LAB, "simulate original --requests 100", "give --seconds"),
        (LAB, "simulate nowhere.toml", "nowhere.toml: No such file"),
        (LAB, "adaptive_ewma", "'tidegate-lab up <POLICY>'"),
        (LAB, "senarios", "'scenarios'"),
        (BACKEND, "--prot 8081", "'--port'"),
        (BACKEND, "--server-id A", "'--id <ID>'"),
    ] {
        let said = said(program, args);
        assert!(said.contains(tip), "{args}: {said}");
        assert!(!said.contains("as a value, use"), "{args}: {said}");
    }
}

#[test]
fn nothing_is_suggested_where_nothing_is_right() {
    for (program, args) in [
        (LAB, "report --port 9090"),
        (LAB, "report --polcy adaptive_ewma"),
        (LAB, "report --ewma-alpha 0.5"),
        (LAB, "bench --port 9090"),
        (LAB, "bench --policy adaptive_ewma"),
        (LAB, "soak --port 9090"),
        (LAB, "load --policy adaptive_ewma http://a"),
        (LAB, "load --ewma-alpha 0.5 http://a"),
        (LAB, "setup --port 9090"),
        (BACKEND, "--polcy adaptive_ewma"),
        (BACKEND, "--ewma-alpha 0.5"),
    ] {
        let said = said(program, args);
        assert!(!said.contains("tip:") && !said.contains("did you mean"), "{args}: {said}");
    }
}
