//! Results for tests: made up, the same each time.

use std::time::Duration;

use fastrand::Rng;
use hdrhistogram::Histogram;

use super::super::super::results::{
    Entrant, Entry, Measured, Predicted, Results, Round, Slice, Tally,
};
use crate::machine::Machine;
use crate::scenario::{Conduct, Scenario, normal};

const CONTENDERS: [&str; 8] = [
    "tidegate-adaptive",
    "tidegate-round-robin",
    "nginx-least-time",
    "nginx-least-conn",
    "haproxy-leastconn",
    "envoy-least-request",
    "traefik-p2c",
    "hyper-peak-ewma",
];

const SCENARIOS: [&str; 12] = [
    "original",
    "uneven",
    "one-big",
    "slow-phase-8",
    "fails-fast-3s",
    "restarts",
    "joins-cold",
    "short-pauses",
    "heavy-tail",
    "drifting",
    "mixed",
    "background-errors",
];

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is neither")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// 98 of 100 requests took a tenth of `p99_ms`, the others took `p99_ms`.
pub(super) fn tally(requests: u64, p99_ms: f64, errors: &[(&str, u64)]) -> Tally {
    let mut latencies = Histogram::new(4).expect("4 digits");
    let us = |ms: f64| whole(ms * 1e3);
    latencies.record_n(us(p99_ms / 10.0), requests * 98 / 100).expect("it grows");
    latencies.record_n(us(p99_ms), requests - requests * 98 / 100).expect("it grows");
    Tally { latencies, errors: errors.iter().map(|&(kind, n)| (kind.to_owned(), n)).collect() }
}

/// Of two seconds, in two slices, before backends of which each got one more request than the one
/// before it.
pub(super) fn round(backends: usize, all: Tally) -> Round {
    let received: Vec<u64> = (0..backends as u64).map(|at| 100 + at).collect();
    let slice = |from_s: f64| Slice {
        from_s,
        p50_ms: 1.0,
        p99_ms: 10.0,
        requests: 100,
        errors: 0,
        received: received.clone(),
    };
    Round {
        focus: vec![all.clone()],
        series: vec![slice(0.0), slice(1.0)],
        seconds: 2.0,
        sent: all.latencies.len(),
        received: received.clone(),
        cpu_us_per_request: 25.0,
        backends_us_per_request: 15.0,
        lag_ms: 0.1,
        others: 0.0,
        is_disturbed: false,
        all,
    }
}

/// Rounds of 10,000 requests with these p99, as the scenario `fails-fast-3s` has them.
pub(super) fn entry(contender: usize, p99_ms: &[f64], errors: &[(&str, u64)]) -> Entry {
    let rounds = p99_ms.iter().map(|ms| round(5, tally(10_000, *ms, errors)));
    Entry { contender, rounds: rounds.collect(), simulated: None, failure: None }
}

/// One scenario with these entries.
pub(super) fn measured(entries: Vec<Entry>) -> Measured {
    let scenario = Scenario::read("fails-fast-3s", None).expect("it is built in");
    Measured { name: "fails-fast-3s".to_owned(), scenario, entries }
}

/// As many contenders as the entries of the scenarios have.
pub(super) fn results(scenarios: Vec<Measured>) -> Results {
    let entrant = |name: &str| Entrant {
        name: name.to_owned(),
        version: format!("{name} 1.0"),
        configuration: format!("# {name} & co\nlisten <here>;\nhttp://127.0.0.1:1\n"),
        choices: vec!["keep-alive to <backends>, as its manual says".to_owned()],
    };
    let machine = Machine {
        processor: "AMD EPYC & co".to_owned(),
        cores: 2,
        kernel: "6.1.0".to_owned(),
        versions: Vec::new(),
    };
    let count = scenarios.iter().map(|it| it.entries.len()).max().unwrap_or(0);
    Results {
        machine,
        rounds: 3,
        contenders: CONTENDERS[..count].iter().map(|name| entrant(name)).collect(),
        left_out: vec!["caddy-least-conn: there is no <caddy>; ./scripts/setup --arena".to_owned()],
        scenarios,
    }
}

/// Twelve scenarios with eight contenders, as a full run might have them: with errors, a failure, a
/// disturbed round, and a scenario that one contender can't run.
pub(super) fn full() -> Results {
    let mut rng = Rng::with_seed(7);
    let scenarios = SCENARIOS.iter().enumerate().map(|(place, name)| {
        let mut scenario = Scenario::read(name, None).expect("it is built in");
        scenario.run.warm_up = Duration::from_secs(2);
        let period = scenario.period().unwrap_or(Duration::from_secs(8));
        scenario.run.length = period.clamp(Duration::from_secs(8), Duration::from_secs(30));
        let entries = (0..CONTENDERS.len()).map(|contender| {
            // How well each does is made up; the first is good, the second is not.
            let skill = [1.0, 2.6, 1.3, 1.45, 1.35, 1.6, 1.7, 1.15][contender];
            let skill = skill * rng.f64().mul_add(0.4, 0.8);
            let rounds = (0..3).map(|_| made_up(&scenario, skill, &mut rng)).collect();
            let simulated = (contender % 2 == 0).then(|| predicted(&scenario, skill, place));
            Entry { contender, rounds, simulated, failure: None }
        });
        Measured { name: (*name).to_owned(), entries: entries.collect(), scenario }
    });
    let mut results = results(scenarios.collect());
    results.scenarios[2].entries[6].failure = Some("it ended with status 1: <oops>".to_owned());
    results.scenarios[2].entries[6].rounds.truncate(1);
    results.scenarios[11].entries[7].failure = Some("it has no such setting".to_owned());
    results.scenarios[11].entries[7].rounds.clear();
    results.scenarios[1].entries[3].rounds[1].is_disturbed = true;
    results.scenarios[1].entries[3].rounds[1].lag_ms = 3.2;
    results
}

/// What is slow or fails in a slice is so for whoever has little skill.
fn made_up(scenario: &Scenario, skill: f64, rng: &mut Rng) -> Round {
    const STEP: f64 = 0.25;
    let seconds = scenario.run.length.as_secs_f64();
    let warm_up = scenario.run.warm_up.as_secs_f64();
    let backends = scenario.each_backend().count();
    let mut series = Vec::new();
    let mut all = tally(0, 0.0, &[]);
    let mut failed = 0;
    for at in (0..).map(|n| f64::from(n) * STEP).take_while(|at| *at < warm_up + seconds) {
        let mut worst: f64 = 1.0;
        let mut errors = 0;
        let weight = |(index, group): (usize, &crate::scenario::Group)| {
            let now = Duration::from_secs_f64(at + STEP / 2.0);
            let phase = group.script.iter().find(|phase| phase.window.contains(now));
            let share = 1.0 + 0.1 * (at + index as f64).sin();
            match phase.map(|phase| phase.conduct) {
                None => share,
                Some(Conduct::Fail(..)) if skill > 1.5 => {
                    errors = 20;
                    share * 3.0
                }
                Some(_) => {
                    worst = skill * 4.0;
                    share * 0.3 * skill / 2.6
                }
            }
        };
        let weights: Vec<f64> = scenario.each_backend().enumerate().map(weight).collect();
        let total: f64 = weights.iter().sum();
        let received = weights.iter().map(|weight| whole(weight / total * 400.0)).collect();
        let p99_ms = 4.0 * skill * worst * rng.f64().mul_add(0.3, 0.9);
        series.push(Slice {
            from_s: at,
            p50_ms: p99_ms / 6.0,
            p99_ms,
            requests: 400,
            errors,
            received,
        });
        if at >= warm_up {
            failed += errors;
            for _ in 0..50 {
                let us = p99_ms * 1e3 * (0.9 * normal(rng) - 2.1).exp();
                let _ = all.latencies.record_n(whole(us.max(1.0)), 8);
            }
        }
    }
    all.errors.extend((failed > 0).then(|| ("503".to_owned(), failed)));
    let mut received = vec![0; backends];
    for slice in series.iter().filter(|slice| slice.from_s >= warm_up) {
        received.iter_mut().zip(&slice.received).for_each(|(sum, count)| *sum += count);
    }
    received[0] += all.latencies.len() - received.iter().sum::<u64>().min(all.latencies.len());
    let focus = vec![all.clone(); scenario.focus.len()];
    let cpu_us_per_request = 20.0 * skill;
    Round {
        all,
        focus,
        series,
        seconds,
        sent: received.iter().sum(),
        received,
        cpu_us_per_request,
        backends_us_per_request: 15.0,
        lag_ms: 0.2,
        others: 0.0,
        is_disturbed: false,
    }
}

fn predicted(scenario: &Scenario, skill: f64, place: usize) -> Predicted {
    let wrong = 1.0 + 0.03 * place as f64;
    let backends = scenario.each_backend().count();
    Predicted {
        policy: "adaptive".to_owned(),
        latency_ms: [0.8, 0.5, 2.1, 4.0, 8.0].map(|ms| ms * skill * wrong),
        per_second: 1600.0,
        error_part: 0.0,
        shares: vec![1.0 / backends as f64; backends],
    }
}
