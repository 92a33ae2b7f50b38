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
