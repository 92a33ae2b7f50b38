//! Backends that fail several times in a row, and those whose active check fails.

use super::*;
use crate::balance::{Cause, Verdict};

/// One backend fails so many requests, one after the other.
fn fail(scene: &mut Scene, slot: usize, times: usize) {
    for _ in 0..times {
        let lease = scene.acquire_only(slot);
        scene.finish(lease, Outcome::Failed);
    }
}

fn is_up(scene: &Scene) -> Vec<bool> {
    scene.ids().into_iter().map(|id| !scene.is_ejected(id)).collect()
}

#[test]
fn three_failures_in_a_row_eject_a_backend_under_every_policy() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(3, policy);
        fail(&mut scene, 1, 2);
        assert_eq!(is_up(&scene), [true; 3], "{policy}");
        fail(&mut scene, 1, 1);
        assert_eq!(is_up(&scene), [true, false, true], "{policy}");
        assert_eq!(scene.balancer.cause(scene.ids()[1]), Cause::Failures);
        assert!(!scene.next(9).contains(&1), "{policy}");
        scene.pass(500);
        let probe = scene.acquire();
        assert_eq!((probe.backend().slot(), probe.reason()), (1, Reason::Trial), "{policy}");
        scene.finish(probe, Outcome::Failed);
        scene.pass(999);
        assert!(!scene.next(9).contains(&1), "{policy}: twice as long");
        scene.pass(1);
        let probe = scene.acquire();
        scene.answer_after(1, probe);
        assert_eq!(scene.balancer.cause(scene.ids()[1]), Cause::Answered);
        assert_eq!(is_up(&scene), [true; 3], "{policy}");
    }
}

#[test]
fn an_answer_in_between_begins_another_row_but_one_that_breaks_off_does_not() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    fail(&mut scene, 1, 2);
    for outcome in [Outcome::Answered, Outcome::Declined] {
        let lease = scene.acquire_only(1);
        scene.finish(lease, outcome);
        fail(&mut scene, 1, 2);
    }
    assert_eq!(is_up(&scene), [true; 3]);
    let mut lease = scene.acquire_only(1);
    scene.observe(&mut lease, Outcome::Answered);
    scene.finish(lease, Outcome::Failed);
    assert_eq!(is_up(&scene), [true, false, true], "the third failure");
}

#[test]
fn a_tunnel_is_an_answer_when_it_begins() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    fail(&mut scene, 1, 2);
    let mut tunnel = scene.acquire_only(1);
    scene.observe(&mut tunnel, Outcome::Answered);
    scene.balancer.becomes_tunnel(&mut tunnel);
    fail(&mut scene, 1, 2);
    assert_eq!(is_up(&scene), [true; 3]);
    scene.balancer.release(tunnel);
}

#[test]
fn what_says_nothing_of_the_backend_is_no_failure() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    fail(&mut scene, 1, 2);
    for _ in 0..3 {
        let lease = scene.acquire_only(1);
        scene.finish(lease, Outcome::Abandoned);
        let lease = scene.acquire_only(1);
        scene.balancer.release(lease);
    }
    assert_eq!(is_up(&scene), [true; 3]);
    fail(&mut scene, 1, 1);
    assert_eq!(is_up(&scene), [true, false, true], "and no answer either");
}

#[test]
fn of_300_requests_that_can_t_be_sent_again_a_backend_that_always_fails_costs_few() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(3, policy);
        let mut failed = 0;
        for _ in 0..300 {
            let lease = scene.acquire();
            let fails = lease.backend().slot() == 1;
            failed += usize::from(fails);
            scene.pass(10);
            scene.finish(lease, if fails { Outcome::Failed } else { Outcome::Answered });
        }
        // Three, and a probe each after half a second, a second and two.
        assert!(failed <= 6, "{policy}: {failed}");
    }
}

#[test]
fn failures_eject_at_most_half_of_the_backends() {
    for (backends, ejected) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        let mut scene = Scene::of(backends, Policy::RoundRobin);
        for slot in 0..backends {
            fail(&mut scene, slot, 5);
        }
        let out = is_up(&scene).iter().filter(|is_up| !**is_up).count();
        assert_eq!(out, ejected, "of {backends}");
    }
}

#[test]
fn how_many_may_be_ejected_is_an_option_and_those_that_refuse_count_but_are_not_bound_by_it() {
    for (percent, ejected) in [(0, 0), (24, 0), (25, 1), (75, 3), (100, 4)] {
        let mut scene = Scene::with(4, Options { max_ejected_percent: percent, ..exact() });
        (0..4).for_each(|slot| fail(&mut scene, slot, 3));
        let out = is_up(&scene).iter().filter(|is_up| !**is_up).count();
        assert_eq!(out, ejected, "{percent} %");
    }
    let mut scene = Scene::of(4, Policy::RoundRobin);
    (0..2).for_each(|slot| scene.refuse(slot));
    fail(&mut scene, 2, 3);
    assert_eq!(is_up(&scene), [false, false, true, true], "half of them are out already");
    (2..4).for_each(|slot| scene.refuse(slot));
    assert_eq!(is_up(&scene), [false; 4]);
}

#[test]
fn one_that_failed_while_too_many_were_out_is_ejected_by_its_next_failure() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    scene.refuse(0);
    fail(&mut scene, 1, 4);
    assert_eq!(is_up(&scene), [false, true]);
    scene.pass(500);
    let probe = scene.acquire();
    scene.answer_after(1, probe);
    fail(&mut scene, 1, 1);
    assert_eq!(is_up(&scene), [true, false]);
}

#[test]
fn without_the_option_no_number_of_failures_ejects() {
    let mut scene = Scene::with(3, Options { eject_after: None, ..exact() });
    fail(&mut scene, 1, 1_000);
    assert_eq!(is_up(&scene), [true; 3]);
}

#[test]
fn a_backend_whose_check_fails_gets_nothing_until_it_passes() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(3, policy);
        let id = scene.ids()[1];
        scene.membership.checked(id, Verdict::Fails, scene.now);
        assert_eq!(scene.balancer.availability(id, scene.now), Availability::Down, "{policy}");
        assert_eq!(scene.balancer.cause(id), Cause::CheckFailed);
        scene.pass(3_600_000);
        assert!(!scene.next(9).contains(&1), "{policy}: no probe either");
        scene.membership.checked(id, Verdict::Passes, scene.now);
        assert_eq!(scene.balancer.cause(id), Cause::CheckPassed);
        assert!(scene.next(9).contains(&1), "{policy}");
        assert_eq!(scene.balancer.estimate(id), None, "a check measures nothing: {policy}");
    }
}

#[test]
fn with_all_down_the_one_with_the_least_to_do_is_tried_rather_than_none() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    for id in scene.ids() {
        scene.membership.checked(id, Verdict::Fails, scene.now);
    }
    let lease = scene.acquire();
    assert_eq!(lease.reason(), Reason::Cooling);
    scene.balancer.release(lease);
    let mut served = [0; 3];
    scene.next(9).into_iter().for_each(|slot| served[slot] += 1);
    assert_eq!(served, [3; 3]);
    let lease = scene.acquire();
    scene.answer_after(1, lease);
    assert_eq!(is_up(&scene), [false; 3], "the check decides");
}

#[test]
fn with_all_down_by_their_checks_the_policy_chooses_and_weights_limits_and_backups_hold() {
    let weight = |weight| Role { weight, ..Role::default() };
    let roles = [weight(3), weight(1), Role { tier: Tier::Backup, ..Role::default() }];
    for policy in [Policy::RoundRobin, Policy::LeastConn] {
        let mut scene = Scene::with_roles(Options { policy, ..exact() }, &roles);
        for id in scene.ids() {
            scene.membership.checked(id, Verdict::Fails, scene.now);
        }
        let mut served = [0; 3];
        scene.next(8).into_iter().for_each(|slot| served[slot] += 1);
        assert_eq!(served, [6, 2, 0], "{policy}");
    }
    let full = Role { max_in_flight: Some(1), ..Role::default() };
    let mut scene = Scene::with_roles(exact(), &[full; 2]);
    for id in scene.ids() {
        scene.membership.checked(id, Verdict::Fails, scene.now);
    }
    let leases: Vec<Lease> = (0..2).map(|_| scene.acquire()).collect();
    assert_eq!(leases.iter().map(|lease| lease.backend().slot()).sum::<usize>(), 1, "one each");
    let none = scene.balancer.acquire(&Tried::default(), scene.now);
    assert!(matches!(none, Choice::Wait), "{none:?}");
    scene.release_all(leases);
}

#[test]
fn with_all_down_one_after_the_other_is_tried_for_one_request() {
    let mut scene = Scene::of(3, Policy::RoundRobin);
    for id in scene.ids() {
        scene.membership.checked(id, Verdict::Fails, scene.now);
    }
    let mut before = Tried::default();
    for _ in 0..3 {
        let lease = scene.balancer.acquire(&before, scene.now).lease().expect("one is left");
        assert!(!before.contains(lease.backend()));
        before.insert(lease.backend());
        scene.balancer.release(lease);
    }
    assert!(matches!(scene.balancer.acquire(&before, scene.now), Choice::Nobody));
}

#[test]
fn an_ejected_backend_is_tried_before_one_whose_check_fails() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    scene.membership.checked(scene.ids()[0], Verdict::Fails, scene.now);
    scene.refuse(1);
    assert_eq!(scene.next(3), [1; 3]);
}

#[test]
fn the_check_of_a_backend_that_left_is_no_news() {
    let mut scene = Scene::of(1, Policy::RoundRobin);
    let id = scene.ids()[0];
    scene.membership.drain(id);
    assert_eq!(scene.balancer.cause(id), Cause::Removed);
    scene.balancer.set_roster(scene.membership.roster());
    assert_eq!(scene.membership.collect(), [id]);
    scene.membership.add("next").unwrap();
    scene.membership.checked(id, Verdict::Fails, scene.now);
    scene.balancer.set_roster(scene.membership.roster());
    assert_eq!(is_up(&scene), [true]);
}
