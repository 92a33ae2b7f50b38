//! The cases against another proxy that is already running, to compare with; `docs/conformance.md`
//! says how. It expects nothing; it only counts.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::net::SocketAddr;

use crate::backend::Backend;
use crate::lanes::{Mode, play};
use crate::wire::Pace;
use crate::{all_cases, common_cases};

/// Cases passed and played, and how many of each are gates.
#[derive(Default)]
struct Score {
    passed: u32,
    played: u32,
    gates_passed: u32,
    gates: u32,
}

impl Score {
    fn count(&mut self, is_gate: bool, passes: bool) {
        self.played += 1;
        self.passed += u32::from(passes);
        self.gates += u32::from(is_gate);
        self.gates_passed += u32::from(is_gate && passes);
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, played, gates_passed, gates } = self;
        write!(f, "{passed} of {played}, gate {gates_passed} of {gates}")
    }
}

fn address(name: &str) -> SocketAddr {
    let text = env::var(name).unwrap_or_else(|_| panic!("{name}=127.0.0.1:PORT is needed"));
    text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}"))
}

#[test]
#[ignore = "needs a proxy to be started"]
fn another_proxy() {
    let proxy = address("WIRE_PROXY");
    let mut backend = Backend::open_at(address("WIRE_BACKEND"));
    let pieces = env::var("WIRE_PIECES").ok().map(|size| size.parse().expect("a number of bytes"));
    let client = pieces.map_or(Pace::Whole, Pace::Pieces);
    let mode = Mode { client, is_foreign: true, ..Mode::default() };
    let common: Vec<String> = common_cases().into_iter().map(|case| case.id).collect();
    let mut groups = BTreeMap::<&str, Score>::new();
    let (mut of_common, mut of_all) = (Score::default(), Score::default());
    let cases = all_cases();
    for case in &cases {
        let failure = play(case, mode, proxy, &mut backend);
        if let Some(failure) = &failure {
            println!("{failure}");
        }
        let passes = failure.is_none();
        groups.entry(&case.group).or_default().count(case.is_gate, passes);
        of_all.count(case.is_gate, passes);
        if common.contains(&case.id) {
            of_common.count(case.is_gate, passes);
        }
    }
    for (group, score) in groups {
        println!("{group:24} {score}");
    }
    println!("{:24} {of_common}\n{:24} {of_all}", "the common cases", "all");
}
