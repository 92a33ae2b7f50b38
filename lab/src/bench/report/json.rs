//! The summary of each contender, for programs.

use serde_json::{Value, json};

use super::super::contender::Program;
use super::super::results::{Entry, Measured, Results};
use super::super::stats::Spread;
use super::goals::{Bound, Goal, goals};

pub(super) fn document(results: &Results) -> String {
    let machine = &results.machine;
    let document = json!({
        "machine": {
            "processor": machine.processor,
            "cores": machine.cores,
            "kernel": machine.kernel,
            "versions": machine.versions,
        },
        "rounds": results.rounds.0,
        "seconds_per_round": results.rounds.1,
        "left_out": results.left_out,
        "workloads": results.workloads.iter().map(workload).collect::<Vec<_>>(),
        "goals": goals(results).iter().map(goal).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn workload(measured: &Measured) -> Value {
    json!({
        "name": measured.workload.name,
        "title": measured.workload.title,
        "rate_per_s": measured.workload.rate_per_s,
        "proxy_cores": measured.place.proxy,
        "load_cores": measured.place.load,
        "contenders": measured.entries.iter().map(|one| entry(measured, one)).collect::<Vec<_>>(),
    })
}

fn entry(measured: &Measured, entry: &Entry) -> Value {
    json!({
        "name": entry.contender.name,
        "logs": entry.contender.logs,
        "workers": entry.contender.workers,
        "failure": entry.failure,
        "cpu_us_per_request": spread(entry.cpu()),
        "ratio_to_nginx": measured.ratio(entry, Program::Nginx),
        "ratio_to_haproxy": measured.ratio(entry, Program::Haproxy),
        "ratio_to_relay": measured.ratio(entry, Program::Relay),
        "requests_per_s": spread(entry.per_second()),
        "core_share": spread(entry.share()),
        "is_saturated": entry.is_saturated(),
        "is_disturbed": entry.is_disturbed(),
        "p50_us": spread(entry.p50()),
        "p99_us": spread(entry.p99()),
        "p999_us": spread(entry.p999()),
        "errors": entry.rounds.iter().map(|round| round.load.errors).sum::<u64>(),
        "peak_resident_bytes": entry.peak_resident_bytes,
    })
}

fn goal(goal: &Goal) -> Value {
    json!({
        "what": goal.what,
        "limit": goal.limit,
        "is_upper_limit": goal.bound == Bound::AtMost,
        "figure": goal.figure,
        "is_met": goal.is_met(),
    })
}

fn spread(spread: Option<Spread>) -> Value {
    spread.map_or(
        Value::Null,
        |Spread { min, median, max }| json!({ "min": min, "median": median, "max": max }),
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn a_program_finds_every_figure() {
        let mut measured = measured();
        measured.entries[3].rounds.clear();
        let results = Results {
            machine: Machine::default(),
            rounds: (3, 1),
            left_out: vec!["x".to_owned()],
            workloads: vec![measured],
        };
        let document: Value = serde_json::from_str(&document(&results)).expect("JSON");
        let contenders = &document["workloads"][0]["contenders"];
        assert_eq!(contenders[4]["name"], "relay");
        assert_eq!(contenders[4]["cpu_us_per_request"]["median"], 50.0);
        assert_eq!(contenders[4]["ratio_to_relay"], 1.0);
        assert_eq!(contenders[3]["requests_per_s"], Value::Null);
        assert_eq!(document["left_out"][0], "x");
    }
}
