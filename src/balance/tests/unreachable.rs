//! What happens to a backend that refuses its connections, and to the requests meant for it.

use super::*;

/// Three measured backends, the first the best, of which some have just refused a connection.
fn with_refusals(policy: Policy, refusing: &[usize]) -> Scene {
    let mut scene = match policy {
        Policy::RoundRobin | Policy::LeastConn => Scene::of(3, policy),
        _ => Scene::measured(policy, [10, 200, 250]),
    };
    for &index in refusing {
        scene.refuse(index);
    }
    scene
}

fn is_ejected(scene: &Scene) -> Vec<bool> {
    scene.ids().into_iter().map(|id| scene.is_ejected(id)).collect()
}

#[test]
fn nobody_is_sent_to_a_backend_that_cools_off() {
    let mut scene = with_refusals(Policy::RoundRobin, &[1]);
    assert_eq!(scene.next(6), [0, 2, 0, 2, 0, 2], "and the others share its load evenly");
    for policy in [SMA, EWMA] {
        let mut scene = with_refusals(policy, &[0]);
        assert_eq!(scene.next(3), [1; 3], "the best of the others: {policy}");
    }
}

#[test]
fn a_refused_connection_is_no_sample() {
    assert_eq!(with_refusals(SMA, &[0]).estimates_ms()[0], Some(10));
    let mut scene = Scene::of(1, SMA);
    scene.refuse(0);
    assert_eq!(scene.estimates_ms(), [None]);
}

#[test]
fn when_its_time_is_over_one_request_goes_there_and_the_others_wait_for_what_it_finds() {
    for policy in Policy::ALL {
        let mut scene = with_refusals(policy, &[0]);
        scene.pass(499);
        assert!(!scene.next(6).contains(&0), "{policy}");
        scene.pass(1);
        let probe = scene.acquire();
        assert_eq!((probe.backend().slot(), is_probe(&probe)), (0, true), "{policy}");
        assert!(!scene.next(6).contains(&0), "{policy}");
        scene.answer_after(1, probe);
        assert_eq!(is_ejected(&scene), [false; 3], "{policy}");
        assert!(scene.next(6).contains(&0), "{policy}");
    }
}

#[test]
fn a_probe_that_takes_too_long_or_waits_for_its_client_leaves_its_place_and_still_counts() {
    for waits in [false, true] {
        let mut scene = with_refusals(Policy::RoundRobin, &[0]);
        scene.pass(500);
        let mut slow = scene.acquire();
        if waits {
            scene.balancer.yield_probe(&mut slow);
        } else {
            scene.pass(4_999);
            assert!(!scene.next(6).contains(&0));
            scene.pass(1);
        }
        let next = scene.acquire();
        assert_eq!((next.backend().slot(), is_probe(&next)), (0, true));
        assert!(!scene.next(6).contains(&0), "and the place is taken again");
        scene.answer_after(1, slow);
        assert_eq!(is_ejected(&scene), [false; 3]);
        scene.balancer.release(next);
    }
}

#[test]
fn a_probe_that_fails_doubles_the_time_and_one_that_leaves_no_outcome_is_sent_again() {
    for outcome in [Outcome::Unreachable, Outcome::Failed] {
        let mut scene = with_refusals(Policy::RoundRobin, &[0]);
        scene.pass(500);
        let given_up = scene.acquire();
        scene.balancer.release(given_up);
        let probe = scene.acquire();
        assert!(is_probe(&probe), "the first one's client left");
        scene.finish(probe, outcome);
        scene.pass(999);
        assert!(!scene.next(6).contains(&0), "{outcome:?}");
        scene.pass(1);
        assert_eq!(scene.next(1), [0], "{outcome:?}");
    }
}

#[test]
fn a_hundred_requests_refused_together_are_one_outage() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    let leases: Vec<Lease> = (0..100).map(|_| scene.acquire_only(0)).collect();
    for lease in leases {
        scene.pass(1);
        scene.finish(lease, Outcome::Unreachable);
    }
    scene.pass(401);
    assert_eq!(scene.next(1), [0], "500 ms after the first refusal");
}

#[test]
fn what_was_sent_before_the_outage_does_not_end_it() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    let before = scene.acquire_only(0);
    scene.pass(10);
    scene.refuse(0);
    scene.answer_after(10, before);
    assert!(is_ejected(&scene)[0], "a process that shuts down finishes what it has");
}

#[test]
fn with_all_cooling_off_the_one_due_soonest_is_tried_rather_than_none() {
    for policy in Policy::ALL {
        let mut scene = with_refusals(policy, &[1]);
        scene.pass(100);
        scene.refuse(2);
        scene.pass(100);
        scene.refuse(0);
        assert_eq!(is_ejected(&scene), [true; 3]);

        let mut tried = Tried::default();
        for index in [1, 2, 0] {
            let lease = scene.acquire_other(&tried).unwrap();
            assert_eq!(lease.backend().slot(), index, "{policy}");
            tried.insert(lease.backend());
            scene.finish(lease, Outcome::Unreachable);
        }
        assert!(scene.acquire_other(&tried).is_none());

        // Refusals before a backend was due tell nothing new. The first to be back is found at
        // once.
        let lease = scene.acquire();
        assert_eq!(lease.backend().slot(), 1, "{policy}");
        scene.answer_after(1, lease);
        assert_eq!(is_ejected(&scene), [true, false, true], "{policy}");
        assert_eq!(scene.next(4), [1; 4], "{policy}");
    }
}

#[test]
fn the_only_backend_is_tried_by_every_request_while_it_cools_off() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(1, policy);
        for _ in 0..50 {
            scene.refuse(0);
            scene.pass(1);
        }
        assert_eq!(scene.next(3), [0; 3]);
        let lease = scene.acquire();
        scene.answer_after(1, lease);
        assert_eq!(is_ejected(&scene), [false], "{policy}");
    }
}

#[test]
fn an_unmeasured_backend_that_was_out_of_reach_is_measured_when_it_is_back() {
    let mut scene = Scene::of(2, EWMA);
    let [gone, answers] = [(); 2].map(|()| scene.acquire());
    scene.finish(gone, Outcome::Unreachable);
    scene.answer_after(200, answers);
    assert_eq!(scene.next(3), [1; 3]);
    scene.pass(300);
    let probe = scene.acquire();
    scene.answer_after(10, probe);
    assert_eq!(scene.estimates_ms(), [Some(10), Some(200)]);
}
