//! The policy as a specification. The numbers follow from its formulae, with a calculator.

use super::*;
use crate::balance::load::{Held, LoadNow};
use crate::balance::tests::{candidates, ids};

const MS: Nanos = 1_000_000;
const S: Nanos = 1_000 * MS;

/// A policy over some backends, and what one worker knows.
struct Scene {
    policy: Adaptive,
    answers: Answers,
    now: Nanos,
}

impl Scene {
    fn new() -> Self {
        let policy = Adaptive::new(4, Times::DEFAULT);
        Self { policy, answers: Answers::default(), now: 100 * S }
    }

    /// One backend of which this is known, in a fleet whose answers took `mean_ms`.
    fn knowing(latency_ms: f64, weight: f64, usual: f64, mean_ms: f64) -> Self {
        let mut scene = Self::new();
        scene.answers.add(mean_ms * 1e6);
        scene.set(0, latency_ms, weight, usual);
        scene
    }

    fn set(&mut self, backend: usize, latency_ms: f64, weight: f64, usual: f64) {
        let estimate = Estimate { latency: latency_ms * 1e6, weight, usual, at: self.now };
        self.learnt(backend).store(estimate);
    }

    fn learnt(&self, backend: usize) -> &Learnt {
        &self.policy.learnt[ids(4)[backend]]
    }

    fn observe(&mut self, backend: usize, outcome: Outcome, took_ms: u64, in_flight: u32) {
        let (backend, took) = (ids(4)[backend], took_ms * MS);
        let (relates, now) = (true, self.now);
        let sample = Sample { backend, outcome, took, in_flight, relates, now };
        self.policy.observe(&sample, &mut self.answers);
    }

    fn pass(&mut self, time: Nanos) {
        self.now += time;
    }

    /// `L` in milliseconds, `w` and `m`.
    fn known(&self, backend: usize) -> Option<[f64; 3]> {
        let known = self.learnt(backend).estimate()?;
        Some([known.latency / 1e6, known.weight, known.usual])
    }

    fn check(&self, backend: usize, expected: [f64; 3]) {
        let known = self.known(backend).unwrap();
        let is_close = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-6;
        assert!(known.iter().zip(&expected).all(is_close), "{known:?}, not {expected:?}");
    }

    fn check_mean(&self, expected_ms: f64) {
        let mean = self.answers.mean().unwrap() / 1e6;
        assert!((mean - expected_ms).abs() < 1e-6, "{mean}, not {expected_ms}");
    }

    /// The scores in milliseconds of backends with so many requests in flight.
    fn scores(&self, in_flight: &[u32]) -> Vec<f64> {
        self.ranked(in_flight, |_| {}).iter().map(|c| c.score / 1e6).collect()
    }

    fn ranked(&self, in_flight: &[u32], change: impl Fn(&mut [Candidate])) -> Vec<Candidate> {
        let mut candidates = candidates(in_flight.len());
        for (candidate, in_flight) in candidates.iter_mut().zip(in_flight) {
            let load = LoadNow::default();
            (0..*in_flight).for_each(|_| assert!(load.claim(None).is_some()));
            candidate.load = load.get();
        }
        change(&mut candidates);
        let view = View { now: self.now, resample_after: 60 * S, answers: &self.answers };
        self.policy.rank(&mut candidates, &view);
        candidates
    }
}

fn close(found: &[f64], expected: &[f64]) {
    let is_close = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-6;
    let same = found.len() == expected.len() && found.iter().zip(expected).all(is_close);
    assert!(same, "{found:?}, not {expected:?}");
}

#[test]
fn the_first_answer_of_all_is_the_estimate() {
    let mut scene = Scene::new();
    scene.observe(0, Outcome::Answered, 20, 4);
    scene.check(0, [20.0, 1.0, 4.0]);
    scene.check_mean(20.0);
}

#[test]
fn the_first_answer_of_another_backend_is_averaged_with_twice_the_mean_of_the_fleet() {
    let mut scene = Scene::new();
    scene.observe(0, Outcome::Answered, 20, 1);
    scene.observe(1, Outcome::Answered, 50, 2);
    // (50 + 2·20)/3; then P = 20 + (50 − 20)/2.
    scene.check(1, [30.0, 3.0, 2.0]);
    scene.check_mean(35.0);
}

#[test]
fn a_failure_of_an_unmeasured_backend_counts_as_five_times_the_mean_or_as_nothing() {
    for outcome in [Outcome::Failed, Outcome::Unreachable] {
        let mut scene = Scene::new();
        scene.observe(0, outcome, 1, 1);
        assert_eq!((scene.known(0), scene.answers.mean()), (None, None));
        scene.observe(1, Outcome::Answered, 30, 1);
        scene.observe(0, outcome, 1, 2);
        // (5·30 + 2·30)/3, and no answer.
        scene.check(0, [70.0, 3.0, 2.0]);
        scene.check_mean(30.0);
    }
}

#[test]
fn an_error_that_is_no_failure_of_an_unmeasured_backend_counts_as_the_mean_if_it_was_faster() {
    let mut scene = Scene::new();
    scene.observe(0, Outcome::Declined, 1, 1);
    assert_eq!(scene.known(0), None, "nothing is known of the fleet");
    scene.observe(1, Outcome::Answered, 30, 1);
    scene.observe(0, Outcome::Declined, 1, 2);
    scene.check(0, [30.0, 3.0, 2.0]);
    scene.check_mean(30.0);
    scene.observe(2, Outcome::Declined, 90, 1);
    // (90 + 2·30)/3.
    scene.check(2, [50.0, 3.0, 1.0]);
}

#[test]
fn the_estimate_is_the_mean_of_all_samples_until_there_are_ten() {
    let mut scene = Scene::new();
    for (n, latency) in [10, 20, 30, 20, 45].into_iter().enumerate() {
        scene.observe(0, Outcome::Answered, latency, u32::try_from(n).unwrap() + 1);
        scene.pass(500 * MS);
    }
    // (10 + 20 + 30 + 20 + 45)/5, and the mean of 1 to 5 in flight: old samples count in full.
    scene.check(0, [25.0, 5.0, 3.0]);
}

#[test]
fn with_more_samples_it_is_the_mean_of_the_last_second() {
    let mut scene = Scene::knowing(50.0, 20.0, 4.0, 50.0);
    scene.pass(500 * MS);
    scene.observe(0, Outcome::Answered, 70, 8);
    // w = 20·e^−0.5 + 1, L = 50 + 20/w, m = 4 + 4/w.
    scene.check(0, [51.523_158_112, 13.130_613_193, 4.304_631_622]);
    // w = 20·e^−1 = 7.36, which is less than 10.
    let mut scene = Scene::knowing(50.0, 20.0, 4.0, 50.0);
    scene.pass(S);
    scene.observe(0, Outcome::Answered, 61, 4);
    scene.check(0, [51.0, 11.0, 4.0]);
}

#[test]
fn a_sample_counts_as_five_times_the_estimate_at_most_and_a_hundred_nanoseconds_at_least() {
    let mut scene = Scene::knowing(10.0, 3.0, 1.0, 10.0);
    scene.observe(0, Outcome::Answered, 1_000, 1);
    // 10 + (50 − 10)/4, and P = 10 + (50 − 10)/2.
    scene.check(0, [20.0, 4.0, 1.0]);
    scene.check_mean(30.0);
    let mut scene = Scene::new();
    scene.observe(0, Outcome::Answered, 0, 1);
    scene.check(0, [0.000_1, 1.0, 1.0]);
}

#[test]
fn a_slow_backend_without_samples_is_forgotten_to_be_slow() {
    let mut scene = Scene::knowing(200.0, 8.0, 2.0, 50.0);
    scene.pass(10 * S);
    scene.observe(0, Outcome::Answered, 60, 5);
    // L = 50 + 150/e = 105.18 and w = 8/e = 2.943, then one sample more: w = 3.943,
    // L = 105.18 + (60 − 105.18)/w, m = 2 + 3/w.
    scene.check(0, [93.723_252_961, 3.943_035_529, 2.760_835_142]);
    // Not after a second, and not one that is faster than the fleet.
    for (latency, idle) in [(200.0, S), (40.0, 10 * S)] {
        let mut scene = Scene::knowing(latency, 3.0, 1.0, 50.0);
        scene.pass(idle);
        scene.observe(0, Outcome::Answered, 100, 1);
        scene.check(0, [latency + (100.0 - latency) / 4.0, 4.0, 1.0]);
    }
}

#[test]
fn a_choice_forgets_without_storing_it() {
    let mut scene = Scene::knowing(200.0, 8.0, 4.0, 50.0);
    scene.pass(S);
    close(&scene.scores(&[0]), &[100.0]);
    scene.pass(4 * S);
    // (50 + 150·e^−0.5)/√4.
    close(&scene.scores(&[0]), &[70.489_799_478]);
    scene.check(0, [200.0, 8.0, 4.0]);
}

#[test]
fn a_failure_counts_as_five_times_the_latency_however_short_it_was() {
    for outcome in [Outcome::Failed, Outcome::Unreachable] {
        // Of its own latency or the fleet's, whichever is more.
        let mut scene = Scene::knowing(10.0, 4.0, 1.0, 20.0);
        scene.observe(0, outcome, 1, 1);
        // 10 + (100 − 10)/5.
        scene.check(0, [28.0, 5.0, 1.0]);
        scene.check_mean(20.0);
        let mut scene = Scene::knowing(40.0, 4.0, 1.0, 20.0);
        scene.observe(0, outcome, 1, 1);
        // 40 + (200 − 40)/5.
        scene.check(0, [72.0, 5.0, 1.0]);
        // As long as it took, if that is more, and never clipped.
        let mut scene = Scene::knowing(10.0, 4.0, 1.0, 20.0);
        scene.observe(0, outcome, 1_010, 1);
        scene.check(0, [210.0, 5.0, 1.0]);
    }
}

#[test]
fn a_failure_counts_as_a_hundred_times_the_mean_at_most() {
    let mut scene = Scene::knowing(10.0, 4.0, 1.0, 20.0);
    scene.observe(0, Outcome::Failed, 60_000, 1);
    // 10 + (2000 − 10)/5.
    scene.check(0, [408.0, 5.0, 1.0]);
    // A backend that is worse than that already becomes no worse.
    let mut scene = Scene::knowing(3_000.0, 4.0, 1.0, 20.0);
    scene.observe(0, Outcome::Failed, 60_000, 1);
    scene.check(0, [3_000.0, 5.0, 1.0]);
}

#[test]
fn a_failure_weighs_as_much_at_any_rate_of_requests() {
    let mut scene = Scene::knowing(10.0, 1_000.0, 1.0, 10.0);
    scene.observe(0, Outcome::Failed, 1, 1);
    // 10 + (50 − 10)/11.
    scene.check(0, [13.636_363_636, 11.0, 1.0]);
}

#[test]
fn a_fast_error_that_is_no_failure_counts_as_the_estimate() {
    let mut scene = Scene::knowing(40.0, 3.0, 1.0, 20.0);
    scene.observe(0, Outcome::Declined, 1, 5);
    // It is a sample, m = 1 + 4/4, and an answer: P = 20 + (40 − 20)/2.
    scene.check(0, [40.0, 4.0, 2.0]);
    scene.check_mean(30.0);
    scene.observe(0, Outcome::Declined, 90, 2);
    scene.check(0, [50.0, 5.0, 2.0]);
}

#[test]
fn a_client_that_leaves_says_only_that_it_waited_so_long() {
    let mut scene = Scene::knowing(40.0, 3.0, 1.0, 20.0);
    for waited in [0, 39, 40] {
        scene.observe(0, Outcome::Abandoned, waited, 9);
        scene.check(0, [40.0, 3.0, 1.0]);
    }
    scene.observe(0, Outcome::Abandoned, 60, 5);
    scene.check(0, [45.0, 4.0, 2.0]);
    scene.observe(0, Outcome::Abandoned, 60_000, 2);
    // 45 + (5·45 − 45)/5.
    scene.check(0, [81.0, 5.0, 2.0]);
    scene.check_mean(20.0);
    scene.observe(1, Outcome::Abandoned, 60_000, 2);
    assert_eq!(scene.known(1), None, "one that is not measured stays so");
}

#[test]
fn a_clock_that_is_a_little_behind_does_no_harm() {
    let mut scene = Scene::knowing(10.0, 50.0, 1.0, 5.0);
    scene.now -= 3 * MS;
    scene.observe(0, Outcome::Answered, 61, 1);
    scene.check(0, [10.784_313_725, 51.0, 1.0]);
    assert_eq!(scene.learnt(0).estimate().unwrap().at, 100 * S, "the last sample is the last");
    close(&scene.scores(&[0]), &[10.784_313_725]);
}

#[test]
fn the_score_is_the_latency_times_the_queue_by_the_root_of_the_usual_load() {
    let mut scene = Scene::knowing(20.0, 9.0, 4.0, 20.0);
    scene.set(1, 10.0, 9.0, 1.0);
    // 20·(3 + 1)/√4 and 10·(1 + 1)/√1.
    close(&scene.scores(&[3, 1]), &[40.0, 20.0]);
    // With a weight of 4: 20·(3 + 1)/√(4·4).
    let weighted = scene.ranked(&[3, 1], |candidates| {
        (candidates[0].weight, candidates[0].handicap) = (4.0, 0.5);
    });
    close(&[weighted[0].score / 1e6], &[20.0]);
}

#[test]
fn the_example_in_docs_balancing_is_right() {
    let mut scene = Scene::new();
    scene.observe(0, Outcome::Answered, 20, 1);
    scene.check(0, [20.0, 1.0, 1.0]);
    scene.observe(1, Outcome::Answered, 50, 1);
    scene.check(1, [30.0, 3.0, 1.0]);
    scene.check_mean(35.0);
    scene.observe(0, Outcome::Answered, 30, 2);
    scene.check(0, [25.0, 2.0, 1.5]);
    scene.check_mean(33.333_333_333);
    scene.observe(1, Outcome::Answered, 300, 2);
    scene.check(1, [60.0, 4.0, 1.25]);
    scene.check_mean(62.5);
    scene.observe(0, Outcome::Failed, 1, 3);
    scene.check(0, [120.833_333_333, 3.0, 2.0]);
    scene.check_mean(62.5);
    close(&scene.scores(&[2, 1]), &[256.326_208_180, 107.331_262_920]);
    scene.pass(5 * S);
    close(&scene.scores(&[0, 0]), &[69.212_287_135, 53.665_631_460]);
    close(&scene.scores(&[0, 1]), &[69.212_287_135, 107.331_262_920]);
    scene.observe(0, Outcome::Answered, 40, 1);
    scene.check(0, [77.352_823_570, 2.819_591_979, 1.645_338_756]);
    scene.check_mean(58.0);
}

#[test]
fn while_none_is_measured_the_least_in_flight_wins_and_later_only_the_measured_ones() {
    let mut scene = Scene::new();
    let ranked = scene.ranked(&[2, 0, 1], |_| {});
    let scores: Vec<f64> = ranked.iter().map(|candidate| candidate.score).collect();
    close(&scores, &[3.0, 1.0, 2.0]);
    assert!(ranked.iter().all(|candidate| candidate.lack == Some(Lack::Unmeasured)));
    scene.observe(2, Outcome::Answered, 10, 1);
    let ranked = scene.ranked(&[0, 0, 50], |_| {});
    assert!(ranked[0].score.is_infinite());
    assert_eq!(ranked.map_lacking(), [Some(Lack::Unmeasured), Some(Lack::Unmeasured), None]);
    scene.pass(60 * S);
    let ranked = scene.ranked(&[0, 0, 0], |_| {});
    assert_eq!(ranked.map_lacking()[2], Some(Lack::Since(100 * S)), "its sample is a minute old");
}

trait Lacking {
    fn map_lacking(&self) -> Vec<Option<Lack>>;
}

impl Lacking for Vec<Candidate> {
    fn map_lacking(&self) -> Vec<Option<Lack>> {
        self.iter().map(|candidate| candidate.lack).collect()
    }
}

#[test]
fn among_scores_within_a_twentieth_the_fewest_tunnels_win() {
    let mut scene = Scene::knowing(100.0, 9.0, 1.0, 100.0);
    scene.set(1, 104.0, 9.0, 1.0);
    scene.set(2, 106.0, 9.0, 1.0);
    let best = |tunnels: [u32; 3]| {
        let ranked = scene.ranked(&[0; 3], |candidates| {
            for (candidate, tunnels) in candidates.iter_mut().zip(tunnels) {
                let load = LoadNow::default();
                for _ in 0..tunnels {
                    assert!(load.claim(None).is_some());
                    load.shift(Held::InFlight, Held::Tunnel);
                }
                candidate.load = load.get();
            }
        });
        let least = ranked.iter().min_by(|a, b| a.score.total_cmp(&b.score));
        least.map(|candidate| candidate.id.slot())
    };
    assert_eq!(best([0, 0, 0]), Some(0));
    assert_eq!(best([1, 0, 0]), Some(1), "104 is within a twentieth of 100");
    assert_eq!(best([3, 3, 0]), Some(0), "106 is not");
    assert_eq!(best([3, 2, 0]), Some(1));
}

#[test]
fn an_answer_that_meets_a_writer_is_dropped_and_a_failure_is_counted_by_that_one() {
    let mut scene = Scene::knowing(10.0, 4.0, 1.0, 20.0);
    assert!(scene.learnt(0).begin(false));
    scene.observe(0, Outcome::Answered, 50, 1);
    scene.observe(0, Outcome::Abandoned, 50, 1);
    scene.check(0, [10.0, 4.0, 1.0]);
    for _ in 0..3 {
        scene.observe(0, Outcome::Failed, 1, 7);
    }
    scene.check(0, [10.0, 4.0, 1.0]);
    scene.learnt(0).end(scene.now, Times::DEFAULT, scene.answers.mean());
    // 10 + 90/5 = 28, 28 + (140 − 28)/6 = 46.67, 46.67 + (233.3 − 46.67)/7.
    scene.check(0, [73.333_333_333, 7.0, 1.0]);
    assert!(scene.learnt(0).begin(false), "nobody writes any more");
}

#[test]
fn a_failure_of_an_unmeasured_backend_that_meets_a_writer_is_counted_as_well() {
    let mut scene = Scene::knowing(10.0, 4.0, 1.0, 20.0);
    assert!(scene.learnt(1).begin(false));
    scene.observe(1, Outcome::Failed, 1, 1);
    scene.learnt(1).end(scene.now, Times::DEFAULT, scene.answers.mean());
    // (100 + 2·20)/3.
    scene.check(1, [46.666_666_667, 3.0, 1.0]);
}

#[test]
fn no_failure_of_many_threads_is_lost() {
    // Each failure of a backend like the fleet makes it worse; the worst are all alike.
    let scene = Scene::knowing(10.0, 1.0, 1.0, 10.0);
    let times = Times::DEFAULT;
    let failures = |count: u32| {
        let alone = Scene::knowing(10.0, 1.0, 1.0, 10.0);
        assert!(alone.learnt(0).begin(false));
        alone.learnt(0).count_waiting(count.into(), alone.now, times, alone.answers.mean());
        alone.known(0).unwrap()
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut answers = scene.answers.clone();
                let backend = ids(4)[0];
                let outcome = Outcome::Failed;
                let (took, in_flight, relates, now) = (0, 1, false, scene.now);
                let sample = Sample { backend, outcome, took, in_flight, relates, now };
                (0..5).for_each(|_| scene.policy.observe(&sample, &mut answers));
            });
        }
    });
    assert!(failures(19)[0] < failures(20)[0], "the twentieth still counts");
    scene.check(0, failures(20));
}

#[test]
fn a_backend_is_forgotten_when_another_one_has_its_slot() {
    let mut scene = Scene::new();
    scene.observe(0, Outcome::Answered, 20, 1);
    scene.policy.forget(ids(4)[0]);
    assert_eq!((scene.known(0), scene.policy.estimate(ids(4)[0])), (None, None));
    assert_eq!(scene.learnt(0).observed_at.load(Relaxed), NEVER);
    scene.observe(0, Outcome::Answered, 20, 1);
    assert_eq!(scene.policy.estimate(ids(4)[0]), Some(20 * MS));
}
