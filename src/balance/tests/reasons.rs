//! Why a backend was chosen, and which reason is told where several hold.

use super::*;

/// Where the next request goes if it comes to nothing, and why.
fn next(scene: &mut Scene) -> (usize, Reason) {
    next_other(scene, &Tried::default())
}

fn next_other(scene: &mut Scene, tried: &Tried) -> (usize, Reason) {
    let lease = scene.acquire_other(tried).unwrap();
    let told = (lease.backend().slot(), lease.reason());
    scene.balancer.release(lease);
    told
}

#[test]
fn round_robin_takes_turns() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    let told = [(); 3].map(|()| next(&mut scene));
    assert_eq!(told, [(0, Reason::Turn), (1, Reason::Turn), (0, Reason::Turn)]);
}

#[test]
fn the_lowest_estimate_is_the_best_alone_and_a_tie_together() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::measured(policy, [100, 300, 200]);
        assert_eq!(next(&mut scene), (0, Reason::Best));
        let mut scene = Scene::measured(policy, [100, 300, 100]);
        assert_eq!([(); 2].map(|()| next(&mut scene)), [(0, Reason::Tie), (2, Reason::Tie)]);
    }
}

#[test]
fn an_unmeasured_backend_is_probed_first_and_while_it_is_the_others_tie() {
    for policy in [SMA, EWMA] {
        let mut scene = Scene::of(2, policy);
        let probes = [(); 2].map(|()| scene.acquire());
        assert_eq!(probes.each_ref().map(Lease::reason), [Reason::First; 2]);
        assert_eq!(next(&mut scene), (0, Reason::Tie));
        scene.release_all(probes.into());
    }
}

#[test]
fn a_backend_is_tried_that_was_ejected_or_whose_sample_is_old() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(2, policy);
        scene.refuse(0);
        scene.pass(500);
        assert_eq!(next(&mut scene), (0, Reason::Trial), "{policy}");
    }
    let options = Options { policy: SMA, resample_after: Some(ms(1000)), ..exact() };
    let mut scene = Scene::measured_with(options, [400, 200, 250]);
    scene.pass(550);
    assert_eq!(next(&mut scene), (0, Reason::Trial));
}

#[test]
fn one_that_alone_takes_requests_is_the_only_one() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(2, policy);
        let probes = [(); 2].map(|()| scene.acquire());
        scene.refuse(1);
        assert_eq!(next(&mut scene), (0, Reason::Only), "{policy}");
        scene.release_all(probes.into());
    }
}

#[test]
fn with_all_ejected_the_reason_is_that_its_time_ends_first() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(2, policy);
        for slot in [1, 0] {
            scene.refuse(slot);
            scene.pass(1);
        }
        assert_eq!(next(&mut scene), (1, Reason::Cooling), "{policy}");
    }
}

#[test]
fn a_client_s_own_backend_is_the_only_one_for_it() {
    let mut scene = Scene::measured(SMA, [100, 300, 200]);
    let [_, id, _] = scene.ids()[..] else { unreachable!() };
    let lease = scene.balancer.acquire_bound(id, scene.now).lease().unwrap();
    assert_eq!((lease.backend(), lease.reason()), (id, Reason::Only));
    scene.balancer.release(lease);
}

#[test]
fn a_retry_is_told_whatever_chose_the_backend() {
    // A turn, the only one, a trial, and the first to be due.
    let mut scene = Scene::of(3, Policy::RoundRobin);
    let [first, second, third] = scene.ids()[..] else { unreachable!() };
    assert_eq!(next_other(&mut scene, &tried([first])), (1, Reason::Retry));
    assert_eq!(next_other(&mut scene, &tried([first, second])), (2, Reason::Retry));
    scene.refuse(2);
    assert_eq!(next_other(&mut scene, &tried([first, second])), (2, Reason::Retry));
    scene.pass(500);
    assert_eq!(next_other(&mut scene, &tried([third])).1, Reason::Retry);
    assert_eq!(next_other(&mut scene, &tried([first])), (2, Reason::Retry));
    // A probe of an unmeasured one, the best, and a tie.
    let mut scene = Scene::of(3, EWMA);
    assert_eq!(next_other(&mut scene, &tried([first])), (1, Reason::Retry));
    let mut scene = Scene::measured(EWMA, [100, 300, 300]);
    assert_eq!(next_other(&mut scene, &tried([second])), (0, Reason::Retry));
    assert_eq!(next_other(&mut scene, &tried([first])).1, Reason::Retry);
}

#[test]
fn a_probe_comes_before_all_that_decides_among_others() {
    // It is the only one that takes requests, and it is not measured.
    let mut scene = Scene::of(1, SMA);
    assert_eq!(next(&mut scene), (0, Reason::First));
    // All are ejected, and the time of one is over.
    let mut scene = Scene::of(2, SMA);
    scene.refuse(0);
    scene.refuse(1);
    scene.pass(500);
    assert_eq!(next(&mut scene), (0, Reason::Trial));
    // What was ejected before it was ever measured.
    let mut scene = Scene::of(1, SMA);
    scene.refuse(0);
    scene.pass(500);
    assert_eq!(next(&mut scene), (0, Reason::Trial));
}

#[test]
fn a_lone_backend_that_is_ejected_is_not_the_only_one_but_cools() {
    let mut scene = Scene::of(1, Policy::RoundRobin);
    assert_eq!(next(&mut scene), (0, Reason::Only));
    scene.refuse(0);
    assert_eq!(next(&mut scene), (0, Reason::Cooling));
}

#[test]
fn a_lease_tells_what_was_known_when_it_was_given_out() {
    let mut scene = Scene::measured(EWMA, [100, 300, 200]);
    let leases: Vec<Lease> = (0..3).map(|_| scene.acquire()).collect();
    let in_flight: Vec<u32> = leases.iter().map(Lease::in_flight).collect();
    assert_eq!(in_flight, [1, 2, 3], "itself included");
    assert!(leases.iter().all(|lease| lease.estimate() == Some(ms(100))));
    scene.release_all(leases);
    let probe = Scene::of(1, EWMA).acquire();
    assert_eq!((probe.in_flight(), probe.estimate()), (1, None));
    std::mem::forget(probe);
}

#[test]
fn each_reason_has_its_word() {
    let words = [
        (Reason::Retry, "retry"),
        (Reason::First, "first"),
        (Reason::Trial, "trial"),
        (Reason::Cooling, "cooling"),
        (Reason::Only, "only"),
        (Reason::Best, "best"),
        (Reason::Tie, "tie"),
        (Reason::Turn, "turn"),
    ];
    for (reason, word) in words {
        assert_eq!(reason.name(), word);
    }
}
