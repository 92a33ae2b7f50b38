//! Which backend is chosen, and what counts as a sample: one test for each trap of the field.

use super::*;
use crate::balance::{InvalidOptions, MAX_BACKENDS};

#[test]
fn a_sample_is_the_time_to_the_first_byte_and_a_request_is_in_flight_to_the_last() {
    let mut scene = Scene::of(1, SMA);
    let mut lease = scene.acquire();
    scene.pass(30);
    scene.observe(&mut lease, Outcome::Answered);
    scene.pass(5000);
    scene.observe(&mut lease, Outcome::Answered);
    assert_eq!((scene.estimates_ms(), scene.in_flight()), (vec![Some(30)], vec![1]));
    scene.balancer.release(lease);
    assert_eq!((scene.estimates_ms(), scene.in_flight()), (vec![Some(30)], vec![0]));
}

#[test]
fn a_stale_pooled_connection_costs_its_backend_nothing() {
    let mut scene = Scene::of(1, EWMA);
    let mut lease = scene.acquire();
    scene.pass(700);
    scene.balancer.restart(&mut lease, scene.now);
    assert_eq!((lease.started, is_probe(&lease)), (scene.nanos(), true));
    scene.answer_after(12, lease);
    assert_eq!(scene.estimates_ms(), [Some(12)]);
}

#[test]
fn the_adaptive_policies_herd_to_the_lowest_estimate_as_published() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::measured(policy, [200, 10, 250]);
        assert_eq!(scene.next(100), [1; 100], "{policy}");
    }
}

#[test]
fn the_lowest_mean_is_chosen_not_the_lowest_last_sample() {
    let mut scene = Scene::of(2, SMA);
    for (slot, samples_ms) in [[400, 400, 10], [200; 3]].into_iter().enumerate() {
        for sample in samples_ms {
            let lease = scene.acquire_only(slot);
            scene.answer_after(sample, lease);
        }
    }
    assert_eq!(scene.estimates_ms(), [Some(270), Some(200)]);
    assert_eq!(scene.next(3), [1; 3]);
}

#[test]
fn a_sample_weighs_the_same_however_much_time_passes() {
    for policy in [SMA, EWMA] {
        let estimates_ms = |apart_ms| {
            let mut scene = Scene::of(1, policy);
            let mut after = |sample| {
                scene.pass(apart_ms);
                let lease = scene.acquire();
                scene.answer_after(sample, lease);
                scene.estimates_ms()
            };
            [10, 400, 400, 20].map(&mut after)
        };
        assert_eq!(estimates_ms(3_600_000), estimates_ms(0), "{policy}");
    }
}

#[test]
fn a_backend_that_was_once_slow_is_never_looked_at_again_as_published() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::measured(policy, [400, 200, 250]);
        for _ in 0..1000 {
            let lease = scene.acquire();
            assert_eq!((lease.backend().slot(), is_probe(&lease)), (1, false), "{policy}");
            scene.answer_after(200, lease);
        }
        scene.pass(24 * 3600 * 1000);
        assert_eq!(scene.next(3), [1, 1, 1], "{policy}");
    }
}

#[test]
fn each_unmeasured_backend_gets_one_probe_and_then_requests_take_turns() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::of(3, policy);
        let leases: Vec<Lease> = (0..99).map(|_| scene.acquire()).collect();
        let probes: Vec<usize> =
            leases.iter().filter(|l| is_probe(l)).map(|l| l.backend().slot()).collect();
        assert_eq!(probes, [0, 1, 2], "{policy}");
        assert!(leases[..3].iter().all(is_probe), "the first requests are the probes");
        assert_eq!(scene.in_flight(), [33, 33, 33], "no stampede on the first: {policy}");
        scene.release_all(leases);
    }
}

#[test]
fn while_some_are_probed_requests_go_to_the_best_that_is_measured() {
    let mut scene = Scene::of(3, EWMA);
    let [first, second, third] = [(); 3].map(|()| scene.acquire());
    scene.answer_after(200, second);
    assert_eq!(scene.next(4), [1; 4]);
    scene.answer_after(50, first);
    assert_eq!(scene.next(4), [1; 4], "250 ms are more than 200");
    scene.balancer.release(third);
}

#[test]
fn a_probe_whose_client_left_or_that_failed_on_our_side_is_sent_again() {
    let mut scene = Scene::of(2, SMA);
    let given_up = scene.acquire();
    scene.pass(5);
    scene.balancer.release(given_up);
    let again = scene.acquire();
    assert_eq!((again.backend().slot(), is_probe(&again)), (0, true));
    assert_eq!(scene.estimates_ms(), [None, None], "it left no sample");
    assert!(!scene.is_ejected(again.backend()), "and no penalty");
    scene.balancer.release(again);
}

#[test]
fn a_probe_ends_with_its_outcome_not_with_its_last_byte() {
    let mut scene = Scene::of(1, EWMA);
    let mut lease = scene.acquire();
    scene.pass(10);
    scene.observe(&mut lease, Outcome::Answered);
    assert!(!is_probe(&lease));
    scene.balancer.release(lease);
    let next = scene.acquire_only(0);
    assert!(!is_probe(&next), "measured");
    scene.balancer.release(next);
}

#[test]
fn resampling_sends_one_probe_to_a_backend_that_went_unobserved() {
    let resample_after = Some(ms(1000));
    let options = Options { policy: SMA, resample_after, ..exact() };
    let mut scene = Scene::measured_with(options, [400, 200, 250]);
    scene.pass(549);
    assert_eq!(scene.next(2), [1, 1], "the first backend was observed 999 ms ago");
    scene.pass(1);
    let probe = scene.acquire();
    assert_eq!((probe.backend().slot(), is_probe(&probe)), (0, true));
    assert_eq!(scene.next(5), [1; 5], "one probe in flight, the others choose as ever");
    scene.answer_after(10, probe);
    assert_eq!(scene.estimates_ms()[0], Some(u128::midpoint(400, 10)));
    // The second backend went unobserved for 760 ms, the third for 560 ms.
    assert_eq!(scene.next(2), [1, 1]);
}

#[test]
fn round_robin_never_probes() {
    let resample_after = Some(Duration::ZERO);
    let mut scene = Scene::with(3, Options { resample_after, ..exact() });
    let leases: Vec<Lease> = (0..9).map(|_| scene.acquire()).collect();
    assert!(!leases.iter().any(is_probe));
    scene.release_all(leases);
}

#[test]
fn ties_rotate() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::measured(policy, [100, 300, 100]);
        assert_eq!(scene.next(6), [0, 2, 0, 2, 0, 2], "{policy}");
        let mut scene = Scene::measured(policy, [0, 0, 0]);
        assert_eq!(scene.next(6), [0, 1, 2, 0, 1, 2], "{policy}");
    }
}

#[test]
fn a_failure_counts_as_ten_seconds_however_fast_it_came() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::of(2, policy);
        let [fails, answers] = [(); 2].map(|()| scene.acquire());
        scene.pass(1);
        scene.finish(fails, Outcome::Failed);
        scene.answer_after(250, answers);
        assert_eq!(scene.estimates_ms(), [Some(10_000), Some(251)], "{policy}");
        assert_eq!(scene.next(10), [1; 10], "failing fast attracts nobody: {policy}");
        assert!(!scene.is_ejected(scene.ids()[0]), "it could be reached");
    }
}

#[test]
fn a_response_that_breaks_off_is_a_failure_too() {
    let mut scene = Scene::of(1, SMA);
    let mut lease = scene.acquire();
    scene.pass(20);
    scene.observe(&mut lease, Outcome::Answered);
    scene.pass(20);
    for late in [Outcome::Unreachable, Outcome::Failed, Outcome::Failed, Outcome::Answered] {
        scene.observe(&mut lease, late);
    }
    scene.balancer.release(lease);
    assert_eq!(scene.estimates_ms(), [Some(u128::midpoint(20, 10_000))], "once each");
    assert!(!scene.is_ejected(scene.ids()[0]));
}

#[test]
fn a_failed_attempt_is_over_whatever_is_said_of_it_later() {
    let mut scene = Scene::of(1, SMA);
    let mut lease = scene.acquire();
    scene.pass(20);
    scene.observe(&mut lease, Outcome::Failed);
    scene.observe(&mut lease, Outcome::Answered);
    scene.balancer.release(lease);
    assert_eq!(scene.estimates_ms(), [Some(10_000)]);
}

#[test]
fn round_robin_takes_turns_whatever_the_latencies() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    let mut served = [0; 3];
    for latency in [10, 400, 1].into_iter().cycle().take(300) {
        let lease = scene.acquire();
        served[lease.backend().slot()] += 1;
        scene.answer_after(latency, lease);
    }
    assert_eq!(served, [100, 100, 100]);
}

#[test]
fn retries_take_turns_of_their_own() {
    // The second backend answers every request with a reset; each is tried again elsewhere.
    let mut scene = Scene::with(3, Options { eject_after: None, ..exact() });
    let mut served = [0; 3];
    for _ in 0..600 {
        let mut tried = Tried::default();
        let mut lease = scene.acquire();
        while lease.backend().slot() == 1 {
            tried.insert(lease.backend());
            scene.finish(lease, Outcome::Failed);
            lease = scene.acquire_other(&tried).unwrap();
        }
        served[lease.backend().slot()] += 1;
        scene.finish(lease, Outcome::Answered);
    }
    assert_eq!(served, [300, 0, 300]);
}

#[test]
fn a_request_that_tried_every_backend_gets_none() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(3, policy);
        let all = tried(scene.ids());
        assert!(!scene.balancer.has_untried(&all));
        assert!(scene.acquire_other(&all).is_none());
        assert_eq!(scene.in_flight(), [0, 0, 0]);
    }
}

#[test]
fn estimates_survive_a_clock_that_seems_to_run_backwards_and_endless_latencies() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::of(1, policy);
        let mut lease = scene.acquire();
        let earlier = scene.now.checked_sub(ms(1)).unwrap();
        scene.balancer.observe(&mut lease, Outcome::Answered, earlier);
        scene.balancer.release(lease);
        assert_eq!(scene.estimates_ms(), [Some(0)], "{policy}");
        let day = 24 * 3600 * 1000;
        for _ in 0..100 {
            let lease = scene.acquire();
            scene.answer_after(2 * u64::try_from(day).unwrap(), lease);
        }
        let estimate = scene.estimates_ms()[0].unwrap();
        assert!((day - 1..=day).contains(&estimate), "{policy}: {estimate}");
        scene.pass(10);
    }
}

#[test]
fn a_decision_is_explained_in_one_line() {
    let mut scene = Scene::of(3, SMA);
    let [first, second, third] = [(); 3].map(|()| scene.acquire());
    scene.finish(third, Outcome::Unreachable);
    scene.pass(12);
    scene.finish(first, Outcome::Answered);
    let line = scene.balancer.explain(&second, scene.now);
    assert_eq!(line, "adaptive_sma 8081=12.0ms 8082=? 8083=ejected (first) -> 8082");
    scene.pass(500);
    let line = scene.balancer.explain(&second, scene.now);
    assert_eq!(line, "adaptive_sma 8081=12.0ms 8082=? 8083=probing (first) -> 8082");
    scene.membership.drain(scene.ids()[0]);
    let line = scene.balancer.explain(&second, scene.now);
    assert_eq!(line, "adaptive_sma 8081=down 8082=? 8083=probing (first) -> 8082");
    scene.balancer.release(second);

    let mut scene = Scene::measured(EWMA, [12, 200, 250]);
    assert_eq!(
        scene.explain(),
        "adaptive_ewma 8081=12.0ms 8082=200.0ms 8083=250.0ms (best) -> 8081"
    );

    let mut scene = Scene::of(3, Policy::RoundRobin);
    let lines = [(); 2].map(|()| scene.explain());
    assert_eq!(lines, ["round-robin (turn) -> 8081", "round-robin (turn) -> 8082"]);
}

#[test]
fn an_explanation_of_many_backends_names_the_chosen_one_and_stays_one_line() {
    let mut scene = Scene::of(MAX_BACKENDS, SMA);
    let line = scene.explain();
    assert!(line.starts_with("adaptive_sma 8081=? 8082=? "), "{line}");
    assert!(line.ends_with(" more (first) -> 8081"), "{line}");
    assert!(line.len() < 900, "{} bytes", line.len());
}

#[test]
fn impossible_options_are_refused_by_a_sentence() {
    let refusal = |policy| {
        let options = Options { policy, ..exact() };
        Membership::new(options, epoch()).map(|_| ()).map_err(|error| error.to_string())
    };
    let sma = |window| refusal(Policy::AdaptiveSma { window });
    assert!(sma(0).unwrap_err().contains("0 samples"));
    assert!(sma(1001).unwrap_err().contains("1 to 1000"));
    assert_eq!((sma(1), sma(1000)), (Ok(()), Ok(())));

    let ewma = |alpha| refusal(Policy::AdaptiveEwma { alpha });
    for alpha in [0.0, -0.2, 1.1, f64::NAN, f64::INFINITY] {
        let refused = InvalidOptions::Alpha(alpha).to_string();
        assert_eq!(ewma(alpha), Err(refused));
    }
    assert_eq!((ewma(f64::MIN_POSITIVE), ewma(1.0)), (Ok(()), Ok(())));
}
