//! The goals of the proxy, compared with the results. A goal that is missed is reported, but only
//! wrong answers fail a bench.

use super::super::results::{Entry, Measured, Results};
use crate::render::{Row, Table, thousands};

/// On which side of its limit a figure should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Bound {
    AtMost,
    AtLeast,
}

/// The texts for a goal's state.
const HEADS: [&str; 4] = ["goal", "limit", "figure", "verdict"];

/// One goal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) bound: Bound,
    pub(super) limit: f64,
    /// `None` if a contender that it needs was not measured, or not under the conditions it needs.
    pub(super) figure: Option<f64>,
}

/// Processor time per request of the first contender, as a multiple of the second's.
const RATIOS: [(&str, &str, &str, f64); 9] = [
    ("small-64", "tidegate", "relay", 1.15),
    ("small-64", "tidegate", "nginx", 0.8),
    ("small-64", "tidegate", "haproxy", 0.8),
    ("small-64", "tidegate", "hyper", 0.5),
    ("small-64", "tidegate", "tidegate-no-log", 1.05),
    ("response-100k", "tidegate", "nginx", 0.9),
    ("response-100k", "tidegate", "haproxy", 0.9),
    ("fresh", "tidegate", "nginx", 0.87),
    ("fresh", "tidegate", "haproxy", 0.87),
];

/// Twenty times the 1,400 requests/s per core of the Python original.
const PER_CORE: f64 = 28_000.0;

/// Two workers' requests/s as a multiple of one's.
const TWO_WORKERS: f64 = 1.7;

/// Bytes for an idle connection.
const IDLE_BYTES: f64 = 1024.0;

impl Goal {
    /// Whether it is met; `None` if that is unknown.
    pub(super) fn is_met(&self) -> Option<bool> {
        self.figure.map(|figure| match self.bound {
            Bound::AtMost => figure <= self.limit,
            Bound::AtLeast => figure >= self.limit,
        })
    }

    fn cells(&self) -> [String; HEADS.len()] {
        let number = |number: f64| match number.abs() {
            large if large >= 100.0 => thousands(number),
            _ => format!("{number:.2}"),
        };
        let sign = if self.bound == Bound::AtMost { '≤' } else { '≥' };
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "not met",
            None => "not measured",
        };
        let figure = self.figure.map_or("–".to_owned(), number);
        [self.what.clone(), format!("{sign} {}", number(self.limit)), figure, verdict.to_owned()]
    }
}

/// All goals, for people.
pub(super) fn table(results: &Results) -> Table {
    let row =
        |goal: &Goal| Row { cells: goal.cells().to_vec(), is_marked: goal.is_met() == Some(false) };
    Table {
        caption: String::new(),
        heads: HEADS.map(str::to_owned).to_vec(),
        rows: goals(results).iter().map(row).collect(),
    }
}

/// All goals.
pub(super) fn goals(results: &Results) -> Vec<Goal> {
    let workload = |name| results.workloads.iter().find(|one| one.workload.name == name);
    let entry = |workload_name, contender| workload(workload_name)?.entry(contender);
    let mut goals: Vec<Goal> = RATIOS
        .into_iter()
        .map(|(name, of, to, limit)| Goal {
            what: format!("{name}: processor time of {of}, × {to}"),
            bound: Bound::AtMost,
            limit,
            figure: cpu_ratio(entry(name, of), entry(name, to)),
        })
        .collect();
    let per_second = |entry: &Entry| Some(entry.per_second()?.median);
    goals.push(Goal {
        what: "small-64: requests/s of tidegate on one core".to_owned(),
        bound: Bound::AtLeast,
        limit: PER_CORE,
        figure: entry("small-64", "tidegate").and_then(per_second),
    });
    goals.push(Goal {
        what: "workers-2: requests/s of two workers, × one (if the load has cores of its own)"
            .to_owned(),
        bound: Bound::AtLeast,
        limit: TWO_WORKERS,
        figure: workload("workers-2").and_then(two_workers),
    });
    let peak = |name| Some(entry(name, "tidegate")?.peak_resident_bytes as f64);
    let idle = workload("idle-1000").map(|measured| f64::from(measured.workload.idle));
    goals.push(Goal {
        what: "idle-1000: resident bytes of tidegate per idle connection".to_owned(),
        bound: Bound::AtMost,
        limit: IDLE_BYTES,
        figure: peak("idle-1000")
            .zip(peak("small-64"))
            .zip(idle)
            .map(|((with, without), idle)| (with - without).max(0.0) / idle),
    });
    goals
}

fn cpu_ratio(of: Option<&Entry>, to: Option<&Entry>) -> Option<f64> {
    Some(of?.cpu()?.ratio_to(to?.cpu()?))
}

fn two_workers(measured: &Measured) -> Option<f64> {
    let (one, two) = (measured.entry("tidegate")?, measured.entry("tidegate-2")?);
    let is_fair = !two.is_shared;
    is_fair.then_some(two.per_second()?.ratio_to(one.per_second()?))
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::super::super::workload::WORKLOADS;
    use super::*;
    use crate::machine::Machine;

    fn results(workloads: Vec<Measured>) -> Results {
        Results { machine: Machine::default(), rounds: (3, 1), left_out: Vec::new(), workloads }
    }

    fn find<'a>(goals: &'a [Goal], what: &str) -> &'a Goal {
        goals.iter().find(|goal| goal.what.contains(what)).expect(what)
    }

    #[test]
    fn a_goal_is_met_or_not_or_was_not_measured() {
        let mut small = measured();
        small.workload = WORKLOADS[0];
        let goals = goals(&results(vec![small]));
        // 10 µs of 50.
        let relay = find(&goals, "small-64: processor time of tidegate, × relay");
        assert_eq!(relay.cells()[1..], ["≤ 1.15", "0.20", "met"]);
        let rate = find(&goals, "requests/s of tidegate on one core");
        assert_eq!(rate.cells()[1..], ["≥ 28,000", "1,000", "not met"]);
        assert_eq!(find(&goals, "fresh").cells()[2..], ["–", "not measured"]);
        assert_eq!(find(&goals, "two workers").is_met(), None);
    }

    #[test]
    fn idle_connections_cost_what_a_process_with_them_has_more() {
        let (mut small, mut idle) = (measured(), measured());
        small.workload = WORKLOADS[0];
        idle.workload = *WORKLOADS.iter().find(|one| one.name == "idle-1000").expect("one");
        idle.entries[0].peak_resident_bytes += 500_000;
        let goals = goals(&results(vec![small, idle]));
        let goal = find(&goals, "per idle connection");
        assert_eq!((goal.figure, goal.is_met()), (Some(500.0), Some(true)));
    }

    #[test]
    fn two_workers_that_share_their_cores_with_the_load_say_nothing() {
        let mut workers = measured();
        workers.workload = *WORKLOADS.iter().find(|one| one.name == "workers-2").expect("one");
        workers.entries[1].contender.name = "tidegate-2";
        assert_eq!(two_workers(&workers), Some(1.0));
        workers.entries[1].is_shared = true;
        assert_eq!(two_workers(&workers), None);
    }
}
