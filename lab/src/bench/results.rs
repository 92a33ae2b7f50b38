//! The results of a bench.

use super::contender::{Contender, Program, Transport};
use super::place::Place;
use super::seen::Load;
use super::stats::Spread;
use super::workload::Workload;
use crate::machine::Machine;

/// If a proxy uses at least this share of its cores, it limits the requests per second.
const SATURATED: f64 = 0.95;

/// If other programs use at least this share of a proxy's cores, its figures are not valid.
const DISTURBED: f64 = 0.05;

/// One run.
#[derive(Clone, Debug)]
pub struct Results {
    /// The machine.
    pub machine: Machine,
    /// Rounds per contender, and seconds of each.
    pub rounds: (u32, u32),
    /// The contenders that were left out, with the reasons.
    pub left_out: Vec<String>,
    /// The workloads, in the order in which they were measured.
    pub workloads: Vec<Measured>,
}

/// One workload.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The workload.
    pub workload: Workload,
    /// The cores of a contender with one worker.
    pub place: Place,
    /// One entry per contender.
    pub entries: Vec<Entry>,
}

/// One contender in one workload.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The contender.
    pub contender: Contender,
    /// Its complete rounds.
    pub rounds: Vec<Round>,
    /// Its failure, if it has one; it was not measured any further then.
    pub failure: Option<String>,
    /// Its peak resident memory.
    pub peak_resident_bytes: u64,
    /// Whether it shared its cores with the load.
    pub is_shared: bool,
}

/// One turn of a contender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// What the clients saw.
    pub load: Load,
    /// Processor time of all the contender's threads and processes, per request.
    pub cpu_us_per_request: f64,
    /// The share of its cores that the contender used, 0 to 1.
    pub share: f64,
    /// The share of its cores that other programs used, 0 to 1.
    pub others: f64,
}

impl Results {
    /// All failures.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.workloads.iter().flat_map(|measured| {
            let name = measured.workload.name;
            measured.entries.iter().filter_map(move |entry| {
                let failure = entry.failure.as_ref()?;
                Some(format!("{} in {name}: {failure}", entry.contender.name))
            })
        })
    }
}

impl Measured {
    /// The entry of the contender of this name.
    #[must_use]
    pub fn entry(&self, contender: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.contender.name == contender)
    }

    /// The entry with which others of its `transport` are compared: `program` with one worker and
    /// without a log.
    #[must_use]
    pub fn yardstick(&self, program: Program, transport: Transport) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            let contender = entry.contender;
            contender.program == program
                && contender.transport == transport
                && !contender.logs
                && contender.workers == 1
        })
    }

    /// An entry's processor time per request as a multiple of that of another.
    #[must_use]
    pub fn ratio(&self, entry: &Entry, program: Program) -> Option<f64> {
        Some(entry.cpu()?.ratio_to(self.yardstick(program, entry.contender.transport)?.cpu()?))
    }
}

impl Entry {
    fn spread(&self, of: impl Fn(&Round) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(of))
    }

    /// Processor time per request, in µs.
    #[must_use]
    pub fn cpu(&self) -> Option<Spread> {
        self.spread(|round| round.cpu_us_per_request)
    }

    /// Requests per second.
    #[must_use]
    pub fn per_second(&self) -> Option<Spread> {
        self.spread(|round| round.load.per_second())
    }

    /// Latency at the median, in µs.
    #[must_use]
    pub fn p50(&self) -> Option<Spread> {
        self.spread(|round| round.load.p50_us)
    }

    /// Latency at the 99th percentile, in µs.
    #[must_use]
    pub fn p99(&self) -> Option<Spread> {
        self.spread(|round| round.load.p99_us)
    }

    /// Latency at the 99.9th percentile, in µs.
    #[must_use]
    pub fn p999(&self) -> Option<Spread> {
        self.spread(|round| round.load.p999_us)
    }

    /// The share of its cores that the contender used, 0 to 1.
    #[must_use]
    pub fn share(&self) -> Option<Spread> {
        self.spread(|round| round.share)
    }

    /// Whether the contender limited the requests per second; else the load did.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        self.share().is_some_and(|share| share.median >= SATURATED)
    }

    /// Whether other programs used its cores too much for its figures to be valid.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        let others = self.spread(|round| round.others);
        !self.is_shared && others.is_some_and(|others| others.median >= DISTURBED)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::workload::{LineUp, WORKLOADS};
    use super::*;
    use std::time::Duration;

    /// A round of one second with 1,000 requests.
    pub(crate) fn round(cpu_us_per_request: f64, share: f64, others: f64) -> Round {
        let load = Load {
            requests: 1000,
            duration: Duration::from_secs(1),
            bytes: 100_000,
            errors: 0,
            p50_us: 500.0,
            p99_us: 900.0,
            p999_us: 990.0,
        };
        Round { load, cpu_us_per_request, share, others }
    }

    /// A workload in which every contender needs 10 µs more than the one before it.
    pub(crate) fn measured() -> Measured {
        let place = Place { proxy: vec![1], load: vec![0] };
        let entry = |(contender, cpu)| Entry {
            contender,
            rounds: vec![
                round(cpu, 0.97, 0.0),
                round(cpu + 2.0, 0.9, 0.3),
                round(cpu + 1.0, 0.96, 0.0),
            ],
            failure: None,
            peak_resident_bytes: 5 << 20,
            is_shared: false,
        };
        let cpu = (1..).map(|n| f64::from(n) * 10.0 - 1.0);
        let entries = LineUp::OneOfEach.contenders().into_iter().zip(cpu).map(entry).collect();
        Measured { workload: WORKLOADS[1], place, entries }
    }

    fn entry<'a>(measured: &'a Measured, name: &str) -> &'a Entry {
        measured.entries.iter().find(|entry| entry.contender.name == name).expect(name)
    }

    #[test]
    fn ratios_are_to_the_one_without_a_log_in_the_same_workload() {
        let mut measured = measured();
        let nginx = entry(&measured, "nginx").cpu().expect("rounds").median;
        let ours = entry(&measured, "tidegate").clone();
        let ratio = measured.ratio(&ours, Program::Nginx).expect("both ran");
        assert!((ratio - 10.0 / nginx).abs() < 1e-9);
        measured.entries.retain(|entry| entry.contender.name != "nginx");
        assert_eq!(measured.ratio(&ours, Program::Nginx), None);
    }

    #[test]
    fn requests_per_second_are_the_proxys_only_where_it_used_its_core_up() {
        let mut measured = measured();
        assert!(measured.entries[0].is_saturated());
        measured.entries[0].rounds[0].share = 0.9;
        assert!(!measured.entries[0].is_saturated());
    }

    #[test]
    fn others_on_the_core_disturb_unless_they_belong_there() {
        let mut entry = measured().entries[0].clone();
        assert!(!entry.is_disturbed(), "one round of three is no median");
        entry.rounds[0].others = 0.2;
        assert!(entry.is_disturbed());
        entry.is_shared = true;
        assert!(!entry.is_disturbed());
    }

    #[test]
    fn a_failure_is_told_with_its_place() {
        let mut measured = measured();
        measured.entries[2].failure = Some("3 errors".to_owned());
        let results = Results {
            machine: Machine::default(),
            rounds: (3, 1),
            left_out: Vec::new(),
            workloads: vec![measured],
        };
        assert_eq!(results.failures().collect::<Vec<_>>(), ["nginx in small-1: 3 errors"]);
    }
}
