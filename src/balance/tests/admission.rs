//! Backends that somebody drains, or ejects for a while.

use super::*;
use crate::balance::{Admission, Cause, Verdict};

fn drain(scene: &mut Scene, slot: usize, admission: Admission) {
    let id = scene.ids()[slot];
    let role = Role { admission, ..Role::default() };
    assert!(scene.membership.set_role(id, role));
    assert!(scene.membership.admit(id, scene.now));
    let roster = scene.membership.roster();
    scene.balancer.set_roster(roster);
}

#[test]
fn one_that_is_drained_gets_nothing_under_any_policy_until_it_is_taken_back() {
    for policy in Policy::ALL {
        let mut scene = Scene::of(3, policy);
        let id = scene.ids()[1];
        drain(&mut scene, 1, Admission::Drained);
        assert!(!scene.next(12).contains(&1), "{policy}");
        assert!(scene.balancer.acquire_bound(id, scene.now).lease().is_none(), "{policy}");
        assert!(!scene.balancer.roster().admits(id) && scene.balancer.roster().contains(id));
        drain(&mut scene, 1, Admission::Open);
        assert!(scene.next(12).contains(&1), "{policy}");
    }
}

#[test]
fn one_that_is_drained_is_no_last_resort() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    drain(&mut scene, 0, Admission::Drained);
    let ids = scene.ids();
    scene.membership.checked(ids[1], Verdict::Fails, scene.now);
    assert_eq!(scene.next(4), [1; 4]);
    drain(&mut scene, 1, Admission::Drained);
    let choice = scene.balancer.acquire(&Tried::default(), scene.now);
    assert!(matches!(choice, Choice::Nobody), "{choice:?}");
    assert!(!scene.balancer.has_untried(&Tried::default()));
}

#[test]
fn what_is_known_of_one_that_is_drained_stays_and_its_slow_start_begins_anew() {
    let options = Options { slow_start: ms(1000), ..exact() };
    let mut scene = Scene::with(2, Options { policy: Policy::Adaptive, ..options });
    for slot in [0, 1] {
        let lease = scene.acquire_only(slot);
        scene.answer_after(7, lease);
    }
    let id = scene.ids()[0];
    let estimate = scene.balancer.estimate(id);
    scene.pass(5000);
    drain(&mut scene, 0, Admission::Drained);
    scene.pass(100);
    let known = scene.membership.known(id, scene.now).expect("it is there");
    assert_eq!((known.cause, known.age), (Cause::Admitted, Some(ms(100))));
    assert_eq!((known.estimate, known.in_flight), (estimate, 0));
    drain(&mut scene, 0, Admission::Open);
    let known = scene.membership.known(id, scene.now).expect("it is there");
    assert_eq!((known.age, scene.balancer.estimate(id)), (Some(ms(0)), estimate));
}

#[test]
fn an_ejection_lasts_until_it_is_over_and_then_the_backend_has_to_answer_once() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    let id = scene.ids()[0];
    assert!(scene.membership.eject(id, ms(3000), scene.now));
    assert_eq!(scene.next(4), [1; 4]);
    scene.pass(2999);
    let known = scene.membership.known(id, scene.now).expect("it is there");
    assert_eq!((known.availability, known.cause), (Availability::Ejected, Cause::Admin));
    assert_eq!((known.age, known.ejected_for), (None, Some(ms(1))));
    assert_eq!(scene.next(4), [1; 4]);
    scene.pass(1);
    let probe = scene.acquire();
    assert_eq!((probe.backend(), probe.reason()), (id, Reason::Trial));
    scene.answer_after(1, probe);
    assert_eq!(scene.balancer.cause(id), Cause::Answered);
}

#[test]
fn one_that_fails_after_its_ejection_is_ejected_as_any_other() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    let id = scene.ids()[0];
    scene.membership.eject(id, ms(3000), scene.now);
    scene.pass(3000);
    let probe = scene.acquire();
    scene.finish(probe, Outcome::Failed);
    let known = scene.membership.known(id, scene.now).expect("it is there");
    assert_eq!((known.cause, known.ejected_for), (Cause::Failures, Some(ms(500))));
}

#[test]
fn what_was_under_way_and_what_checks_find_end_no_ejection_before_its_time() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    let id = scene.ids()[0];
    let lease = scene.acquire_only(0);
    scene.membership.eject(id, ms(3000), scene.now);
    scene.answer_after(1, lease);
    for verdict in [Verdict::Fails, Verdict::Passes] {
        scene.membership.checked(id, verdict, scene.now);
        assert_eq!(scene.balancer.cause(id), Cause::Admin);
    }
    scene.pass(3000);
    scene.membership.checked(id, Verdict::Fails, scene.now);
    assert_eq!(scene.balancer.cause(id), Cause::CheckFailed);
}

#[test]
fn any_ejection_can_be_ended_but_what_a_check_found_stays() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    let id = scene.ids()[0];
    scene.membership.eject(id, ms(3000), scene.now);
    assert!(scene.membership.admit(id, scene.now));
    assert_eq!(scene.balancer.cause(id), Cause::Admitted);
    assert!(scene.next(2).contains(&0));
    let lease = scene.acquire_only(0);
    scene.finish(lease, Outcome::Unreachable);
    assert_eq!(scene.balancer.cause(id), Cause::Refused);
    scene.membership.admit(id, scene.now);
    assert_eq!(scene.balancer.availability(id, scene.now), Availability::Up);
    scene.membership.checked(id, Verdict::Fails, scene.now);
    scene.membership.admit(id, scene.now);
    assert_eq!(scene.balancer.cause(id), Cause::CheckFailed);
}

#[test]
fn one_that_left_can_neither_be_ejected_nor_admitted() {
    let mut scene = Scene::of(2, Policy::RoundRobin);
    let id = scene.ids()[0];
    let lease = scene.acquire_only(0);
    scene.membership.drain(id);
    assert!(!scene.membership.eject(id, ms(3000), scene.now));
    assert!(!scene.membership.admit(id, scene.now));
    let known = scene.membership.known(id, scene.now).expect("it has a request");
    assert_eq!((known.cause, known.in_flight), (Cause::Removed, 1));
    scene.finish(lease, Outcome::Answered);
    let roster = scene.membership.roster();
    scene.balancer.set_roster(roster);
    assert_eq!(scene.membership.collect(), [id]);
    assert!(scene.membership.known(id, scene.now).is_none());
}
