//! Some of the targets in a short form, with fixed seeds and a tenth of slack.

use super::*;
use crate::simulate::targets::{Judge, TARGETS, Target, table};

const SLACK: f64 = 1.1;

fn assert_met(targets: &[Target], seconds: u64) {
    let mut judge = Judge::default();
    let length = Duration::from_secs(seconds);
    let shorten = |scenario: &mut Scenario| {
        scenario.run = Run { length, seeds: 1, ..scenario.run };
    };
    for target in targets {
        let judged = judge.judge(*target, shorten).unwrap();
        assert!(judged.is_met(SLACK), "{}", table(&[judged]));
    }
}

fn of(scenario: &str) -> Vec<Target> {
    TARGETS.into_iter().filter(|target| target.is_of(scenario)).collect()
}

#[test]
fn uneven_backends_that_queue_have_a_shorter_tail_than_with_others() {
    assert_met(&of("uneven")[3..6], 400);
}

#[test]
fn a_slow_backend_lengthens_the_tail_less_than_with_least_conn() {
    assert_met(&of("slow-phase"), 60);
}

#[test]
fn hedges_shorten_a_heavy_tail_by_half_for_a_twentieth_more_requests() {
    assert_met(&of("heavy-tail"), 60);
}

#[test]
fn hedges_do_no_harm_to_backends_that_are_full() {
    let of_full = |target: &Target| target.is_hedged();
    assert_met(&of("uneven").into_iter().filter(of_full).collect::<Vec<_>>(), 400);
}

#[test]
fn there_are_never_more_hedges_than_the_budget_allows() {
    for (proxies, workers) in [(1, 1), (1, 2), (4, 2)] {
        for (name, percent, attempts) in [("heavy-tail", 5, 1), ("original", 50, 3)] {
            let mut scenario = Scenario::read(name, None).unwrap();
            scenario.run = short(2000, 8000, 1);
            let of = &mut scenario.proxies;
            (of.count, of.workers, of.hedge, of.hedge_attempts) =
                (proxies, workers, percent, attempts);
            (of.hedge_delay, of.hedge_same) = (Some(Duration::from_millis(25)), attempts > 1);
            let all = run(&scenario, "adaptive").all;
            // And what each proxy had saved up before.
            let (requests, saved) = (all.requests() as f64, 10.0 * proxies as f64);
            let hedges = (all.attempts() - 1.0) * requests;
            let most = f64::from(percent) / 100.0 * requests + saved;
            let text = format!("{name}, {proxies} proxies of {workers}: {hedges} of {most}");
            assert!((0.5 * most..=most).contains(&hedges), "{text}");
        }
    }
}

#[test]
fn one_worker_may_use_what_another_leaves_of_the_budget() {
    let per_second = |workers| {
        let mut scenario = Scenario::read("original", None).unwrap();
        scenario.run = short(2000, 20_000, 1);
        let of = &mut scenario.proxies;
        (of.workers, of.hedge, of.hedge_attempts, of.hedge_same) = (workers, 50, 3, true);
        of.hedge_delay = Some(Duration::from_millis(25));
        run(&scenario, "adaptive").per_second()
    };
    assert_near("requests per second", per_second(4), per_second(1), 0.03);
}

#[test]
fn limits_that_are_known_and_a_queue_shorten_the_tail_of_backends_of_one_core() {
    assert_met(&of("one-core"), 300);
}

#[test]
fn a_backend_that_fails_fast_costs_few_requests_and_comes_back() {
    assert_met(&of("fails-fast"), 120);
}

#[test]
fn every_target_is_of_a_scenario_and_of_policies_that_there_are() {
    let mut judge = Judge::default();
    let shorten = |scenario: &mut Scenario| {
        scenario.run = short(100, 200, 1);
    };
    let judged: Vec<_> =
        TARGETS.into_iter().map(|target| judge.judge(target, shorten).unwrap()).collect();
    let text = table(&judged);
    assert_eq!(text.lines().count(), TARGETS.len() + 1, "{text}");
    assert!(text.contains("p99 ÷ least-conn") && text.contains("uneven at 0.5 "), "{text}");
}
