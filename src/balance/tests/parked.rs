//! Requests that wait for something else than a backend's speed: long polls, and tunnels.

use super::*;

/// One backend with a request that was sent at once, and nothing more.
fn waiting(policy: Policy) -> (Scene, Lease) {
    let mut scene = Scene::of(1, policy);
    let lease = scene.acquire();
    (scene, lease)
}

#[test]
fn a_request_is_parked_after_a_second_if_a_younger_one_was_answered() {
    let (mut scene, mut poll) = waiting(Policy::Adaptive);
    scene.pass(1);
    let younger = scene.acquire();
    scene.answer_after(10, younger);
    scene.pass(988);
    assert!(!scene.balancer.park(&mut poll, scene.now), "999 ms");
    scene.pass(1);
    assert!(scene.balancer.park(&mut poll, scene.now));
    assert!(scene.balancer.park(&mut poll, scene.now), "it stays parked");
    let next = scene.acquire();
    assert_eq!((next.in_flight(), scene.in_flight()), (1, vec![2]));
    scene.release_all(vec![next, poll]);
    assert_eq!(scene.in_flight(), [0]);
}

#[test]
fn a_hung_backend_parks_nothing() {
    let (mut scene, mut oldest) = waiting(Policy::Adaptive);
    scene.pass(1);
    let mut younger = scene.acquire();
    scene.pass(5_000);
    assert!(!scene.balancer.park(&mut oldest, scene.now));
    scene.observe(&mut oldest, Outcome::Answered);
    assert!(!scene.balancer.park(&mut younger, scene.now), "an older one was answered");
    scene.observe(&mut younger, Outcome::Failed);
    assert!(!scene.balancer.park(&mut oldest, scene.now), "a failure is no answer");
    scene.release_all(vec![oldest, younger]);
}

#[test]
fn a_parked_request_is_unparked_when_it_is_sent_again() {
    let (mut scene, mut lease) = waiting(Policy::Adaptive);
    scene.pass(1);
    let younger = scene.acquire();
    scene.answer_after(1_000, younger);
    assert!(scene.balancer.park(&mut lease, scene.now));
    scene.balancer.restart(&mut lease, scene.now);
    assert!(!scene.balancer.park(&mut lease, scene.now));
    let next = scene.acquire();
    assert_eq!(next.in_flight(), 2);
    scene.release_all(vec![lease, next]);
}

#[test]
fn long_polls_do_not_repel_requests_from_their_backend() {
    let mut scene = Scene::measured(Policy::Adaptive, [10, 10, 10]);
    // Thirty polls, which all hang at the first backend.
    let mut polls: Vec<Lease> = (0..30).map(|_| scene.acquire_only(0)).collect();
    scene.pass(1);
    let younger = scene.acquire_only(0);
    scene.answer_after(10, younger);
    assert!(!scene.next(9).contains(&0));
    scene.pass(1_000);
    assert!(polls.iter_mut().all(|poll| scene.balancer.park(poll, scene.now)));
    assert!(scene.next(9).contains(&0));
    scene.release_all(polls);
}

#[test]
fn a_tunnel_is_measured_once_and_then_spread_evenly() {
    let mut scene = Scene::measured(Policy::Adaptive, [10, 10, 10]);
    let mut tunnels = Vec::new();
    for _ in 0..30 {
        let mut lease = scene.acquire();
        scene.pass(10);
        scene.observe(&mut lease, Outcome::Answered);
        scene.balancer.becomes_tunnel(&mut lease);
        tunnels.push(lease);
    }
    let mut held = [0; 3];
    for lease in &tunnels {
        held[lease.backend().slot()] += 1;
    }
    assert_eq!(held, [10, 10, 10]);
    let next = scene.acquire();
    assert_eq!(next.in_flight(), 1, "a tunnel is not in flight");
    scene.balancer.release(next);
    scene.release_all(tunnels);
    assert_eq!(scene.in_flight(), [0, 0, 0]);
}

#[test]
fn least_conn_counts_tunnels_and_parked_requests() {
    let mut scene = Scene::of(2, Policy::LeastConn);
    let mut tunnels: Vec<Lease> = (0..3).map(|_| scene.acquire_only(0)).collect();
    for tunnel in &mut tunnels {
        scene.balancer.observe(tunnel, Outcome::Answered, scene.now);
        scene.balancer.becomes_tunnel(tunnel);
    }
    assert_eq!(scene.next(4), [1, 1, 1, 0]);
    scene.release_all(tunnels);
    assert_eq!(scene.next(4).iter().sum::<usize>(), 2, "and now they are equal");
}
